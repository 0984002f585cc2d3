import { expect, test } from 'vitest'
import { bytes, GiB } from '../../../src/size.ts'
import { world } from './world.ts'

const ids = Array.from({ length: 150 }, (_, index) => `vol-${(index + 1).toString(16).padStart(17, '0')}`)
const size = bytes(20n * GiB)

test('growths that wait long for their turn are looked at again together, and not each by itself', async () => {
  const { clock, ec2, expander } = world({ volumes: Object.fromEntries(ids.map((id) => [id, { size: 10 }])) })
  await expander.read(
    ids.map((id) => ({ id })),
    {},
  )
  const before = ec2.calls().total
  await clock.advance(40_000)
  for (const id of ids) {
    await expander.expand({ id }, { size, options: undefined, requestId: id })
    await clock.advance(100)
  }
  expect(ec2.accepted.map(({ volumeId }) => volumeId)).toEqual(ids)
  // Two calls of each kind in the minute, and none of them for one volume alone.
  expect(ec2.calls().total - before - ids.length).toBeLessThanOrEqual(4)
})

test('one that is gone meanwhile fails by itself, and not those that were looked at along with it', async () => {
  const { clock, ec2, expander } = world({ volumes: Object.fromEntries(ids.map((id) => [id, { size: 10 }])) })
  const gone = 'vol-000000000000000ff'
  ec2.setVolume(gone, { size: 10 })
  const all = [...ids.slice(0, 5), gone, ...ids.slice(5)]
  await expander.read(
    all.map((id) => ({ id })),
    {},
  )
  ec2.setVolume(gone, { size: 10, region: 'eu-central-1' })
  await clock.advance(40_000)
  const failures: unknown[] = []
  for (const id of all) {
    await expander
      .expand({ id }, { size, options: undefined, requestId: id })
      .catch((error: unknown) => failures.push([id, error]))
  }
  expect(failures).toEqual([[gone, expect.objectContaining({ code: 'not-found', outcome: 'unchanged' })]])
  expect(ec2.accepted.map(({ volumeId }) => volumeId)).toEqual(ids)
})
