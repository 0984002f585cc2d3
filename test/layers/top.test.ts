import { describe, expect, test } from 'vitest'
import type { DeviceSnapshot, ReadResult } from '../../src/hosts/host.ts'
import { mapOf, topOf } from '../../src/layers/top.ts'
import { deviceOf, mib } from './device/snapshots.ts'
import { gpt, type Part, partitioned } from './partition/disks.ts'

const ext4 = at(1024 + 56, Uint8Array.of(0x53, 0xef))
const luks = at(0, Uint8Array.of(0x4c, 0x55, 0x4b, 0x53, 0xba, 0xbe, 0, 2))
const blank = new Uint8Array(20 * 1024)
const uuids = { pv: 'p'.repeat(32), vg: 'v'.repeat(32), lv: 'l'.repeat(32), other: 'o'.repeat(32) }

function at(offset: number, bytes: Uint8Array): Uint8Array {
  const head = new Uint8Array(20 * 1024)
  head.set(bytes, offset)
  return head
}

function physicalVolume(): Uint8Array {
  const label = new Uint8Array(512)
  label.set(new TextEncoder().encode('LABELONE'))
  new DataView(label.buffer).setUint32(20, 32, true)
  label.set(new TextEncoder().encode('LVM2 001'), 24)
  label.set(new TextEncoder().encode(uuids.pv), 32)
  return at(512, label)
}

function holding(id: string, name: string, head: Uint8Array, details: Partial<DeviceSnapshot> = {}): DeviceSnapshot {
  const probe = { ok: true, value: [{ offset: 0n, bytes: head }] } as const
  return deviceOf({ id, name, path: `/dev/${name}`, size: mib(64), probe, ...details })
}

function report(volumes: readonly { readonly uuid: string; readonly name: string; readonly attributes?: string }[]): {
  readonly lvm: ReadResult<string>
} {
  const group = {
    vg: [{ vg_uuid: uuids.vg, vg_name: 'data', vg_extent_size: '4194304', vg_permissions: 'writeable', ...flags }],
    pv: [
      {
        ...{ pv_uuid: uuids.pv, pv_name: '/dev/sda', pv_major: '8', pv_minor: '0', pe_start: '1048576' },
        ...{ pv_pe_count: '10', pv_pe_alloc_count: '5', pv_mda_count: '1', pv_allocatable: 'allocatable' },
        ...{ pv_missing: '', pv_duplicate: '' },
      },
    ],
    lv: volumes.map(({ uuid, name, attributes = '-wi-a-----' }) => ({
      ...{ lv_uuid: uuid, lv_name: name, lv_size: '4194304', lv_attr: attributes, lv_allocation_policy: 'inherit' },
    })),
    ...{ seg: [], pvseg: [] },
  }
  return { lvm: { ok: true, value: JSON.stringify({ report: [group] }) } }
}

const flags = { vg_exported: '', vg_partial: '', vg_clustered: '', vg_shared: '', vg_allocation_policy: 'normal' }

describe('the way up', () => {
  test('ends at a filesystem, at a mount, and at what nobody knows', () => {
    for (const head of [ext4, blank, at(0, Uint8Array.of(1, 2, 3))]) {
      expect(topOf({ devices: [holding('8:0', 'sda', head)] }, '8:0')).toEqual({ id: '8:0', findings: [] })
    }
  })

  test('leads from a table to the last partition by its place', () => {
    const parts: readonly Part[] = [
      { number: 1, start: 65_536n, end: 98_303n },
      { number: 2, start: 2048n, end: 34_815n },
    ]
    expect(topOf(partitioned(gpt(parts), parts).snapshot, '254:0')).toEqual({ id: '254:1', findings: [] })
    const none = partitioned(gpt(parts), parts, { shown: [] })
    expect(topOf(none.snapshot, '254:0').findings).toMatchObject([{ code: 'layer-inactive', layer: 'partition' }])
  })

  test('leads from LUKS to its mapping, when it is open', () => {
    const container = holding('8:0', 'sda', luks)
    const mapping = holding('252:0', 'dm-0', ext4, { below: ['8:0'], attributes: { 'dm/uuid': 'CRYPT-LUKS2-0-data' } })
    expect(topOf({ devices: [container, mapping] }, '8:0')).toEqual({ id: '252:0', findings: [] })
    expect(topOf({ devices: [container] }, '8:0').findings).toMatchObject([{ code: 'layer-inactive', layer: 'luks' }])
  })

  test('leads from the paths to a disk to their map', () => {
    const paths = ['8:0', '8:16'].map((id) => holding(id, `sd${id}`, ext4))
    const map = holding('252:0', 'dm-0', ext4, { below: ['8:0', '8:16'], attributes: { 'dm/uuid': 'mpath-3600' } })
    const devices = [...paths, map]
    expect(topOf({ devices }, '8:0')).toEqual({ id: '252:0', findings: [] })
    expect(mapOf({ devices }, ['8:0', '8:16'])).toBe('252:0')
    expect(mapOf({ devices: paths }, ['8:0', '8:16'])).toBeUndefined()
    expect(mapOf({ devices }, ['8:0', '8:32'])).toBeUndefined()
  })
})

describe('the way up from a physical volume', () => {
  const disk = holding('8:0', 'sda', physicalVolume())
  const volume = holding('252:3', 'dm-3', ext4, {
    below: ['8:0'],
    attributes: { 'dm/uuid': `LVM-${uuids.vg}${uuids.lv}` },
  })
  const lv = { uuid: uuids.lv, name: 'root' }

  test('leads to the one logical volume, and not to its thin pool', () => {
    const pool = { uuid: uuids.other, name: 'pool', attributes: 'twi-aotz--' }
    for (const volumes of [[lv], [lv, pool]]) {
      expect(topOf({ devices: [disk, volume], ...report(volumes) }, '8:0')).toEqual({ id: '252:3', findings: [] })
    }
  })

  test.each([
    ['several', [lv, { uuid: uuids.other, name: 'home' }], [disk, volume], 'ambiguous', /root, home/],
    ['one that is not active', [lv], [disk], 'layer-inactive', /data\/root/],
    ['none', [], [disk], 'no-filesystem', /no logical volume/],
  ])('%s', (_name, volumes, devices, code, message) => {
    const { id, findings } = topOf({ devices, ...report(volumes) }, '8:0')
    expect({ id, findings }).toMatchObject({ id: '8:0', findings: [{ code, severity: 'blocker' }] })
    expect(findings[0]?.message).toMatch(message)
    expect(findings[0]?.remedy).toMatch(/\w/)
  })

  test.each([
    ['no report', {}],
    ['a report that failed', { lvm: { ok: false, errno: 'ENOENT', message: 'lvm is missing' } as const }],
    ['a report that is cut off', { lvm: { ok: true, value: '{"report": [' } as const }],
    ['another group', { lvm: { ok: true, value: '{"report": []}' } as const }],
  ])('%s', (_name, lvm) => {
    expect(topOf({ devices: [disk], ...lvm }, '8:0').findings).toMatchObject([{ code: 'layer-inactive', layer: 'lvm' }])
  })
})
