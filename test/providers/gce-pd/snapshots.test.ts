import { afterEach, expect, test } from 'vitest'
import type { GceDiskRef } from '../../../providers/gce-pd/refs.ts'
import type { Snapshots } from '../../../src/expander.ts'
import { failureOf, type World, worldOf, zone } from './world.ts'

const worlds: World[] = []
afterEach(async () => {
  for (const world of worlds.splice(0)) await world.stop()
})

async function made(): Promise<{ readonly world: World; readonly snapshots: Snapshots<GceDiskRef> }> {
  const disks = ['d1', 'd2'].map((name) => ({ name, zone, sizeGb: 10 }))
  const world = await worldOf({ disks })
  worlds.push(world)
  const { snapshots } = world.expander
  if (snapshots === undefined) throw new Error('The provider has no snapshots.')
  return { world, snapshots }
}

const ref = { zone, disk: 'd1' }
const options = { name: 'Before Growth: 2026-11-23', requestId: '11111111-1111-4111-8111-111111111111' }

test('a snapshot is begun, pending, and then usable; its name becomes one that the API takes', async () => {
  const { world, snapshots } = await made()
  const id = await world.drive(snapshots.create(ref, options))
  expect(id).toBe('before-growth-2026-11-23')
  expect(await world.drive(snapshots.read(ref, id, {}))).toMatchObject({ id, phase: 'pending', native: 'CREATING' })
  await world.clock.advance(5000)
  expect(await world.drive(snapshots.read(ref, id, {}))).toMatchObject({ phase: 'usable', native: 'READY' })
})

test('a try after a lost answer finds the snapshot, also under another request id', async () => {
  const { world, snapshots } = await made()
  world.emulator.faults.add('disks.createSnapshot', { kind: 'lost-answer' })
  expect(await failureOf(world.drive(snapshots.create(ref, options)))).toMatchObject({
    outcome: 'unknown',
    retryable: true,
  })
  const id = await world.drive(snapshots.create(ref, options))
  const other = { ...options, requestId: '22222222-2222-4222-8222-222222222222' }
  expect(await world.drive(snapshots.create(ref, other))).toBe(id)
  expect(world.emulator.mutations).toHaveLength(1)
})

test('a name that another disk’s snapshot has is refused', async () => {
  const { world, snapshots } = await made()
  await world.drive(snapshots.create(ref, options))
  const other = { ...options, requestId: '22222222-2222-4222-8222-222222222222' }
  const error = await failureOf(world.drive(snapshots.create({ zone, disk: 'd2' }, other)))
  expect(error).toMatchObject({ code: 'conflicting-change', outcome: 'unchanged', retryable: false })
})

test('denied, missing, and without a name', async () => {
  const { world, snapshots } = await made()
  expect(await failureOf(world.drive(snapshots.read(ref, 'nope', {})))).toMatchObject({ code: 'not-found' })
  expect(await failureOf(snapshots.create(ref, { ...options, name: '---' }))).toMatchObject({ code: 'invalid-request' })
  world.emulator.deny('compute.disks.createSnapshot')
  const error = await failureOf(world.drive(snapshots.create(ref, options)))
  expect(error).toMatchObject({
    code: 'permission-denied',
    remedy: expect.stringContaining('compute.disks.createSnapshot'),
  })
})
