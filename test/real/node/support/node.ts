import { randomUUID } from 'node:crypto'
import { inject, onTestFinished } from 'vitest'
import { type DiskSpec, Guest, type GuestDisk, type RbdDiskSpec } from '../../../lab/node/guest.ts'
import { type NvmeDisk, nvmeOver, removeNvme } from '../../../lab/node/nvme.ts'
import type { GuestShell } from '../../../lab/node/shell.ts'
import { until } from '../../support/commands.ts'

/** The node that all tests share, as one test uses it: what the test plugs in and mounts ends with the test. */
export class Node {
  readonly guest: Guest
  readonly #plugged = new Set<string>()
  readonly #mounted = new Set<string>()
  #shell: GuestShell

  private constructor(guest: Guest, shell: GuestShell) {
    this.guest = guest
    this.#shell = shell
  }

  static async forTest(guest: Guest = Guest.of(inject('node'))): Promise<Node> {
    const node = new Node(guest, await guest.shell())
    onTestFinished(() => node.shell.end())
    return node
  }

  /** As root; another one after a reset. */
  get shell(): GuestShell {
    return this.#shell
  }

  /** Starts it anew, as after a power cut: it keeps its disks, and nothing is mounted, mapped or running any more. */
  async reset(): Promise<void> {
    await this.guest.reset()
    this.#shell.end()
    this.#mounted.clear()
    this.#shell = await this.guest.shell()
    await this.settled()
  }

  /** Plugs in an empty disk; resolves when the node has a device for it. */
  async plug({
    bus,
    size,
    serial = randomUUID().slice(0, 20),
    ...rest
  }: Pick<DiskSpec, 'bus' | 'size'> & Partial<DiskSpec>): Promise<PluggedDisk> {
    return this.#plug(() => this.guest.plug({ name: diskName(), serial, bus, size, ...rest }))
  }

  /** Plugs in an image of Ceph; resolves when the node has a device for it. */
  plugRbd(image: Omit<RbdDiskSpec, 'name'>): Promise<PluggedDisk> {
    return this.#plug(() => this.guest.plugRbd({ name: diskName(), ...image }))
  }

  async #plug(plug: () => Promise<GuestDisk>): Promise<PluggedDisk> {
    const before = await this.#disks()
    const disk = await plug()
    this.#plugged.add(disk.name)
    onTestFinished(() => this.unplug(disk))
    return { ...disk, device: await this.#newDevice(before) }
  }

  /** Plugs the same disk in once more, as another way to it would show it. @returns its further device */
  async addPath(disk: GuestDisk, path: Pick<DiskSpec, 'bus' | 'properties'>): Promise<string> {
    const before = await this.#disks()
    const id = await this.guest.addPath(disk, path)
    onTestFinished(async () => {
      await this.guest.removePath(id)
      await until(`the end of ${device}`, async () => !(await this.#disks()).includes(device.replace('/dev/', '')))
    })
    const device = await this.#newDevice(before)
    return device
  }

  async #newDevice(before: readonly string[]): Promise<string> {
    const name = await until('a device for the disk', async () =>
      (await this.#disks()).find((candidate) => !before.includes(candidate)),
    )
    await this.settled()
    return `/dev/${name}`
  }

  /** Takes a disk away before the test ends. Idempotent. */
  async unplug(disk: GuestDisk): Promise<void> {
    if (this.#plugged.delete(disk.name)) await this.guest.unplug(disk)
  }

  /** Shows a disk as an NVMe disk besides. */
  async nvmeOver({ device }: PluggedDisk, serial: string): Promise<NvmeDisk & { readonly device: string }> {
    const before = await this.#disks()
    const nvme = await nvmeOver(this.shell, device, serial)
    onTestFinished(() => removeNvme(this.shell, nvme))
    const name = await until('an NVMe disk', async () => {
      const found = (await this.#disks()).find((candidate) => !before.includes(candidate))
      return found !== undefined && (await this.sizeOf(`/dev/${found}`)) > 0n ? found : undefined
    })
    await this.settled()
    return { ...nvme, device: `/dev/${name}` }
  }

  /** Mounts a device of the node at a new directory, which is in its memory. */
  async mount(device: string): Promise<string> {
    const point = await this.shell.run('mktemp', '-d', '/run/mounted-XXXXXXXX')
    await this.shell.run('mount', device, point)
    this.#mounted.add(point)
    onTestFinished(async () => {
      if (!this.#mounted.delete(point)) return
      await this.shell.attempt(['umount', '--', point])
      await this.shell.run('rmdir', point)
    })
    return point
  }

  /** Bytes of a device, as the node's kernel has it now. */
  async sizeOf(device: string): Promise<bigint> {
    return BigInt(await this.shell.run('cat', `/sys/class/block/${device.replace('/dev/', '')}/size`)) * 512n
  }

  /** Waits until udev has done what it does about devices. */
  async settled(): Promise<void> {
    await this.shell.run('udevadm', 'settle', '--timeout=30')
  }

  // Those with a node: the kernel also lists the paths of an NVMe disk, which nobody can open.
  async #disks(): Promise<readonly string[]> {
    return (await this.shell.run('find', '/dev', '-maxdepth', '1', '-type', 'b', '-printf', '%f\\n')).split('\n')
  }
}

export interface PluggedDisk extends GuestDisk {
  /** `/dev/<name>` in the node, for as long as it is plugged in. */
  readonly device: string
}

function diskName(): string {
  return `d-${randomUUID().slice(0, 8)}`
}
