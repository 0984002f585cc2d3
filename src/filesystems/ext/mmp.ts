import type { DeviceSnapshot } from '../../hosts/host.ts'
import { bytesAt } from '../../layers/probe.ts'
import { fieldsOf } from '../fields.ts'
import { type ExtSuperblock, incompat } from './superblock.ts'

const magic = 0x004d4d50
/** The sequence number of a filesystem that nobody has (Documentation/filesystems/ext4/mmp.rst of the kernel). */
const clean = 0xff4d4d50

/**
 * Who has the filesystem according to its multiple-mount-protection block; undefined when nobody, or without that protection. One look cannot tell a living node
 * from one that crashed: both have it until somebody watches the block for a while, as the kernel does when it mounts.
 */
export function mmpOwner(device: DeviceSnapshot, superblock: ExtSuperblock): string | undefined {
  if ((superblock.incompat & incompat.mmp) === 0) return undefined
  const block = bytesAt(device, superblock.mmpBlock * BigInt(superblock.blockSize), 112)
  if (block === undefined) return 'a node that could not be named (its multiple-mount-protection block was not read)'
  const fields = fieldsOf(block, 'little')
  if (fields.u32(0) !== magic) return 'a node that could not be named (its multiple-mount-protection block is damaged)'
  if (fields.u32(4) === clean) return undefined
  return `node ${fields.text(16, 64) || 'without a name'} as ${fields.text(80, 32) || 'a device without a name'}`
}
