import { type Fields, fieldsOf, hex } from '../../filesystems/fields.ts'
import type { DeviceSnapshot } from '../../hosts/host.ts'
import { bytesAt } from '../probe.ts'
import { overlaps, type PartitionTable, type TableEntry } from './entries.ts'

/** An MBR; `protective` and `hybrid` ones stand before a GPT. */
export interface Mbr extends PartitionTable {
  readonly protection: 'none' | 'protective' | 'hybrid'
}

interface Slot {
  readonly type: number
  readonly start: bigint
  readonly length: bigint
}

const protective = 0xee
const extended: ReadonlySet<number> = new Set([0x05, 0x0f, 0x85])
const tableOffset = 446
/** Sectors are counted in 32 bits. */
const most = 2n ** 32n
/** A chain of logical partitions that is longer leads in a circle. */
const longestChain = 256

/** The MBR of a disk with its logical partitions. */
export function readMbr(disk: DeviceSnapshot, sector: bigint): Mbr | string {
  const first = bytesAt(disk, 0, 512)
  const slots = slotsIn(first)
  if (first === undefined || slots === undefined) return 'there is no boot signature in its first sector'
  const used = slots.filter(({ type }) => type !== 0)
  const guarded = used.some(({ type }) => type === protective)
  const primaries = slots.flatMap((slot, index) => entryOf(slot, index + 1))
  const container = slots.find(({ type }) => extended.has(type))
  const chain = container === undefined || guarded ? nothing : follow(disk, sector, container)
  const signature = hex(first.subarray(440, 444))
  const entries = [...primaries, ...chain.entries].map((entry) => ({ ...entry, uuid: `${signature}-${entry.number}` }))
  const several = used.filter(({ type }) => extended.has(type)).length > 1
  return {
    ...{ kind: 'mbr', sector, entries, most },
    protection: guarded ? (used.length > 1 ? 'hybrid' : 'protective') : 'none',
    problems: [
      ...(guarded ? [] : overlaps(entries)),
      ...chain.problems,
      ...(several ? ['it has more than one extended partition'] : []),
    ],
    endOn: (sectors) => sectors,
    written: [{ offset: BigInt(tableOffset), bytes: first.subarray(tableOffset, 512) }, ...chain.written],
  }
}

/** Where the table of each logical partition lies, as far as what was read leads: each names the next one. */
export function extendedSectors(read: (offset: bigint) => Uint8Array | undefined, sector: bigint): readonly bigint[] {
  const container = slotsIn(read(0n))?.find(({ type }) => extended.has(type))
  const sectors: bigint[] = []
  for (let next = container?.start; next !== undefined && sectors.length < longestChain; ) {
    if (sectors.includes(next)) break
    sectors.push(next)
    next = linkOf(slotsIn(read(next * sector)), container)
  }
  return sectors
}

interface Chain {
  readonly entries: readonly TableEntry[]
  readonly problems: readonly string[]
  readonly written: PartitionTable['written']
}

const nothing: Chain = { entries: [], problems: [], written: [] }

function follow(disk: DeviceSnapshot, sector: bigint, container: Slot): Chain {
  const entries: TableEntry[] = []
  const problems: string[] = []
  const written: { offset: bigint; bytes: Uint8Array }[] = []
  const read = (offset: bigint): Uint8Array | undefined => bytesAt(disk, offset, 512)
  const all = extendedSectors(read, sector)
  for (const at of all) {
    const bytes = read(at * sector)
    const slots = slotsIn(bytes)
    if (bytes === undefined || slots === undefined) {
      problems.push(`the chain of its logical partitions is broken at sector ${at}`)
      break
    }
    written.push({ offset: at * sector + BigInt(tableOffset), bytes: bytes.subarray(tableOffset, 512) })
    const data = slots[0]
    // An extended partition without any logical one has an empty first link. Anywhere else an empty one lets tools count differently.
    if (data === undefined || data.type === 0 || data.length === 0n) {
      if (all.length > 1) problems.push(`the chain of its logical partitions has an empty link at sector ${at}`)
      continue
    }
    const start = at + data.start
    entries.push({ number: entries.length + 5, start, end: start + data.length, role: 'logical' })
  }
  const last = all.at(-1)
  const goesOn = last !== undefined && linkOf(slotsIn(read(last * sector)), container) !== undefined
  if (goesOn) problems.push('the chain of its logical partitions leads in a circle')
  return { entries, problems, written }
}

/** The sector of the next table: counted from the start of the extended partition. */
function linkOf(slots: readonly Slot[] | undefined, container: Slot | undefined): bigint | undefined {
  const link = slots?.[1]
  return link === undefined || container === undefined || !extended.has(link.type) || link.start === 0n
    ? undefined
    : container.start + link.start
}

function entryOf({ type, start, length }: Slot, number: number): readonly TableEntry[] {
  if (type === 0 || length === 0n) return []
  return [{ number, start, end: start + length, role: extended.has(type) ? 'extended' : 'primary' }]
}

function slotsIn(sector: Uint8Array | undefined): readonly Slot[] | undefined {
  if (sector === undefined || sector.length < 512 || sector[510] !== 0x55 || sector[511] !== 0xaa) return undefined
  const fields = fieldsOf(sector, 'little')
  return [0, 1, 2, 3].map((index) => slotAt(fields, tableOffset + index * 16))
}

function slotAt(fields: Fields, offset: number): Slot {
  return {
    type: fields.u8(offset + 4),
    start: BigInt(fields.u32(offset + 8)),
    length: BigInt(fields.u32(offset + 12)),
  }
}
