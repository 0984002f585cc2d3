import type { DeviceSnapshot } from '../../hosts/host.ts'
import { bytesAt } from '../probe.ts'
import type { PartitionTable } from './entries.ts'
import { headerAt, readGpt } from './gpt.ts'
import { readMbr } from './mbr.ts'

/** The partition table of a disk, or why there is none that can be read. Pure. */
export function tableOf(disk: DeviceSnapshot): PartitionTable | string {
  const shown = disk.attributes['queue/logical_block_size']?.trim() ?? ''
  const sector = /^\d+$/.test(shown) ? BigInt(shown) : 512n
  const mbr = readMbr(disk, sector)
  if (typeof mbr === 'string') return mbr
  if (mbr.protection === 'none') {
    const stray = headerAt(bytesAt(disk, sector, 512)) !== undefined
    return stray ? { ...mbr, problems: [...mbr.problems, 'it has a GPT as well, which its MBR does not protect'] } : mbr
  }
  const gpt = readGpt(disk, sector)
  if (typeof gpt === 'string' || mbr.protection === 'protective') return gpt
  const hybrid = 'its MBR has partitions of its own beside those of the GPT (a hybrid MBR)'
  return { ...gpt, problems: [...gpt.problems, hybrid] }
}
