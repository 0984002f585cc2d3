import { fstatSync, realpathSync, writeSync } from 'node:fs'
import { constants, open, readdir, readFile, stat, statfs } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/** What a path is, links followed. */
export interface FileFacts {
  readonly type: 'file' | 'directory' | 'block device' | 'character device' | 'fifo' | 'socket'
  /** Of the filesystem that it is on, with {@link ino} the identity of the file. */
  readonly dev: bigint
  readonly ino: bigint
  /** Bytes. */
  readonly size: bigint
  /** Bytes that are really taken on the disk. */
  readonly allocated: bigint
}

/** The filesystem that a file is on. */
export interface FilesystemFacts {
  /** The magic number of its type, as in linux/magic.h. */
  readonly type: bigint
  readonly blockSize: bigint
  /** Bytes that this user could still write. */
  readonly available: bigint
}

/** A loop device that has a file. */
export interface LoopFacts {
  readonly path: string
  /** Identity of its file; left out when the file's name leads nowhere from here: deleted, or in another mount namespace. */
  readonly file?: { readonly dev: bigint; readonly ino: bigint }
}

/** What the provider asks of the operating system. Everything but `canonical` fails with the system's own error. */
export interface FileClient {
  /** The path with every link resolved as far as it exists. Never fails. */
  canonical(path: string): string
  stat(path: string): Promise<FileFacts>
  filesystem(path: string): Promise<FilesystemFacts>
  /** Every loop device that has a file; undefined where that cannot be known. */
  loops(): Promise<readonly LoopFacts[] | undefined>
  /** The largest file in bytes that this process may write (RLIMIT_FSIZE); undefined: no limit, or unknown. */
  processLimit(): Promise<bigint | undefined>
  /**
   * Makes the file at least `size` bytes large, at most 2^53 − 1, and waits until that is on stable storage. Does nothing when it is large
   * enough. `before` is called right before the file is changed, and stops it by throwing.
   */
  extend(path: string, size: bigint, before: () => void): Promise<Extension>
}

export interface Extension {
  readonly type: FileFacts['type']
  /** Bytes, measured at the end. */
  readonly size: bigint
  /** A failure after the file was changed: it may be larger. */
  readonly unsure?: unknown
}

/** The files of this machine, through node:fs. No process is started. */
export const localFiles: FileClient = {
  canonical,
  stat: async (path) => factsOf(await stat(path, { bigint: true })),
  async filesystem(path) {
    const { type, bsize, bavail } = await statfs(path, { bigint: true })
    // The number is signed on some platforms; a magic number is 32 bits.
    return { type: BigInt.asUintN(32, type), blockSize: bsize, available: bavail * bsize }
  },
  loops: () => loopsIn('/sys/block'),
  processLimit: async () => fileSizeLimit(await readFile('/proc/self/limits', 'latin1').catch(() => '')),
  extend,
}

function canonical(path: string): string {
  try {
    return realpathSync.native(path)
  } catch {
    const parent = dirname(path)
    return parent === path ? path : join(canonical(parent), basename(path))
  }
}

interface NativeStats {
  readonly dev: bigint
  readonly ino: bigint
  readonly size: bigint
  readonly blocks: bigint
  isFile(): boolean
  isDirectory(): boolean
  isBlockDevice(): boolean
  isCharacterDevice(): boolean
  isFIFO(): boolean
}

function factsOf(stats: NativeStats): FileFacts {
  const { dev, ino, size, blocks } = stats
  // st_blocks counts 512 bytes whatever the filesystem's block size is (stat(2)).
  return { type: typeOf(stats), dev, ino, size, allocated: blocks * 512n }
}

function typeOf(stats: NativeStats): FileFacts['type'] {
  if (stats.isFile()) return 'file'
  if (stats.isDirectory()) return 'directory'
  if (stats.isBlockDevice()) return 'block device'
  if (stats.isCharacterDevice()) return 'character device'
  return stats.isFIFO() ? 'fifo' : 'socket'
}

/** The loop devices below a directory laid out as /sys/block, which shows them to every user and in every container. */
export async function loopsIn(sysBlock: string): Promise<readonly LoopFacts[] | undefined> {
  const names = await readdir(sysBlock).catch(() => undefined)
  if (names === undefined) return undefined
  const loops: LoopFacts[] = []
  for (const name of names.filter((entry) => entry.startsWith('loop'))) {
    // There is no such attribute while the device has no file. Read as bytes: a name need not be UTF-8.
    const text = await readFile(join(sysBlock, name, 'loop', 'backing_file')).catch(() => undefined)
    if (text === undefined) continue
    const backing = text.at(-1) === 0x0a ? text.subarray(0, -1) : text
    const found = await stat(backing, { bigint: true }).catch(() => undefined)
    const path = `/dev/${name}`
    loops.push(found === undefined ? { path } : { path, file: { dev: found.dev, ino: found.ino } })
  }
  return loops
}

/** The soft limit of the file size in bytes, from the text of /proc/self/limits (proc(5)). */
export function fileSizeLimit(limits: string): bigint | undefined {
  const soft = /^Max file size\s+(\d+|unlimited)\s/m.exec(limits)?.[1]
  return soft === undefined || soft === 'unlimited' ? undefined : BigInt(soft)
}

async function extend(path: string, size: bigint, before: () => void): Promise<Extension> {
  // Not created, not truncated; non-blocking so that a fifo in the file's place cannot hold the call.
  const handle = await open(path, constants.O_RDWR | constants.O_NONBLOCK)
  const facts = (): FileFacts => factsOf(fstatSync(handle.fd, { bigint: true }))
  try {
    before()
    const now = facts()
    if (now.type !== 'file' || now.size >= size) return now
    // One zero byte at the new end, and not ftruncate: when another program grows the file further between the two calls, ftruncate would cut off
    // what that program has just added, while this only writes a zero where it has nothing yet.
    writeSync(handle.fd, new Uint8Array(1), 0, 1, Number(size) - 1)
    try {
      await handle.sync()
    } catch (unsure) {
      return { ...facts(), unsure }
    }
    return facts()
  } finally {
    await handle.close()
  }
}
