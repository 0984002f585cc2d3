import * as fs from 'node:fs'
import { bytes } from '../../size.ts'
import type { DeviceSnapshot, LockSnapshot, ReadResult, StorageRead, StorageSnapshot } from '../host.ts'
import { type BlockDevice, readBlockDevice } from './block.ts'
import { readFailure } from './errno.ts'
import { deviceId } from './files.ts'
import { type Image, locate } from './locate.ts'
import { probe } from './probe.ts'
import { imageDevices, usersOfDevice, usersOfImage } from './users.ts'
import { blockId, observeSystem, View } from './view.ts'

/** Everything that the planner needs to know of one place in the storage; starts no process. */
export async function readStorage({ at, locks }: StorageRead): Promise<ReadResult<StorageSnapshot>> {
  try {
    const view = new View()
    const located = await locate(at, view)
    const looksForLocks = locks === true || !located.found.every(({ id }) => view.isMounted(id))
    const locksOn: LocksOn = (devs, ino) => (looksForLocks ? view.locksOn(devs, ino) : [])
    const found = new Set(located.found.map(({ id }) => id))
    const [devices, mount] = await Promise.all([
      Promise.all(withBelow(located.found).map((device) => snapshotOf(device, found, view, locksOn))),
      located.mount === undefined ? undefined : view.snapshot(located.mount),
    ])
    const value = { system: observeSystem(), found: [...found], devices }
    return { ok: true, value: mount === undefined ? value : { ...value, mount } }
  } catch (thrown) {
    return readFailure(thrown)
  }
}

/** The devices that were found, and then everything below them, each once. */
function withBelow(found: readonly (BlockDevice | Image)[]): readonly (BlockDevice | Image)[] {
  const devices = new Map(found.map((device) => [device.id, device]))
  // A map's iteration also visits what is added meanwhile.
  for (const device of devices.values()) {
    for (const id of 'below' in device ? device.below : []) {
      const below = devices.has(id) ? undefined : readBlockDevice(id)
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
  const locks = node === undefined ? [] : locksOn([deviceId(node.dev)], node.ino)
  const [probed, mounts] = await Promise.all([
    probe(device.path, device.size, (stats) => blockId(stats) === device.id),
    view.mountsOf(device.id),
  ])
  const users = isFound && mounts.length === 0 ? { users: await usersOfDevice(device, view) } : {}
  return { ...fields, kind: 'block', probe: probed, mounts, locks, ...users }
}

async function snapshotOfImage(image: Image, view: View, locksOn: LocksOn): Promise<DeviceSnapshot> {
  const { id, path, stats } = image
  const locks = locksOn(imageDevices(image, view), stats.ino)
  const [probed, users, readOnly] = await Promise.all([
    probe(path, stats.size, ({ dev, ino }) => dev === stats.dev && ino === stats.ino),
    usersOfImage(image, locks.length > 0, view),
    cannotWrite(path),
  ])
  const nothing = { attributes: {}, below: [], holders: [], partitions: [], mounts: [] }
  const size = bytes(stats.size)
  return { id, kind: 'image', path, name: path, size, readOnly, ...nothing, probe: probed, users, locks }
}

function cannotWrite(path: string): Promise<boolean> {
  return new Promise((resolve) => fs.access(path, fs.constants.W_OK, (error) => resolve(error !== null)))
}
