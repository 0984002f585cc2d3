import * as fs from 'node:fs'
import { deviceId } from '../device-number.ts'
import type { FileStats } from '../storage/source.ts'

const { O_RDONLY, O_NONBLOCK, O_NOCTTY, O_DIRECT } = fs.constants

/** Flags for looking: opening a pipe does not wait for its other end, and a terminal does not become ours. */
export const openForReading: number = O_RDONLY | O_NONBLOCK | O_NOCTTY

/** The same, past the kernel's cache. */
export const openForDirectReading: number = openForReading | O_DIRECT

/** The text of a small file of procfs, sysfs or devtmpfs, which the kernel answers from memory; undefined when it cannot be read. */
export function readNow(path: string): string | undefined {
  try {
    return fs.readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

/** The names in a directory of procfs or sysfs; none when it cannot be read. */
export function listNow(path: string): readonly string[] {
  try {
    return fs.readdirSync(path)
  } catch {
    return []
  }
}

/** The text of a link in procfs or sysfs; undefined when it cannot be read. */
export function linkNow(path: string): string | undefined {
  try {
    return fs.readlinkSync(path)
  } catch {
    return undefined
  }
}

/** The stat of a node in devtmpfs, procfs or sysfs; undefined when there is none or it cannot be looked at. */
export function statNow(path: string): FileStats | undefined {
  try {
    const stats = fs.statSync(path, { bigint: true, throwIfNoEntry: false })
    return stats === undefined ? undefined : statsOf(stats)
  } catch {
    return undefined
  }
}

// Callbacks instead of fs/promises: a FileHandle costs more than the system call that it is for. All of them run in the thread pool, so that a disk that
// hangs does not stop the event loop.

export function open(path: string, flags: number): Promise<number> {
  return new Promise((resolve, reject) =>
    fs.open(path, flags, (error, fd) => (error === null ? resolve(fd) : reject(error))),
  )
}

export function close(fd: number): Promise<void> {
  return new Promise((resolve) => fs.close(fd, () => resolve()))
}

/** Up to `length` bytes at `offset`, fewer only at the end. */
export async function readRange(fd: number, offset: bigint, length: number): Promise<Uint8Array> {
  const bytes = Buffer.allocUnsafeSlow(length)
  let filled = 0
  while (filled < length) {
    const count = await readOnce(fd, bytes, filled, offset + BigInt(filled))
    if (count === 0) break
    filled += count
  }
  return bytes.subarray(0, filled)
}

/**
 * Up to `length` bytes as the disk has them, past the kernel's cache.
 *
 * @param fd opened with `O_DIRECT`, which wants offset and length in whole sectors
 */
export async function readDirect(fd: number, offset: bigint, length: number): Promise<Uint8Array> {
  // It wants memory that begins with a sector as well. What can be resized begins with a page.
  const pages = new ResizableBuffer(length, { maxByteLength: length })
  const bytes = new Uint8Array(pages)
  const count = await readOnce(fd, bytes, 0, offset)
  return Buffer.from(bytes.subarray(0, count))
}

// Since ES2024, and in Node.js since version 20.
const ResizableBuffer = ArrayBuffer as new (length: number, options: { readonly maxByteLength: number }) => ArrayBuffer

function readOnce(fd: number, bytes: Uint8Array, filled: number, position: bigint): Promise<number> {
  return new Promise((resolve, reject) =>
    fs.read(fd, bytes, filled, bytes.length - filled, position, (error, count) =>
      error === null ? resolve(count) : reject(error),
    ),
  )
}

export function stat(path: string): Promise<FileStats> {
  return new Promise((resolve, reject) =>
    fs.stat(path, { bigint: true }, (error, stats) => (error === null ? resolve(statsOf(stats)) : reject(error))),
  )
}

export function realpath(path: string): Promise<string> {
  return new Promise((resolve, reject) =>
    fs.realpath.native(path, (error, resolved) => (error === null ? resolve(resolved) : reject(error))),
  )
}

export function statfs(path: string): Promise<fs.BigIntStatsFs> {
  return new Promise((resolve, reject) =>
    fs.statfs(path, { bigint: true }, (error, stats) => (error === null ? resolve(stats) : reject(error))),
  )
}

/** A stat in the terms of the contract. */
export function statsOf(stats: fs.BigIntStats): FileStats {
  return {
    type: typeOf(stats),
    dev: deviceId(stats.dev),
    rdev: deviceId(stats.rdev),
    ino: stats.ino,
    size: stats.size,
    mode: Number(stats.mode & 0o7777n),
    uid: Number(stats.uid),
  }
}

function typeOf(stats: fs.BigIntStats): FileStats['type'] {
  if (stats.isFile()) return 'file'
  if (stats.isDirectory()) return 'directory'
  if (stats.isBlockDevice()) return 'block'
  return stats.isCharacterDevice() ? 'character' : 'other'
}
