import { describe, expect, test } from 'vitest'
import { layerCases } from '../../../src/conformance/index.ts'
import type { DeviceSnapshot } from '../../../src/hosts/host.ts'
import type { Growth } from '../../../src/layers/layer.ts'
import { multipath } from '../../../src/layers/multipath/index.ts'
import type { Bytes } from '../../../src/size.ts'
import { deviceOf, mib, snapshotOf } from '../device/snapshots.ts'

const wwid = 'naa.600508b400105e210000900000490000'

const path = (name: string, minor: number, attributes: Readonly<Record<string, string>> = {}): DeviceSnapshot =>
  deviceOf({
    id: `8:${minor}`,
    name,
    path: `/dev/${name}`,
    holders: ['dm-0'],
    attributes: { diskseq: `${minor}`, 'device/wwid': wwid, 'device/state': 'running', ...attributes },
  })

const map = deviceOf({
  id: '254:0',
  name: 'dm-0',
  path: '/dev/dm-0',
  below: ['8:0', '8:16'],
  attributes: { 'dm/name': 'mpatha', 'dm/uuid': 'mpath-3600508b400105e210000900000490000' },
})

function grow(paths: readonly DeviceSnapshot[], sizes: readonly bigint[], top: DeviceSnapshot = map): Growth {
  const least = [...sizes].sort((a, b) => (a < b ? -1 : 1))[0] ?? 0n
  return multipath.grow(top, snapshotOf([top, ...paths]), {
    available: least as Bytes,
    below: new Map(paths.map(({ id }, index) => [id, (sizes[index] ?? 0n) as Bytes])),
    offline: false,
  })
}

const both = [path('sda', 0), path('sdb', 16)]
const messages = ({ findings }: Growth): readonly string[] => findings.map(({ code, message }) => `${code}: ${message}`)

describe('conformance', () => {
  const snapshot = snapshotOf([map, ...both])
  const cases = layerCases({
    layer: multipath,
    examples: [{ name: 'two paths', device: map, snapshot, full: mib(64), roomy: mib(128) }],
    others: both.map((device) => ({ name: device.name, device, snapshot })),
  })
  test.each(cases)('$name', ({ run }) => run())
})

test('the map follows once every path shows the new size, which is expected in the same round trip', () => {
  const growth = grow(both, [mib(128), mib(128)])
  expect(growth).toMatchObject({
    after: mib(128),
    findings: [],
    settles: true,
    commands: [{ exec: ['multipathd', 'resize', 'map', 'mpatha'], lock: ['/dev/sda', '/dev/sdb'] }],
  })
  for (const id of ['8:0', '8:16']) {
    const at = `/sys/dev/block/${id}`
    expect(growth.expect).toContainEqual({ expect: { read: 'file', path: `${at}/size` }, equals: '262144' })
    expect(growth.expect).toContainEqual({ expect: { read: 'file', path: `${at}/device/wwid` }, equals: wwid })
  }
})

describe('refuses', () => {
  test('paths that would have different sizes', () => {
    expect(messages(grow(both, [mib(128), mib(96)]))).toEqual([
      expect.stringMatching(/^identity-mismatch: .*\/dev\/sda 128 MiB, \/dev\/sdb 96 MiB/),
    ])
    expect(messages(grow(both, [mib(128), mib(64)]))).toEqual([
      expect.stringMatching(/^identity-mismatch: .*different sizes/),
    ])
  })

  test('a path to another disk', () => {
    const other = path('sdb', 16, { 'device/wwid': 'naa.600508b400105e210000900000490001' })
    expect(messages(grow([path('sda', 0), other], [mib(128), mib(128)]))).toEqual([
      expect.stringMatching(/^identity-mismatch: .*do not all lead to its disk/),
    ])
  })

  test('paths that agree on another disk than that of the map', () => {
    const others = [0, 16].map((minor) =>
      path(`sd${minor}`, minor, { 'device/wwid': 'naa.600508b400105e210000900000490001' }),
    )
    expect(messages(grow(others, [mib(128), mib(128)]))).toEqual([expect.stringMatching(/^identity-mismatch/)])
  })

  test('a path that is offline', () => {
    const offline = path('sdb', 16, { 'device/state': 'offline' })
    expect(messages(grow([path('sda', 0), offline], [mib(128), mib(128)]))).toEqual([
      expect.stringMatching(/^wrong-state: \/dev\/sdb \(offline\)/),
    ])
  })

  test('a map that is suspended, and one without a path', () => {
    const suspended = { ...map, attributes: { ...map.attributes, 'dm/suspended': '1' } }
    expect(messages(grow(both, [mib(128), mib(128)], suspended))).toEqual([expect.stringMatching(/^wrong-state/)])
    expect(messages(multipath.grow(map, snapshotOf([map]), { available: mib(128), offline: false }))).toEqual([
      expect.stringMatching(/^identity-mismatch: .*no path/),
    ])
  })
})

test('names that say nothing of the disk are let be', () => {
  const top = { ...map, attributes: { ...map.attributes, 'dm/uuid': 'mpath-SVENDOR_disk_1' } }
  expect(grow(both, [mib(128), mib(128)], top).findings).toEqual([])
})
