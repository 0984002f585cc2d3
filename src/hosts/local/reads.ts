import { type Bytes, bytes } from '../../size.ts'
import { readFailure } from '../errno.ts'
import type {
  FileRead,
  RangeRead,
  ReadResult,
  StatfsRead,
  StatfsValue,
  StatRead,
  StatValue,
  ToolRead,
  ToolsValue,
} from '../host.ts'
import { close, open, openForReading, readNow, readRange, realpath, stat, statfs } from './files.ts'
import { findTool } from './tools.ts'

const largestFile = 1024 * 1024

// What the kernel answers from memory is read at once. Paths that lead out of procfs again (/proc/PID/root and its like) are not.
const inKernelMemory = /^\/(?:sys\/(?:block|class|dev|devices)|proc)\/(?!.*\/\.\.(?:\/|$))/
const leadsOut = /^\/proc\/(?:self|thread-self|\d+)\/(?:task\/\d+\/)?(?:root|cwd|exe|fd|map_files)(?:\/|$)/

/** The text of a small file. */
export async function readText(item: FileRead): Promise<ReadResult<string>> {
  if (inKernelMemory.test(item.path) && !leadsOut.test(item.path)) {
    const text = readNow(item.path)
    if (text !== undefined) return { ok: true, value: text.slice(0, largestFile) }
  }
  try {
    return { ok: true, value: Buffer.from(await readFrom(item.path, 0n, undefined)).toString('utf8') }
  } catch (thrown) {
    return readFailure(thrown)
  }
}

/** A stretch of a device or a file. */
export async function readBytes(item: RangeRead): Promise<ReadResult<Uint8Array>> {
  try {
    return { ok: true, value: await readFrom(item.path, item.offset, item.length) }
  } catch (thrown) {
    return readFailure(thrown)
  }
}

async function readFrom(path: string, offset: bigint, length: number | undefined): Promise<Uint8Array> {
  const fd = await open(path, openForReading)
  try {
    return length === undefined ? await readAll(fd) : await readRange(fd, offset, length)
  } finally {
    await close(fd)
  }
}

// Files of procfs and sysfs do not tell their size, so that a small piece comes first.
async function readAll(fd: number): Promise<Uint8Array> {
  const first = await readRange(fd, 0n, 4096)
  if (first.length < 4096) return first
  return Buffer.concat([first, await readRange(fd, 4096n, largestFile - 4096)])
}

export async function readStat(item: StatRead): Promise<ReadResult<StatValue>> {
  try {
    const [stats, resolved] = await Promise.all([stat(item.path), realpath(item.path)])
    const size: Bytes = bytes(stats.type === 'file' ? stats.size : 0n)
    return { ok: true, value: { ...stats, size, realpath: resolved } }
  } catch (thrown) {
    return readFailure(thrown)
  }
}

export async function readStatfs(item: StatfsRead): Promise<ReadResult<StatfsValue>> {
  try {
    const { type, bsize, blocks, bfree, bavail } = await statfs(item.path)
    return { ok: true, value: { type, blockSize: bsize, blocks, free: bfree, available: bavail } }
  } catch (thrown) {
    return readFailure(thrown)
  }
}

export async function readTools(item: ToolRead): Promise<ReadResult<ToolsValue>> {
  const paths = item.names.map((name): [string, string | undefined] => {
    const found = findTool(name)
    return [name, found.ok ? found.path : undefined]
  })
  return { ok: true, value: Object.fromEntries(paths) }
}
