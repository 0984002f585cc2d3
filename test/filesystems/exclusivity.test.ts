import { describe, expect, test } from 'vitest'
import { offlineFindings } from '../../src/filesystems/exclusivity.ts'
import type { DeviceSnapshot, StorageSnapshot, UsersSnapshot } from '../../src/hosts/host.ts'
import type { GrowthContext } from '../../src/layers/layer.ts'
import { bytes } from '../../src/size.ts'
import { deviceSnapshot, nobody, storageOf } from './snapshot.ts'

const free: UsersSnapshot = { ...nobody, exclusive: 'free' }
const allowed: GrowthContext = { available: bytes(1n), offline: true }

function judge(
  device: DeviceSnapshot,
  context: Partial<GrowthContext> = {},
  snapshot?: StorageSnapshot,
): readonly string[] {
  const findings = offlineFindings(device, snapshot ?? storageOf(device), { ...allowed, ...context })
  return findings.map(({ code, severity }) => `${severity}: ${code}`)
}

const fine = ['warning: offline-not-crash-safe']
const unknown = ['blocker: exclusivity-unknown']

describe('disks that other machines can have', () => {
  test.each([
    ['loop3', fine],
    ['ram0', fine],
    ['zram1', fine],
    ['sda', unknown],
    ['nvme0n1', unknown],
    ['vda', unknown],
    ['rbd0', unknown],
    ['nbd0', unknown],
    ['loopback', unknown],
  ])('%s', (name, expected) => {
    expect(judge(deviceSnapshot({ name, path: `/dev/${name}`, users: free }))).toEqual(expected)
  })

  test('the backend that says who has the volume is believed', () => {
    const disk = deviceSnapshot({ name: 'sda', path: '/dev/sda', users: free })
    expect(judge(disk, { backendUsers: { known: true, others: [] } })).toEqual(fine)
    expect(judge(disk, { backendUsers: { known: false, others: [] } })).toEqual(unknown)
    expect(judge(disk, { backendUsers: { known: true, others: ['node-b'] } })).toEqual(['blocker: in-use'])
  })

  test('what counts is what lies at the bottom', () => {
    const bottom = deviceSnapshot({ id: '8:0', name: 'sda', path: '/dev/sda' })
    const loop = deviceSnapshot({ id: '7:1', name: 'loop1', path: '/dev/loop1', users: free })
    const top = deviceSnapshot({ id: '253:0', name: 'dm-0', path: '/dev/dm-0', users: free, below: ['8:0', '7:1'] })
    const over = (...below: readonly DeviceSnapshot[]): readonly string[] => {
      const device = { ...top, below: below.map(({ id }) => id) }
      return judge(device, {}, { ...storageOf(device), devices: [device, ...below] })
    }
    expect(over(loop)).toEqual(fine)
    expect(over({ ...loop, users: { ...free, localBacking: false } })).toEqual(unknown)
    // Nobody looked who else has the file below it.
    expect(over(deviceSnapshot({ id: '7:1', name: 'loop1', path: '/dev/loop1' }))).toEqual(unknown)
    expect(over(loop, bottom)).toEqual(unknown)
  })

  test('an image belongs to this machine when its filesystem does', () => {
    const image = deviceSnapshot({ kind: 'image', id: 'image:8:1:12', path: '/srv/disk.img', name: '/srv/disk.img' })
    expect(judge({ ...image, users: nobody })).toEqual(fine)
    expect(judge({ ...image, users: { ...nobody, localBacking: false } })).toEqual(unknown)
  })
})

describe('what could not be seen is not nobody', () => {
  test.each([
    ['users that were not looked for', undefined],
    ['processes that could not be looked at', { ...free, complete: false }],
    ['an exclusive open that was not tried', nobody],
  ])('%s', (_, users) => {
    expect(judge(deviceSnapshot(users === undefined ? {} : { users }))).toEqual(unknown)
  })

  test('processes that could not be looked at are named', () => {
    const users = { ...free, complete: false, unseen: [{ pid: 1, command: 'init' }] }
    const [finding] = offlineFindings(deviceSnapshot({ users }), storageOf(deviceSnapshot({})), allowed)
    expect(finding?.message).toContain('init (pid 1)')
  })
})

test('without permission the first thing to say is who has it, then that it is offline', () => {
  const used = deviceSnapshot({ users: { ...free, openers: [{ pid: 7, command: 'qemu', writable: true }] } })
  expect(judge(used, { offline: false })).toEqual(['blocker: in-use'])
  expect(judge(deviceSnapshot({ users: free }), { offline: false })).toEqual(['blocker: needs-offline'])
})

test('a loop device is not its own user', () => {
  expect(judge(deviceSnapshot({ users: { ...free, loops: ['loop0'] } }))).toEqual(fine)
  expect(judge(deviceSnapshot({ users: { ...free, loops: ['loop0', 'loop1'] } }))).toEqual(['blocker: in-use'])
})
