import { crc32 } from 'node:zlib'
import type { DeviceSnapshot, ProbedRange, StorageSnapshot } from '../../../src/hosts/host.ts'
import { probeRanges, resolveRange } from '../../../src/layers/probe.ts'
import { unreadRanges } from '../../../src/layers/signatures.ts'
import { bytes, MiB } from '../../../src/size.ts'
import { deviceOf, snapshotOf } from '../device/snapshots.ts'

/** A partition in sectors of the disk; `end` is the last one that belongs to it. */
export interface Part {
  readonly number: number
  readonly start: bigint
  readonly end: bigint
  readonly type?: number
}

/** Pieces of a disk by their offset in bytes; everything else is zero. */
export type Pieces = Map<bigint, Uint8Array>

export const diskSize: bigint = 64n * MiB

interface GptOptions {
  readonly sector?: bigint
  readonly size?: bigint
  /** Where the other copy is; left out: in the last sector. */
  readonly last?: bigint
}

/** A protective MBR and both copies of a GPT (UEFI specification, chapter 5). */
export function gpt(parts: readonly Part[], { sector = 512n, size = diskSize, last }: GptOptions = {}): Pieces {
  const alternate = last ?? size / sector - 1n
  const entries = new Uint8Array(128 * 128)
  const view = new DataView(entries.buffer)
  for (const { number, start, end } of parts) {
    const at = (number - 1) * 128
    entries.fill(0xaf, at, at + 16)
    entries.fill(number, at + 16, at + 32)
    view.setBigUint64(at + 32, start, true)
    view.setBigUint64(at + 40, end, true)
  }
  const length = (BigInt(entries.length) + sector - 1n) / sector
  const header = (own: bigint, other: bigint, at: bigint): Uint8Array =>
    gptHeader({ own, other, at, firstUsable: 2n + length, lastUsable: alternate - length - 1n, crc: crc32(entries) })
  return new Map([
    [0n, mbrSector([{ number: 1, start: 1n, end: alternate, type: 0xee }])],
    [sector, header(1n, alternate, 2n)],
    [2n * sector, entries],
    [(alternate - length) * sector, entries.slice()],
    [alternate * sector, header(alternate, 1n, alternate - length)],
  ])
}

interface HeaderFields {
  readonly own: bigint
  readonly other: bigint
  readonly at: bigint
  readonly firstUsable: bigint
  readonly lastUsable: bigint
  readonly crc: number
}

function gptHeader({ own, other, at, firstUsable, lastUsable, crc }: HeaderFields): Uint8Array {
  const sector = new Uint8Array(512)
  const view = new DataView(sector.buffer)
  sector.set(new TextEncoder().encode('EFI PART'))
  view.setUint32(8, 0x10000, true)
  view.setUint32(12, 92, true)
  for (const [offset, value] of [
    [24, own],
    [32, other],
    [40, firstUsable],
    [48, lastUsable],
    [72, at],
  ] as const) {
    view.setBigUint64(offset, value, true)
  }
  sector.fill(0xd1, 56, 72)
  view.setUint32(80, 128, true)
  view.setUint32(84, 128, true)
  view.setUint32(88, crc, true)
  view.setUint32(16, crc32(sector.subarray(0, 92)), true)
  return sector
}

/** A boot record with up to four partitions, by their numbers. */
function mbrSector(parts: readonly Part[]): Uint8Array {
  const sector = new Uint8Array(512)
  const view = new DataView(sector.buffer)
  view.setUint32(440, 0x58260fb0, true)
  for (const { number, start, end, type = 0x83 } of parts) {
    const at = 446 + (number - 1) * 16
    view.setUint8(at + 4, type)
    view.setUint32(at + 8, Number(start), true)
    view.setUint32(at + 12, Number(end - start + 1n), true)
  }
  sector[510] = 0x55
  sector[511] = 0xaa
  return sector
}

/** An MBR with logical partitions, each behind a record of its own. */
export function mbr(primaries: readonly Part[], logicals: readonly Part[] = []): Pieces {
  const pieces: Pieces = new Map([[0n, mbrSector(primaries)]])
  const container = primaries.find(({ type }) => type === 5)
  if (container === undefined) return pieces
  logicals.forEach(({ start, end }, index) => {
    const at = index === 0 ? container.start : start - 2048n
    const next = logicals[index + 1]
    const link =
      next === undefined
        ? []
        : [{ number: 2, start: next.start - 2048n - container.start, end: next.end - container.start, type: 5 }]
    pieces.set(at * 512n, mbrSector([{ number: 1, start: start - at, end: end - at }, ...link]))
  })
  return pieces
}

export interface DiskOptions {
  readonly size?: bigint
  readonly sector?: bigint
  readonly readOnly?: boolean
  readonly capabilities?: bigint
  /** What the kernel shows, where that is not what the table says; in sectors. */
  readonly shown?: readonly Part[]
}

export interface PartitionedSnapshot {
  readonly snapshot: StorageSnapshot
  readonly disk: DeviceSnapshot
  partition(number: number): DeviceSnapshot
}

/** A disk with its partitions, as a host sees them. */
export function partitioned(
  pieces: Pieces,
  parts: readonly Part[],
  { size = diskSize, sector = 512n, readOnly = false, capabilities, shown = parts }: DiskOptions = {},
): PartitionedSnapshot {
  const units = sector / 512n
  const names = shown.map(({ number }) => `vda${number}`)
  const shownAs = shown.flatMap(({ number, start, end }): [string, string][] => [
    [`vda${number}/partition`, `${number}`],
    [`vda${number}/start`, `${start * units}`],
    [`vda${number}/size`, `${(end - start + 1n) * units}`],
  ])
  const disk = deviceOf({
    ...{ id: '254:0', name: 'vda', path: '/dev/vda', size: bytes(size), readOnly, partitions: names },
    attributes: { diskseq: '9', 'queue/logical_block_size': `${sector}`, ...Object.fromEntries(shownAs) },
    probe: { ok: true, value: probed(pieces, size) },
  })
  const partitions = shown.map(({ number, start, end }) =>
    deviceOf({
      ...{ id: `254:${number}`, name: `vda${number}`, path: `/dev/vda${number}`, below: ['254:0'] },
      size: bytes((end - start + 1n) * sector),
      attributes: { partition: `${number}`, start: `${start * units}` },
    }),
  )
  const snapshot = snapshotOf([disk, ...partitions], capabilities)
  return {
    ...{ snapshot, disk },
    partition(number) {
      const found = partitions.find(({ attributes }) => attributes['partition'] === `${number}`)
      if (found === undefined) throw new TypeError(`There is no partition ${number}.`)
      return found
    },
  }
}

function probed(pieces: Pieces, size: bigint): readonly ProbedRange[] {
  const read = ({ offset, length }: { readonly offset: bigint; readonly length: number }): ProbedRange => {
    const found = new Uint8Array(length)
    for (const [at, piece] of pieces) {
      for (const [index, byte] of piece.entries()) {
        const place = Number(at - offset) + index
        if (place >= 0 && place < length) found[place] = byte
      }
    }
    return { offset, bytes: found }
  }
  const ranges = probeRanges
    .map((range) => resolveRange(range, size))
    .filter((range) => range !== undefined)
    .map(read)
  for (let next = unreadRanges(ranges, size); next.length > 0; next = unreadRanges(ranges, size)) {
    ranges.push(...next.map(read))
  }
  return ranges
}
