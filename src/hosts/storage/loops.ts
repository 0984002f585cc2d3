import type { StorageSource } from './source.ts'

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
  readonly backing: { readonly dev: string; readonly ino: bigint } | undefined
}

/** Every attached loop device. sysfs gives the file's path as a text, which is only believed for the inode that is there. */
export async function readLoops(source: StorageSource): Promise<readonly LoopDevice[]> {
  const names = source.list('/sys/block').filter((name) => name.startsWith('loop'))
  const loops = await Promise.all(names.map((name) => readLoop(source, name)))
  return loops.filter((loop) => loop !== undefined)
}

async function readLoop(source: StorageSource, name: string): Promise<LoopDevice | undefined> {
  const directory = `/sys/block/${name}`
  if (!source.list(directory).includes('loop')) return undefined
  const path = source.text(`${directory}/loop/backing_file`)?.replace(/\n$/, '')
  const id = source.text(`${directory}/dev`)?.trim()
  if (path === undefined || id === undefined) return undefined
  return {
    ...{ id, name, readOnly: source.text(`${directory}/ro`)?.trim() === '1' },
    offset: BigInt(source.text(`${directory}/loop/offset`)?.trim() ?? '0'),
    size: BigInt(source.text(`${directory}/size`)?.trim() ?? '0') * 512n,
    backing: await inodeOf(source, path),
  }
}

async function inodeOf(source: StorageSource, path: string): Promise<LoopDevice['backing']> {
  try {
    const stats = await source.stat(path)
    return stats.type === 'file' ? { dev: stats.dev, ino: stats.ino } : undefined
  } catch {
    return undefined
  }
}
