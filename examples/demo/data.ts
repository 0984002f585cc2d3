import { createHash, randomFillSync } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'

/** The directory of the data, in whatever holds it. */
export const dataDirectory = 'data'

const MiB = 1024 * 1024
const fileSize = 4 * MiB

/** SHA-256 by the name of the file. */
export type Checksums = ReadonlyMap<string, string>

/** Writes files of 4 MiB with random content, each on stable storage before the next. */
export async function writeData(
  root: string,
  files: number,
  signal: AbortSignal,
  onWritten: (files: number) => void,
): Promise<Checksums> {
  const checksums = new Map<string, string>()
  await mkdir(join(root, dataDirectory))
  for (let index = 0; index < files; index += 1) {
    signal.throwIfAborted()
    const name = `file-${String(index).padStart(2, '0')}`
    const content = randomFillSync(Buffer.allocUnsafe(fileSize))
    const handle = await open(join(root, dataDirectory, name), 'wx')
    try {
      await handle.writeFile(content)
      await handle.sync()
    } finally {
      await handle.close()
    }
    checksums.set(name, createHash('sha256').update(content).digest('hex'))
    onWritten(index + 1)
  }
  return checksums
}

/** The names of the files below `root` that are missing, or do not hold what was written. */
export async function damagedFiles(root: string, checksums: Checksums): Promise<readonly string[]> {
  const damaged: string[] = []
  for (const [name, expected] of checksums) {
    const found = await checksumOf(join(root, dataDirectory, name)).catch(() => undefined)
    if (found !== expected) damaged.push(name)
  }
  return damaged
}

export async function checksumOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path, { highWaterMark: MiB }), hash)
  return hash.digest('hex')
}
