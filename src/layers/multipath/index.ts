import { locksOf, writing } from '../../filesystems/prescription.ts'
import type { Finding } from '../../findings.ts'
import type { DeviceSnapshot, ExpectItem, StorageSnapshot } from '../../hosts/host.ts'
import { normalizeWwn } from '../../hosts/sysfs.ts'
import { type Bytes, bytes, formatSize } from '../../size.ts'
import type { Growth, GrowthContext, Layer, LayerState } from '../layer.ts'
import {
  blockerOf,
  directlyBelow,
  mappingExpectations,
  nameOf,
  standing,
  suspended,
  truncated,
  uuidOf,
} from '../mapped.ts'

type Blocker = ReturnType<typeof blockerOf>

/**
 * A map over several paths to one disk, by `multipathd resize map`. multipathd answers `ok` even while a path still shows the old size, so that every path is expected to
 * show the new one in the same round trip, and what the map has afterwards is measured. The paths themselves are devices of their own, looked at again before.
 */
export const multipath: Layer = {
  kind: 'multipath',
  detect: (device) => uuidOf(device).startsWith('mpath-'),

  measure(device, snapshot): LayerState {
    const paths = directlyBelow(device, snapshot)
    return {
      id: layerId(device),
      kind: 'multipath',
      label: `multipath ${nameOf(device)}`,
      size: device.size,
      below: device.below,
      identity: { mapping: uuidOf(device) },
      facts: { paths: paths.length, devices: paths.map(({ path }) => path).join(' ') },
    }
  },

  grow: (device, snapshot, context) => grow(device, snapshot, context),
}

function layerId({ id }: DeviceSnapshot): string {
  return `multipath:${id}`
}

function grow(device: DeviceSnapshot, snapshot: StorageSnapshot, context: GrowthContext): Growth {
  const { size } = device
  const blocker = blockerOf('multipath', layerId(device))
  const paths = directlyBelow(device, snapshot)
  const sizes = paths.map((path) => context.below?.get(path.id) ?? context.available)
  const least = [context.available, ...sizes].sort((a, b) => (a < b ? -1 : 1))[0] ?? context.available
  if (least < size) return standing(size, [truncated(device, size, least, blocker)])
  const after = bytes(least)
  if (after === size) return standing(size, strays(device, paths, sizes, blocker))
  const findings = [
    ...identityFindings(device, paths, blocker),
    ...pathFindings(device, paths, sizes, blocker),
    ...suspended(device, blocker),
  ]
  const tools = [
    { name: 'multipathd', packages: 'multipath-tools (Debian), device-mapper-multipath (RPM)' },
    { name: 'flock', packages: 'util-linux' },
  ]
  if (findings.length > 0) return { ...standing(size, findings), tools }
  const name = nameOf(device)
  return {
    after,
    findings: [],
    expect: [...mappingExpectations(device), ...paths.flatMap((path) => pathExpectations(path, after))],
    commands: [writing(['multipathd', 'resize', 'map', name], locksOf(device, snapshot))],
    tools,
    // The daemon may take a moment after its answer.
    settles: true,
    summary: `multipathd resize map ${name}, on ${paths.length} paths`,
  }
}

/** The same disk behind the same number, and already as large as the map is to become: a path that is stale would cut off what lies behind its end. */
function pathExpectations({ id, attributes }: DeviceSnapshot, after: Bytes): readonly ExpectItem[] {
  const at = `/sys/dev/block/${id}`
  const marks = ['diskseq', 'wwid', 'device/wwid'].flatMap((attribute): readonly ExpectItem[] => {
    const equals = attributes[attribute]?.trim()
    return equals === undefined || equals === ''
      ? []
      : [{ expect: { read: 'file', path: `${at}/${attribute}` }, equals }]
  })
  return [...marks, { expect: { read: 'file', path: `${at}/size` }, equals: `${after / 512n}` }]
}

function wwidOf({ attributes }: DeviceSnapshot): string | undefined {
  const text = (attributes['wwid'] ?? attributes['device/wwid'])?.trim()
  return text === undefined || text === '' ? undefined : text
}

function identityFindings(
  device: DeviceSnapshot,
  paths: readonly DeviceSnapshot[],
  blocker: Blocker,
): readonly Finding[] {
  if (paths.length === 0) {
    return [
      blocker(
        'identity-mismatch',
        `${nameOf(device)} has no path that could be seen.`,
        'Look at multipath -ll on the host, and bring its paths back.',
      ),
    ]
  }
  const names = paths.map(wwidOf)
  const different = new Set(names.filter((name) => name !== undefined))
  const [first] = different
  const fits = first === undefined || different.size > 1 || fitsMap(first, uuidOf(device))
  if (different.size <= 1 && fits) return []
  return [
    blocker(
      'identity-mismatch',
      `The paths of ${nameOf(device)} (${uuidOf(device)}) do not all lead to its disk: ${paths.map(({ path }, index) => `${path} is ${names[index] ?? 'unnamed'}`).join(', ')}.`,
      'Look at multipath -ll on the host. A LUN that was given another disk must be taken out of the map first.',
    ),
  ]
}

/** multipath-tools name a map after the disk: for SCSI by `3` (NAA) or `2` (EUI-64) and the digits. Other ways of naming it say nothing here. */
function fitsMap(wwid: string, uuid: string): boolean {
  const name = uuid.slice('mpath-'.length).toLowerCase()
  const prefix = wwid.startsWith('naa.') ? '3' : wwid.startsWith('eui.') ? '2' : undefined
  const comparable = prefix !== undefined && new RegExp(`^${prefix}[0-9a-f]{16,32}$`).test(name)
  return !comparable || name === `${prefix}${normalizeWwn(wwid)}`
}

function pathFindings(
  device: DeviceSnapshot,
  paths: readonly DeviceSnapshot[],
  sizes: readonly Bytes[],
  blocker: Blocker,
): readonly Finding[] {
  const dead = paths.filter(({ attributes }) => {
    const state = attributes['device/state']?.trim()
    return state !== undefined && !['', 'running', 'live'].includes(state)
  })
  if (dead.length > 0) {
    return [
      blocker(
        'wrong-state',
        `${dead.map(({ path, attributes }) => `${path} (${attributes['device/state']?.trim()})`).join(', ')} of ${nameOf(device)} cannot be looked at again, and would show the old size when it comes back.`,
        'Bring the path back, or take it out of the map, before it grows.',
      ),
    ]
  }
  return strays(device, paths, sizes, blocker)
}

/** Paths that will not have the same size. */
function strays(
  device: DeviceSnapshot,
  paths: readonly DeviceSnapshot[],
  sizes: readonly Bytes[],
  blocker: Blocker,
): readonly Finding[] {
  if (new Set(sizes).size <= 1) return []
  return [
    blocker(
      'identity-mismatch',
      `The paths of ${nameOf(device)} show, or will show, different sizes: ${paths.map(({ path }, index) => `${path} ${formatSize(sizes[index] ?? 0n)}`).join(', ')}.`,
      'Let the host look at every path again (rescan), and find out about the one that differs.',
    ),
  ]
}
