import { execFile } from 'node:child_process'
import { readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { logOf, type PartCommand, type PartContext, startPart, stopPart } from '../part.ts'
import { isLiving, labDirectory, type Part } from '../register.ts'
import { type GuestImage, guestImage } from './image.ts'
import { QmpError, qmp } from './qmp.ts'
import { awaitShell, type GuestAddress, GuestShell } from './shell.ts'

const execute = promisify(execFile)

export const partName = 'node'
/** What boot may take on a busy machine. */
const bootSeconds = 600
const unplugSeconds = 30

export interface GuestOptions {
  /** MiB; left out: 768. */
  readonly memory?: number
  /** Whether it goes on when this process has ended. Left out: it ends with it, however that ends. */
  readonly lasting?: boolean
  readonly directory?: string
}

/** `scsi-deaf` is SCSI whose node is not told of a new size: it has to look again by itself. */
export type Bus = 'virtio' | 'scsi' | 'scsi-deaf'

export interface DiskSpec {
  /** Names it to the emulator; unique in the guest. */
  readonly name: string
  readonly serial: string
  readonly bus: Bus
  /** Bytes. */
  readonly size: bigint
  /** Further properties of the emulated device, such as `wwn` and `vendor`. */
  readonly properties?: Readonly<Record<string, string | number | boolean>>
}

/** An image of Ceph as a disk of a guest. */
export interface RbdDiskSpec extends Pick<DiskSpec, 'name' | 'serial'> {
  readonly pool: string
  readonly image: string
  /** The configuration file of the cluster, by which the keyring is found as well. */
  readonly conf: string
  readonly user: string
}

/** A disk that a guest has. */
export interface GuestDisk {
  readonly name: string
  readonly serial: string
  /** Where the emulator takes orders: enough, with the name, for any process to measure and grow it. */
  readonly qmp: string
}

/**
 * A Debian machine in an emulator, with SSH on a port of 127.0.0.1 and disks that can be plugged, grown and unplugged while it runs. Its root is a partition
 * with ext4, on a disk of its own that forgets everything when the guest is stopped.
 */
export class Guest {
  readonly part: Part

  private constructor(part: Part) {
    this.part = part
  }

  /** Boots one, and waits until it can be reached. */
  static async start({ memory = 768, lasting = false, directory = labDirectory() }: GuestOptions = {}): Promise<Guest> {
    const image = await guestImage(directory)
    const prepare = (context: PartContext): Promise<PartCommand> => prepareGuest(image, context, { memory, lasting })
    const running = await startPart({ name: partName, ports: ['ssh'], prepare }, directory)
    running.process.unref()
    let isRunning = true
    running.ended.then(() => {
      isRunning = false
    })
    const guest = new Guest(running.part)
    try {
      const shell = await awaitShell(guest.address, { seconds: bootSeconds, isRunning: () => isRunning })
      shell.end()
      return guest
    } catch (cause) {
      const log = await readFile(logOf(running.part.directory), 'utf8').catch(() => '')
      const console = await readFile(join(running.part.directory, 'console'), 'utf8').catch(() => '')
      await stopPart(running.part, directory)
      throw new Error(`The node did not come up. What it said at the end:\n${log}\n${console.slice(-4000)}`, { cause })
    }
  }

  /** One that runs already. */
  static of(part: Part): Guest {
    return new Guest(part)
  }

  get address(): GuestAddress {
    const port = this.part.ports['ssh']
    if (port === undefined) throw new Error(`${this.part.name} has no port for SSH.`)
    const { directory } = this.part
    return {
      ...{ host: '127.0.0.1', port, identity: join(directory, 'identity') },
      ...{ hostKey: join(directory, 'host-key.pub'), knownHosts: join(directory, 'known_hosts') },
    }
  }

  /** The disk that the guest was booted from. */
  get rootDisk(): GuestDisk {
    return { name: 'root', serial: rootSerial, qmp: this.#qmp }
  }

  /** A disk that was plugged in before, with its name for a serial, perhaps by another process. */
  disk(name: string): GuestDisk {
    return name === 'root' ? this.rootDisk : { name, serial: name, qmp: this.#qmp }
  }

  get #qmp(): string {
    return join(this.part.directory, 'qmp')
  }

  /** A new connection as root. */
  shell(): Promise<GuestShell> {
    return GuestShell.connect(this.address)
  }

  /** Plugs in an empty disk. */
  async plug({ name, serial, bus, size, properties = {} }: DiskSpec): Promise<GuestDisk> {
    const image = this.#imageOf(name)
    await writeFile(image, '', { flag: 'wx' })
    await truncate(image, Number(size))
    await qmp(this.#qmp, 'blockdev-add', {
      ...{ driver: 'raw', 'node-name': name, discard: 'unmap' },
      file: { driver: 'file', filename: image },
    })
    await qmp(this.#qmp, 'device_add', { ...driverOf(bus), id: deviceOf(name), drive: name, serial, ...properties })
    return { name, serial, qmp: this.#qmp }
  }

  /** Plugs in an image as Nova does: the emulator itself is the cluster's client, by librbd, and learns of a new size only from {@link resize}. */
  async plugRbd({ name, serial, pool, image, conf, user }: RbdDiskSpec): Promise<GuestDisk> {
    await qmp(this.#qmp, 'blockdev-add', {
      ...{ driver: 'rbd', 'node-name': name, discard: 'unmap', cache: { direct: true } },
      ...{ pool, image, conf, user },
    })
    await qmp(this.#qmp, 'device_add', { ...driverOf('virtio'), id: deviceOf(name), drive: name, serial })
    return { name, serial, qmp: this.#qmp }
  }

  /** Plugs in the same disk once more. Both need the property `share-rw`. Resolves with what {@link removePath} takes. */
  async addPath(
    { name, serial }: GuestDisk,
    { bus, properties = {} }: Omit<DiskSpec, 'name' | 'serial' | 'size'>,
  ): Promise<string> {
    const id = `${deviceOf(name)}-${bus}`
    await qmp(this.#qmp, 'device_add', { ...driverOf(bus), id, drive: name, serial, ...properties })
    return id
  }

  async removePath(id: string): Promise<void> {
    await qmp(this.#qmp, 'device_del', { id })
  }

  /** Takes a disk away, and what was on it with it unless it is on another system. A disk that the guest does not let go is taken away all the same when the guest is stopped. */
  async unplug({ name }: GuestDisk): Promise<void> {
    await qmp(this.#qmp, 'device_del', { id: deviceOf(name) })
    const end = performance.now() + unplugSeconds * 1000
    for (;;) {
      try {
        await qmp(this.#qmp, 'blockdev-del', { 'node-name': name })
        break
      } catch (error) {
        if (!(error instanceof QmpError) || performance.now() > end) throw error
        await sleep(50)
      }
    }
    await rm(this.#imageOf(name), { force: true })
  }

  /** Starts it anew without letting it write anything, as after a power cut; resolves when it can be reached again. */
  async reset(): Promise<void> {
    const before = await this.#bootId()
    await qmp(this.#qmp, 'system_reset')
    const isRunning = (): Promise<boolean> => isLiving(this.part)
    while ((await this.#bootId(isRunning)) === before) await sleep(50)
  }

  /** Ends it at once. Idempotent. */
  async stop(directory: string = labDirectory()): Promise<void> {
    await stopPart(this.part, directory)
  }

  async #bootId(isRunning: () => Promise<boolean> = async () => true): Promise<string> {
    const shell = await awaitShell(this.address, { seconds: bootSeconds, isRunning })
    try {
      return await shell.run('cat', '/proc/sys/kernel/random/boot_id')
    } finally {
      shell.end()
    }
  }

  #imageOf(name: string): string {
    return join(this.part.directory, `disk-${name}.img`)
  }
}

/** Bytes that a disk has, as the emulator sees it. */
export async function sizeOf({ qmp: path, name }: Pick<GuestDisk, 'name' | 'qmp'>): Promise<bigint> {
  const nodes = await qmp(path, 'query-named-block-nodes', { flat: true })
  const node = Array.isArray(nodes) ? nodes.find((candidate) => candidate['node-name'] === name) : undefined
  if (node === undefined) throw new Error(`The guest has no disk ${name}.`)
  return BigInt(node.image['virtual-size'])
}

/** Sets the size of a disk while the guest uses it. The guest is told. */
export async function resize({ qmp: path, name }: Pick<GuestDisk, 'name' | 'qmp'>, size: bigint): Promise<void> {
  await qmp(path, 'block_resize', { 'node-name': name, size: Number(size) })
}

const rootSerial = 'lab-root'

function driverOf(bus: Bus): { readonly driver: string; readonly bus?: string } {
  if (bus === 'virtio') return { driver: 'virtio-blk-pci' }
  return { driver: 'scsi-hd', bus: bus === 'scsi' ? 'scsi0.0' : 'scsi1.0' }
}

// A device and the image behind it have names in one space of names.
function deviceOf(name: string): string {
  return `device-${name}`
}

async function prepareGuest(
  image: GuestImage,
  { directory, ports }: PartContext,
  { memory, lasting }: { readonly memory: number; readonly lasting: boolean },
): Promise<PartCommand> {
  const port = ports['ssh'] ?? 0
  const root = join(directory, 'root.qcow2')
  await execute('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', image.root, '-F', 'raw', root])
  await writeAccess(image, directory, port)
  // The kernel ends it when the process that started it is gone, also where that was killed.
  const bound = lasting ? [] : ['setpriv', '--pdeathsig', 'KILL', '--']
  const [program = '', ...args] = [...bound, 'qemu-system-x86_64', ...machine(image, { directory, root, port, memory })]
  return { argv: [program, ...args], env: { PATH: process.env['PATH'] } }
}

async function writeAccess(image: GuestImage, directory: string, port: number): Promise<void> {
  const [identity, hostKey] = await Promise.all([readFile(image.identity), readFile(image.hostKey, 'utf8')])
  await writeFile(join(directory, 'identity'), identity, { mode: 0o600 })
  await writeFile(join(directory, 'host-key.pub'), hostKey)
  await writeFile(join(directory, 'known_hosts'), `[127.0.0.1]:${port} ${hostKey}`)
  await writeFile(
    join(directory, 'ssh_config'),
    `Host node
  HostName 127.0.0.1
  Port ${port}
  User root
  IdentityFile "${join(directory, 'identity')}"
  IdentitiesOnly yes
  UserKnownHostsFile "${join(directory, 'known_hosts')}"
  StrictHostKeyChecking yes
`,
  )
}

interface Machine {
  readonly directory: string
  readonly root: string
  readonly port: number
  readonly memory: number
}

function machine(image: GuestImage, { directory, root, port, memory }: Machine): readonly string[] {
  const kernelArguments = [
    ...['net.ifnames=0', 'console=ttyS0', 'quiet', 'systemd.show_status=false'],
    // An emulated processor has nothing to be protected from.
    ...['mitigations=off', 'random.trust_cpu=on', 'audit=0'],
    // Its own counter is measured at boot, wrongly so when the machine below is busy: the guest's time would run several times too fast, and its deadlines with it.
    ...['no_timer_check', 'clocksource=hpet', 'tsc=unstable'],
  ]
  return [
    ...['-accel', 'tcg,thread=multi', '-machine', 'pc', '-cpu', 'qemu64,+rdrand', '-smp', '1', '-m', `${memory}`],
    ...['-nodefaults', '-display', 'none', '-serial', `file:${join(directory, 'console')}`],
    ...['-qmp', `unix:${join(directory, 'qmp')},server=on,wait=off`],
    ...['-kernel', image.kernel, '-initrd', image.initialFiles, '-append', kernelArguments.join(' ')],
    ...['-device', 'virtio-rng-pci'],
    // The guest reaches nothing; it is reached at one port.
    ...[
      '-netdev',
      `user,id=net0,restrict=on,hostfwd=tcp:127.0.0.1:${port}-:22`,
      '-device',
      'virtio-net-pci,netdev=net0',
    ],
    ...[
      '-blockdev',
      json({ driver: 'qcow2', 'node-name': 'root', discard: 'unmap', file: { driver: 'file', filename: root } }),
    ],
    ...['-device', `virtio-blk-pci,drive=root,id=${deviceOf('root')},serial=${rootSerial}`],
    ...['-device', 'virtio-scsi-pci,id=scsi0', '-device', 'virtio-scsi-pci,id=scsi1,param_change=off'],
  ]
}

function json(value: object): string {
  return JSON.stringify(value)
}
