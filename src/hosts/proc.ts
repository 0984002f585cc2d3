import { unescapeOctal } from './mountinfo.ts'

/** A flock(2) lock that is held now. */
export interface HeldLock {
  readonly pid: number
  /** `major:minor` of the filesystem that the locked inode is on. */
  readonly dev: string
  readonly ino: bigint
}

/**
 * The flock locks of /proc/locks (proc_locks(5)); those that only wait, marked by an arrow, hold nothing and are left out. The numbers of the
 * device are hexadecimal there, the inode is decimal.
 */
export function parseLocks(text: string): readonly HeldLock[] {
  const locks: HeldLock[] = []
  for (const line of text.split('\n')) {
    const match = /^\d+: FLOCK\s+\S+\s+\S+\s+(-?\d+)\s+([0-9a-f]+):([0-9a-f]+):(\d+)\s/.exec(line)
    if (match === null) continue
    const [, pid = '', major = '', minor = '', ino = ''] = match
    locks.push({ pid: Number(pid), dev: hexadecimalDevice(major, minor), ino: BigInt(ino) })
  }
  return locks
}

function hexadecimalDevice(major: string, minor: string): string {
  return `${Number.parseInt(major, 16)}:${Number.parseInt(minor, 16)}`
}

/** A file that a process has mapped. */
export interface Mapping {
  readonly dev: string
  readonly ino: bigint
  /** Whether stores to it reach the file. */
  readonly writable: boolean
}

/** The file mappings of /proc/PID/maps. */
export function parseMaps(text: string): readonly Mapping[] {
  const mappings: Mapping[] = []
  for (const line of text.split('\n')) {
    const match = /^\S+ (\S{4}) \S+ ([0-9a-f]+):([0-9a-f]+) (\d+)\s/.exec(`${line} `)
    if (match === null) continue
    const [, permissions = '', major = '', minor = '', ino = ''] = match
    if (ino === '0') continue
    const writable = permissions[1] === 'w' && permissions[3] === 's'
    mappings.push({ dev: hexadecimalDevice(major, minor), ino: BigInt(ino), writable })
  }
  return mappings
}

/** What /proc/PID/fdinfo/FD says of a descriptor. */
export interface DescriptorInfo {
  readonly writable: boolean
  /** Opened with O_PATH: it names the file, and gives no access to it. */
  readonly pathOnly: boolean
  /** Id of the mount that it was opened through. */
  readonly mount: number
}

export function parseDescriptor(text: string): DescriptorInfo {
  const flags = Number.parseInt(/^flags:\s+([0-7]+)$/m.exec(text)?.[1] ?? '0', 8)
  const mount = Number(/^mnt_id:\s+(\d+)$/m.exec(text)?.[1] ?? '-1')
  return { writable: (flags & 0o3) !== 0, pathOnly: (flags & 0o10000000) !== 0, mount }
}

/** The effective capabilities in /proc/PID/status, as a bit set. */
export function parseCapabilities(text: string): bigint {
  const digits = /^CapEff:[ \t]*([0-9a-fA-F]+)$/m.exec(text)?.[1]
  return digits === undefined ? 0n : BigInt(`0x${digits}`)
}

/** The paths of /proc/swaps. */
export function parseSwaps(text: string): readonly string[] {
  return text
    .split('\n')
    .slice(1)
    .map((line) => line.split(/[\t ]/)[0] ?? '')
    .filter((path) => path.startsWith('/'))
    .map(unescapeOctal)
}

/** A control group in one hierarchy, as a line of /proc/PID/cgroup gives it (cgroups(7)). */
export interface ControlGroup {
  /** `unified` for version 2; the controllers or `name=…` for version 1. */
  readonly hierarchy: string
  readonly path: string
}

export function parseControlGroups(text: string): readonly ControlGroup[] {
  const groups: ControlGroup[] = []
  for (const line of text.split('\n')) {
    const match = /^(\d+):([^:]*):(\/.*)$/.exec(line)
    if (match === null) continue
    const [, id, controllers = '', path = '/'] = match
    groups.push({ hierarchy: id === '0' && controllers === '' ? 'unified' : controllers, path })
  }
  return groups
}

/** The page size in /proc/self/auxv: pairs of machine words, of which type 6 is AT_PAGESZ (getauxval(3)). */
export function parsePageSize(auxv: Uint8Array, wordBytes: 4 | 8, littleEndian: boolean): number | undefined {
  const view = new DataView(auxv.buffer, auxv.byteOffset, auxv.byteLength)
  const word = (offset: number): number =>
    wordBytes === 8 ? Number(view.getBigUint64(offset, littleEndian)) : view.getUint32(offset, littleEndian)
  for (let offset = 0; offset + 2 * wordBytes <= auxv.byteLength; offset += 2 * wordBytes) {
    if (word(offset) !== 6) continue
    const page = word(offset + wordBytes)
    return page >= 512 && page <= 2 ** 30 && Number.isInteger(Math.log2(page)) ? page : undefined
  }
  return undefined
}
