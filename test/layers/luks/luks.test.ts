import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { layerCases } from '../../../src/conformance/index.ts'
import type { DeviceSnapshot } from '../../../src/hosts/host.ts'
import type { Growth } from '../../../src/layers/layer.ts'
import { readLuksHeader } from '../../../src/layers/luks/header.ts'
import { luks } from '../../../src/layers/luks/index.ts'
import { furtherRanges } from '../../../src/layers/signatures.ts'
import type { Bytes } from '../../../src/size.ts'
import { deviceOf, mib, snapshotOf } from '../device/snapshots.ts'
import { below, luks1, luks2, mapping, segment, uuid } from './containers.ts'

const key = new TextEncoder().encode('canary-passphrase')

function grow(top: DeviceSnapshot, under: DeviceSnapshot, available: bigint, given?: Uint8Array): Growth {
  return luks.grow(top, snapshotOf([top, under]), {
    available: available as Bytes,
    offline: false,
    ...(given === undefined ? {} : { key: given }),
  })
}

const refusals = ({ findings }: Growth): readonly string[] => findings.map(({ code, message }) => `${code}: ${message}`)

describe('conformance', () => {
  const one = mapping(1)
  const two = mapping(2, { id: '254:1', name: 'dm-1', path: '/dev/dm-1', below: ['7:1'] })
  const under = { ...below(luks2()), id: '7:1', name: 'loop1', path: '/dev/loop1' }
  const snapshot = snapshotOf([one, below(luks1()), two, under])
  const cases = layerCases({
    layer: luks,
    examples: [
      { name: 'LUKS1', device: one, snapshot, full: mib(64), roomy: mib(128) },
      { name: 'LUKS2', device: two, snapshot, full: mib(64), roomy: mib(128) },
    ],
    others: [
      { name: 'what is below', device: under, snapshot },
      { name: 'a plain mapping', device: mapping(2, { attributes: { 'dm/uuid': 'CRYPT-PLAIN-vault' } }), snapshot },
      { name: 'a logical volume', device: mapping(2, { attributes: { 'dm/uuid': 'LVM-abc' } }), snapshot },
    ],
  })
  test.each(cases)('$name', ({ run }) => run())
})

test('LUKS2 takes its key on standard input, and nowhere else', () => {
  const growth = grow(mapping(2), below(luks2()), mib(96), key)
  expect(growth).toMatchObject({
    after: mib(80),
    findings: [],
    commands: [
      {
        exec: ['cryptsetup', 'resize', '--key-file', '-', '--', 'vault'],
        stdin: key,
        detached: true,
        lock: ['/dev/loop0'],
      },
    ],
  })
  const { commands, ...shown } = growth
  const texts = JSON.stringify([shown, commands.map(({ exec }) => exec)], (_, value) =>
    typeof value === 'bigint' ? `${value}` : value,
  )
  expect(texts).not.toContain('canary')
})

test('the growth is predicted while the key is not known yet', () => {
  expect(grow(mapping(2), below(luks2()), mib(96))).toMatchObject({ after: mib(80), findings: [] })
})

test('LUKS1 needs no key, and a key that was not asked for is not handed out', () => {
  const [command] = grow(mapping(1), below(luks1()), mib(96), key).commands
  expect(command).toMatchObject({ exec: ['cryptsetup', 'resize', '--', 'vault'] })
  expect(command).not.toHaveProperty('stdin')
  expect(luks.keyProof?.(mapping(1), snapshotOf([mapping(1), below(luks1())]))).toBeUndefined()
})

test('the key of LUKS2 is proven on the device below, by its UUID', () => {
  expect(luks.keyProof?.(mapping(2), snapshotOf([mapping(2), below(luks2())]))).toMatchObject({
    uuid,
    command: ['cryptsetup', 'open', '--test-passphrase', '--key-file', '-', '--', '/dev/loop0'],
  })
})

test('the same container is expected right before', () => {
  const items = grow(mapping(2), below(luks2()), mib(96), key).expect
  expect(items).toContainEqual({ expect: { read: 'file', path: '/sys/dev/block/254:0/dm/name' }, equals: 'vault' })
  expect(items).toContainEqual({ expect: { read: 'file', path: '/sys/dev/block/7:0/diskseq' }, equals: '13' })
  expect(items).toContainEqual({
    expect: { read: 'range', path: '/dev/loop0', offset: 168n, length: 40 },
    equals: Buffer.from(`${uuid}\0\0\0\0`).toString('hex'),
  })
})

describe('refuses', () => {
  const refused: readonly [string, DeviceSnapshot, DeviceSnapshot, RegExp][] = [
    [
      'a checksum of an algorithm that is not known',
      mapping(2),
      below(luks2().map((byte, index) => (index === 76 ? byte ^ 1 : byte))),
      /^unknown-content: .*its checksum does not fit/,
    ],
    [
      'a fixed size',
      mapping(2),
      below(luks2({ segments: { '0': { ...segment, size: `${mib(48)}` } } })),
      /^unsupported-feature: .*fixes its size at 48 MiB/,
    ],
    [
      'dm-integrity',
      mapping(2),
      below(luks2({ segments: { '0': { ...segment, integrity: { type: 'hmac' } } } })),
      /^unsupported-feature: .*dm-integrity/,
    ],
    [
      'a re-encryption',
      mapping(2),
      below(luks2({ requirements: ['online-reencrypt-v2'] })),
      /^wrong-state: .*re-encrypted/,
    ],
    [
      'an unknown requirement',
      mapping(2),
      below(luks2({ requirements: ['from-the-future'] })),
      /^unsupported-feature: .*requires/,
    ],
    [
      'several segments',
      mapping(2),
      below(luks2({ segments: { '0': segment, '1': segment } })),
      /^unsupported-feature: .*one encrypted segment/,
    ],
    ['a detached header', mapping(2), below(new Uint8Array(4096)), /^unsupported-feature: .*no LUKS header.*detached/],
    [
      'the header of another container',
      mapping(2),
      below(luks2({ uuid: uuid.replace('2541', '0000') })),
      /^unsupported-feature: .*another container/,
    ],
    ['the header of another version', mapping(2), below(luks1()), /^unsupported-feature: .*another container/],
    ['a damaged header', mapping(2), below(luks2().fill(7, 5000, 5001)), /^unknown-content: .*checksum/],
    [
      'a suspended mapping',
      mapping(2, { attributes: { ...mapping(2).attributes, 'dm/suspended': '1' } }),
      below(luks2()),
      /^wrong-state: .*suspended/,
    ],
    ['a read-only mapping', mapping(2, { readOnly: true }), below(luks2()), /^read-only: /],
    [
      'what cannot be read',
      mapping(2),
      { ...below(luks2()), probe: { ok: false, errno: 'EIO', message: '' } },
      /^permission-denied: .*EIO/,
    ],
  ]
  test.each(refused)('%s', (_, top, under, message) => {
    const growth = grow(top, under, mib(96), key)
    expect(refusals(growth)).toEqual([expect.stringMatching(message)])
    expect(growth.findings[0]?.remedy).toMatch(/\w/)
    expect(growth).toMatchObject({ after: top.size, commands: [] })
    // With nothing to do, nothing is wrong.
    expect(grow(top, under, mib(64), key)).toMatchObject({ findings: [], commands: [] })
  })

  test('a device that ends within an encryption sector', () => {
    const under = below(luks2({ segments: { '0': { ...segment, sector_size: 4096 } } }))
    expect(grow(mapping(2), under, mib(96), key)).toMatchObject({ after: mib(80), findings: [] })
    expect(refusals(grow(mapping(2), under, mib(96) + 512n, key))).toEqual([
      expect.stringMatching(/^unsupported-feature: .*could not be opened again/),
    ])
    expect(grow(mapping(2), under, mib(64) + 512n, key)).toMatchObject({ after: mib(48), findings: [], commands: [] })
  })
})

test('a long header is read in two pieces', () => {
  const header = luks2({ headerSize: 65_536 })
  const first = below(header)
  const ranges = first.probe.ok ? first.probe.value : []
  expect(readLuksHeader(first)).toMatchObject({ failure: 'unreadable' })
  const rest = furtherRanges(ranges, first.size).find(({ offset }) => offset === 20_480n)
  expect(rest).toEqual({ offset: 20_480n, length: 65_536 - 20_480 })
  const whole = below(header, [{ offset: 20_480n, bytes: header.subarray(20_480) }])
  expect(readLuksHeader(whole)).toMatchObject({ version: 2, uuid, offset: mib(16), sectorSize: 512 })
})

test('no header makes it throw', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(16_383), fc.nat(255)), { maxLength: 20 }), (changes) => {
      const header = luks2()
      for (const [at, byte] of changes) header[at] = byte
      const found = readLuksHeader(below(header))
      if (!('failure' in found)) expect(found.offset).toBeGreaterThanOrEqual(0n)
    }),
  )
})

test('measures the mapping, and what its header says', () => {
  const state = luks.measure(mapping(2), snapshotOf([mapping(2), below(luks2())]))
  expect(state).toMatchObject({
    id: 'luks:254:0',
    label: 'LUKS vault',
    size: mib(48),
    below: ['7:0'],
    identity: { uuid },
    facts: { version: 2, offset: mib(16), sectorSize: 512 },
  })
  expect(
    luks.measure(mapping(2), snapshotOf([mapping(2), deviceOf({ id: '7:0', name: 'x', path: '/dev/x' })])).facts,
  ).toEqual({ version: 2 })
})
