import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import type { Random } from './random.ts'

/** CRC-32C bit by bit, without a table. */
export function castagnoli(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  }
  return crc >>> 0
}

export const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

const put = (bytes: Uint8Array, at: number, text: string): void => bytes.set(Buffer.from(text, 'latin1'), at)

/** The superblock of an ext filesystem as mke2fs makes it, of some of the kinds that there are. */
export function extSuperblock(random: Random, blocks: bigint): Uint8Array {
  const bytes = new Uint8Array(1024)
  const view = viewOf(bytes)
  const logBlock = random.pick([0, 1, 2, 2, 2, 6])
  const blockSize = 1024 << logBlock
  const wide = random.oneIn(2)
  const perGroup = blockSize * 8
  const first = blockSize === 1024 ? 1n : 0n
  const groups = (blocks - first + BigInt(perGroup) - 1n) / BigInt(perGroup)
  const inodes = random.pick([256, 1024, 2048, 8192])
  view.setUint32(0x00, Number((groups * BigInt(inodes)) & 0xffffffffn), true)
  view.setUint32(0x04, Number(blocks & 0xffffffffn), true)
  view.setUint32(0x0c, 1000, true)
  view.setUint32(0x14, Number(first), true)
  view.setUint32(0x18, logBlock, true)
  view.setUint32(0x1c, logBlock, true)
  view.setUint32(0x20, perGroup, true)
  view.setUint32(0x24, perGroup, true)
  view.setUint32(0x28, inodes, true)
  view.setUint16(0x38, 0xef53, true)
  view.setUint16(0x3a, random.oneIn(8) ? 2 : 1, true)
  view.setUint32(0x40, 1_700_000_000, true)
  view.setUint32(0x4c, 1, true)
  view.setUint16(0x58, 256, true)
  view.setUint32(0x5c, 0x38 | 0x4, true)
  view.setUint32(
    0x60,
    0x2 | 0x40 | 0x200 | (wide ? 0x80 : 0) | (random.oneIn(10) ? 0x10 : 0) | (random.oneIn(10) ? 0x100 : 0),
    true,
  )
  view.setUint32(0x64, 0x3 | (random.oneIn(2) ? 0x400 : 0x10) | 0x40 | (random.oneIn(12) ? 0x200 : 0), true)
  bytes.set(random.bytes(16), 0x68)
  view.setUint16(0xce, random.pick([0, 62, 256, 1024]) % (blockSize / 4 + 1), true)
  view.setUint16(0xfe, wide ? 64 : 0, true)
  if (wide) view.setUint32(0x150, Number(blocks >> 32n), true)
  view.setBigUint64(0x168, 1500n, true)
  fitExt(bytes)
  return bytes
}

export function fitExt(superblock: Uint8Array): void {
  viewOf(superblock).setUint32(0x3fc, castagnoli(superblock.subarray(0, 0x3fc)), true)
}

/** The first sector of an XFS as mkfs.xfs makes it. */
export function xfsSuperblock(random: Random, blocks: bigint, blockSize: number): Uint8Array {
  const bytes = new Uint8Array(4096)
  const view = viewOf(bytes)
  const groups = BigInt(random.between(1, 16))
  const groupBlocks = (blocks + groups - 1n) / groups
  put(bytes, 0, 'XFSB')
  view.setUint32(4, blockSize)
  view.setBigUint64(8, blocks)
  bytes.set(random.bytes(16), 32)
  view.setBigUint64(48, random.oneIn(10) ? 0n : 8n)
  view.setBigUint64(56, 128n)
  view.setUint32(84, Number(groupBlocks & 0xffffffffn))
  view.setUint32(88, Number(groups))
  view.setUint32(96, 1000)
  view.setUint16(100, random.oneIn(8) ? 0xb4a4 : 0xb4a5)
  view.setUint16(102, random.pick([512, 512, 4096]))
  view.setUint16(104, 512)
  view.setUint16(176, random.oneIn(4) ? 0x7 : 0)
  view.setUint32(216, 0x0b)
  fitXfs(bytes)
  return bytes
}

export function fitXfs(bytes: Uint8Array): void {
  const view = viewOf(bytes)
  const length = Math.min(bytes.length, Math.max(264, view.getUint16(102)))
  view.setUint32(224, 0, true)
  view.setUint32(224, ~castagnoli(bytes.subarray(0, length)) >>> 0, true)
}

export const luksUuid = '2541fe89-22b8-4257-931a-b75330863c29'

export function luks1Header(): Uint8Array {
  const bytes = new Uint8Array(4096)
  put(bytes, 0, 'LUKS\xba\xbe')
  viewOf(bytes).setUint16(6, 1)
  viewOf(bytes).setUint32(104, 4096)
  put(bytes, 8, 'aes')
  put(bytes, 40, 'xts-plain64')
  put(bytes, 168, luksUuid)
  return bytes
}

/** @param json the text behind the binary header */
export function luks2Header(json: string, size = 16_384): Uint8Array {
  const bytes = new Uint8Array(size)
  put(bytes, 0, 'LUKS\xba\xbe')
  viewOf(bytes).setUint16(6, 2)
  viewOf(bytes).setBigUint64(8, BigInt(size))
  put(bytes, 72, 'sha256')
  put(bytes, 168, luksUuid)
  bytes.set(Buffer.from(json).subarray(0, size - 4096), 4096)
  fitLuks2(bytes)
  return bytes
}

export function fitLuks2(bytes: Uint8Array): void {
  bytes.fill(0, 448, 512)
  bytes.set(createHash('sha256').update(bytes).digest(), 448)
}

/** A partition in sectors; `end` is the last of them. */
export interface Part {
  readonly number: number
  readonly start: bigint
  readonly end: bigint
}

export interface GptImage {
  readonly header: Uint8Array
  readonly entries: Uint8Array
  readonly backup: Uint8Array
}

/** Both copies of a GPT on a disk of so many sectors. */
export function gptOf(parts: readonly Part[], sectors: bigint, sector: bigint): GptImage {
  const entries = new Uint8Array(128 * 128)
  for (const { number, start, end } of parts) {
    const at = (number - 1) * 128
    entries.fill(0xaf, at, at + 16)
    entries.fill(number, at + 16, at + 32)
    viewOf(entries).setBigUint64(at + 32, start, true)
    viewOf(entries).setBigUint64(at + 40, end, true)
  }
  const length = (BigInt(entries.length) + sector - 1n) / sector
  const header = (own: bigint, other: bigint, at: bigint): Uint8Array => {
    const bytes = new Uint8Array(512)
    const view = viewOf(bytes)
    put(bytes, 0, 'EFI PART')
    view.setUint32(8, 0x10000, true)
    view.setUint32(12, 92, true)
    for (const [offset, value] of [
      [24, own],
      [32, other],
      [40, 2n + length],
      [48, sectors - length - 2n],
      [72, at],
    ] as const) {
      view.setBigUint64(offset, value, true)
    }
    bytes.fill(0xd1, 56, 72)
    view.setUint32(80, 128, true)
    view.setUint32(84, 128, true)
    fitGpt(bytes, entries)
    return bytes
  }
  return { entries, header: header(1n, sectors - 1n, 2n), backup: header(sectors - 1n, 1n, sectors - 1n - length) }
}

/** Makes both checksums fit, as far as the header's fields allow it. */
export function fitGpt(header: Uint8Array, entries: Uint8Array): void {
  const view = viewOf(header)
  const covered = view.getUint32(80, true) * view.getUint32(84, true)
  if (covered <= entries.length) view.setUint32(88, crc32(entries.subarray(0, covered)), true)
  const length = view.getUint32(12, true)
  view.setUint32(16, 0, true)
  if (length <= header.length) view.setUint32(16, crc32(header.subarray(0, length)), true)
}

/** A boot record with up to four entries of a type, a start and a length. */
export function mbrOf(entries: readonly (readonly [type: number, start: number, length: number])[]): Uint8Array {
  const bytes = new Uint8Array(512)
  const view = viewOf(bytes)
  view.setUint32(440, 0x58260fb0, true)
  entries.forEach(([type, start, length], index) => {
    const at = 446 + index * 16
    view.setUint8(at + 4, type)
    view.setUint32(at + 8, start, true)
    view.setUint32(at + 12, length, true)
  })
  view.setUint16(510, 0xaa55, true)
  return bytes
}

/** The label of a physical volume of LVM in its sector, with the areas of data and metadata. */
export function lvmLabel(
  uuid: string,
  size: bigint,
  areas: readonly (readonly [offset: bigint, length: bigint])[],
): Uint8Array {
  const bytes = new Uint8Array(512)
  const view = viewOf(bytes)
  put(bytes, 0, 'LABELONE')
  view.setBigUint64(8, 1n, true)
  view.setUint32(20, 32, true)
  put(bytes, 24, 'LVM2 001')
  put(bytes, 32, uuid)
  view.setBigUint64(64, size, true)
  areas.forEach(([offset, length], index) => {
    view.setBigUint64(72 + index * 16, offset, true)
    view.setBigUint64(80 + index * 16, length, true)
  })
  return bytes
}
