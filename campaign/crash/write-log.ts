/**
 * The log of the device-mapper target `log-writes`, as drivers/md/dm-log-writes.c of the kernel writes it (version 1), and what a power cut may leave of it.
 *
 * A write is entered when a flush that came after its completion is done, so that all entries before one with a flush were durable when that returned. Between two
 * flushes a disk with a volatile cache may have kept any of the writes.
 */

const magic = 0x6a736677736872n
const version = 1n
const entrySize = 32
/** Bytes that a disk of today writes as one. Filesystems rely on it for their own blocks, the superblock among them. */
const physicalSector = 4096
const flags = { flush: 1n, fua: 2n, discard: 4n, mark: 8n } as const

/** Reads so many bytes at an offset of the log device. */
export type ReadLog = (offset: number, length: number) => Buffer

export interface LoggedWrite {
  /** Bytes from the start of the disk. */
  readonly offset: number
  /** Bytes that were written or discarded; 0 for a mark and for a flush alone. */
  readonly length: number
  /** Where the bytes are in the log; undefined for a discard and where there are none. */
  readonly data: number | undefined
  readonly flush: boolean
  readonly fua: boolean
  readonly mark?: string
}

/** @throws {Error} when it is no log of that kind */
export function parseWriteLog(read: ReadLog): readonly LoggedWrite[] {
  const head = read(0, entrySize)
  if (head.readBigUInt64LE(0) !== magic) throw new Error('The device holds no log of writes.')
  if (head.readBigUInt64LE(8) !== version) throw new Error(`The log has version ${head.readBigUInt64LE(8)}.`)
  const count = Number(head.readBigUInt64LE(16))
  const sectorSize = head.readUInt32LE(24)
  const writes: LoggedWrite[] = []
  for (let at = sectorSize; writes.length < count; at += sectorSize) {
    const entry = read(at, sectorSize)
    const has = (flag: bigint): boolean => (entry.readBigUInt64LE(16) & flag) !== 0n
    const length = Number(entry.readBigUInt64LE(8)) * sectorSize
    const carries = length > 0 && !has(flags.discard)
    const marked = Number(entry.readBigUInt64LE(24))
    writes.push({
      offset: Number(entry.readBigUInt64LE(0)) * sectorSize,
      length,
      data: carries ? at + sectorSize : undefined,
      flush: has(flags.flush),
      fua: has(flags.fua),
      ...(has(flags.mark) ? { mark: entry.toString('utf8', entrySize, entrySize + marked) } : {}),
    })
    if (carries) at += length
  }
  return writes
}

/** A write, or its first bytes only: a disk promises whole sectors, and nothing of several of them. */
export interface KeptWrite {
  readonly write: LoggedWrite
  readonly length: number
}

/** What is on the disk after a power cut. */
export interface PowerState {
  readonly kind: 'flush' | 'prefix' | 'reordered'
  /** So many entries are there, all of them. */
  readonly whole: number
  /** And these of the following ones. */
  readonly kept: readonly KeptWrite[]
  /** Marks before this entry were set after what they speak of had become durable. */
  readonly known: number
}

/**
 * States that a power cut may leave: one at each flush, and between it and the next one a state in which the disk has kept the writes up to some moment, and one in which it
 * has kept any of them, some in part.
 *
 * @param end the number of entries before the power was cut
 */
export function powerStates(writes: readonly LoggedWrite[], end: number, random: () => number): readonly PowerState[] {
  const points = writes.slice(0, end).flatMap(({ flush, fua }, index) => (flush || fua ? [index + 1] : []))
  return points.flatMap((whole, index): readonly PowerState[] => {
    const next = points[index + 1]
    const known = next === undefined ? end : next - 1
    const open = writes.slice(whole, known).filter(({ length }) => length > 0)
    const atFlush: PowerState = { kind: 'flush', whole, kept: [], known }
    if (open.length === 0) return [atFlush]
    const some = 1 + Math.floor(random() * open.length)
    const prefix: PowerState = { kind: 'prefix', whole, kept: open.slice(0, some).map(wholly), known }
    const chosen = open.filter(() => random() < 0.5)
    const kept = chosen.map((write) => (random() < 0.25 ? torn(write, random) : wholly(write)))
    return [atFlush, prefix, ...(kept.length === 0 ? [] : [{ kind: 'reordered', whole, kept, known } as const])]
  })
}

function wholly(write: LoggedWrite): KeptWrite {
  return { write, length: write.length }
}

/** The first sectors of it, as far as the disk has any of it. */
function torn(write: LoggedWrite, random: () => number): KeptWrite {
  const first = physicalSector - (write.offset % physicalSector)
  const more = Math.floor(random() * (Math.max(0, write.length - first) / physicalSector)) * physicalSector
  return { write, length: Math.min(write.length, first + more) }
}
