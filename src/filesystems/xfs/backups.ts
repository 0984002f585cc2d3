import type { DeviceSnapshot, ProbedRange } from '../../hosts/host.ts'
import type { FurtherRange } from '../../layers/signatures.ts'
import { fieldsOf } from '../fields.ts'
import { isXfs, type XfsSuperblock } from './superblock.ts'

/** As many as the kernel writes together after a growth, from the second group to the last (xfs_update_secondary_sbs): unless the last ones are all written, the growth was cut off. */
const mostRead = 16
/** Bytes of each; whole sectors of any disk. */
const readLength = 4096

/**
 * Where the last backup superblocks are, of which each allocation group but the first begins with one. The kernel writes them past its cache of the device, so that they have
 * to be read past it as well.
 */
export function backupRanges(ranges: readonly ProbedRange[]): readonly FurtherRange[] {
  const start = ranges.find(({ offset, direct }) => offset === 0n && direct !== true)?.bytes
  if (!isXfs(start)) return []
  const fields = fieldsOf(start, 'big')
  const groupSize = BigInt(fields.u32(84)) * BigInt(fields.u32(4))
  const groups = fields.u32(88)
  const first = Math.max(1, groups - mostRead)
  if (groupSize === 0n || groups <= first) return []
  return Array.from({ length: groups - first }, (_, index) => BigInt(first + index) * groupSize)
    .filter((offset) => offset % BigInt(readLength) === 0n)
    .map((offset) => ({ offset, length: readLength, direct: true }))
}

/**
 * Whether one of them is of before the last growth. The kernel logs a growth, and then writes the backups, which no log covers: a power cut between the two leaves them so.
 *
 * @param blocks what the filesystem has
 */
export function backupsBehind({ probe }: DeviceSnapshot, superblock: XfsSuperblock, blocks: bigint): boolean {
  if (!probe.ok) return false
  return probe.value.some(({ bytes, direct }) => {
    if (direct !== true || !isXfs(bytes)) return false
    const fields = fieldsOf(bytes, 'big')
    const isOwn = superblock.uuidBytes.every((byte, index) => byte === bytes[32 + index])
    return isOwn && fields.u64(8) < blocks
  })
}
