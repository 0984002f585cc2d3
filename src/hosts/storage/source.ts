import type { ReadResult, StatfsValue, StatValue, StorageSnapshot, UsersSnapshot } from '../host.ts'
import type { BlockDevice } from './block.ts'
import type { Image } from './locate.ts'
import type { View } from './view.ts'

/** What stat(2) tells of a file, links followed. */
export type FileStats = Omit<StatValue, 'realpath' | 'size'> & {
  /** Bytes, for files and directories. */
  readonly size: bigint
}

/**
 * Where the facts of one storage read come from: this machine's own files, or what a script has collected on another one. What they mean is decided by the
 * modules beside this one, for every host alike.
 */
export interface StorageSource {
  /** Whom the commands run as, and on what. */
  system(): StorageSnapshot['system']
  /** The text of a small file of procfs or sysfs; undefined when it cannot be read. */
  text(path: string): string | undefined
  /** The bytes of a small file of sysfs; undefined when it cannot be read. */
  bytes(path: string): Uint8Array | undefined
  /** The names in a directory of sysfs; none when it cannot be read. */
  list(path: string): readonly string[]
  /** The stat of a node in devtmpfs; undefined when there is none or it cannot be looked at. */
  node(path: string): FileStats | undefined
  /** The stat of any file. Rejects with an error whose `code` is the errno. */
  stat(path: string): Promise<FileStats>
  realpath(path: string): Promise<string>
  statfs(path: string): Promise<ReadResult<StatfsValue>>
  /** Whether the file may be opened for writing. */
  canWrite(path: string): Promise<boolean>
  /**
   * Reads the stretches that every host reads, and then those that they point to.
   *
   * @param identity the `rdev` of a block device, or `dev:ino` of an image: what is there under the path has to be it, or nothing is read
   */
  probe(path: string, size: bigint, identity: string): Promise<StorageSnapshot['devices'][number]['probe']>
  usersOfDevice(device: BlockDevice, view: View): Promise<UsersSnapshot>
  usersOfImage(image: Image, locked: boolean, view: View): Promise<UsersSnapshot>
  /** What LVM reports; only asked when a device carries its mark. */
  lvm(): Promise<ReadResult<string>>
}

/** The id of a block device by the stat of its node; undefined for anything else. */
export function blockId(stats: FileStats | undefined): string | undefined {
  return stats?.type === 'block' ? stats.rdev : undefined
}

/** What a probe has to find under the path of a device or image. */
export function identityOf({ type, dev, ino, rdev }: FileStats): string {
  return type === 'block' ? rdev : `${dev}:${ino}`
}

/** The name of a process, never its arguments: those may hold secrets. */
export function commandOf(source: StorageSource, pid: number): string {
  return source.text(`/proc/${pid}/comm`)?.trimEnd() ?? ''
}
