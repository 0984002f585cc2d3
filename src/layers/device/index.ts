import type { Finding, FindingCode } from '../../findings.ts'
import type { DeviceSnapshot, ExpectItem, StorageSnapshot } from '../../hosts/host.ts'
import { type Bytes, bytes, formatSize } from '../../size.ts'
import type { Growth, GrowthContext, Layer, LayerState } from '../layer.ts'
import { type Transport, transportOf } from './transports.ts'

/**
 * The device at the bottom of a stack, as a host has it: a disk, a loop device, or an image file. It follows its volume: growing it means that the
 * host looks at the volume's size again. Without a volume it is as large as it is.
 */
export const device: Layer = {
  kind: 'device',
  detect: (candidate) => candidate.below.length === 0 && !isMapped(candidate),
  measure: (candidate) => measure(candidate),
  grow: (candidate, snapshot, context) => grow(candidate, snapshot, context, transportOf(candidate)),
}

/** Devices that are made of others, even when sysfs does not show those: they are layers of their own. */
function isMapped({ name, attributes }: DeviceSnapshot): boolean {
  if (/^(?:dm-|md|drbd|bcache|zd)\d/.test(name)) return true
  return ['partition', 'dm/uuid', 'dm/name', 'md/level'].some((name) => attributes[name] !== undefined)
}

const serials = ['serial', 'wwid', 'device/serial', 'device/wwid'] as const
const identityAttributes = [
  'diskseq',
  ...serials,
  'loop/backing_file',
  // An RBD image in its cluster (Documentation/ABI/testing/sysfs-bus-rbd).
  'device/cluster_fsid',
  'device/image_id',
] as const

function measure(candidate: DeviceSnapshot): LayerState {
  const { id, path, size, readOnly, attributes } = candidate
  const marks = identityAttributes.flatMap((name) => {
    const value = attributes[name]?.trim()
    return value === undefined || value === '' ? [] : [[name, value] as const]
  })
  return {
    id: layerId(candidate),
    kind: 'device',
    label: path,
    size,
    below: [],
    identity: { device: id, ...Object.fromEntries(marks) },
    facts: { transport: transportOf(candidate).name, readOnly },
  }
}

function layerId({ id }: DeviceSnapshot): string {
  return `device:${id}`
}

function grow(
  candidate: DeviceSnapshot,
  { system }: StorageSnapshot,
  context: GrowthContext,
  transport: Transport,
): Growth {
  const { size } = candidate
  const nothing: Growth = { after: size, findings: [], expect: [], commands: [], tools: [] }
  const refused = (...findings: readonly Finding[]): Growth => ({ ...nothing, findings })
  // Without a volume, what is available is the device itself: there is nothing that it could follow.
  if (context.backendUsers === undefined) return nothing
  const target = transport.capacity(candidate, context.available)
  if (target < size) return refused(largerThanVolume(candidate, context.available))
  if (target === size) return nothing
  const bound = transport.bound?.(candidate)
  if (bound !== undefined && bound < target) return refused(bounded(candidate, target, bound))
  if (candidate.readOnly) return refused(readOnly(candidate))
  const after = bytes(target)
  const refresh = transport.refresh(candidate)
  switch (refresh.by) {
    case 'nothing':
      return { ...nothing, after }
    case 'waiting':
      return {
        ...nothing,
        after,
        settles: true,
        summary: `wait until ${candidate.path} shows ${formatSize(after)}`,
      }
    case 'command': {
      const { command, tools, summary, capability, repeats } = refresh
      const allowed =
        ((system.capabilities >> capability.bit) & 1n) === 1n || (capability.orRoot === true && system.uid === 0)
      const findings = allowed ? [] : [notAllowed(candidate, summary, capability.name)]
      const expect = expectations(candidate, transport)
      const waits = repeats === true ? { settles: true, repeats } : {}
      return { after, findings, expect, commands: [command], tools, summary, ...waits }
    }
    default:
      return refresh satisfies never
  }
}

/** That it still is the same disk. diskseq, since kernel 5.15, is another number for another disk; serial numbers tell them apart on older kernels, too. */
function expectations(candidate: DeviceSnapshot, transport: Transport): readonly ExpectItem[] {
  const directory = `/sys/class/block/${candidate.name}`
  const marks = [...serials, 'diskseq'].flatMap((attribute): readonly ExpectItem[] => {
    const equals = candidate.attributes[attribute]?.trim() ?? ''
    return equals === '' ? [] : [{ expect: { read: 'file', path: `${directory}/${attribute}` }, equals }]
  })
  const number: ExpectItem = { expect: { read: 'file', path: `${directory}/dev` }, equals: candidate.id }
  return [number, ...marks, ...(transport.expect?.(candidate) ?? [])]
}

function blocker(code: FindingCode, candidate: DeviceSnapshot, message: string, remedy: string): Finding {
  return { code, severity: 'blocker', layer: 'device', target: layerId(candidate), message, remedy }
}

function largerThanVolume(candidate: DeviceSnapshot, volume: Bytes): Finding {
  return blocker(
    'identity-mismatch',
    candidate,
    `${candidate.path} has ${formatSize(candidate.size)}, more than its volume with ${formatSize(volume)}: it is another disk, or the volume was made smaller under it.`,
    'Find out which volume the device belongs to before anything is written to it.',
  )
}

function bounded(candidate: DeviceSnapshot, target: bigint, bound: bigint): Finding {
  return blocker(
    'limit-exceeded',
    candidate,
    `${candidate.path} was set up to show ${formatSize(bound)} at the most, and would have to show ${formatSize(target)}.`,
    'Set it up again without a size limit (losetup --sizelimit).',
  )
}

function readOnly(candidate: DeviceSnapshot): Finding {
  return blocker(
    'read-only',
    candidate,
    `${candidate.path} is read-only: nothing on it could be grown.`,
    'Set the device up for reading and writing first.',
  )
}

function notAllowed(candidate: DeviceSnapshot, what: string, capability: string): Finding {
  return blocker(
    'permission-denied',
    candidate,
    `${what} needs ${capability}, which the user of the host does not have.`,
    `Run it as root or with ${capability}, or let somebody who may do it.`,
  )
}
