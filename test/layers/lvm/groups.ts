import type { DeviceSnapshot, StorageSnapshot } from '../../../src/hosts/host.ts'
import { bytes } from '../../../src/size.ts'
import { deviceOf, mib, snapshotOf } from '../device/snapshots.ts'

const group = '4waWyS-4nnq-720q-k1qE-1gTl-yphy-4BAsjs'
const volume = 'eQlKc8-ow5r-RIRn-IRNc-iyo2-MCmp-tNh8UA'
const uuids = ['mGFhbR-eUmL-lOO9-yXNZ-t296-W9Cb-iTMAV7', 'flWMYO-Q4em-JFD4-IC3y-8wpN-nm6B-1tMr3n'] as const
const compact = (uuid: string): string => uuid.replaceAll('-', '')

/** The UUID of the mapping, as device-mapper has it. */
export const mappingUuid: string = `LVM-${compact(group)}${compact(volume)}`

type Row = Readonly<Record<string, string>>

export interface Details {
  readonly vg?: Row
  readonly lv?: Row
  readonly seg?: Row
  /** Of the physical volumes: one or two. */
  readonly pv?: readonly Row[]
  /** What LVM warns of. */
  readonly log?: readonly string[]
  /** Further groups, as they are in the report. */
  readonly further?: readonly object[]
  /** Bytes of a second metadata area at the end of each physical volume. */
  readonly trailing?: bigint
  readonly mapping?: Partial<DeviceSnapshot>
  readonly below?: Partial<DeviceSnapshot>
}

/** A group `data` with extents of 4 MiB on physical volumes of 64 MiB, and the volume `w` of 12 MiB on the first one. */
export function report({ vg = {}, lv = {}, seg = {}, pv = [{}], log, further = [] }: Details = {}): string {
  const block = {
    vg: [
      {
        ...{ vg_uuid: group, vg_name: 'data', vg_exported: '', vg_partial: '', vg_clustered: '', vg_shared: '' },
        ...{ vg_permissions: 'writeable', vg_extent_size: '4194304', vg_allocation_policy: 'normal' },
        ...vg,
      },
    ],
    pv: pv.map((own, index) => ({
      ...{ pv_uuid: uuids[index] ?? '', pv_name: `/dev/loop${index}`, pv_major: '7', pv_minor: `${index}` },
      ...{ pe_start: '1048576', pv_pe_count: '15', pv_pe_alloc_count: index === 0 ? '3' : '0', pv_mda_count: '1' },
      ...{ pv_allocatable: 'allocatable', pv_missing: '', pv_duplicate: '' },
      ...own,
    })),
    lv: [
      {
        lv_uuid: volume,
        lv_name: 'w',
        lv_size: '12582912',
        lv_attr: '-wi-XX----',
        lv_allocation_policy: 'inherit',
        ...lv,
      },
    ],
    pvseg: [],
    seg: [
      { lv_uuid: volume, segtype: 'linear', stripes: '1', seg_start_pe: '0', seg_pe_ranges: '/dev/loop0:0-2', ...seg },
    ],
  }
  const text = JSON.stringify({ report: [block, { pv: [], pvseg: [] }, ...further] })
  if (log === undefined) return text
  // As LVM writes it: with a comma behind the last entry.
  const entries = log.map((message) => `${JSON.stringify({ log_type: 'warn', log_message: message })},\n`).join('')
  return `${text.slice(0, -1)}, "log": [\n${entries} ] }`
}

/** The label of a physical volume in sector 1, with the areas of its data and its metadata. */
function label(uuid: string, trailing: bigint, size: bigint): Uint8Array {
  const start = Buffer.alloc(20 * 1024)
  const header = start.subarray(512, 1024)
  header.write('LABELONE', 0)
  header.writeBigUInt64LE(1n, 8)
  header.writeUInt32LE(32, 20)
  header.write('LVM2 001', 24)
  header.write(compact(uuid), 32)
  header.writeBigUInt64LE(size, 64)
  const areas = [
    [1_048_576n, 0n],
    [0n, 0n],
    [4096n, 1_044_480n],
    ...(trailing === 0n ? [] : [[size - trailing, trailing] as const]),
    [0n, 0n],
  ] as const
  areas.forEach(([offset, length], index) => {
    header.writeBigUInt64LE(offset, 72 + index * 16)
    header.writeBigUInt64LE(length, 80 + index * 16)
  })
  return start
}

/** The snapshot with the mapping first, and then what is below it. */
export function storage(details: Details = {}): {
  readonly device: DeviceSnapshot
  readonly snapshot: StorageSnapshot
} {
  const disks = (details.pv ?? [{}]).map((_, index) =>
    deviceOf({
      id: `7:${index}`,
      name: `loop${index}`,
      path: `/dev/loop${index}`,
      attributes: { diskseq: `${index + 10}` },
      holders: ['dm-0'],
      probe: { ok: true, value: [{ offset: 0n, bytes: label(uuids[index] ?? '', details.trailing ?? 0n, mib(64)) }] },
      ...details.below,
    }),
  )
  const device = deviceOf({
    id: '254:0',
    name: 'dm-0',
    path: '/dev/dm-0',
    size: bytes(BigInt(details.lv?.['lv_size'] ?? '12582912')),
    below: disks.map(({ id }) => id),
    attributes: { 'dm/name': 'data-w', 'dm/uuid': mappingUuid, 'dm/suspended': '0' },
    ...details.mapping,
  })
  return { device, snapshot: { ...snapshotOf([device, ...disks]), lvm: { ok: true, value: report(details) } } }
}
