import { fieldsOf, hex } from '../../filesystems/fields.ts'
import type { DeviceSnapshot } from '../../hosts/host.ts'
import { bytesAt } from '../probe.ts'
import { crc32 } from './crc32.ts'
import { overlaps, type PartitionTable, type TableEntry } from './entries.ts'

/** Larger arrays of entries exist nowhere; the usual one has 16 KiB. */
export const largestEntries: number = 64 * 1024
const smallestHeader = 92
/** A name of 72 bytes and 56 bytes before it. */
const entrySize = 128

/** The fields of a header that are needed here (UEFI specification, section 5.3.2). */
export interface GptHeader {
  readonly bytes: Uint8Array
  readonly own: bigint
  readonly alternate: bigint
  readonly disk: string
  readonly entries: { readonly at: bigint; readonly count: number; readonly size: number; readonly crc: number }
}

/** A header by its mark alone; undefined where there is none. */
export function headerAt(sector: Uint8Array | undefined): GptHeader | undefined {
  if (sector === undefined || sector.length < smallestHeader) return undefined
  const fields = fieldsOf(sector, 'little')
  const length = fields.u32(12)
  if (fields.text(0, 8) !== 'EFI PART' || length < smallestHeader || length > sector.length) return undefined
  return {
    bytes: sector.subarray(0, length),
    own: fields.u64(24),
    alternate: fields.u64(32),
    disk: hex(fields.bytes(56, 16)),
    entries: { at: fields.u64(72), count: fields.u32(80), size: fields.u32(84), crc: fields.u32(88) },
  }
}

/** Sectors that an array of entries takes. */
export function entrySectors({ entries }: GptHeader, sector: bigint): bigint {
  return (BigInt(entries.count * entries.size) + sector - 1n) / sector
}

interface Copy {
  readonly header: GptHeader
  readonly entries: Uint8Array
}

/** The GPT of a disk, judged by both of its copies. */
export function readGpt(disk: DeviceSnapshot, sector: bigint): PartitionTable | string {
  const primary = copyAt(disk, sector, 1n)
  if (typeof primary === 'string') return `the GPT at its start ${primary}`
  const { header } = primary
  const entries = usedEntries(primary)
  const problems = [...overlaps(entries), ...backupProblems(disk, sector, primary, entries)]
  if (entries.some(({ start, end }) => end <= start)) problems.push('a partition ends before it begins')
  return {
    ...{ kind: 'gpt', sector, entries, problems },
    // The last sector holds the other header, and the array of entries lies right before it.
    endOn: (sectors) => sectors - 1n - entrySectors(header, sector),
    // The header carries the checksum of the entries.
    written: [{ offset: sector, bytes: header.bytes }],
  }
}

function copyAt(disk: DeviceSnapshot, sector: bigint, lba: bigint): Copy | string {
  const header = headerAt(bytesAt(disk, lba * sector, 512))
  if (header === undefined) return 'is not there'
  const blank = Uint8Array.from(header.bytes)
  blank.fill(0, 16, 20)
  if (crc32(blank) !== fieldsOf(header.bytes, 'little').u32(16)) return 'does not fit its checksum'
  if (header.own !== lba) return 'says that it belongs elsewhere'
  const { at, count, size, crc } = header.entries
  if (size < entrySize || size % 8 !== 0 || count === 0 || count * size > largestEntries) {
    return 'has an array of entries of an unusual size'
  }
  const entries = bytesAt(disk, at * sector, count * size)
  if (entries === undefined) return 'has an array of entries that could not be read'
  return crc32(entries) === crc ? { header, entries } : 'has entries that do not fit their checksum'
}

function usedEntries({ header, entries }: Copy): readonly TableEntry[] {
  const used: TableEntry[] = []
  for (let index = 0; index < header.entries.count; index += 1) {
    const entry = entries.subarray(index * header.entries.size, (index + 1) * header.entries.size)
    if (entry.subarray(0, 16).every((byte) => byte === 0)) continue
    const fields = fieldsOf(entry, 'little')
    const uuid = hex(fields.bytes(16, 16))
    used.push({ number: index + 1, start: fields.u64(32), end: fields.u64(40) + 1n, role: 'primary', uuid })
  }
  return used
}

/**
 * What is wrong with the copy at the end. Another end of the last partition is not: a tool writes this copy first, and may have died before it wrote the other.
 */
function backupProblems(
  disk: DeviceSnapshot,
  sector: bigint,
  primary: Copy,
  used: readonly TableEntry[],
): readonly string[] {
  const { alternate } = primary.header
  if ((alternate + 1n) * sector > disk.size)
    return ['the disk ends before the other copy of its GPT: it was made smaller']
  const backup = copyAt(disk, sector, alternate)
  if (typeof backup === 'string') return [`the copy of the GPT in sector ${alternate} ${backup}`]
  if (backup.header.disk !== primary.header.disk) return ['the two copies of its GPT belong to different disks']
  const last = [...used].sort((a, b) => (a.start < b.start ? -1 : 1)).at(-1)
  const same = withoutEnd(primary, last) === withoutEnd(backup, last)
  return same ? [] : ['the two copies of its GPT contradict each other']
}

function withoutEnd({ header, entries }: Copy, last: TableEntry | undefined): string {
  const copy = Uint8Array.from(entries)
  if (last !== undefined) {
    const offset = (last.number - 1) * header.entries.size
    copy.fill(0, offset + 40, offset + 48)
  }
  return hex(copy)
}
