import { fieldsOf } from '../../filesystems/fields.ts'
import type { DeviceSnapshot } from '../../hosts/host.ts'
import { bytesAt } from '../probe.ts'

/** The label of a physical volume, as far as it matters here: LVM2's on-disk format (libblkid and LVM's lib/format_text/layout.h describe the same structure). */
export interface PhysicalLabel {
  /** Where the UUID of the physical volume is, in bytes from the start of the device. */
  readonly uuid: { readonly offset: number; readonly bytes: Uint8Array }
  /** Bytes of a second metadata area, which stays at the end of the device when that grows; 0 for none. */
  readonly trailing: bigint
}

const sector = 512
/** Areas that a header lists at the most: a bound for what is read. */
const mostAreas = 16

/** The label, which is in one of the first four sectors; undefined when there is none, or it makes no sense. */
export function readLabel(device: DeviceSnapshot): PhysicalLabel | undefined {
  for (const start of [0, sector, 2 * sector, 3 * sector]) {
    const label = bytesAt(device, start, sector)
    if (label === undefined) continue
    const fields = fieldsOf(label, 'little')
    if (fields.text(0, 8) !== 'LABELONE' || fields.text(24, 8) !== 'LVM2 001') continue
    const header = fields.u32(20)
    if (header < 32 || header > 128) return undefined
    return {
      uuid: { offset: start + header, bytes: fields.bytes(header, 32) },
      trailing: trailingArea(label, header + 40),
    }
  }
  return undefined
}

/** Two lists of (offset, length), each ended by zeros: the data, and then the metadata. Metadata behind the data is what is at the end. */
function trailingArea(label: Uint8Array, at: number): bigint {
  const [data, next] = areasAt(label, at)
  const [metadata] = areasAt(label, next)
  const start = data[0]?.offset ?? 0n
  return metadata.filter(({ offset }) => offset > start).reduce((sum, { length }) => sum + length, 0n)
}

interface Area {
  readonly offset: bigint
  readonly length: bigint
}

function areasAt(label: Uint8Array, at: number): readonly [readonly Area[], number] {
  const fields = fieldsOf(label, 'little')
  const areas: Area[] = []
  let next = at
  for (; next + 16 <= label.length && areas.length < mostAreas; next += 16) {
    const area = { offset: fields.u64(next), length: fields.u64(next + 8) }
    if (area.offset === 0n) break
    areas.push(area)
  }
  return [areas, next + 16]
}
