import * as fs from 'node:fs'
import { errnoOf, failure } from '../errno.ts'
import { isLocalFilesystem, mayHang } from '../filesystem-types.ts'
import type { MountSnapshot, UsersSnapshot } from '../host.ts'
import { type MountEntry, parseMountinfo } from '../mountinfo.ts'
import { parseDescriptor, parseMaps, parseSwaps } from '../proc.ts'
import type { BlockDevice } from '../storage/block.ts'
import type { Image } from '../storage/locate.ts'
import { type LoopDevice, readLoops } from '../storage/loops.ts'
import { blockId, type FileStats } from '../storage/source.ts'
import { imageDevices, mountFields, type View } from '../storage/view.ts'
import { close, linkNow, listNow, open, openForReading, readNow, stat, statfs, statNow, statsOf } from './files.ts'
import { readStatfs } from './reads.ts'
import { commandOf, observeSystem } from './system.ts'

/** What is looked for among the files that processes have. */
interface Wanted {
  /** The id of a block device, whichever node it was opened by. */
  readonly device?: string
  /** The inode of an image. */
  readonly inode?: { readonly dev: string; readonly ino: bigint }
  /** The inode by which mappings show it, and all the ways in which its filesystem may be numbered. */
  readonly mapped: { readonly devs: readonly string[]; readonly ino: bigint } | undefined
}

// PROC_PID_INIT_INO of linux/proc_ns.h. In any other namespace the processes outside of it cannot be seen.
const initialPids = 'pid:[4026531836]'
const capabilitySysPtrace = 1n << 19n
const initProcess = 1
// So many of the processes that could not be looked at are named; an ordinary user cannot look at hundreds.
const mostNamed = 5
// Processes that are looked at before everything else gets its turn.
const slice = 25
// PF_EXITING of linux/sched.h. Such a process has no namespaces and no files any more that could be looked at, and still closes what it had.
const exiting = 0x4
// Milliseconds, and how often: two seconds for what usually takes less than one millisecond.
const endingInterval = 5
const endingRounds = 400

/** Who has a block device that is not mounted in our own mount namespace; of a loop device, also who has its file. */
export async function usersOfDevice(device: BlockDevice, view: View): Promise<UsersSnapshot> {
  const { node } = device
  const mapped = node === undefined ? undefined : { devs: [node.dev], ino: node.ino }
  const backing = await backingOf(device, view)
  const inode = backing?.file === undefined ? {} : { inode: backing.file }
  const seen = await lookAtProcesses({ device: device.id, mapped, ...inode }, view)
  const exclusive = node === undefined ? undefined : await tryExclusive(device.path, device.id)
  return {
    complete: seen.everything,
    ...(exclusive === undefined ? {} : { exclusive }),
    ...{ foreignMounts: seen.foreignMounts, openers: seen.openers, unseen: seen.unseen },
    loops: backing?.loops ?? [],
    ...(backing === undefined ? {} : { localBacking: backing.local }),
    swap: swaps().some((stats) => blockId(stats) === device.id),
  }
}

/** The file below a loop device: whether it is on this machine for certain, and which loop devices are over it. */
interface Backing {
  readonly file: LoopDevice['backing']
  readonly local: boolean
  readonly loops: readonly string[]
}

async function backingOf({ id, attributes }: BlockDevice, view: View): Promise<Backing | undefined> {
  const path = attributes['loop/backing_file']
  if (path === undefined) return undefined
  const loops = await readLoops(view.source)
  const file = loops.find((loop) => loop.id === id)?.backing
  if (file === undefined) return { file, local: false, loops: [] }
  const over = loops.filter(({ backing }) => backing?.dev === file.dev && backing.ino === file.ino)
  return { file, local: await isLocal(path), loops: over.map(({ name }) => name) }
}

/**
 * Who has an image that no loop device is over.
 *
 * For root, complete is what it is for a device. For an ordinary user it also is when nobody but the user and root can open the file for writing, every process
 * of the user could be looked at, and nobody holds a lock on it: what root uses images with shows without any right, loop devices in sysfs, and QEMU in
 * /proc/locks. A process of the user that has made itself undumpable, as agents that keep keys do, belongs to root in /proc, and counts as root's.
 */
export async function usersOfImage(image: Image, locked: boolean, view: View): Promise<UsersSnapshot> {
  const { dev, ino, mode, uid } = image.stats
  const seen = await lookAtProcesses({ inode: { dev, ino }, mapped: { devs: imageDevices(image, view), ino } }, view)
  const own = uid === (process.geteuid?.() ?? 0) && (mode & 0o022) === 0
  return {
    complete: image.doubtful.length === 0 && (seen.everything || (own && seen.ours && !locked)),
    ...{ foreignMounts: [], openers: seen.openers, unseen: seen.unseen, loops: [] },
    localBacking: await isLocal(image.path),
    swap: swaps().some((stats) => stats?.dev === dev && stats.ino === ino),
  }
}

function swaps(): readonly (FileStats | undefined)[] {
  return parseSwaps(readNow('/proc/swaps') ?? '').map(statNow)
}

async function isLocal(path: string): Promise<boolean> {
  try {
    return isLocalFilesystem((await statfs(path)).type)
  } catch {
    return false
  }
}

// A holder in the kernel (a mount in any namespace, device-mapper, md, a swap) has it exclusively, and a second exclusive open fails.
async function tryExclusive(path: string, id: string): Promise<'free' | 'busy' | undefined> {
  try {
    const fd = await open(path, openForReading | fs.constants.O_EXCL)
    const same = blockId(statsOf(fs.fstatSync(fd, { bigint: true }))) === id
    await close(fd)
    return same ? 'free' : undefined
  } catch (thrown) {
    return errnoOf(thrown) === 'EBUSY' ? 'busy' : undefined
  }
}

interface Seen {
  /** Processes that were ending, and may have let go of everything since. */
  readonly ending: Set<number>
  /** Whether no process could have been missed. */
  everything: boolean
  /** Whether all processes of our own user could be looked at. */
  ours: boolean
  foreignMounts: UsersSnapshot['foreignMounts'][number][]
  openers: UsersSnapshot['openers'][number][]
  unseen: NonNullable<UsersSnapshot['unseen']>[number][]
}

async function lookAtProcesses(wanted: Wanted, view: View): Promise<Seen> {
  const system = observeSystem()
  const allPids = linkNow('/proc/self/ns/pid') === initialPids
  const seen: Seen = {
    // Without this capability /proc may hide processes (its mount option hidepid), so that not even their absence proves anything.
    ...{ everything: allPids && (system.capabilities & capabilitySysPtrace) !== 0n, ours: allPids },
    ...{ ending: new Set<number>(), foreignMounts: [], openers: [], unseen: [] },
  }
  const namespaces = new Map<string, readonly MountEntry[]>([[linkNow('/proc/self/ns/mnt') ?? '', view.mounts]])
  let count = 0
  for (const name of listNow('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue
    count += 1
    if (count % slice === 0) await new Promise((resolve) => setImmediate(resolve))
    const mounts = await lookAtMounts(Number(name), wanted, namespaces, seen)
    await lookAtFiles(Number(name), wanted, mounts, seen)
  }
  await outlive(seen)
  return seen
}

/** Waits for the processes that were ending: until one has ended, it may still hold what it had. One that does not end counts as missed. */
async function outlive(seen: Seen): Promise<void> {
  for (let rounds = 0; rounds < endingRounds && [...seen.ending].some(isThere); rounds += 1) {
    await new Promise((resolve) => setTimeout(resolve, endingInterval))
  }
  for (const pid of seen.ending) if (isThere(pid)) noteUnseen(pid, seen)
}

function isThere(pid: number): boolean {
  const status = readNow(`/proc/${pid}/status`)
  if (status === undefined) return false
  // A process that has ended and is not reaped yet holds nothing any more; one whose first thread alone has ended does.
  return !(/^State:\s+[ZX]/m.test(status) && /^Threads:\s+[01]$/m.test(status))
}

/** Notes that a process could not be looked at, unless it has ended meanwhile or is about to. */
function missed(pid: number, seen: Seen): void {
  if (!isThere(pid)) return
  if (isEnding(pid)) seen.ending.add(pid)
  else noteUnseen(pid, seen)
}

function isEnding(pid: number): boolean {
  // The ninth field of proc_pid_stat(5); the name in parentheses before it may hold anything.
  const flags = readNow(`/proc/${pid}/stat`)?.replace(/^.*\)/s, '').split(' ')[7]
  return (Number(flags) & exiting) !== 0
}

function noteUnseen(pid: number, seen: Seen): void {
  const stats = statNow(`/proc/${pid}`)
  if (stats === undefined) return
  // Hardened machines let nobody look at init. What it mounts claims a device exclusively, which shows; files of others it does not open.
  if (pid !== initProcess) seen.everything = false
  if (seen.unseen.length < mostNamed && seen.unseen.every((other) => other.pid !== pid)) {
    seen.unseen.push({ pid, command: commandOf(pid) })
  }
  if (stats.uid === (process.geteuid?.() ?? 0)) seen.ours = false
}

async function lookAtMounts(
  pid: number,
  wanted: Wanted,
  namespaces: Map<string, readonly MountEntry[]>,
  seen: Seen,
): Promise<readonly MountEntry[]> {
  const namespace = linkNow(`/proc/${pid}/ns/mnt`)
  if (namespace === undefined) {
    missed(pid, seen)
    return []
  }
  const known = namespaces.get(namespace)
  if (known !== undefined) return known
  const text = readNow(`/proc/${pid}/mountinfo`)
  if (text === undefined || text === '') {
    missed(pid, seen)
    return []
  }
  const mounts = parseMountinfo(text)
  namespaces.set(namespace, mounts)
  for (const mount of mounts) {
    if (wanted.device === undefined || sourceOf(mount, pid) !== wanted.device) continue
    seen.foreignMounts.push({ pid, command: commandOf(pid), mount: await foreign(mount, pid) })
  }
  return mounts
}

// Through the root of the process, its mounts can be looked at without entering its namespace. The kernel alone knows how large a mounted XFS is.
async function foreign(mount: MountEntry, pid: number): Promise<MountSnapshot> {
  const path = `/proc/${pid}/root${mount.mountPoint}`
  const isThere = (await statOrNothing(path))?.dev === mount.dev
  const sizes = isThere ? readStatfs({ read: 'statfs', path }) : failure('ENOENT', 'covered in its mount namespace')
  return { ...mountFields(mount), statfs: await sizes }
}

// A source is a path of the namespace that the mount is in.
function sourceOf(mount: MountEntry, pid: number): string | undefined {
  if (!mount.dev.startsWith('0:')) return mount.dev
  if (!mount.source.startsWith('/dev/')) return undefined
  return blockId(statNow(mount.source) ?? statNow(`/proc/${pid}/root${mount.source}`))
}

async function lookAtFiles(pid: number, wanted: Wanted, mounts: readonly MountEntry[], seen: Seen): Promise<void> {
  let writable: boolean | undefined
  const note = (writes: boolean): void => {
    writable = writable === true || writes
  }
  try {
    for (const fd of fs.readdirSync(`/proc/${pid}/fd`)) {
      const found = await wantedDescriptor(pid, fd, wanted, mounts)
      if (found !== undefined) note(found)
    }
    if (wanted.mapped !== undefined) {
      const { devs, ino } = wanted.mapped
      const maps = parseMaps(fs.readFileSync(`/proc/${pid}/maps`, 'utf8'))
      for (const map of maps) if (map.ino === ino && devs.includes(map.dev)) note(map.writable)
    }
  } catch {
    missed(pid, seen)
  }
  if (writable !== undefined) seen.openers.push({ pid, command: commandOf(pid), writable })
}

/** Whether a descriptor that is the wanted file allows writing; undefined when it is something else. */
async function wantedDescriptor(
  pid: number,
  fd: string,
  wanted: Wanted,
  mounts: readonly MountEntry[],
): Promise<boolean | undefined> {
  const link = `/proc/${pid}/fd/${fd}`
  // Sockets, pipes and the like have no path.
  if (unlessClosed(() => fs.readlinkSync(link))?.startsWith('/') !== true) return undefined
  const text = unlessClosed(() => fs.readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8'))
  if (text === undefined) return undefined
  const info = parseDescriptor(text)
  const mount = mounts.find(({ id }) => id === info.mount)
  // Looking at a file of a server that does not answer would hang; neither a device of ours nor an image on a disk of ours is there.
  if (info.pathOnly || (mount !== undefined && mayHang(mount.type))) return undefined
  const stats = await statOrNothing(link)
  const { device, inode } = wanted
  const isDevice = device !== undefined && blockId(stats) === device
  const isImage = inode !== undefined && stats?.ino === inode.ino && stats.dev === inode.dev
  return isDevice || isImage ? info.writable : undefined
}

/** What is read of a descriptor; undefined when it was closed meanwhile. Any other failure leaves unknown what it is, and is thrown. */
function unlessClosed(read: () => string): string | undefined {
  try {
    return read()
  } catch (thrown) {
    if (['ENOENT', 'ESRCH'].includes(errnoOf(thrown))) return undefined
    throw thrown
  }
}

async function statOrNothing(path: string): Promise<FileStats | undefined> {
  try {
    return await stat(path)
  } catch {
    return undefined
  }
}
