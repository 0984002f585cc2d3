import type { Finding, FindingCode } from '../findings.ts'
import type { DeviceSnapshot, ExpectItem, StorageSnapshot } from '../hosts/host.ts'
import { type Bytes, formatSize } from '../size.ts'
import type { LayerKind } from '../where.ts'
import type { Growth, GrowthContext } from './layer.ts'

/** What layers that device-mapper carries have in common. */

/** The name by which tools know a mapping; device-mapper's own spelling, with `\x20` for a space. */
export function nameOf({ attributes, name }: DeviceSnapshot): string {
  return attributes['dm/name'] ?? name
}

export function uuidOf({ attributes }: DeviceSnapshot): string {
  return attributes['dm/uuid'] ?? ''
}

/** The devices directly below, as far as the snapshot shows them. */
export function directlyBelow({ below }: DeviceSnapshot, { devices }: StorageSnapshot): readonly DeviceSnapshot[] {
  return below.flatMap((id) => devices.filter((candidate) => candidate.id === id))
}

/** Bytes that a device directly below will have; undefined when only the sum is known, and that says nothing of this one. */
export function availableOf(
  device: DeviceSnapshot,
  siblings: readonly DeviceSnapshot[],
  { available, below }: GrowthContext,
): Bytes | undefined {
  const known = below?.get(device.id)
  if (known !== undefined) return known
  if (siblings.length === 1) return available
  const sum = siblings.reduce((total, { size }) => total + size, 0n)
  return available === sum ? device.size : undefined
}

/** That the mapping's number and name still lead to what was looked at. */
export function mappingExpectations(device: DeviceSnapshot): readonly ExpectItem[] {
  return ['dm/uuid', 'dm/name'].flatMap((attribute): readonly ExpectItem[] => {
    const equals = device.attributes[attribute]
    if (equals === undefined || equals === '') return []
    return [{ expect: { read: 'file', path: `/sys/dev/block/${device.id}/${attribute}` }, equals }]
  })
}

/** Nothing is done; with blockers, nothing may be. */
export function standing(size: Bytes, findings: readonly Finding[] = []): Growth {
  return { after: size, findings, expect: [], commands: [], tools: [] }
}

/** Writes findings of one layer on one device. */
export function blockerOf(
  kind: LayerKind,
  target: string,
): (code: FindingCode, message: string, remedy: string) => Finding {
  return (code, message, remedy) => ({ code, severity: 'blocker', layer: kind, target, message, remedy })
}

/** A mapping that lets nothing through: a tool was interrupted between its two steps, or someone has stopped it on purpose. */
export function suspended(device: DeviceSnapshot, blocker: ReturnType<typeof blockerOf>): readonly Finding[] {
  if (device.attributes['dm/suspended']?.trim() !== '1') return []
  return [
    blocker(
      'wrong-state',
      `${nameOf(device)} is suspended: everything that reads or writes it waits.`,
      `Find out who suspended it. When nobody is at work there any more: dmsetup resume ${nameOf(device)}.`,
    ),
  ]
}

/** The end is missing: what is below has, or will have, less than the layer already uses. */
export function truncated(
  device: DeviceSnapshot,
  needed: bigint,
  available: bigint,
  blocker: ReturnType<typeof blockerOf>,
): Finding {
  return blocker(
    'identity-mismatch',
    `${nameOf(device)} uses ${formatSize(needed)} (${needed} bytes) of what is below it, which has ${formatSize(available)} (${available} bytes): it is another disk, or it was made smaller.`,
    'Find out what became of the disk before anything is written to it.',
  )
}
