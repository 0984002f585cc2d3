import { identify } from '../../layers/signatures.ts'
import { ascend, mapOf, topOf } from '../../layers/top.ts'
import { bytes } from '../../size.ts'
import { failure, readFailure } from '../errno.ts'
import type { DeviceSnapshot, ReadResult, StorageRead, StorageSnapshot } from '../host.ts'
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
    const look = new Look(view)
    await look.at(located.found)
    // What is mounted at a path is the top; from anything else the way may go further up.
    const [top] = 'path' in at ? located.found.map(({ id }) => id) : [await look.up(located.found)]
    await look.users(top)
    const looksForLocks = locks === true || top === undefined || !view.isMounted(top)
    const mount = located.mount === undefined ? undefined : await view.snapshot(located.mount)
    const value = {
      system: source.system(),
      found: [...new Set(located.found.map(({ id }) => id))],
      devices: looksForLocks ? look.locked() : look.devices,
      ...(look.lvm === undefined ? {} : { lvm: look.lvm }),
      ...(mount === undefined ? {} : { mount }),
    }
    return { ok: true, value }
  } catch (thrown) {
    return readFailure(thrown)
  }
}

type Device = BlockDevice | Image

/** What has been seen of the storage so far. Devices above are known by sysfs alone until the way up leads to them. */
class Look {
  readonly #view: View
  readonly #known = new Map<string, Device>()
  readonly #seen = new Map<string, DeviceSnapshot>()
  lvm: ReadResult<string> | undefined

  constructor(view: View) {
    this.#view = view
  }

  get devices(): readonly DeviceSnapshot[] {
    return [...this.#seen.values()]
  }

  /** Looks at devices and at everything below them. */
  async at(devices: readonly Device[]): Promise<void> {
    const reached = new Map(devices.map((device) => [device.id, device]))
    // A map's iteration also visits what is added meanwhile.
    for (const device of reached.values()) {
      this.#known.set(device.id, device)
      for (const id of 'below' in device ? device.below : []) {
        const below = reached.has(id) ? undefined : (this.#known.get(id) ?? this.#read(id))
        if (below !== undefined) reached.set(id, below)
      }
    }
    const fresh = [...reached.values()].filter(({ id }) => this.#seen.get(id)?.probe.ok !== true)
    const snapshots = await Promise.all(fresh.map((device) => snapshotOf(device, this.#view)))
    for (const snapshot of snapshots) this.#seen.set(snapshot.id, snapshot)
    if (this.lvm === undefined && snapshots.some(isOfLvm)) this.lvm = await this.#view.source.lvm()
  }

  /** Goes up from what was found, as far as there is one way; the id of the device where it ends. */
  async up(found: readonly Device[]): Promise<string | undefined> {
    for (const device of found) this.#showAbove(device)
    const ids = found.map(({ id }) => id)
    // Several paths to one and the same disk are one device.
    let id = ids.length === 1 ? ids[0] : mapOf(this, ids)
    const visited = new Set<string>()
    while (id !== undefined && !visited.has(id)) {
      visited.add(id)
      const device = this.#known.get(id)
      if (device !== undefined) {
        await this.at([device])
        this.#showAbove(device)
      }
      const snapshot = this.#seen.get(id)
      const ascent = snapshot === undefined ? undefined : ascend(this, snapshot)
      if (ascent === undefined || !('to' in ascent)) break
      id = ascent.to
    }
    return id === undefined ? undefined : topOf(this, id).id
  }

  /** Looks for those who have a device that is not mounted. */
  async users(id: string | undefined): Promise<void> {
    const device = id === undefined ? undefined : this.#known.get(id)
    const snapshot = id === undefined ? undefined : this.#seen.get(id)
    if (device === undefined || snapshot === undefined || 'stats' in device || snapshot.mounts.length > 0) return
    this.#seen.set(snapshot.id, { ...snapshot, users: await this.#view.source.usersOfDevice(device, this.#view) })
  }

  /** The devices with those who hold a lock on them. */
  locked(): readonly DeviceSnapshot[] {
    return this.devices.map((snapshot) => {
      const device = this.#known.get(snapshot.id)
      if (device === undefined || snapshot.kind === 'image') return snapshot
      const node = 'node' in device ? device.node : undefined
      return node === undefined ? snapshot : { ...snapshot, locks: this.#view.locksOn([node.dev], node.ino) }
    })
  }

  /** Adds what stands on a device: partitions, mappings, and with logical volumes those further up. */
  #showAbove(device: Device): void {
    const waiting = [device]
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      if (!('holders' in next)) continue
      const directory = `/sys/dev/block/${next.id}`
      const above = [...next.partitions, ...next.holders.map((name) => `holders/${name}`)]
      for (const entry of above) {
        const id = this.#view.source.text(`${directory}/${entry}/dev`)?.trim()
        const read = id === undefined || this.#known.has(id) ? undefined : this.#read(id)
        if (read === undefined) continue
        this.#known.set(read.id, read)
        this.#seen.set(read.id, unprobed(read))
        // Between a physical volume and what its users see, LVM may have volumes of its own: pools, legs, snapshots.
        if (read.attributes['dm/uuid']?.startsWith('LVM-') === true) waiting.push(read)
      }
    }
  }

  #read(id: string): BlockDevice | undefined {
    return readBlockDevice(this.#view.source, id)
  }
}

function isOfLvm(device: DeviceSnapshot): boolean {
  if (device.attributes['dm/uuid']?.startsWith('LVM-') === true) return true
  const content = identify(device)
  return content.kind === 'layer' && content.name === 'lvm'
}

function unprobed({ node: _node, ...fields }: BlockDevice): DeviceSnapshot {
  const probe = failure('ENODATA', 'it was not looked at, because no way led to it')
  return { ...fields, kind: 'block', probe, mounts: [], locks: [] }
}

function snapshotOf(device: Device, view: View): Promise<DeviceSnapshot> {
  return 'stats' in device ? snapshotOfImage(device, view) : snapshotOfBlock(device, view)
}

async function snapshotOfBlock({ node: _node, ...fields }: BlockDevice, view: View): Promise<DeviceSnapshot> {
  const [probe, mounts] = await Promise.all([
    view.source.probe(fields.path, fields.size, fields.id),
    view.mountsOf(fields.id),
  ])
  return { ...fields, kind: 'block', probe, mounts, locks: [] }
}

async function snapshotOfImage(image: Image, view: View): Promise<DeviceSnapshot> {
  const { id, path, stats } = image
  const locks = view.locksOn(imageDevices(image, view), stats.ino)
  const [probed, users, writable] = await Promise.all([
    view.source.probe(path, stats.size, identityOf(stats)),
    view.source.usersOfImage(image, locks.length > 0, view),
    view.source.canWrite(path),
  ])
  const nothing = { attributes: {}, below: [], holders: [], partitions: [], mounts: [] }
  const size = bytes(stats.size)
  return { id, kind: 'image', path, name: path, size, readOnly: !writable, ...nothing, probe: probed, users, locks }
}
