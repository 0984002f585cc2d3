import { expect, test } from 'vitest'
import { type VolumeExpander, type VolumeState, volumeOf } from '../../src/expander.ts'
import { expand, VolumeExpansionError } from '../../src/index.ts'
import { bytes, GiB } from '../../src/size.ts'
import { scriptedProvider, virtualClock } from '../../src/testing/index.ts'

const denied = new VolumeExpansionError('permission-denied', 'No.', { layer: 'volume', outcome: 'unchanged' })

/** How a growth ends whose looks after its acceptance are these, one after the other. */
async function ended(...looks: readonly (Partial<VolumeState> | Error)[]): Promise<unknown> {
  const clock = virtualClock({ auto: true })
  const provider = scriptedProvider({ clock, volumes: { v: { size: '10Gi', growthTime: 2000 } } })
  const left = [...looks]
  const expander: VolumeExpander<string> = {
    ...provider,
    async read(refs, options) {
      const [state] = await provider.read(refs, options)
      const look = provider.mutations.length === 0 ? undefined : left.shift()
      if (look instanceof Error) throw look
      return [{ ...(state as VolumeState), ...look }]
    },
  }
  return await expand({ volume: volumeOf(expander, 'v'), to: '20Gi', clock }).catch((error: unknown) => error)
}

test('a look that fails after the growth was accepted leaves it unknown', async () => {
  expect(await ended(denied)).toMatchObject({ code: 'permission-denied', outcome: 'unknown' })
})

test('unless the volume was seen to be larger by then', async () => {
  const larger = { size: bytes(15n * GiB) }
  expect(await ended(larger, denied)).toMatchObject({ code: 'permission-denied', outcome: 'changed' })
})

test('a volume that is found in an unusable state may be larger later', async () => {
  expect(await ended({ phase: 'unusable' })).toMatchObject({ code: 'backend-failed', outcome: 'unknown' })
})

test('a growth that has failed ends with the reason that its state gives, and changed nothing', async () => {
  const failure = new VolumeExpansionError('quota-exceeded', 'Too much.', { layer: 'volume', remedy: 'Ask for less.' })
  expect(await ended({ phase: 'failed', failure })).toMatchObject({
    ...{ code: 'quota-exceeded', outcome: 'unchanged', remedy: 'Ask for less.' },
  })
})

test('whoever only waited for what others had begun has changed nothing where nothing is larger', async () => {
  const clock = virtualClock({ auto: true })
  const provider = scriptedProvider({ clock, volumes: { v: '20Gi' } })
  let looks = 0
  const expander: VolumeExpander<string> = {
    ...provider,
    async read(refs, options) {
      looks += 1
      const [state] = await provider.read(refs, options)
      return [{ ...(state as VolumeState), phase: looks === 1 ? 'growing' : 'stable' }]
    },
  }
  const report = await expand({ volume: volumeOf(expander, 'v'), to: '20Gi', clock })
  expect(report).toMatchObject({ changed: false, actions: [{ status: 'done' }] })
})
