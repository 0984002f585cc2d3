import { VolumeExpansionError } from '../errors.ts'
import type { FilesystemResizer, FilesystemState } from '../filesystems/filesystem.ts'
import type { Finding } from '../findings.ts'
import type { DeviceSnapshot, StorageSnapshot } from '../hosts/host.ts'
import type { LayerKind } from '../where.ts'
import type { Layer, LayerState } from './layer.ts'
import { type Content, contentFindings, identify, partOf } from './signatures.ts'

/** A layer that was found on a device, with what measures and grows it. */
export interface StackedLayer {
  readonly layer: Layer
  readonly device: DeviceSnapshot
  readonly state: LayerState
}

/** The filesystem on top of the layers. */
export interface StackedFilesystem {
  readonly resizer: FilesystemResizer
  readonly device: DeviceSnapshot
  readonly measured: FilesystemState
  readonly state: LayerState
}

/** What stands on a host between a volume and its users, measured. */
export interface Stack {
  /** From below to above. */
  readonly layers: readonly StackedLayer[]
  /** Left out when there is none that can be grown; then a finding says why. */
  readonly filesystem?: StackedFilesystem
  readonly findings: readonly Finding[]
}

export interface Recognisers {
  readonly layers: readonly Layer[]
  readonly resizers: readonly FilesystemResizer[]
  /** Those of the resizers that know more than this library: they are asked also about content that it cannot name, or names and does not handle. */
  readonly knowing?: readonly FilesystemResizer[]
}

/**
 * Builds the stack below and on the device with the id `top`. Pure.
 *
 * @param stuck why the way up went no further: then there is no filesystem to speak of
 */
export function stackOf(
  snapshot: StorageSnapshot,
  top: string,
  host: string,
  recognisers: Recognisers,
  stuck: readonly Finding[] = [],
): Stack {
  const layers: StackedLayer[] = []
  const findings: Finding[] = [...stuck]
  for (const device of fromBelow(snapshot, top)) {
    const layer = recognisers.layers.find((candidate) => candidate.detect(device, snapshot))
    if (layer === undefined) {
      findings.push({
        code: 'unhandled-content',
        severity: 'blocker',
        layer: 'device',
        message: `${device.path} is ${kindOf(device)}, which is not handled.`,
        remedy: 'Grow what is below the filesystem with the tools of that layer, then run this again.',
      })
      continue
    }
    const below = layers.filter((entry) => device.below.includes(entry.device.id)).map(({ state }) => state.id)
    layers.push({ layer, device, state: { ...layer.measure(device, snapshot), host, below } })
  }
  findings.push(...layers.flatMap(({ layer, device }) => contradictions(layer.kind, device, snapshot)))
  if (stuck.length > 0) return { layers, findings }
  const device = snapshot.devices.find(({ id }) => id === top)
  if (device === undefined) return { layers, findings }
  const content = identify(device)
  const knowing = mayBeForeign(content, device)
    ? recognisers.knowing?.find((candidate) => candidate.detect(device))
    : undefined
  const held = knowing === undefined ? contentFindings(device, content) : []
  if (held.length > 0) return { layers, findings: [...findings, ...usedRaw(device), ...held] }
  const resizer = knowing ?? recognisers.resizers.find((candidate) => candidate.detect(device))
  if (resizer === undefined) return { layers, findings: [...findings, ...contentFindings(device, { kind: 'unknown' })] }
  const below = layers.filter((layer) => layer.device === device).map(({ state }) => state.id)
  const filesystem = measured(resizer, device, snapshot, host, below)
  return 'code' in filesystem ? { layers, findings: [...findings, filesystem] } : { layers, filesystem, findings }
}

/** A member of a RAID is never a filesystem, whatever its start looks like, and neither are active swap space and what something else holds. */
function mayBeForeign(content: Content, device: DeviceSnapshot): boolean {
  if (device.holders.length > 0 || device.users?.swap === true) return false
  return content.kind === 'unknown' || (content.kind === 'unhandled' && partOf(device) === undefined)
}

/** Layers whose mark is in what is below them. A RAID's metadata behind a partition table says that something else owns the disk as well. */
const marked: ReadonlySet<LayerKind> = new Set<LayerKind>(['partition', 'luks', 'lvm'])

function contradictions(kind: LayerKind, device: DeviceSnapshot, snapshot: StorageSnapshot): readonly Finding[] {
  if (!marked.has(kind)) return []
  return device.below.flatMap((id) => {
    const below = snapshot.devices.find((candidate) => candidate.id === id)
    // Hidden volumes are below those of LVM that are no plain ones; their layer says what that means.
    if (below === undefined || (kind === 'lvm' && below.attributes['dm/uuid']?.startsWith('LVM-') === true)) return []
    const content = identify(below)
    return content.kind === 'unhandled' || content.kind === 'ambiguous' ? contentFindings(below, content) : []
  })
}

/** Names a device that no layer knows. */
function kindOf({ name, attributes }: DeviceSnapshot): string {
  const level = attributes['md/level']?.trim()
  if (level !== undefined) return `a Linux RAID (md, ${level})`
  if (name.startsWith('drbd')) return 'a DRBD device'
  if (name.startsWith('bcache')) return 'a bcache device'
  if (/^zd\d/.test(name)) return 'a ZFS volume'
  const uuid = attributes['dm/uuid']
  if (uuid !== undefined || attributes['dm/name'] !== undefined) {
    return `a mapping of device-mapper (${attributes['dm/name'] ?? name}${uuid === undefined || uuid === '' ? '' : `, ${uuid}`})`
  }
  return `a kind of device (${name})`
}

/** Swap, and whatever has a device without a filesystem: databases, virtual machines. */
function usedRaw({ path, users }: DeviceSnapshot): readonly Finding[] {
  const blocked = (message: string, remedy: string): readonly Finding[] => [
    { code: 'unhandled-content', severity: 'blocker', layer: 'device', message, remedy },
  ]
  if (users?.swap === true) {
    return blocked(`${path} is active swap space.`, 'Swap is made anew, not grown: swapoff, mkswap, swapon.')
  }
  const writers = (users?.openers ?? []).filter(({ writable }) => writable)
  if (writers.length === 0) return []
  const names = writers.map(({ pid, command }) => `${command} (pid ${pid})`).join(', ')
  return blocked(
    `${path} is used as it is, without a filesystem, by ${names}.`,
    'Grow what that program keeps on it with its own means.',
  )
}

function measured(
  resizer: FilesystemResizer,
  device: DeviceSnapshot,
  snapshot: StorageSnapshot,
  host: string,
  below: readonly string[],
): StackedFilesystem | Finding {
  try {
    const state = resizer.measure(device, snapshot)
    return { resizer, device, measured: state, state: filesystemLayer(state, device, host, below) }
  } catch (error) {
    // A damaged filesystem is a finding like any other: the rest of the plan is still worth reading.
    if (!(error instanceof VolumeExpansionError) || error.code !== 'filesystem-damaged') throw error
    const { message, remedy } = error
    return {
      code: error.code,
      severity: 'blocker',
      layer: 'filesystem',
      message,
      ...(remedy === undefined ? {} : { remedy }),
    }
  }
}

function filesystemLayer(
  state: FilesystemState,
  device: DeviceSnapshot,
  host: string,
  below: readonly string[],
): LayerState {
  const [mountPoint] = state.mountPoints
  return {
    id: `filesystem:${device.id}`,
    kind: 'filesystem',
    label: `${state.type} on ${mountPoint ?? device.path}`,
    host,
    size: state.size,
    below,
    identity: { type: state.type, uuid: state.uuid },
    facts: state.facts,
  }
}

function fromBelow(snapshot: StorageSnapshot, top: string): readonly DeviceSnapshot[] {
  const ordered: DeviceSnapshot[] = []
  const visit = (id: string): void => {
    const device = snapshot.devices.find((candidate) => candidate.id === id)
    if (device === undefined || ordered.includes(device)) return
    for (const below of device.below) visit(below)
    ordered.push(device)
  }
  visit(top)
  return ordered
}
