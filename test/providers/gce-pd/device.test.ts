import { afterEach, expect, test } from 'vitest'
import { d1, type World, type WorldOptions, worldOf, zone } from './world.ts'

const worlds: World[] = []
afterEach(async () => {
  for (const world of worlds.splice(0)) await world.stop()
})

async function made(options: WorldOptions = {}): Promise<World> {
  const world = await worldOf({ latency: 0, ...options })
  worlds.push(world)
  return world
}

const ref = { zone, disk: 'd1' }
const disk = (
  ...attachments: NonNullable<NonNullable<WorldOptions['disks']>[number]['attachments']>
): WorldOptions => ({
  disks: [{ name: 'd1', zone, sizeGb: 10, attachments }],
})

test('what a guest sees of a SCSI disk is the device name of the attachment', async () => {
  const world = await made(disk({ instance: 'vm', deviceName: 'data' }))
  const state = await world.state(ref)
  expect(state.users).toEqual([{ kind: 'attachment', description: `instance vm in ${zone} as data`, isDevice: true }])
  expect(world.expander.identify(ref, state)).toEqual({
    serial: 'data',
    byId: ['google-data', 'scsi-0Google_PersistentDisk_data'],
  })
})

test('an NVMe disk is known by its link and by the serial number of all of them', async () => {
  const world = await made(disk({ instance: 'vm', deviceName: 'data', interface: 'NVME' }))
  expect(world.expander.identify(ref, await world.state(ref))).toEqual({
    serial: 'nvme_card-pd',
    path: '/dev/disk/by-id/google-data',
  })
})

test('a disk that nobody has leads to no device', async () => {
  const world = await made()
  const hints = world.expander.identify(ref, await world.state(ref))
  // Names alone are never believed.
  expect(hints.serial ?? hints.wwn ?? hints.path ?? hints.image).toBeUndefined()
})

test('several instances with one device name are one answer, with two they are refused', async () => {
  const same = await made(disk({ instance: 'one', deviceName: 'data' }, { instance: 'two', deviceName: 'data' }))
  const state = await same.state(ref)
  expect(same.expander.identify(ref, state).serial).toBe('data')
  expect(state.users?.map(({ isDevice }) => isDevice)).toEqual([false, false])
  const differing = await made(disk({ instance: 'one', deviceName: 'a' }, { instance: 'two', deviceName: 'b' }))
  const unclear = await differing.state(ref)
  expect(() => differing.expander.identify(ref, unclear)).toThrow(expect.objectContaining({ code: 'ambiguous' }))
  const said = { ...ref, deviceName: 'b' }
  expect(differing.expander.identify(said, unclear).serial).toBe('b')
})

test('without the right to look at instances a disk still grows, and no device is guessed', async () => {
  const world = await made({ ...disk({ instance: 'vm' }), denied: ['compute.instances.get', 'compute.instances.list'] })
  const state = await world.state(ref)
  expect(state.users).toHaveLength(1)
  expect(() => world.expander.identify(ref, state)).toThrow(expect.objectContaining({ code: 'permission-denied' }))
  expect(world.expander.identify({ ...ref, deviceName: 'd1' }, state).serial).toBe('d1')
  await world.grow(ref, '20Gi')
  expect(world.emulator.sizeOf(d1)).toBe(20)
})

test('instances are looked at once as long as the attachments are the same', async () => {
  const world = await made(disk({ instance: 'vm' }))
  await world.state(ref)
  await world.state(ref)
  expect(world.emulator.calls.byMethod['instances.get']).toBe(1)
  await world.clock.advance(1000)
  world.emulator.setDisk({ name: 'd1', zone, sizeGb: 10, attachments: [{ instance: 'vm', deviceName: 'other' }] })
  expect(world.expander.identify(ref, await world.state(ref)).serial).toBe('other')
})

test('many disks cost a few lists', async () => {
  const names = Array.from({ length: 100 }, (_, index) => `d${index}`)
  const disks = names.map((name) => ({ name, zone, sizeGb: 10, attachments: [{ instance: `vm-${name}` }] }))
  const world = await made({ disks, pageSize: 30 })
  const states = await world.drive(
    world.expander.read(
      names.map((name) => ({ zone, disk: name })),
      {},
    ),
  )
  expect(states.map((state) => (state instanceof Error ? state : state.key))).toEqual(
    names.map((name) => `zones/${zone}/disks/${name}`),
  )
  expect(world.emulator.calls.byMethod).toEqual({
    'zoneOperations.list': 1,
    'disks.list': 4,
    'diskTypes.get': 1,
    'instances.list': 4,
  })
})
