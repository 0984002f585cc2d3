import type { Finding, FindingCode, Severity } from '../findings.ts'
import type { DeviceSnapshot, ExecItem, ExpectItem, MountSnapshot, StorageSnapshot } from '../hosts/host.ts'
import type { ToolNeed } from '../layers/layer.ts'
import { hex } from './fields.ts'

/** Bits of the effective capability set (capabilities(7)). */
export const capability = { sysAdmin: 21n, sysResource: 24n } as const

export function isCapable({ system }: StorageSnapshot, bit: bigint): boolean {
  return ((system.capabilities >> bit) & 1n) === 1n
}

/** What a person is told about a filesystem, in the words of a finding. */
export function finding(code: FindingCode, severity: Severity, message: string, remedy?: string): Finding {
  return { code, severity, layer: 'filesystem', message, ...(remedy === undefined ? {} : { remedy }) }
}

export function blocker(code: FindingCode, message: string, remedy: string): Finding {
  return finding(code, 'blocker', message, remedy)
}

/** Whether nothing stands against the growth but what the request may accept. */
export function isAllowed(findings: readonly Finding[]): boolean {
  return findings.every(({ severity, code }) => severity !== 'blocker' || code === 'ext4-meta-bg-conversion')
}

/** The devices below that have nothing below themselves: whole disks, or the image itself. */
export function bottomsOf(device: DeviceSnapshot, snapshot: StorageSnapshot): readonly DeviceSnapshot[] {
  const bottoms = new Map<string, DeviceSnapshot>()
  const seen = new Set<string>()
  const visit = (current: DeviceSnapshot): void => {
    if (seen.has(current.id)) return
    seen.add(current.id)
    const below = current.below.flatMap((id) => snapshot.devices.filter((candidate) => candidate.id === id))
    if (below.length === 0) bottoms.set(current.id, current)
    for (const next of below) visit(next)
  }
  visit(device)
  return [...bottoms.values()]
}

/** What a writing command locks: the whole disks (as systemd's "Locking Block Device Access" has it) in an order that is the same for everybody. */
export function locksOf(device: DeviceSnapshot, snapshot: StorageSnapshot): readonly string[] {
  return bottomsOf(device, snapshot)
    .map(({ path }) => path)
    .sort()
}

/** That the path still leads to the device that was looked at, and that it still holds the same filesystem. Sizes are left out: a device may have grown meanwhile. */
export function identityExpectations(
  device: DeviceSnapshot,
  snapshot: StorageSnapshot,
  uuid: { readonly offset: number; readonly bytes: Uint8Array },
): readonly ExpectItem[] {
  const items: ExpectItem[] = []
  if (device.kind === 'image') {
    const inode = device.id.startsWith('image:') ? device.id.slice('image:'.length) : device.id
    items.push({ expect: { read: 'stat', path: device.path }, equals: `${inode}:0:0` })
  } else {
    const sysfsName = device.name.replaceAll('/', '!')
    items.push({ expect: { read: 'file', path: `/sys/class/block/${sysfsName}/dev` }, equals: device.id })
    for (const marked of new Set([device, ...bottomsOf(device, snapshot)])) items.push(...marksOf(marked))
  }
  const { offset, bytes } = uuid
  const range = { read: 'range', path: device.path, offset: BigInt(offset), length: bytes.length } as const
  return [...items, { expect: range, equals: hex(bytes) }]
}

function marksOf(device: DeviceSnapshot): readonly ExpectItem[] {
  if (device.kind !== 'block') return []
  return ['diskseq', 'dm/uuid'].flatMap((name): readonly ExpectItem[] => {
    const value = device.attributes[name]
    if (value === undefined || value === '') return []
    return [{ expect: { read: 'file', path: `/sys/dev/block/${device.id}/${name}` }, equals: value }]
  })
}

/** A command that writes: in a session of its own, and with the disk locked by itself. */
export function writing(exec: readonly string[], lock: readonly string[], accept?: readonly number[]): ExecItem {
  return { exec, detached: true, lock, ...(accept === undefined ? {} : { accept }) }
}

export function isWritable({ options, superOptions }: MountSnapshot): boolean {
  return !options.includes('ro') && !superOptions.includes('ro')
}

/** Whether the kernel has given the filesystem up: it is still mounted, and every write fails. */
export function isShutDown({ superOptions }: MountSnapshot): boolean {
  return superOptions.includes('shutdown') || superOptions.includes('emergency_ro')
}

export const mountTools: readonly ToolNeed[] = [
  { name: 'sh', packages: 'dash or bash' },
  { name: 'unshare', packages: 'util-linux' },
  { name: 'mount', packages: 'mount (Debian) or util-linux' },
  { name: 'umount', packages: 'mount (Debian) or util-linux' },
]

/** How the scripts of a private mount end, besides the codes of the growth tool itself, which become {@link privateExit.grow}. */
export const privateExit = { noDirectory: 79, mount: 80, grow: 81, unmount: 82 } as const

// A mount needs a directory that is there on every system; in a namespace of one's own nobody else sees what covers it.
const prologue = [
  'device=$1 type=$2 options=$3; shift 3',
  'directory=',
  'for candidate in /mnt /tmp /run; do [ -d "$candidate" ] && directory=$candidate && break; done',
  `[ -n "$directory" ] || exit ${privateExit.noDirectory}`,
  `mount -t "$type" -o "$options" "$device" "$directory" || exit ${privateExit.mount}`,
]

const epilogue = [
  'grown=$?',
  `umount "$directory" || { [ "$grown" -ne 0 ] || exit ${privateExit.unmount}; }`,
  `[ "$grown" -eq 0 ] || exit ${privateExit.grow}`,
]

/** Grows a mounted XFS: the tool wants the directory. */
const growDirectory: string = [...prologue, 'xfs_growfs -d "$directory"', ...epilogue].join('\n')

/** Grows a mounted ext filesystem: the tool wants the device, and finds the mount itself. */
const growDevice: string = [...prologue, 'resize2fs "$device"', ...epilogue].join('\n')

/** Makes the read-only mounts writable in a namespace of one's own, where nobody else sees it: resize2fs takes the first mount that it finds. */
const growWritable: string = [
  'device=$1; shift',
  `for directory; do mount -o remount,bind,rw "$directory" || exit ${privateExit.mount}; done`,
  'exec resize2fs "$device"',
].join('\n')

/** A mount in a namespace that ends with the command: no mount is left behind, whatever becomes of it. */
function inPrivate(script: string, ...parameters: readonly string[]): readonly string[] {
  return ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', ...parameters]
}

export function privateXfsGrowth(path: string, options: readonly string[]): readonly string[] {
  return inPrivate(growDirectory, path, 'xfs', options.join(','))
}

export function privateExtGrowth(path: string, type: string): readonly string[] {
  return inPrivate(growDevice, path, type, 'nosuid,nodev,noexec')
}

export function writableExtGrowth(path: string, readOnly: readonly string[]): readonly string[] {
  return inPrivate(growWritable, path, ...readOnly)
}
