import { bytes } from '../../size.ts'
import { readFailure } from '../errno.ts'
import type { DeviceSnapshot, LockSnapshot, ReadResult, StorageRead, StorageSnapshot } from '../host.ts'
import { type BlockDevice, readBlockDevice } from './block.ts'
import { type Image, locate } from './locate.ts'
import { identityOf, type StorageSource } from './source.ts'
import { imageDevices, View } from './view.ts'

/** Everything that the planner needs to know of one place in the storage. */
export async function readStorage(
  source: StorageSource,
  { at, locks }: StorageRead,
): Promise<ReadResult<StorageSnapshot>> {
  try {
    const view = new View(source)
    const located = await locate(at, view)
    const looksForLocks = locks === true || !located.found.every(({ id }) => view.isMounted(id))
    const locksOn: LocksOn = (devs, ino) => (looksForLocks ? view.locksOn(devs, ino) : [])
    const found = new Set(located.found.map(({ id }) => id))
    const [devices, mount] = await Promise.all([
      Promise.all(withBelow(source, located.found).map((device) => snapshotOf(device, found, view, locksOn))),
      located.mount === undefined ? undefined : view.snapshot(located.mount),
    ])
    const value = { system: source.system(), found: [...found], devices }
    return { ok: true, value: mount === undefined ? value : { ...value, mount } }
  } catch (thrown) {
    return readFailure(thrown)
  }
}

/** The devices that were found, and then everything below them, each once. */
function withBelow(source: StorageSource, found: readonly (BlockDevice | Image)[]): readonly (BlockDevice | Image)[] {
  const devices = new Map(found.map((device) => [device.id, device]))
  // A map's iteration also visits what is added meanwhile.
  for (const device of devices.values()) {
    for (const id of 'below' in device ? device.below : []) {
      const below = devices.has(id) ? undefined : readBlockDevice(source, id)
      if (below !== undefined) devices.set(id, below)
    }
  }
  return [...devices.values()]
}

type LocksOn = (devs: readonly string[], ino: bigint) => readonly LockSnapshot[]

function snapshotOf(
  device: BlockDevice | Image,
  found: ReadonlySet<string>,
  view: View,
  locksOn: LocksOn,
): Promise<DeviceSnapshot> {
  if ('stats' in device) return snapshotOfImage(device, view, locksOn)
  return snapshotOfBlock(device, found.has(device.id), view, locksOn)
}

async function snapshotOfBlock(
  device: BlockDevice,
  isFound: boolean,
  view: View,
  locksOn: LocksOn,
): Promise<DeviceSnapshot> {
  const { node, ...fields } = device
  const locks = node === undefined ? [] : locksOn([node.dev], node.ino)
  const [probed, mounts] = await Promise.all([
    view.source.probe(device.path, device.size, device.id),
    view.mountsOf(device.id),
  ])
  const users = isFound && mounts.length === 0 ? { users: await view.source.usersOfDevice(device, view) } : {}
  return { ...fields, kind: 'block', probe: probed, mounts, locks, ...users }
}

async function snapshotOfImage(image: Image, view: View, locksOn: LocksOn): Promise<DeviceSnapshot> {
  const { id, path, stats } = image
  const locks = locksOn(imageDevices(image, view), stats.ino)
  const [probed, users, writable] = await Promise.all([
    view.source.probe(path, stats.size, identityOf(stats)),
    view.source.usersOfImage(image, locks.length > 0, view),
    view.source.canWrite(path),
  ])
  const nothing = { attributes: {}, below: [], holders: [], partitions: [], mounts: [] }
  const size = bytes(stats.size)
  return { id, kind: 'image', path, name: path, size, readOnly: !writable, ...nothing, probe: probed, users, locks }
}
