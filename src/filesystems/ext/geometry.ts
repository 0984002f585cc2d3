import { compat, type ExtSuperblock, incompat, roCompat } from './superblock.ts'

/** The number of block groups that `blocks` blocks have; the last one may be partial. */
export function groupsOf(superblock: ExtSuperblock, blocks: bigint): bigint {
  return ceilDivide(blocks - BigInt(superblock.firstDataBlock), BigInt(superblock.blocksPerGroup))
}

export function firstBlockOf(superblock: ExtSuperblock, group: bigint): bigint {
  return group * BigInt(superblock.blocksPerGroup) + BigInt(superblock.firstDataBlock)
}

/** Group descriptors that one block holds, which is also the number of groups of a meta group. */
export function descriptorsPerBlock({ blockSize, descriptorSize }: ExtSuperblock): bigint {
  return BigInt(Math.floor(blockSize / descriptorSize))
}

export function descriptorBlocks(superblock: ExtSuperblock, groups: bigint): bigint {
  return ceilDivide(groups, descriptorsPerBlock(superblock))
}

/** Whether a group carries a backup of the superblock and the descriptors. */
export function hasBackup(superblock: ExtSuperblock, group: bigint): boolean {
  if (group === 0n) return true
  if (has(superblock, 'compat', compat.sparseSuper2)) {
    return superblock.backupGroups.some((backup) => BigInt(backup) === group)
  }
  if (group === 1n || !has(superblock, 'roCompat', roCompat.sparseSuper)) return true
  return [3n, 5n, 7n].some((base) => isPower(group, base))
}

export function has(superblock: ExtSuperblock, word: 'compat' | 'incompat' | 'roCompat', bit: number): boolean {
  return (superblock[word] & bit) !== 0
}

export function isWide(superblock: ExtSuperblock): boolean {
  return has(superblock, 'incompat', incompat.wide)
}

function ceilDivide(dividend: bigint, divisor: bigint): bigint {
  return (dividend + divisor - 1n) / divisor
}

function isPower(value: bigint, base: bigint): boolean {
  let power = base
  while (power < value) power *= base
  return power === value
}
