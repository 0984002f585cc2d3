import { VolumeExpansionError } from '../../errors.ts'
import type { DeviceSnapshot } from '../../hosts/host.ts'
import { bytesAt } from '../../layers/probe.ts'
import { maxSize } from '../../size.ts'
import { crc32c } from '../crc32c.ts'
import { fieldsOf, uuidText } from '../fields.ts'

/** Bytes of the superblock's structure that are read; its checksum covers the whole sector ("XFS Algorithms & Data Structures", xfs_dsb). */
const structureLength = 264
const crcOffset = 224

/** Incompatible features of version 5 that are known: all that leave the data section what it is. Zoned filesystems (0x200 and above) keep their files elsewhere. */
const knownIncompat = 0x1ff
const needsRepair = 0x10

/** The fields that growing depends on. Counts are in filesystem blocks. */
export interface XfsSuperblock {
  readonly version: number
  readonly uuid: string
  readonly uuidBytes: Uint8Array
  readonly label: string
  readonly blockSize: number
  /** Blocks of the data section as the device has it: out of date while it is mounted. */
  readonly dataBlocks: bigint
  readonly realtimeBlocks: bigint
  readonly groupBlocks: bigint
  readonly groups: bigint
  readonly logBlocks: bigint
  readonly externalLog: boolean
  readonly rootInode: bigint
  readonly sectorSize: number
  readonly quotaFlags: number
  readonly incompat: number
  readonly roCompat: number
  readonly inProgress: boolean
  /** How much of the room inodes may take, in percent. */
  readonly inodePercent: number
  readonly needsRepair: boolean
  readonly unknownIncompat: number
  readonly checksumFits: boolean
}

export function superblockBytes(device: DeviceSnapshot): Uint8Array | undefined {
  return bytesAt(device, 0, structureLength)
}

export function isXfs(bytes: Uint8Array | undefined): bytes is Uint8Array {
  return bytes !== undefined && bytes.length >= structureLength && fieldsOf(bytes, 'big').u32(0) === 0x58465342
}

/**
 * The superblock of a device that is XFS.
 *
 * @throws {VolumeExpansionError} `filesystem-damaged`: absent, contradictory, or not as its checksum says; nothing was changed
 */
export function readSuperblock(device: DeviceSnapshot): XfsSuperblock {
  const bytes = superblockBytes(device)
  if (!isXfs(bytes)) throw damaged(device, 'has no XFS superblock that could be read')
  const superblock = decodeSuperblock(bytes, (length) => bytesAt(device, 0, length))
  const contradiction = contradictionOf(superblock)
  if (contradiction !== undefined) throw damaged(device, `has a superblock that contradicts itself: ${contradiction}`)
  if (!superblock.checksumFits) throw damaged(device, 'has a superblock that does not fit its checksum')
  return superblock
}

/** @param sector gives the first bytes of the device, as many as the sector has, for the checksum */
function decodeSuperblock(bytes: Uint8Array, sector: (length: number) => Uint8Array | undefined): XfsSuperblock {
  const fields = fieldsOf(bytes, 'big')
  const version = fields.u16(100) & 15
  const sectorSize = fields.u16(102)
  const incompat = version >= 5 ? fields.u32(216) : 0
  return {
    version,
    uuid: uuidText(fields.bytes(32, 16)),
    uuidBytes: fields.bytes(32, 16),
    label: fields.text(108, 12),
    blockSize: fields.u32(4),
    dataBlocks: fields.u64(8),
    realtimeBlocks: fields.u64(16),
    groupBlocks: BigInt(fields.u32(84)),
    groups: BigInt(fields.u32(88)),
    logBlocks: BigInt(fields.u32(96)),
    externalLog: fields.u64(48) === 0n,
    rootInode: fields.u64(56),
    sectorSize,
    quotaFlags: fields.u16(176),
    incompat,
    roCompat: version >= 5 ? fields.u32(212) : 0,
    inProgress: fields.u8(126) !== 0,
    inodePercent: fields.u8(127),
    needsRepair: (incompat & needsRepair) !== 0,
    unknownIncompat: (incompat & ~knownIncompat) >>> 0,
    checksumFits: version < 5 || checksumFits(sector(sectorSize)),
  }
}

function checksumFits(sector: Uint8Array | undefined): boolean {
  if (sector === undefined || sector.length < structureLength) return false
  const stored = fieldsOf(sector, 'little').u32(crcOffset)
  const zeroed = Uint8Array.from(sector)
  zeroed.fill(0, crcOffset, crcOffset + 4)
  return ~crc32c(zeroed) >>> 0 === stored
}

function contradictionOf(superblock: XfsSuperblock): string | undefined {
  const { blockSize, sectorSize, dataBlocks, groupBlocks, groups, version } = superblock
  if (version !== 4 && version !== 5) return 'its version'
  if (!isPower(blockSize, 512, 65_536)) return 'its block size'
  if (!isPower(sectorSize, 512, 32_768)) return 'its sector size'
  if (groupBlocks < 64n || groups < 1n) return 'its allocation groups'
  if (dataBlocks > groups * groupBlocks || dataBlocks <= (groups - 1n) * groupBlocks) return 'its number of blocks'
  if (dataBlocks * BigInt(blockSize) > maxSize) return 'its number of blocks'
  if (superblock.inProgress) return 'it was never finished'
  return undefined
}

function isPower(value: number, least: number, most: number): boolean {
  return value >= least && value <= most && (value & (value - 1)) === 0
}

function damaged({ path }: DeviceSnapshot, what: string): VolumeExpansionError {
  return new VolumeExpansionError('filesystem-damaged', `${path} ${what}.`, {
    layer: 'filesystem',
    outcome: 'unchanged',
    remedy: 'Make sure that nobody else uses the device, look at it with xfs_repair -n, and repair it with xfs_repair.',
  })
}
