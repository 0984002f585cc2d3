import { crc32c } from '../../../src/filesystems/crc32c.ts'

/** The fields of a superblock that matter here; left out: those of a sound filesystem of 80 MiB in four groups. */
export interface SuperblockFields {
  readonly version?: number
  readonly blockSize?: number
  readonly dataBlocks?: bigint
  readonly groupBlocks?: number
  readonly groups?: number
  readonly logStart?: bigint
  readonly logBlocks?: number
  readonly rootInode?: bigint
  readonly realtimeBlocks?: bigint
  readonly sectorSize?: number
  readonly quotaFlags?: number
  readonly incompat?: number
  readonly inProgress?: number
  readonly inodePercent?: number
}

/** The first 20 KiB of an XFS device, with a checksum that fits. */
export function superblockOf(fields: SuperblockFields = {}): Uint8Array {
  const bytes = new Uint8Array(20 * 1024)
  const view = new DataView(bytes.buffer)
  const sectorSize = fields.sectorSize ?? 512
  bytes.set(new TextEncoder().encode('XFSB'))
  view.setUint32(4, fields.blockSize ?? 4096)
  view.setBigUint64(8, fields.dataBlocks ?? 20_480n)
  view.setBigUint64(16, fields.realtimeBlocks ?? 0n)
  bytes.set(
    Array.from({ length: 16 }, (_, index) => index + 1),
    32,
  )
  view.setBigUint64(48, fields.logStart ?? 8n)
  view.setBigUint64(56, fields.rootInode ?? 128n)
  view.setUint32(84, fields.groupBlocks ?? 5120)
  view.setUint32(88, fields.groups ?? 4)
  view.setUint32(96, fields.logBlocks ?? 1000)
  view.setUint16(100, 0xb4a0 | (fields.version ?? 5))
  view.setUint16(102, sectorSize)
  bytes.set(new TextEncoder().encode('label'), 108)
  view.setUint8(126, fields.inProgress ?? 0)
  view.setUint8(127, fields.inodePercent ?? 25)
  view.setUint16(176, fields.quotaFlags ?? 0)
  view.setUint32(216, fields.incompat ?? 0x0b)
  view.setUint32(224, ~crc32c(bytes.subarray(0, sectorSize)) >>> 0, true)
  return bytes
}
