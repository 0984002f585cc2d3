import type { DeviceSnapshot, ProbedRange } from '../hosts/host.ts'

/** A stretch of a device that every host reads: counted from the start, or from the end after rounding the size down to `align` bytes. */
export interface ProbeRange {
  readonly from: 'start' | 'end'
  /** Bytes after the start, or before the (aligned) end. */
  readonly offset: number
  readonly align?: number
  readonly length: number
}

/**
 * Where the marks of everything that is recognised lie. The end counts as much as the start: md 0.90 and 1.0, DRBD's internal metadata and ZFS' last labels
 * are there, behind what looks like a plain filesystem.
 */
export const probeRanges: readonly ProbeRange[] = [
  // MBR, GPT, LUKS, LVM labels, ext and XFS superblocks, swap, bcache, md 1.1 and 1.2, ZFS' first label (its name-value list is at 16 KiB)
  { from: 'start', offset: 0, length: 20 * 1024 },
  // btrfs, GFS2, ReiserFS
  { from: 'start', offset: 64 * 1024, length: 4 * 1024 },
  // ZFS' third and fourth label: name-value lists at 16 KiB within 256 KiB labels
  { from: 'end', align: 256 * 1024, offset: 512 * 1024 - 16 * 1024, length: 4 * 1024 },
  { from: 'end', align: 256 * 1024, offset: 256 * 1024 - 16 * 1024, length: 4 * 1024 },
  // md 0.90 (64 to 128 KiB before the end), md 1.0, DRBD, backup GPT, firmware RAID
  { from: 'end', offset: 128 * 1024, length: 128 * 1024 },
]

/** The absolute stretch of a probe range on a device of `size` bytes; undefined where the device is too small to have it. */
export function resolveRange(
  range: ProbeRange,
  size: bigint,
): { readonly offset: bigint; readonly length: number } | undefined {
  const align = BigInt(range.align ?? 1)
  const end = (size / align) * align
  const start = range.from === 'start' ? BigInt(range.offset) : end - BigInt(range.offset)
  const offset = start < 0n && range.align === undefined ? 0n : start
  if (offset < 0n || offset >= size) return undefined
  const length = size - offset < BigInt(range.length) ? Number(size - offset) : range.length
  return { offset, length }
}

/** `length` bytes at `offset`, when they were probed and the device has them; undefined otherwise. */
export function bytesAt(device: DeviceSnapshot, offset: bigint | number, length: number): Uint8Array | undefined {
  if (!device.probe.ok) return undefined
  const start = BigInt(offset)
  const holds = (range: ProbedRange): boolean =>
    range.offset <= start && start + BigInt(length) <= range.offset + BigInt(range.bytes.length)
  const range = device.probe.value.find(holds)
  if (range === undefined) return undefined
  const from = Number(start - range.offset)
  return range.bytes.subarray(from, from + length)
}
