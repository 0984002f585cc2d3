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
      readonly capability: { readonly name: string; readonly bit: bigint }
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
  expect: ({ name, attributes }) =>
    ['loop/backing_file', 'loop/offset', 'loop/sizelimit'].flatMap((attribute) => {
      const equals = attributes[attribute]?.trim()
      return equals === undefined
        ? []
        : [{ expect: { read: 'file', path: `/sys/class/block/${name}/${attribute}` }, equals }]
    }),
}

/** Devices of a kind that is not in the table: the kernel learns of their new size by itself, or not at all. */
const other: Transport = {
  name: 'other',
  detect: () => true,
  capacity: (_device, volume) => wholeSectors(volume),
  refresh: () => ({ by: 'waiting' }),
}

/** The first that fits counts. */
const transports: readonly Transport[] = [image, loop, other]

export function transportOf(device: DeviceSnapshot): Transport {
  return transports.find((transport) => transport.detect(device)) ?? other
}
