import { descriptorBlocks, descriptorsPerBlock, firstBlockOf, groupsOf, has, hasBackup, isWide } from './geometry.ts'
import { hasFix, lateConversion } from './kernel.ts'
import { compat, type ExtSuperblock, incompat } from './superblock.ts'

/** What resize2fs without an explicit size will reach, or why it will not begin. */
export interface Prediction {
  /** Blocks that the filesystem will have; never fewer than now. */
  readonly blocks: bigint
  /** A bound of the format that the device is beyond; nothing would be grown. */
  readonly limit?: string
  /** The growth turns the filesystem into one with meta_bg, for ever. */
  readonly converts: boolean
  /** New groups come to lie in a meta group that began before meta_bg did: where kernels without the fix of CVE-2024-35807 overwrite data. */
  readonly sharesMetaGroup: boolean
  /**
   * Offline, more descriptor blocks are needed than are reserved: with resize_inode and flex_bg, resize2fs (1.47.0 and before, e2fsprogs issue 98) then takes the
   * resize inode for a broken one, gives up in the middle and leaves the filesystem damaged.
   */
  readonly exhaustsReserve: boolean
  /** What was asked of the kernel does not end at a cluster: where kernels without the fix of CVE-2022-50020 stop dead. */
  readonly partialCluster: boolean
}

const most32 = 2n ** 32n
const mostInodes = 0xffffffffn

/** Bytes of the device → the number of blocks that resize2fs asks for, as its main.c does it. */
function requestedBlocks(superblock: ExtSuperblock, available: bigint, pageSize: number): Prediction {
  const now = unchanged(superblock)
  let blocks = available / BigInt(superblock.blockSize)
  const perPage = BigInt(Math.max(1, Math.floor(pageSize / superblock.blockSize)))
  blocks -= blocks % perPage
  const partialCluster = blocks % BigInt(superblock.clusterBlocks) !== 0n
  blocks -= blocks % BigInt(superblock.clusterBlocks)
  if (!isWide(superblock)) {
    if (blocks === most32) blocks -= 1n
    else if (blocks > most32) {
      return { ...now, limit: `without the feature 64bit it cannot have more than ${most32 - 1n} blocks` }
    }
  }
  const descriptors = descriptorBlocks(superblock, groupsOf(superblock, blocks))
  if (descriptors + BigInt(superblock.firstDataBlock) > BigInt(superblock.blocksPerGroup)) {
    return { ...now, limit: `blocks of ${superblock.blockSize} bytes leave no room for so many group descriptors` }
  }
  return { ...now, blocks, partialCluster }
}

function unchanged({ blocks }: ExtSuperblock): Prediction {
  return { blocks, converts: false, sharesMetaGroup: false, exhaustsReserve: false, partialCluster: false }
}

/** What resize2fs reaches when it works on the unmounted device: the last group is left out when it has no room for its own tables and 50 blocks. */
export function predictOffline(superblock: ExtSuperblock, available: bigint, pageSize: number): Prediction {
  const requested = requestedBlocks(superblock, available, pageSize)
  if (requested.limit !== undefined || requested.blocks <= superblock.blocks) return notBelow(superblock, requested)
  const perGroup = BigInt(superblock.blocksPerGroup)
  let { blocks } = requested
  for (;;) {
    const groups = groupsOf(superblock, blocks)
    const descriptors = descriptorBlocks(superblock, groups)
    const overhead =
      2n +
      BigInt(superblock.inodeTableBlocks) +
      (lastHasBackup(superblock, groups) ? 1n + descriptors + BigInt(superblock.reservedGdtBlocks) : 0n)
    const rest = (blocks - BigInt(superblock.firstDataBlock)) % perGroup
    if (groups > 1n && rest > 0n && rest < overhead + 50n) {
      blocks -= rest
      continue
    }
    if (BigInt(superblock.inodesPerGroup) * groups > mostInodes) {
      if (BigInt(superblock.inodesPerGroup) * (groups - 1n) > mostInodes) {
        return { ...unchanged(superblock), limit: `it would have more than ${mostInodes} inodes` }
      }
      blocks = firstBlockOf(superblock, groups - 1n)
      continue
    }
    return notBelow(superblock, { ...requested, blocks, exhaustsReserve: exhaustsReserve(superblock, descriptors) })
  }
}

function exhaustsReserve(superblock: ExtSuperblock, descriptors: bigint): boolean {
  const now = descriptorBlocks(superblock, groupsOf(superblock, superblock.blocks))
  return (
    has(superblock, 'compat', compat.resizeInode) &&
    has(superblock, 'incompat', incompat.flexBg) &&
    descriptors > now + BigInt(superblock.reservedGdtBlocks)
  )
}

function lastHasBackup(superblock: ExtSuperblock, groups: bigint): boolean {
  if (!has(superblock, 'compat', compat.sparseSuper2)) return hasBackup(superblock, groups - 1n)
  // The backups of sparse_super2 move to the new last group.
  return superblock.backupGroups[groups === 2n ? 0 : 1] !== 0
}

/** The part of the filesystem's state that the kernel changes while it grows. */
interface Growing {
  blocks: bigint
  reserved: bigint
  resizeInode: boolean
  metaBg: boolean
  firstMetaBg: bigint
}

/**
 * What the kernel reaches for resize2fs on a mounted filesystem, as `ext4_resize_fs` of fs/ext4/resize.c goes about it.
 *
 * @param kernel the release of the kernel that does it
 */
export function predictOnline(
  superblock: ExtSuperblock,
  available: bigint,
  pageSize: number,
  kernel: string,
): Prediction {
  const convertsEarly = !hasFix(kernel, lateConversion)
  const requested = requestedBlocks(superblock, available, pageSize)
  if (requested.limit !== undefined || requested.blocks <= superblock.blocks) return notBelow(superblock, requested)
  const perBlock = descriptorsPerBlock(superblock)
  const state: Growing = {
    blocks: superblock.blocks,
    reserved: BigInt(superblock.reservedGdtBlocks),
    resizeInode: has(superblock, 'compat', compat.resizeInode),
    metaBg: has(superblock, 'incompat', incompat.metaBg),
    firstMetaBg: BigInt(superblock.firstMetaBg),
  }
  let goal = requested.blocks
  let later: bigint | undefined
  let converts = false
  let sharesMetaGroup = false
  while (goal > state.blocks) {
    const oldGroups = groupsOf(superblock, state.blocks)
    const oldDescriptors = descriptorBlocks(superblock, oldGroups)
    let last = groupsOf(superblock, goal) - 1n
    if (last >= mostInodes / BigInt(superblock.inodesPerGroup)) {
      return { ...unchanged(superblock), limit: `it would have more than ${mostInodes} inodes` }
    }
    let descriptors = descriptorBlocks(superblock, last + 1n)
    if (state.resizeInode && descriptors > oldDescriptors + state.reserved) {
      later = goal
      descriptors = oldDescriptors + state.reserved
      last = descriptors * perBlock - 1n
      goal = firstBlockOf(superblock, last + 1n)
    }
    const needsMetaBg = !state.resizeInode && !state.metaBg && (convertsEarly || descriptors > oldDescriptors)
    if (needsMetaBg || goal <= state.blocks) {
      state.metaBg = true
      state.resizeInode = false
      state.reserved = 0n
      state.firstMetaBg = oldDescriptors
      converts = true
      if (later !== undefined) {
        goal = later
        later = undefined
        continue
      }
    }
    const tables = 2n + BigInt(superblock.inodeTableBlocks) + BigInt(superblock.clusterBlocks)
    if (firstBlockOf(superblock, last) + overheadOf(superblock, state, last) + tables >= goal) {
      goal = firstBlockOf(superblock, last)
      later = undefined
      continue
    }
    if (state.metaBg && last >= oldGroups && oldGroups < state.firstMetaBg * perBlock) sharesMetaGroup = true
    state.blocks = goal
    const added = descriptorBlocks(superblock, groupsOf(superblock, goal)) - oldDescriptors
    if (state.resizeInode) state.reserved -= added
    if (later === undefined) break
    goal = later
    later = undefined
  }
  return notBelow(superblock, { ...requested, blocks: state.blocks, converts, sharesMetaGroup })
}

function overheadOf(superblock: ExtSuperblock, state: Growing, group: bigint): bigint {
  const perBlock = descriptorsPerBlock(superblock)
  const backup = hasBackup(superblock, group)
  const own = backup ? 1n + state.reserved : 0n
  if (!state.metaBg || group / perBlock < state.firstMetaBg) {
    const plain = state.metaBg ? state.firstMetaBg : descriptorBlocks(superblock, groupsOf(superblock, state.blocks))
    return own + (backup ? plain : 0n)
  }
  // Descriptors of a meta group are in its first, second and last group.
  const position = group % perBlock
  return own + (position === 0n || position === 1n || position === perBlock - 1n ? 1n : 0n)
}

/** The page rounding of resize2fs can ask for fewer blocks than there are: that is no growth, and never run. */
function notBelow(superblock: ExtSuperblock, prediction: Prediction): Prediction {
  if (prediction.limit !== undefined || prediction.blocks > superblock.blocks) return prediction
  return unchanged(superblock)
}
