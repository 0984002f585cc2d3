import { describe, expect, test } from 'vitest'
import { handleOf, type Volume, type VolumeState, volumeOf } from '../../src/expander.ts'
import type { Finding } from '../../src/findings.ts'
import { type Bytes, GiB } from '../../src/size.ts'
import { scene } from './expansion.ts'

/** The volume, whose states are changed before anybody sees them. */
function seenAs(volume: Volume, change: (state: VolumeState) => VolumeState): Volume {
  const { expander, ref, options } = handleOf(volume)
  const read: typeof expander.read = async (refs, given) =>
    (await expander.read(refs, given)).map((state) => (state instanceof Error ? state : change(state)))
  return volumeOf({ ...expander, name: 'telling', read }, ref, options)
}

const notPassedOn: Finding = {
  ...{ code: 'growth-not-passed-on', severity: 'warning', layer: 'volume' },
  ...{ message: 'The server was not told.', remedy: 'Tell it.' },
}

describe('a growth of which the machine was not told', () => {
  test('ends the wait for its device with the reason and the remedy of the backend', async () => {
    const { whole, input, node, clock } = scene()
    node.deaf = Number.POSITIVE_INFINITY
    const volume = seenAs(input.volume, (state) =>
      state.size > 10n * GiB ? { ...state, findings: [notPassedOn] } : state,
    )
    const begun = clock.now()
    await expect(whole.run({ ...input, volume, to: '20Gi' })).rejects.toMatchObject({
      ...{ code: 'growth-not-passed-on', outcome: 'changed', provider: 'telling', remedy: 'Tell it.' },
    })
    // Long before the device would have been given up by itself.
    expect(clock.now() - begun).toBeLessThan(10_000)
  })

  test('is told by a rerun as well, and is no obstacle once the machine knows', async () => {
    const { whole, input, node } = scene({ size: '20Gi' })
    node.deaf = Number.POSITIVE_INFINITY
    const volume = seenAs(input.volume, (state) => ({ ...state, findings: [notPassedOn] }))
    await expect(whole.run({ ...input, volume, to: '20Gi' })).rejects.toMatchObject({ code: 'growth-not-passed-on' })
    node.device = 20n * GiB
    expect(await whole.run({ ...input, volume, to: '20Gi' })).toMatchObject({ changed: true })
  })
})

test('a growth under way whose target nobody tells is waited for before more is asked for', async () => {
  const { whole, input, provider } = scene()
  const { expander, ref } = handleOf(input.volume)
  await expander.expand(ref, { size: (12n * GiB) as Bytes, options: undefined, requestId: 'of another tool' })
  const volume = seenAs(input.volume, ({ growingTo: _, ...state }) => state)
  await whole.run({ ...input, volume, to: '20Gi' })
  expect(provider.mutations.map(({ size }) => size / GiB)).toEqual([12n, 20n])
  expect(provider.state('v1').size).toBe(20n * GiB)
  // The first one takes a second.
  expect(provider.mutations[1]?.at).toBeGreaterThanOrEqual(1000)
})
