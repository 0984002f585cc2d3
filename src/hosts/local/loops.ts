import { listNow, readNow, stat } from './files.ts'

/** A loop device that is attached to a file. */
export interface LoopDevice {
  readonly id: string
  readonly name: string
  readonly readOnly: boolean
  /** Bytes. */
  readonly offset: bigint
  /** Bytes. */
  readonly size: bigint
  /** The inode of its file; undefined when its path leads nowhere that we can see: deleted, or in another namespace. */
  readonly backing: { readonly dev: bigint; readonly ino: bigint } | undefined
}

/** Every attached loop device. sysfs gives the file's path as a text, which is only believed for the inode that is there. */
export async function readLoops(): Promise<readonly LoopDevice[]> {
  const names = listNow('/sys/block').filter((name) => name.startsWith('loop'))
  const loops = await Promise.all(names.map(readLoop))
  return loops.filter((loop) => loop !== undefined)
}

async function readLoop(name: string): Promise<LoopDevice | undefined> {
  const directory = `/sys/block/${name}`
  if (!listNow(directory).includes('loop')) return undefined
  const path = readNow(`${directory}/loop/backing_file`)?.replace(/\n$/, '')
  const id = readNow(`${directory}/dev`)?.trim()
  if (path === undefined || id === undefined) return undefined
  return {
    ...{ id, name, readOnly: readNow(`${directory}/ro`)?.trim() === '1' },
    offset: BigInt(readNow(`${directory}/loop/offset`)?.trim() ?? '0'),
    size: BigInt(readNow(`${directory}/size`)?.trim() ?? '0') * 512n,
    backing: await inodeOf(path),
  }
}

async function inodeOf(path: string): Promise<LoopDevice['backing']> {
  try {
    const stats = await stat(path)
    return stats.isFile() ? { dev: stats.dev, ino: stats.ino } : undefined
  } catch {
    return undefined
  }
}
