import { VolumeExpansionError } from '../../errors.ts'
import type { DeviceSnapshot, ProbedRange } from '../../hosts/host.ts'
import { bytesAt } from '../../layers/probe.ts'
import { maxSize } from '../../size.ts'
import { crc32c } from '../crc32c.ts'
import { type Fields, fieldsOf, uuidText } from '../fields.ts'

/** The superblock of ext2, ext3 and ext4 lies 1024 bytes into the device and has 1024 bytes (Documentation/filesystems/ext4/super.rst of the kernel). */
const superblockOffset = 1024
const superblockLength = 1024
const magic = 0xef53

export const compat = { hasJournal: 0x4, resizeInode: 0x10, sparseSuper2: 0x200 } as const
export const incompat = {
  filetype: 0x2,
  recover: 0x4,
  journalDevice: 0x8,
  metaBg: 0x10,
  extents: 0x40,
  wide: 0x80,
  mmp: 0x100,
  flexBg: 0x200,
} as const
export const roCompat = {
  sparseSuper: 0x1,
  gdtChecksum: 0x10,
  bigalloc: 0x200,
  metadataChecksum: 0x400,
  readOnly: 0x1000,
  sharedBlocks: 0x4000,
  orphanPresent: 0x10000,
} as const

/** What e2fsprogs 1.47 opens: a bit outside makes it refuse the filesystem (lib/ext2fs/ext2fs.h there). */
const knownIncompat =
  0x2 | 0x4 | 0x10 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x2000 | 0x4000 | 0x8000 | 0x10000 | 0x20000
const knownRoCompat =
  0x1 | 0x2 | 0x8 | 0x10 | 0x20 | 0x40 | 0x100 | 0x200 | 0x400 | 0x1000 | 0x2000 | 0x4000 | 0x8000 | 0x10000
const ext3Incompat = 0x16
const ext3RoCompat = 0x7

/** The superblock's fields that growing depends on. Counts are in blocks; times in seconds. */
export interface ExtSuperblock {
  readonly type: 'ext2' | 'ext3' | 'ext4'
  readonly uuid: string
  readonly uuidBytes: Uint8Array
  readonly label: string
  readonly blockSize: number
  readonly blocks: bigint
  readonly freeBlocks: bigint
  readonly inodes: number
  readonly freeInodes: number
  readonly firstDataBlock: number
  readonly blocksPerGroup: number
  readonly inodesPerGroup: number
  readonly inodeSize: number
  /** Blocks of one group's inode table. */
  readonly inodeTableBlocks: number
  /** Bytes of a group descriptor. */
  readonly descriptorSize: number
  readonly reservedGdtBlocks: number
  readonly firstMetaBg: number
  /** Blocks of one allocation unit; 1 without bigalloc. */
  readonly clusterBlocks: number
  readonly backupGroups: readonly [number, number]
  readonly compat: number
  readonly incompat: number
  readonly roCompat: number
  /** 1: cleanly unmounted. 2: errors were recorded. */
  readonly state: number
  readonly mountTime: number
  readonly lastCheck: number
  readonly lastOrphan: number
  readonly errorCount: number
  readonly mmpBlock: bigint
  /** Whether the checksum fits; true where the filesystem has none. */
  readonly checksumFits: boolean
}

/** Whether the bytes carry the mark of an ext filesystem, with fields that do not contradict it; says nothing about health. */
export function isExt(superblock: Uint8Array | undefined): superblock is Uint8Array {
  if (superblock === undefined || superblock.length < superblockLength) return false
  const fields = fieldsOf(superblock, 'little')
  return fields.u16(0x38) === magic && fields.u32(0x18) <= 6 && fields.u32(0x4c) <= 1
}

/** Whether the bytes are of an external journal: the mark of ext without a filesystem behind it. */
export function isJournalDevice(superblock: Uint8Array): boolean {
  return (fieldsOf(superblock, 'little').u32(0x60) & incompat.journalDevice) !== 0
}

export function superblockBytes(device: DeviceSnapshot): Uint8Array | undefined {
  return bytesAt(device, superblockOffset, superblockLength)
}

/**
 * The superblock of a device that is one of ext.
 *
 * @throws {VolumeExpansionError} `filesystem-damaged`: absent, contradictory, or not as its checksum says; nothing was changed. `retryable` while mounted, because
 * the kernel may have been writing it at that very moment.
 */
export function readSuperblock(device: DeviceSnapshot): ExtSuperblock {
  const bytes = superblockBytes(device)
  if (!isExt(bytes)) throw damaged(device, 'has no ext superblock that could be read')
  const superblock = decodeSuperblock(bytes)
  const contradiction = contradictionOf(superblock)
  if (contradiction !== undefined) throw damaged(device, `has a superblock that contradicts itself: ${contradiction}`)
  if (!superblock.checksumFits) throw damaged(device, 'has a superblock that does not fit its checksum')
  return superblock
}

/** Decodes 1024 bytes for which {@link isExt} holds, without judging them. */
export function decodeSuperblock(bytes: Uint8Array): ExtSuperblock {
  const fields = fieldsOf(bytes, 'little')
  // Before revision 1 there were neither feature words nor another inode size.
  const dynamic = fields.u32(0x4c) >= 1
  const features = {
    compat: dynamic ? fields.u32(0x5c) : 0,
    incompat: dynamic ? fields.u32(0x60) : 0,
    roCompat: dynamic ? fields.u32(0x64) : 0,
  }
  const wide = (features.incompat & incompat.wide) !== 0
  const blockSize = 1024 << fields.u32(0x18)
  const inodeSize = dynamic ? fields.u16(0x58) : 128
  const inodesPerGroup = fields.u32(0x28)
  const bigalloc = (features.roCompat & roCompat.bigalloc) !== 0
  return {
    ...features,
    type: typeOf(features),
    uuid: uuidText(fields.bytes(0x68, 16)),
    uuidBytes: fields.bytes(0x68, 16),
    label: fields.text(0x78, 16),
    blockSize,
    blocks: split(fields, 0x04, wide ? 0x150 : undefined),
    freeBlocks: split(fields, 0x0c, wide ? 0x158 : undefined),
    inodes: fields.u32(0x00),
    freeInodes: fields.u32(0x10),
    firstDataBlock: fields.u32(0x14),
    blocksPerGroup: fields.u32(0x20),
    inodesPerGroup,
    inodeSize,
    inodeTableBlocks: Math.ceil((inodesPerGroup * inodeSize) / blockSize),
    descriptorSize: wide ? fields.u16(0xfe) : 32,
    reservedGdtBlocks: fields.u16(0xce),
    firstMetaBg: fields.u32(0x104),
    clusterBlocks: bigalloc ? 2 ** Math.max(0, Math.min(32, fields.u32(0x1c) - fields.u32(0x18))) : 1,
    backupGroups: [fields.u32(0x24c), fields.u32(0x250)],
    state: fields.u16(0x3a),
    mountTime: fields.u32(0x2c) + fields.u8(0x275) * 2 ** 32,
    lastCheck: fields.u32(0x40) + fields.u8(0x277) * 2 ** 32,
    lastOrphan: fields.u32(0xe8),
    errorCount: fields.u32(0x194),
    mmpBlock: fields.u64(0x168),
    checksumFits: (features.roCompat & roCompat.metadataChecksum) === 0 || checksumFits(bytes, fields),
  }
}

/** Features that e2fsprogs does not know, in hexadecimal; empty when it knows all. */
export function unknownFeatures({ incompat, roCompat }: ExtSuperblock): readonly string[] {
  const unknown = (word: number, known: number, name: string): readonly string[] =>
    (word & ~known) === 0 ? [] : [`${name} 0x${((word & ~known) >>> 0).toString(16)}`]
  return [...unknown(incompat, knownIncompat, 'incompat'), ...unknown(roCompat, knownRoCompat, 'ro_compat')]
}

/** Where the block of the multiple mount protection is, when these ranges hold a superblock that has one. */
export function mmpRange(
  ranges: readonly ProbedRange[],
): { readonly offset: bigint; readonly length: number } | undefined {
  const superblock = superblockIn(ranges)
  if (superblock === undefined || (superblock.incompat & incompat.mmp) === 0) return undefined
  return { offset: superblock.mmpBlock * BigInt(superblock.blockSize), length: 1024 }
}

/** The superblock in ranges that were read, when it is one of ext. */
export function superblockIn(ranges: readonly ProbedRange[]): ExtSuperblock | undefined {
  const from = BigInt(superblockOffset)
  const range = ranges.find(({ offset, bytes }) => offset <= from && from + 1024n <= offset + BigInt(bytes.length))
  if (range === undefined) return undefined
  const start = Number(from - range.offset)
  const bytes = range.bytes.subarray(start, start + superblockLength)
  return isExt(bytes) ? decodeSuperblock(bytes) : undefined
}

function split(fields: Fields, low: number, high: number | undefined): bigint {
  return BigInt(fields.u32(low)) + (high === undefined ? 0n : BigInt(fields.u32(high)) << 32n)
}

function typeOf(features: { compat: number; incompat: number; roCompat: number }): ExtSuperblock['type'] {
  if ((features.incompat & ~ext3Incompat) !== 0 || (features.roCompat & ~ext3RoCompat) !== 0) return 'ext4'
  return (features.compat & compat.hasJournal) === 0 ? 'ext2' : 'ext3'
}

function checksumFits(bytes: Uint8Array, fields: Fields): boolean {
  return crc32c(bytes.subarray(0, 0x3fc)) === fields.u32(0x3fc)
}

function contradictionOf(superblock: ExtSuperblock): string | undefined {
  const { blocks, blockSize, blocksPerGroup, inodesPerGroup, inodeSize, descriptorSize, firstDataBlock } = superblock
  if (blocksPerGroup < 8 || blocksPerGroup > blockSize * 8 * superblock.clusterBlocks) return 'its blocks per group'
  if (inodesPerGroup === 0 || inodesPerGroup > blockSize * 8) return 'its inodes per group'
  if (inodeSize < 128 || inodeSize > blockSize || (inodeSize & (inodeSize - 1)) !== 0) return 'its inode size'
  if (descriptorSize < 32 || descriptorSize > 1024 || (descriptorSize & (descriptorSize - 1)) !== 0)
    return 'its descriptor size'
  if (firstDataBlock !== (blockSize === 1024 && superblock.clusterBlocks === 1 ? 1 : 0)) return 'its first data block'
  if (blocks <= BigInt(firstDataBlock) || blocks * BigInt(blockSize) > maxSize) return 'its number of blocks'
  if (superblock.reservedGdtBlocks > blockSize / 4) return 'its reserved descriptor blocks'
  const groups = (blocks - BigInt(firstDataBlock) + BigInt(blocksPerGroup) - 1n) / BigInt(blocksPerGroup)
  if (BigInt(superblock.inodes) !== groups * BigInt(inodesPerGroup)) return 'its number of inodes'
  return undefined
}

function damaged(device: DeviceSnapshot, what: string): VolumeExpansionError {
  const mounted = device.mounts.length > 0
  return new VolumeExpansionError('filesystem-damaged', `${device.path} ${what}.`, {
    layer: 'filesystem',
    outcome: 'unchanged',
    retryable: mounted,
    remedy: mounted
      ? 'The kernel may have been writing it at that moment: run it again. If it stays so, unmount it and run e2fsck.'
      : 'Make sure that nobody else uses the device, look at it with e2fsck -n, and repair it from a backup superblock.',
  })
}
