import { failure } from '../errno.ts'
import type { LockSnapshot, MountSnapshot, ReadResult, StatfsValue } from '../host.ts'
import { type MountEntry, mountOf, parseMountinfo } from '../mountinfo.ts'
import { type HeldLock, parseLocks } from '../proc.ts'
import { blockId, commandOf, type FileStats, type StorageSource } from './source.ts'

/** What one read of the storage has in common for all its devices, each read at most once. */
export class View {
  readonly source: StorageSource
  readonly #statfs = new Map<string, Promise<ReadResult<StatfsValue>>>()
  readonly #sources = new Map<string, string | undefined>()
  #mounts: readonly MountEntry[] | undefined
  #locks: readonly HeldLock[] | undefined

  constructor(source: StorageSource) {
    this.source = source
  }

  /** The mounts of our own namespace. */
  get mounts(): readonly MountEntry[] {
    this.#mounts ??= parseMountinfo(this.source.text('/proc/self/mountinfo') ?? '')
    return this.#mounts
  }

  /** The id of the block device that a mount is of; undefined for those that are of none. */
  blockDevice(mount: MountEntry): string | undefined {
    // A filesystem with a device number of its own (btrfs has one) tells its block device only by its source.
    if (!mount.dev.startsWith('0:')) return mount.dev
    if (!mount.source.startsWith('/dev/')) return undefined
    if (!this.#sources.has(mount.source)) this.#sources.set(mount.source, blockId(this.source.node(mount.source)))
    return this.#sources.get(mount.source)
  }

  isMounted(id: string): boolean {
    return this.mounts.some((mount) => this.blockDevice(mount) === id)
  }

  /** The mounts of a block device in our own namespace. */
  mountsOf(id: string): Promise<readonly MountSnapshot[]> {
    return Promise.all(
      this.mounts.filter((mount) => this.blockDevice(mount) === id).map((mount) => this.snapshot(mount)),
    )
  }

  async snapshot(mount: MountEntry): Promise<MountSnapshot> {
    return { ...mountFields(mount), statfs: await this.#sizes(mount.dev) }
  }

  // All mounts of a filesystem have the same sizes, and a mount point that another mount covers would give those of the other filesystem.
  #sizes(dev: string): Promise<ReadResult<StatfsValue>> {
    const known = this.#statfs.get(dev)
    if (known !== undefined) return known
    const open = this.mounts.find((mount) => mount.dev === dev && mountOf(this.mounts, mount.mountPoint) === mount)
    const sizes =
      open === undefined
        ? Promise.resolve(failure('ENOENT', 'every mount point of the filesystem is covered by another mount'))
        : this.source.statfs(open.mountPoint)
    this.#statfs.set(dev, sizes)
    return sizes
  }

  /** Who holds a flock on the inode; `devs` are the ways in which its filesystem may be numbered. */
  locksOn(devs: readonly string[], ino: bigint): readonly LockSnapshot[] {
    this.#locks ??= parseLocks(this.source.text('/proc/locks') ?? '')
    return this.#locks
      .filter((lock) => lock.ino === ino && devs.includes(lock.dev))
      .map(({ pid }) => ({ pid, command: commandOf(this.source, pid) }))
  }
}

/** A mount without its sizes: what another namespace's mountinfo tells of it. */
export function mountFields(mount: MountEntry): Omit<MountSnapshot, 'statfs'> {
  const { mountPoint, dev, root, type, source, options, superOptions } = mount
  return { mountPoint, dev, root, type, source, options, superOptions }
}

/** How the filesystem of an image may be numbered: btrfs shows one number in stat(2) and another in mountinfo, maps and locks. */
export function imageDevices(
  { path, stats }: { readonly path: string; readonly stats: FileStats },
  view: View,
): readonly string[] {
  const mount = mountOf(view.mounts, path)
  return mount === undefined ? [stats.dev] : [stats.dev, mount.dev]
}
