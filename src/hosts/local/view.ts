import * as fs from 'node:fs'
import { endianness, release } from 'node:os'
import type { LockSnapshot, MountSnapshot, ReadResult, StatfsValue, SystemSnapshot } from '../host.ts'
import { type MountEntry, mountOf, parseMountinfo } from '../mountinfo.ts'
import { type HeldLock, parseCapabilities, parseLocks, parsePageSize } from '../proc.ts'
import { failure } from './errno.ts'
import { deviceId, readNow, statNow } from './files.ts'
import { readStatfs } from './reads.ts'

/** What one read of the storage has in common for all its devices, each read at most once. */
export class View {
  readonly #statfs = new Map<string, Promise<ReadResult<StatfsValue>>>()
  readonly #sources = new Map<string, string | undefined>()
  #mounts: readonly MountEntry[] | undefined
  #locks: readonly HeldLock[] | undefined

  /** The mounts of our own namespace. */
  get mounts(): readonly MountEntry[] {
    this.#mounts ??= parseMountinfo(readNow('/proc/self/mountinfo') ?? '')
    return this.#mounts
  }

  /** The id of the block device that a mount is of; undefined for those that are of none. */
  blockDevice(mount: MountEntry): string | undefined {
    // A filesystem with a device number of its own (btrfs has one) tells its block device only by its source.
    if (!mount.dev.startsWith('0:')) return mount.dev
    if (!mount.source.startsWith('/dev/')) return undefined
    if (!this.#sources.has(mount.source)) this.#sources.set(mount.source, blockId(statNow(mount.source)))
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
        : readStatfs({ read: 'statfs', path: open.mountPoint })
    this.#statfs.set(dev, sizes)
    return sizes
  }

  /** Who holds a flock on the inode; `devs` are the ways in which its filesystem may be numbered. */
  locksOn(devs: readonly string[], ino: bigint): readonly LockSnapshot[] {
    this.#locks ??= parseLocks(readNow('/proc/locks') ?? '')
    return this.#locks
      .filter((lock) => lock.ino === ino && devs.includes(lock.dev))
      .map(({ pid }) => ({ pid, command: commandOf(pid) }))
  }
}

/** A mount without its sizes: what another namespace's mountinfo tells of it. */
export function mountFields(mount: MountEntry): Omit<MountSnapshot, 'statfs'> {
  const { mountPoint, dev, root, type, source, options, superOptions } = mount
  return { mountPoint, dev, root, type, source, options, superOptions }
}

/** The id of a block device by the stat of its node; undefined for anything else. */
export function blockId(stats: fs.BigIntStats | undefined): string | undefined {
  return stats?.isBlockDevice() === true ? deviceId(stats.rdev) : undefined
}

/** The name of a process, never its arguments: those may hold secrets. */
export function commandOf(pid: number): string {
  return readNow(`/proc/${pid}/comm`)?.trimEnd() ?? ''
}

let pageSize: number | undefined

/** Whom our commands run as, and on what. */
export function observeSystem(): SystemSnapshot {
  pageSize ??= readPageSize()
  return {
    kernel: release(),
    uid: process.geteuid?.() ?? 0,
    capabilities: parseCapabilities(readNow('/proc/self/status') ?? ''),
    pageSize,
  }
}

function readPageSize(): number {
  const wordBytes = ['arm', 'ia32', 'mips', 'mipsel', 'ppc'].includes(process.arch) ? 4 : 8
  try {
    return parsePageSize(fs.readFileSync('/proc/self/auxv'), wordBytes, endianness() === 'LE') ?? 4096
  } catch {
    return 4096
  }
}
