import type { DeviceHints } from '../../hints.ts'
import { errnoOf } from '../errno.ts'
import type { StorageTarget } from '../host.ts'
import { isWithin, type MountEntry, mountOf } from '../mountinfo.ts'
import { normalizeWwn } from '../sysfs.ts'
import { type BlockDevice, readBlockDevice } from './block.ts'
import { type LoopDevice, readLoops } from './loops.ts'
import { blockId, type FileStats, type StorageSource } from './source.ts'
import type { View } from './view.ts'

/** A regular file that holds a volume. */
export interface Image {
  readonly id: string
  readonly path: string
  readonly stats: FileStats
  /** Loop devices that may be over it, and of which that cannot be told for certain. */
  readonly doubtful: readonly LoopDevice[]
}

/** What a target turned out to be. */
export interface Located {
  readonly found: readonly (BlockDevice | Image)[]
  readonly mount?: MountEntry
}

const nothing: Located = { found: [] }

/**
 * Finds what a target names. What does not exist is nothing; what cannot be looked at rejects with the system's error.
 */
export async function locate(target: StorageTarget, view: View): Promise<Located> {
  const { source } = view
  try {
    if ('path' in target) return await locatePath(target.path, view)
    if ('device' in target) return { found: await locateDevice(source, target.device) }
    if ('image' in target) return { found: await locateImage(source, target.image) }
    return { found: await locateHints(source, target.hints) }
  } catch (thrown) {
    if (['ENOENT', 'ENOTDIR', 'ENXIO', 'ENODEV'].includes(errnoOf(thrown))) return nothing
    throw thrown
  }
}

async function locatePath(path: string, view: View): Promise<Located> {
  const [resolved, stats] = await Promise.all([view.source.realpath(path), view.source.stat(path)])
  const mount = mountAt(view, resolved, stats.dev)
  if (mount === undefined) return nothing
  const id = view.blockDevice(mount)
  const device = id === undefined ? undefined : readBlockDevice(view.source, id)
  return device === undefined ? { found: [], mount } : { found: [device], mount }
}

// The walk over the mounts and the kernel's own answer have to agree: between the two reads something may have been mounted. Filesystems with device numbers
// of their own for parts of them (btrfs) are believed by the walk alone.
function mountAt(view: View, path: string, dev: string): MountEntry | undefined {
  const walked = mountOf(view.mounts, path)
  if (walked !== undefined && (walked.dev === dev || (walked.dev.startsWith('0:') && dev.startsWith('0:'))))
    return walked
  return view.mounts
    .filter((mount) => mount.dev === dev && isWithin(path, mount.mountPoint))
    .sort((a, b) => a.mountPoint.length - b.mountPoint.length)
    .at(-1)
}

async function locateDevice(source: StorageSource, path: string): Promise<readonly (BlockDevice | Image)[]> {
  const stats = await source.stat(path)
  const id = blockId(stats)
  if (id === undefined) return stats.type === 'file' ? imageOrLoops(source, await source.realpath(path), stats) : []
  const device = readBlockDevice(source, id, path)
  return device === undefined ? [] : [device]
}

async function locateImage(source: StorageSource, path: string): Promise<readonly (BlockDevice | Image)[]> {
  const [resolved, stats] = await Promise.all([source.realpath(path), source.stat(path)])
  return stats.type === 'file' ? imageOrLoops(source, resolved, stats) : []
}

// A file with loop devices is used through them; without, it is the device.
async function imageOrLoops(
  source: StorageSource,
  path: string,
  stats: FileStats,
): Promise<readonly (BlockDevice | Image)[]> {
  const loops = await readLoops(source)
  const over = loops.filter(({ backing }) => backing?.dev === stats.dev && backing.ino === stats.ino)
  const devices = over.map(({ id }) => readBlockDevice(source, id)).filter((device) => device !== undefined)
  if (devices.length > 0) return devices
  const doubtful = loops.filter(
    ({ backing, readOnly, offset, size }) => backing === undefined && !readOnly && offset + size <= stats.size,
  )
  return [{ id: `image:${stats.dev}:${stats.ino}`, path, stats, doubtful }]
}

async function locateHints(source: StorageSource, hints: DeviceHints): Promise<readonly (BlockDevice | Image)[]> {
  const candidates = await candidatesOf(source, hints)
  return candidates.filter((candidate) => {
    if (!('attributes' in candidate)) return !namesDisks(hints)
    return (
      fitsSerial(candidate, hints) &&
      fitsWwn(candidate, hints.wwn) &&
      fitsAttributes(candidate, hints.attributes) &&
      fitsById(source, candidate, hints.byId)
    )
  })
}

// The hint that names the fewest devices comes first, the others only have to fit. Names under by-id alone name none: udev's links are not proof.
async function candidatesOf(source: StorageSource, hints: DeviceHints): Promise<readonly (BlockDevice | Image)[]> {
  const named: (readonly (BlockDevice | Image)[])[] = []
  if (hints.image !== undefined) named.push(await locateImage(source, hints.image))
  if (hints.path !== undefined) named.push(await locateDevice(source, hints.path))
  const [first, second] = named
  if (first !== undefined) {
    return second === undefined ? first : first.filter(({ id }) => second.some((other) => other.id === id))
  }
  if (!namesDisks(hints)) return []
  return source
    .list('/sys/block')
    .map((name) => source.text(`/sys/block/${name}/dev`)?.trim())
    .map((id) => (id === undefined ? undefined : readBlockDevice(source, id)))
    .filter((device) => device !== undefined)
}

/** Whether there are marks that a whole disk shows in sysfs. */
function namesDisks({ serial, wwn, attributes = {} }: DeviceHints): boolean {
  return serial !== undefined || wwn !== undefined || Object.keys(attributes).length > 0
}

function fitsAttributes({ attributes }: BlockDevice, wanted: DeviceHints['attributes'] = {}): boolean {
  return Object.entries(wanted).every(([name, value]) => attributes[name]?.trim() === value)
}

function fitsSerial({ attributes }: BlockDevice, { serial, serialCutAt }: DeviceHints): boolean {
  if (serial === undefined) return true
  const whole = serial.trim()
  const wanted = [whole, ...(serialCutAt === undefined ? [] : [whole.slice(0, serialCutAt)])]
  const shown = [attributes['serial'], attributes['device/serial'], attributes['device/vpd_pg80']]
  return shown.some((text) => text !== undefined && wanted.includes(text.trim()))
}

function fitsWwn({ attributes }: BlockDevice, wwn: string | undefined): boolean {
  if (wwn === undefined) return true
  const shown = [attributes['wwid'], attributes['device/wwid'], attributes['nguid'], attributes['eui']]
  return shown.some((text) => text !== undefined && normalizeWwn(text) === normalizeWwn(wwn))
}

// Any of the names may exist; those that do have to be this device.
function fitsById(source: StorageSource, { id }: BlockDevice, names: readonly string[] | undefined): boolean {
  const linked = (names ?? [])
    .map((name) => blockId(source.node(`/dev/disk/by-id/${name}`)))
    .filter((link) => link !== undefined)
  return linked.every((link) => link === id)
}
