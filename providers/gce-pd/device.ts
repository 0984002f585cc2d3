import { VolumeExpansionError } from '../../src/errors.ts'
import type { VolumeState } from '../../src/expander.ts'
import type { DeviceHints } from '../../src/hints.ts'
import { providerName } from './errors.ts'
import type { Attachment } from './native.ts'
import { type DiskName, whatIs } from './refs.ts'

/** A disk's state, with how its instances have it. */
export interface GcePdState extends VolumeState {
  /** Left out: it was not allowed to look. Empty: no instance has it. */
  readonly attachments?: readonly Attachment[]
}

/**
 * How a guest recognises the disk. What a guest sees is the device name of the attachment, not the disk's name:
 *
 * - SCSI: the disk shows it as its serial number, and udev's links end in it. The links alone are not believed: after disks were detached and attached again they
 *   have been seen to lead to another one (kubernetes#66832, gcp-compute-persistent-disk-csi-driver#2403).
 * - NVMe: every persistent disk has the one serial number `nvme_card-pd`, and the device name stands in the vendor's part of Identify Namespace, from which
 *   Google's udev rules (google_nvme_id of guest-configs) make the link `google-NAME`: the link and that number together are the hint. It is the weaker of the two;
 *   a device that does not grow with the disk, or that is larger than it, is refused later on.
 *
 * @throws {VolumeExpansionError} `permission-denied` or `ambiguous`, when the device name is not known
 */
export function hintsOf(name: DiskName, state: VolumeState): DeviceHints {
  const { attachments } = state as GcePdState
  if (name.deviceName !== undefined) return namedHints(name.deviceName, name.interface ?? 'SCSI')
  if (attachments === undefined) throw notAllowed(name)
  const [first, ...others] = attachments
  // No instance has it, so that no device may be taken for it: names alone never lead to one.
  if (first === undefined) return { byId: linksOf(name.disk) }
  if (others.some((other) => other.deviceName !== first.deviceName || other.interface !== first.interface))
    throw unclear(name, attachments)
  return namedHints(first.deviceName, first.interface)
}

/** https://cloud.google.com/compute/docs/disks/disk-symlinks */
function linksOf(deviceName: string): readonly string[] {
  return [`google-${deviceName}`, `scsi-0Google_PersistentDisk_${deviceName}`]
}

function namedHints(deviceName: string, bus: string): DeviceHints {
  if (bus !== 'NVME') return { serial: deviceName, byId: linksOf(deviceName) }
  return { serial: 'nvme_card-pd', path: `/dev/disk/by-id/google-${deviceName}` }
}

function notAllowed(name: DiskName): VolumeExpansionError {
  return new VolumeExpansionError(
    'permission-denied',
    `The instances that have ${whatIs(name)} could not be looked at, so that it is not known which device it is.`,
    {
      ...{ layer: 'volume', provider: providerName, outcome: 'unchanged' },
      remedy:
        'Grant compute.instances.get and compute.instances.list to the caller, or say the device name: { zone, disk, deviceName }.',
    },
  )
}

function unclear(name: DiskName, attachments: readonly Attachment[]): VolumeExpansionError {
  const names = attachments.map(({ instance, deviceName }) => `${instance} as ${deviceName}`).join(', ')
  return new VolumeExpansionError(
    'ambiguous',
    `Several instances have ${whatIs(name)} under different device names: ${names}.`,
    {
      ...{ layer: 'volume', provider: providerName, outcome: 'unchanged' },
      remedy: 'Say the device name that the host of the request has: { zone, disk, deviceName, interface }.',
    },
  )
}
