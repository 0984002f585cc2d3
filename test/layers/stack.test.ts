import { describe, expect, test } from 'vitest'
import { resizers } from '../../src/filesystems/index.ts'
import type { DeviceSnapshot, UsersSnapshot } from '../../src/hosts/host.ts'
import { layers } from '../../src/layers/index.ts'
import { stackOf } from '../../src/layers/stack.ts'
import { deviceOf, mib, snapshotOf } from './device/snapshots.ts'
import { diskSize, gpt, type Part, partitioned } from './partition/disks.ts'

const nobody: UsersSnapshot = { complete: true, foreignMounts: [], openers: [], loops: [], swap: false }

function stack(devices: readonly DeviceSnapshot[], top: string): ReturnType<typeof stackOf> {
  return stackOf(snapshotOf(devices), top, 'local', { layers, resizers })
}

function deviceHolding(text: string, offset: number, details: Partial<DeviceSnapshot> = {}): DeviceSnapshot {
  const head = new Uint8Array(20 * 1024)
  head.set(new TextEncoder().encode(text), offset)
  const probe = { ok: true, value: [{ offset: 0n, bytes: head }] } as const
  return deviceOf({ id: '8:0', name: 'sda', path: '/dev/sda', size: mib(64), probe, ...details })
}

describe('what is not handled has a name', () => {
  test.each([
    ['md0', { 'md/level': 'raid1' }, /Linux RAID \(md, raid1\)/],
    ['drbd0', {}, /a DRBD device/],
    ['bcache0', {}, /a bcache device/],
    ['zd16', {}, /a ZFS volume/],
    ['dm-7', { 'dm/uuid': 'DRBD-x', 'dm/name': 'thing' }, /device-mapper \(thing, DRBD-x\)/],
  ])('%s', (name, attributes, message) => {
    const below = deviceHolding('', 0)
    const above = deviceHolding('', 0, { id: '9:0', name, path: `/dev/${name}`, below: ['8:0'], attributes })
    const [finding] = stack([below, above], '9:0').findings
    expect(finding).toMatchObject({ code: 'unhandled-content', severity: 'blocker' })
    expect(finding?.message).toMatch(message)
  })

  test.each(['drbd0', 'zd16', 'md127', 'bcache0'])('%s, though nothing is shown below it', (name) => {
    const [finding] = stack([deviceHolding('', 0, { name, path: `/dev/${name}` })], '8:0').findings
    expect(finding).toMatchObject({ code: 'unhandled-content', severity: 'blocker' })
  })

  test('swap, in use or not', () => {
    expect(stack([deviceHolding('SWAPSPACE2', 4086)], '8:0').findings[0]?.message).toContain('swap space')
    const active = deviceHolding('SWAPSPACE2', 4086, { users: { ...nobody, swap: true } })
    expect(stack([active], '8:0').findings[0]).toMatchObject({ message: '/dev/sda is active swap space.' })
  })

  test('a program that has the device as it is', () => {
    const opener = { pid: 77, command: 'oracle', writable: true }
    const raw = deviceHolding('ORCLDISK', 32, { users: { ...nobody, openers: [opener] } })
    expect(stack([raw], '8:0').findings[0]?.message).toContain('oracle (pid 77)')
    const reader = deviceHolding('ORCLDISK', 32, { users: { ...nobody, openers: [{ ...opener, writable: false }] } })
    expect(stack([reader], '8:0').findings).toMatchObject([{ code: 'unknown-content' }])
  })
})

describe('a resizer that knows more', () => {
  const swapResizer = {
    ...{ name: 'swap', detect: () => true, diagnose: () => undefined },
    measure: () => ({
      ...{ type: 'swap', uuid: 'u', label: '', size: mib(64), blockSize: mib(1), mountPoints: [], facts: {} },
    }),
    grow: () => ({ after: mib(64), findings: [], expect: [], commands: [], tools: [] }),
  }
  const knowing = (device: DeviceSnapshot): ReturnType<typeof stackOf> =>
    stackOf(snapshotOf([device]), device.id, 'local', { layers, resizers, knowing: [swapResizer] })

  test.each([
    ['is not handled', 'SWAPSPACE2', 4086],
    ['is not known', 'ORCLDISK', 32],
  ])('is asked about content that %s', (_what, text, offset) => {
    const { filesystem, findings } = knowing(deviceHolding(text, offset))
    expect(filesystem?.resizer).toBe(swapResizer)
    expect(findings).toEqual([])
  })

  test('is not asked about blank devices, parts of something larger, or what is held or in use as swap', () => {
    const md = new Uint8Array(20 * 1024)
    new DataView(md.buffer).setUint32(4096, 0xa92b4efc, true)
    new DataView(md.buffer).setUint32(4100, 1, true)
    const probe = { ok: true, value: [{ offset: 0n, bytes: md }] } as const
    for (const device of [
      deviceHolding('', 0),
      deviceHolding('', 0, { probe }),
      deviceHolding('SWAPSPACE2', 4086, { holders: ['dm-0'] }),
      deviceHolding('SWAPSPACE2', 4086, { users: { ...nobody, swap: true } }),
    ]) {
      const { filesystem, findings } = knowing(device)
      expect(filesystem).toBeUndefined()
      expect(findings.some(({ severity }) => severity === 'blocker')).toBe(true)
    }
  })
})

describe('what is below the layers', () => {
  const parts: readonly Part[] = [{ number: 1, start: 2048n, end: 129_023n }]

  test('is measured from below to above, with the layers directly below each', () => {
    const { layers: found } = stackOf(partitioned(gpt(parts), parts).snapshot, '254:1', 'h', { layers, resizers })
    expect(found.map(({ state: { id, below, host } }) => ({ id, below, host }))).toEqual([
      { id: 'device:254:0', below: [], host: 'h' },
      { id: 'partition:254:1', below: ['device:254:0'], host: 'h' },
    ])
  })

  test('blocks by its name when something else owns the disk as well', () => {
    const superblock = new Uint8Array(256)
    new DataView(superblock.buffer).setUint32(0, 0xa92b4efc, true)
    new DataView(superblock.buffer).setUint32(4, 1, true)
    const pieces = gpt(parts).set(((diskSize / 512n - 16n) / 8n) * 8n * 512n, superblock)
    const { findings } = stackOf(partitioned(pieces, parts).snapshot, '254:1', 'h', { layers, resizers })
    expect(findings[0]).toMatchObject({ code: 'unhandled-content', severity: 'blocker' })
    expect(findings[0]?.message).toContain('md 1.0')
  })

  test('is all there is to say when the way up is not clear', () => {
    const stuck = [{ code: 'ambiguous', severity: 'blocker', layer: 'lvm', message: 'two' }] as const
    const result = stackOf(partitioned(gpt(parts), parts).snapshot, '254:0', 'h', { layers, resizers }, stuck)
    expect(result.findings).toEqual(stuck)
    expect(result.filesystem).toBeUndefined()
  })
})
