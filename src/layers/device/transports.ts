import type { DeviceSnapshot, ExecItem, ExpectItem } from '../../hosts/host.ts'
import type { ToolNeed } from '../layer.ts'

/** How a device's capacity is brought up to date once its volume has grown: by a command, or by waiting for the kernel. */
export type Refresh =
  | { readonly by: 'nothing' }
  | { readonly by: 'waiting' }
  | {
      readonly by: 'command'
      readonly command: ExecItem
      readonly tools: readonly ToolNeed[]
      readonly summary: string
      /** Number of the Linux capability without which the command fails (linux/capability.h). */
      readonly capability: { readonly name: string; readonly bit: bigint; readonly orRoot?: boolean }
      /** Whether it only asks again, and the volume's backend may not have told everybody yet: then it is repeated until the size shows. */
      readonly repeats?: boolean
    }

/** Devices that reach their volume in the same way. */
export interface Transport {
  readonly name: string
  detect(device: DeviceSnapshot): boolean
  /** Bytes that the device will show of a volume of `volume` bytes. */
  capacity(device: DeviceSnapshot, volume: bigint): bigint
  /** Bytes that the device can show at the most, when it was set up with a bound. */
  bound?(device: DeviceSnapshot): bigint | undefined
  refresh(device: DeviceSnapshot): Refresh
  /** Files that say that it still is the same device, besides its diskseq. */
  expect?(device: DeviceSnapshot): readonly ExpectItem[]
}

/** The kernel counts the size of every block device in sectors of 512 bytes. */
const sector = 512n

function wholeSectors(bytes: bigint): bigint {
  return bytes < 0n ? 0n : (bytes / sector) * sector
}

/** A sysfs attribute that counts bytes; 0 where it is missing, as for a loop device without an offset. */
function count(device: DeviceSnapshot, attribute: string): bigint {
  const text = device.attributes[attribute]?.trim() ?? ''
  return /^\d+$/.test(text) ? BigInt(text) : 0n
}

/** That the attributes which the device had are what they were. */
function unchanged({ name, attributes }: DeviceSnapshot, names: readonly string[]): readonly ExpectItem[] {
  return names.flatMap((attribute): readonly ExpectItem[] => {
    const equals = attributes[attribute]?.trim()
    return equals === undefined
      ? []
      : [{ expect: { read: 'file', path: `/sys/class/block/${name}/${attribute}` }, equals }]
  })
}

const image: Transport = {
  name: 'image',
  detect: ({ kind }) => kind === 'image',
  capacity: (_device, volume) => volume,
  // The file is the volume.
  refresh: () => ({ by: 'nothing' }),
}

const loop: Transport = {
  name: 'loop',
  detect: ({ kind, attributes }) => kind === 'block' && attributes['loop/backing_file'] !== undefined,
  capacity: (device, volume) => wholeSectors(volume - count(device, 'loop/offset')),
  bound(device) {
    const limit = count(device, 'loop/sizelimit')
    return limit === 0n ? undefined : wholeSectors(limit)
  },
  refresh: ({ path }) => ({
    by: 'command',
    // It takes milliseconds, writes nothing to the disk and does the same however often it is run: neither detached, nor under the disk's lock, which
    // a tool that a dead run left behind may hold for hours.
    command: { exec: ['losetup', '--set-capacity', path] },
    tools: [{ name: 'losetup', packages: 'mount (Debian), util-linux (RPM)' }],
    summary: `losetup --set-capacity ${path}`,
    // losetup opens the device read-only, and the kernel then asks for this capability, whoever may write the device.
    capability: { name: 'CAP_SYS_ADMIN', bit: 21n },
  }),
  expect: (device) => unchanged(device, ['loop/backing_file', 'loop/offset', 'loop/sizelimit']),
}

/** Files in sysfs that take a 1, and whoever owns them may write it: root does. */
const sysfsTools: readonly ToolNeed[] = [{ name: 'sh', packages: 'dash or bash' }]
const sysfsRight = { name: 'CAP_DAC_OVERRIDE', bit: 1n, orRoot: true } as const

const writeOne = [
  'status=1',
  // Patterns that fit nothing stay as they are.
  'for file; do [ -e "$file" ] || continue; echo 1 > "$file" && status=0 || exit 1; done',
  '[ "$status" = 0 ] || echo "there is nothing to ask: $*" >&2',
  'exit "$status"',
].join('\n')

const writeOneToControllers = `set -- "$1"/rescan_controller "$1"/nvme*/rescan_controller\n${writeOne}`

function asked(script: string, path: string, summary: string): Refresh {
  return {
    by: 'command',
    // Writes nothing to the disk and does the same however often it is run, so that it is neither detached nor locked.
    command: { exec: ['sh', '-c', script, 'sh', path] },
    tools: sysfsTools,
    summary,
    capability: sysfsRight,
    repeats: true,
  }
}

/**
 * Disks of the SCSI layer: SAS, SATA, USB, Fibre Channel, iSCSI, virtio-scsi. Rescanning the one device reads its capacity anew (drivers/scsi/scsi_sysfs.c), which is also
 * what a rescan of a whole iSCSI session does to the disks that it knows already.
 */
const scsi: Transport = {
  name: 'scsi',
  detect: ({ kind, name }) => kind === 'block' && /^sd[a-z]+$/.test(name),
  capacity: (_device, volume) => wholeSectors(volume),
  refresh: ({ name, path }) => asked(writeOne, `/sys/class/block/${name}/device/rescan`, `rescan ${path}`),
}

/**
 * NVMe namespaces. What is below is the controller, or, where the kernel joins the paths to a namespace by itself, the subsystem with all of its controllers.
 */
const nvme: Transport = {
  name: 'nvme',
  detect: ({ kind, name }) => kind === 'block' && /^nvme\d+n\d+$/.test(name),
  capacity: (_device, volume) => wholeSectors(volume),
  refresh: ({ name, path }) =>
    asked(writeOneToControllers, `/sys/class/block/${name}/device`, `rescan the controllers of ${path}`),
}

/** Images that the kernel maps itself (krbd). A watch tells it of a new size; asking makes sure of that. */
const rbd: Transport = {
  name: 'rbd',
  detect: ({ kind, name }) => kind === 'block' && /^rbd\d+$/.test(name),
  capacity: (_device, volume) => wholeSectors(volume),
  refresh: ({ name, path }) =>
    asked(writeOne, `/sys/bus/rbd/devices/${name.slice('rbd'.length)}/refresh`, `refresh ${path}`),
  // The number of a mapping that was taken away is the next one's.
  expect: (device) => unchanged(device, ['device/cluster_fsid', 'device/pool', 'device/image_id']),
}

/** virtio-blk: the hypervisor raises a configuration change, and the kernel takes the new size. There is nothing to ask. */
const virtio: Transport = {
  name: 'virtio',
  detect: ({ kind, name }) => kind === 'block' && /^vd[a-z]+$/.test(name),
  capacity: (_device, volume) => wholeSectors(volume),
  refresh: () => ({ by: 'waiting' }),
}

/** Devices of a kind that is not in the table: the kernel learns of their new size by itself, or not at all. */
const other: Transport = {
  name: 'other',
  detect: () => true,
  capacity: (_device, volume) => wholeSectors(volume),
  refresh: () => ({ by: 'waiting' }),
}

/** The first that fits counts. */
const transports: readonly Transport[] = [image, loop, scsi, nvme, rbd, virtio, other]

export function transportOf(device: DeviceSnapshot): Transport {
  return transports.find((transport) => transport.detect(device)) ?? other
}
