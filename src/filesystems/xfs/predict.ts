import type { DeviceSnapshot, MountSnapshot } from '../../hosts/host.ts'
import type { XfsSuperblock } from './superblock.ts'

/** The kernel's XFS_MIN_AG_BLOCKS: a last allocation group with fewer blocks is not made. */
const leastGroupBlocks = 64n
/** XFS_MAX_AGNUMBER + 1. */
const mostGroups = 0xffffffffn
const magic = 0x58465342n

/** Blocks that `xfs_growfs -d` will reach on a device of `available` bytes (xfs_growfs_data of the kernel's fs/xfs/xfs_fsops.c); never fewer than `current`. */
export function predictBlocks(superblock: XfsSuperblock, current: bigint, available: bigint): bigint {
  const { groupBlocks } = superblock
  let blocks = available / BigInt(superblock.blockSize)
  if (blocks <= current) return current
  if (blocks % groupBlocks < leastGroupBlocks) blocks -= blocks % groupBlocks
  if (blocks > mostGroups * groupBlocks) blocks = mostGroups * groupBlocks
  return blocks > current ? blocks : current
}

/** How large a filesystem is, and how that is known. */
export interface MeasuredBlocks {
  readonly blocks: bigint
  readonly by: 'superblock' | 'kernel'
}

/**
 * Blocks of the data section. While it is mounted the kernel alone knows: what the device shows stays as it was before the last growth. statfs leaves the internal log
 * out. It answers for something else when the mount point is covered by another mount, or for a quota when one is set on the root: what cannot be of this
 * filesystem is not believed, and `undefined` says that nothing could be.
 */
export function measuredBlocks(
  device: DeviceSnapshot,
  superblock: XfsSuperblock,
  mounts: readonly MountSnapshot[],
): MeasuredBlocks | undefined {
  const asWritten = { blocks: superblock.dataBlocks, by: 'superblock' } as const
  // A mount in another namespace may be out of reach; what was written last is then the best that is known, and at most too small.
  if (device.mounts.length === 0 && mounts.every(({ statfs }) => !statfs.ok)) return asWritten
  const log = superblock.externalLog ? 0n : superblock.logBlocks
  const sizes = mounts.flatMap(({ statfs }): readonly bigint[] => {
    if (!statfs.ok || statfs.value.type !== magic || statfs.value.blockSize !== BigInt(superblock.blockSize)) return []
    return [statfs.value.blocks + log]
  })
  const [first] = sizes.filter((blocks) => isPlausible(device, superblock, blocks))
  return first === undefined ? undefined : { blocks: first, by: 'kernel' }
}

/** A filesystem that is mounted grew at most to the end of its device since its superblock was written; a shorter device is judged elsewhere. */
function isPlausible(device: DeviceSnapshot, superblock: XfsSuperblock, blocks: bigint): boolean {
  if (blocks === superblock.dataBlocks) return true
  return blocks > superblock.dataBlocks && blocks * BigInt(superblock.blockSize) <= device.size
}
