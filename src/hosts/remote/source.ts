import { probeRanges, resolveRange } from '../../layers/probe.ts'
import { type FurtherRange, unreadRanges } from '../../layers/signatures.ts'
import { failure } from '../errno.ts'
import { isLocalFilesystem } from '../filesystem-types.ts'
import type { MountSnapshot, ProbedRange, ReadResult, UsersSnapshot } from '../host.ts'
import { type MountEntry, parseMountinfo } from '../mountinfo.ts'
import { parseCapabilities, parseMaps, parseSwaps } from '../proc.ts'
import { readLvm } from '../storage/lvm.ts'
import { blockId, commandOf, type FileStats, identityOf, type StorageSource } from '../storage/source.ts'
import { imageDevices, mountFields, type View } from '../storage/view.ts'
import type { Facts, UserFacts } from './facts.ts'

// PROC_PID_INIT_INO of linux/proc_ns.h. In any other namespace the processes outside of it cannot be seen.
const initialPids = 'pid:[4026531836]'
const capabilitySysPtrace = 1n << 19n
const initProcess = 1
const mostNamed = 5
/** What was read names further stretches; a chain of logical partitions is the longest way. */
const mostPasses = 256

/**
 * The facts that a script has collected on another machine.
 *
 * @param elevated whether single commands run as root though the script does not
 */
export function remoteSource(facts: Facts, elevated: boolean): StorageSource {
  const source: StorageSource = {
    system: () => systemOf(facts, elevated),
    text: (path) => facts.text(path),
    bytes: (path) => facts.bytes(path),
    list: (path) => facts.list(path),
    node: (path) => {
      const stats = facts.stat(path)
      return stats.ok ? stats.value : undefined
    },
    stat: async (path) => required(facts.stat(path)),
    realpath: async (path) => required(facts.realpath(path)),
    statfs: async (path) => facts.statfs(path),
    lvm: () => readLvm(async () => facts.lvm()),
    canWrite: async (path) => elevated || facts.writable(path),
    probe: async (path, size, identity) => probe(facts, path, size, identity),
    usersOfDevice: async ({ id, path, node }, view) => {
      const seen = facts.users('block', id, node?.ino ?? 0n, path)
      const mapped = { devs: node === undefined ? [] : [node.dev], ino: node?.ino ?? -1n }
      return usersOf(facts, view, seen, id, mapped, elevated)
    },
    usersOfImage: async (image, locked, view) => {
      const { dev, ino, mode, uid } = image.stats
      const seen = facts.users('file', image.path, ino, '')
      const users = usersOf(facts, view, seen, undefined, { devs: imageDevices(image, view), ino }, elevated)
      const own = uid === systemOf(facts, false).uid && (mode & 0o022) === 0
      const sizes = facts.statfs(image.path)
      const everything = users.complete || (own && ours(facts, seen) && !locked)
      const complete = image.doubtful.length === 0 && everything
      const localBacking = sizes.ok && isLocalFilesystem(sizes.value.type)
      const swap = swaps(facts).some((stats) => stats?.dev === dev && stats.ino === ino)
      return { ...users, foreignMounts: [], complete, localBacking, swap }
    },
  }
  return source
}

/** A failure with its errno where the modules that read storage look for it. */
function required<T>(result: ReadResult<T>): T {
  if (result.ok) return result.value
  throw Object.assign(new Error(result.message), { code: result.errno })
}

function systemOf(facts: Facts, elevated: boolean): ReturnType<StorageSource['system']> {
  const status = facts.text('/proc/self/status') ?? ''
  const kibibytes = facts.page()
  // What sudo runs is root's, within the bounds that the session has.
  const own = elevated ? status.replace(/^CapEff:.*$/m, '').replace(/^CapBnd:/m, 'CapEff:') : status
  return {
    kernel: facts.text('/proc/sys/kernel/osrelease')?.trim() ?? '',
    uid: elevated ? 0 : Number(/^Uid:\s+\d+\s+(\d+)/m.exec(status)?.[1] ?? 0),
    capabilities: parseCapabilities(own),
    pageSize: kibibytes === undefined ? 4096 : kibibytes * 1024,
  }
}

function probe(facts: Facts, path: string, size: bigint, identity: string): ReadResult<readonly ProbedRange[]> {
  const stats = facts.stat(path)
  if (!stats.ok) return stats
  if (identityOf(stats.value) !== identity) return failure('ENXIO', `${path} is not the device that was looked for`)
  const fixed = probeRanges.map((range) => resolveRange(range, size)).filter((range) => range !== undefined)
  const first = readRanges(facts, path, fixed)
  if (!first.ok) return first
  const ranges = [...first.value]
  for (let pass = 0; pass < mostPasses; pass += 1) {
    const further = readRanges(facts, path, unreadRanges(ranges, size))
    if (!further.ok) return further
    if (further.value.length === 0) break
    ranges.push(...further.value)
  }
  return { ok: true, value: ranges }
}

function readRanges(facts: Facts, path: string, ranges: readonly FurtherRange[]): ReadResult<readonly ProbedRange[]> {
  // All are asked for, so that those that are not known are fetched together.
  const read = ranges
    .filter((range) => range.direct !== true)
    .map(({ offset, length }) => ({ offset, result: facts.range(path, offset, length) }))
  const direct = ranges
    .filter((range) => range.direct === true)
    .map(({ offset, length }): ProbedRange => ({ offset, bytes: facts.direct(path, offset, length), direct: true }))
  const probed: ProbedRange[] = []
  for (const { offset, result } of read) {
    if (!result.ok) return result
    probed.push({ offset, bytes: result.value })
  }
  probed.push(...direct)
  return { ok: true, value: probed }
}

function swaps(facts: Facts): readonly (FileStats | undefined)[] {
  return parseSwaps(facts.text('/proc/swaps') ?? '').map((path) => {
    const stats = facts.stat(path)
    return stats.ok ? stats.value : undefined
  })
}

function usersOf(
  facts: Facts,
  view: View,
  seen: UserFacts | undefined,
  device: string | undefined,
  mapped: { readonly devs: readonly string[]; readonly ino: bigint },
  elevated: boolean,
): UsersSnapshot {
  const command = (pid: number): string => commandOf(view.source, pid)
  const openers = openersOf(seen, mapped)
  const missed = missedBy(facts, seen)
  // Without this capability /proc may hide processes, so that not even their absence proves anything. The look itself does not go through sudo.
  const looks = !elevated && (systemOf(facts, false).capabilities & capabilitySysPtrace) !== 0n
  const everything = missed.every(({ pid }) => pid === initProcess)
  const exclusive = seen?.exclusive === 'free' || seen?.exclusive === 'busy' ? seen.exclusive : undefined
  return {
    complete: seen !== undefined && seen.pidNamespace === initialPids && looks && everything,
    ...(exclusive === undefined || device === undefined ? {} : { exclusive }),
    foreignMounts: device === undefined ? [] : foreignMounts(facts, view, seen, device),
    openers: [...openers].map(([pid, writable]) => ({ pid, command: command(pid), writable })),
    unseen: missed.slice(0, mostNamed).map(({ pid }) => ({ pid, command: command(pid) })),
    loops: [],
    swap: device !== undefined && swaps(facts).some((stats) => blockId(stats) === device),
  }
}

function openersOf(
  seen: UserFacts | undefined,
  mapped: { readonly devs: readonly string[]; readonly ino: bigint },
): ReadonlyMap<number, boolean> {
  const openers = new Map<number, boolean>()
  const note = (pid: number, writable: boolean): void => {
    openers.set(pid, writable || openers.get(pid) === true)
  }
  for (const { pid, writable } of seen?.openers ?? []) note(pid, writable)
  for (const { pid, line } of seen?.maps ?? []) {
    for (const map of parseMaps(line)) {
      if (map.ino === mapped.ino && mapped.devs.includes(map.dev)) note(pid, map.writable)
    }
  }
  return openers
}

/** Those that could not be looked at, but for what has ended meanwhile and holds nothing any more. */
function missedBy(facts: Facts, seen: UserFacts | undefined): UserFacts['unseen'] {
  return (seen?.unseen ?? []).filter(({ pid }) => {
    const status = facts.text(`/proc/${pid}/status`)
    return status !== undefined && !(/^State:\s+[ZX]/m.test(status) && /^Threads:\s+[01]$/m.test(status))
  })
}

function ours(facts: Facts, seen: UserFacts | undefined): boolean {
  const { uid } = systemOf(facts, false)
  if (seen?.pidNamespace !== initialPids) return false
  return missedBy(facts, seen).every((process) => process.uid !== uid)
}

function foreignMounts(
  facts: Facts,
  view: View,
  seen: UserFacts | undefined,
  device: string,
): UsersSnapshot['foreignMounts'] {
  return (seen?.spaces ?? []).flatMap((pid) =>
    parseMountinfo(facts.text(`/proc/${pid}/mountinfo`) ?? '')
      .filter((mount) => sourceOf(facts, mount, pid) === device)
      .map((mount) => ({ pid, command: commandOf(view.source, pid), mount: foreign(facts, mount, pid) })),
  )
}

// Through the root of the process, its mounts can be looked at without entering its namespace.
function foreign(facts: Facts, mount: MountEntry, pid: number): MountSnapshot {
  const path = `/proc/${pid}/root${mount.mountPoint}`
  const stats = facts.stat(path)
  const isThere = stats.ok && stats.value.dev === mount.dev
  return {
    ...mountFields(mount),
    statfs: isThere ? facts.statfs(path) : failure('ENOENT', 'covered in its mount namespace'),
  }
}

// A source is a path of the namespace that the mount is in.
function sourceOf(facts: Facts, mount: MountEntry, pid: number): string | undefined {
  if (!mount.dev.startsWith('0:')) return mount.dev
  if (!mount.source.startsWith('/dev/')) return undefined
  const here = facts.stat(mount.source)
  if (here.ok) return blockId(here.value)
  const there = facts.stat(`/proc/${pid}/root${mount.source}`)
  return there.ok ? blockId(there.value) : undefined
}
