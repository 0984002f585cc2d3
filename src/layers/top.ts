import type { Finding, FindingCode } from '../findings.ts'
import type { DeviceSnapshot, StorageSnapshot } from '../hosts/host.ts'
import type { LayerKind } from '../where.ts'
import { readLabel } from './lvm/label.ts'
import { LvmReportError, readLvmReport, type VolumeGroup } from './lvm/report.ts'
import { identify } from './signatures.ts'

/** What of a snapshot says which device is the top. */
export interface Standing extends Pick<StorageSnapshot, 'devices'> {
  readonly lvm?: StorageSnapshot['lvm'] | undefined
}

/** Where a way up ended: at the device that has the filesystem, or with the reason why it goes no further. */
export interface Top {
  readonly id: string
  readonly findings: readonly Finding[]
}

/** One step up: to the device there, or not: then without findings it is the top, and with them it cannot be told. */
export type Ascent = { readonly to: string } | { readonly findings: readonly Finding[] }

/**
 * Goes from a device up to the one that has the filesystem, as long as there is exactly one way: of a partition table the last partition by its place, which alone can
 * become larger; of LUKS its open mapping; of a physical volume the one logical volume of its group. Pure.
 */
export function topOf(standing: Standing, start: string): Top {
  const visited = new Set<string>()
  for (let id = start; ; ) {
    const device = standing.devices.find((candidate) => candidate.id === id)
    visited.add(id)
    const ascent = device === undefined ? { findings: [] } : ascend(standing, device)
    if (!('to' in ascent)) return { id, findings: ascent.findings }
    if (visited.has(ascent.to)) return { id, findings: [] }
    id = ascent.to
  }
}

/** The map that all of these paths lead to; undefined when they are not paths of one. */
export function mapOf(standing: Standing, paths: readonly string[]): string | undefined {
  const maps = standing.devices.filter((device) => isMap(device) && paths.every((id) => device.below.includes(id)))
  const [map, ...others] = maps
  return others.length === 0 ? map?.id : undefined
}

/** One step up from a device, see {@link topOf}. */
export function ascend(standing: Standing, device: DeviceSnapshot): Ascent {
  const above = standing.devices.filter(({ below }) => below.includes(device.id))
  const [map] = above.filter(isMap)
  // A path of a multipath map shows what the map holds.
  if (map !== undefined) return { to: map.id }
  if (device.mounts.length > 0) return top
  const content = identify(device)
  if (content.kind !== 'layer') return top
  const { name } = content
  switch (name) {
    case 'partition-table':
      return lastPartition(device, above)
    case 'luks':
      return openMapping(device, above)
    case 'lvm':
      return logicalVolume(device, standing)
    default:
      return name satisfies never
  }
}

const top: Ascent = { findings: [] }

function isMap({ attributes }: DeviceSnapshot): boolean {
  return attributes['dm/uuid']?.startsWith('mpath-') === true
}

function stuck(layer: LayerKind, code: FindingCode, message: string, remedy: string): Ascent {
  return { findings: [{ code, severity: 'blocker', layer, message, remedy }] }
}

function lastPartition(disk: DeviceSnapshot, above: readonly DeviceSnapshot[]): Ascent {
  const startOf = ({ attributes }: DeviceSnapshot): bigint => BigInt(attributes['start']?.trim() ?? '0')
  const partitions = above.filter(({ attributes }) => attributes['partition'] !== undefined)
  // The kernel shows an extended partition before those in it.
  const [last] = partitions.sort((a, b) => (startOf(a) > startOf(b) ? -1 : 1))
  if (last !== undefined) return { to: last.id }
  return stuck(
    'partition',
    'layer-inactive',
    `${disk.path} holds a partition table, and the kernel shows no partition of it.`,
    disk.kind === 'image' || disk.name.startsWith('loop')
      ? 'Attach the image with losetup --partscan, so that the kernel reads the table.'
      : 'Let the kernel read the table (partx --add), or make a partition first.',
  )
}

function openMapping(device: DeviceSnapshot, above: readonly DeviceSnapshot[]): Ascent {
  const [mapping] = above.filter(({ attributes }) => attributes['dm/uuid']?.startsWith('CRYPT-') === true)
  if (mapping !== undefined) return { to: mapping.id }
  return stuck(
    'luks',
    'layer-inactive',
    `${device.path} holds LUKS, which is not open.`,
    'Open it first (cryptsetup open), and mount what is in it.',
  )
}

function logicalVolume(device: DeviceSnapshot, standing: Standing): Ascent {
  const group = groupOf(device, standing)
  if (typeof group === 'string') {
    return stuck('lvm', 'layer-inactive', `${device.path} is a physical volume of LVM, and ${group}.`, lvmRemedy)
  }
  // A pool only lends its room to thin volumes.
  const volumes = group.logical.filter(({ attributes }) => !attributes.startsWith('t'))
  const [only, ...others] = volumes
  if (only === undefined) {
    return stuck(
      'lvm',
      'no-filesystem',
      `The volume group ${group.name} on ${device.path} has no logical volume.`,
      'Make one, with a filesystem on it, first.',
    )
  }
  if (others.length > 0) {
    const names = volumes.map(({ name }) => name).join(', ')
    return stuck(
      'lvm',
      'ambiguous',
      `The volume group ${group.name} on ${device.path} has ${volumes.length} logical volumes: ${names}.`,
      'Say which one is meant with `path` or `device`.',
    )
  }
  const uuid = `LVM-${group.uuid}${only.uuid}`
  const active = standing.devices.find(({ attributes }) => attributes['dm/uuid'] === uuid)
  if (active !== undefined) return { to: active.id }
  return stuck(
    'lvm',
    'layer-inactive',
    `The logical volume ${group.name}/${only.name} on ${device.path} is not active.`,
    `Activate it first (vgchange --activate y ${group.name}), and mount what is on it.`,
  )
}

const lvmRemedy =
  'Look at it with pvs and vgs, and name the mount point with `path` or the logical volume with `device`.'

/** The group that a physical volume is of, by the UUID in its label: names of devices may be any that LVM prefers. */
function groupOf(device: DeviceSnapshot, { lvm }: Standing): VolumeGroup | string {
  if (lvm === undefined) return 'LVM was not asked about it'
  if (!lvm.ok) return `LVM says nothing of it: ${lvm.message}`
  const label = readLabel(device)
  const own = label === undefined ? undefined : new TextDecoder('latin1').decode(label.uuid.bytes)
  try {
    const { groups } = readLvmReport(lvm.value)
    return groups.find(({ physical }) => physical.some(({ uuid }) => uuid === own)) ?? 'it belongs to no volume group'
  } catch (error) {
    if (error instanceof LvmReportError) return `what LVM says of it cannot be understood: ${error.message}`
    throw error
  }
}
