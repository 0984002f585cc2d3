import { entrySectors, headerAt, largestEntries } from './gpt.ts'
import { extendedSectors } from './mbr.ts'

type ReadAt = (offset: bigint, length: number) => Uint8Array | undefined
type Range = { readonly offset: bigint; readonly length: number }

/**
 * What of a partition table lies outside of the ranges that are read in any case: the array of entries on disks with large sectors, the other copy of a GPT (which
 * stays where the disk ended once), and the chain of logical partitions, of which each names the next.
 *
 * @param size bytes of the disk
 */
export function tableRanges(read: ReadAt, size: bigint): readonly Range[] {
  const ranges: Range[] = []
  for (const sector of [512n, 4096n]) {
    const header = headerAt(read(sector, 512))
    if (header === undefined || header.own !== 1n) continue
    const { at, count, size: entrySize } = header.entries
    const length = count * entrySize
    if (length === 0 || length > largestEntries) continue
    const before = entrySectors(header, sector)
    ranges.push({ offset: at * sector, length })
    ranges.push({ offset: (header.alternate - before) * sector, length: Number((before + 1n) * sector) })
  }
  // Logical partitions on disks with larger sectors are not looked for: their chain would be told apart from this one by guessing.
  for (const at of extendedSectors((offset) => read(offset, 512), 512n)) ranges.push({ offset: at * 512n, length: 512 })
  return ranges.filter(
    ({ offset, length }) => offset >= 0n && offset + BigInt(length) <= size && read(offset, length) === undefined,
  )
}
