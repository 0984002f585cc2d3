import { hex } from '../../filesystems/fields.ts'
import { capability, isCapable, locksOf, writing } from '../../filesystems/prescription.ts'
import type { Finding, FindingCode, Severity } from '../../findings.ts'
import type { DeviceSnapshot, ExpectItem, StorageSnapshot } from '../../hosts/host.ts'
import { type Bytes, formatSize } from '../../size.ts'
import type { Growth, GrowthContext, Layer, LayerState } from '../layer.ts'
import type { PartitionTable, TableEntry } from './entries.ts'
import { partitionGrowth, partitionTools, type Resize } from './script.ts'
import { tableOf } from './table.ts'

/**
 * A partition of a GPT or an MBR. It fills its disk when it is the last one by its place, whatever its number; a logical one together with the extended one around it.
 * The kernel is told while the partition is in use. What is measured is the smaller one of what the table and the kernel say, so that a growth that stopped between
 * the two is finished by the next one.
 */
export const partition: Layer = {
  kind: 'partition',
  detect: (device) => device.kind === 'block' && device.attributes['partition'] !== undefined,
  granularity(device, snapshot) {
    const { table } = lookAt(device, snapshot)
    return (typeof table === 'string' ? pageSize : unitOf(table)) as Bytes
  },
  measure: (device, snapshot) => measure(lookAt(device, snapshot)),
  grow: (device, snapshot, context) => grow(lookAt(device, snapshot), snapshot, context),
}

/** The kernel counts in units of 512 bytes, whatever the sectors of the disk are. */
const kernelUnit = 512n
/** Where partitions end by the habit of all tools of today; encryption, for one, cannot use less than whole 4 KiB. */
const grain = 1024n * 1024n
const pageSize = 4096n

/** A partition as the kernel and the table have it; all in bytes. */
interface Seen {
  readonly device: DeviceSnapshot
  readonly number: number
  readonly start: bigint
  readonly disk: DeviceSnapshot | undefined
  readonly table: PartitionTable | string
  readonly entry: TableEntry | undefined
  readonly size: Bytes
}

function lookAt(device: DeviceSnapshot, snapshot: StorageSnapshot): Seen {
  const number = Number(device.attributes['partition']?.trim())
  const start = kernelSectors(device.attributes['start']) * kernelUnit
  const disk = snapshot.devices.find(({ id }) => device.below.includes(id))
  const table = disk === undefined ? 'its disk could not be looked at' : tableOf(disk)
  if (typeof table === 'string') return { device, number, start, disk, table, entry: undefined, size: device.size }
  const entry = table.entries.find((candidate) => candidate.number === number)
  const isSame = entry !== undefined && entry.start * table.sector === start && entry.end > entry.start
  const inTable = isSame ? lengthOf(entry, table) : undefined
  const size = inTable === undefined || inTable > device.size ? device.size : (inTable as Bytes)
  return { device, number, start, disk, table, entry, size }
}

function lengthOf({ start, end }: TableEntry, { sector }: PartitionTable): bigint {
  return (end - start) * sector
}

function kernelSectors(text: string | undefined): bigint {
  return /^\d+$/.test(text?.trim() ?? '') ? BigInt(text?.trim() ?? 0) : 0n
}

function measure({ device, number, start, disk, table, entry, size }: Seen): LayerState {
  return {
    id: layerId(device),
    kind: 'partition',
    label: device.path,
    size,
    below: [],
    identity: {
      device: device.id,
      number: `${number}`,
      start: `${start}`,
      ...(entry?.uuid === undefined ? {} : { uuid: entry.uuid }),
    },
    facts: {
      number,
      table: typeof table === 'string' ? 'unknown' : table.kind,
      disk: disk?.path ?? 'unknown',
      ...(entry === undefined ? {} : { role: entry.role }),
    },
  }
}

function layerId({ id }: DeviceSnapshot): string {
  return `partition:${id}`
}

function grow(seen: Seen, snapshot: StorageSnapshot, context: GrowthContext): Growth {
  const { device, disk, table, entry, start, size } = seen
  const nothing: Growth = { after: size, findings: [], expect: [], commands: [], tools: [] }
  const found = (...findings: readonly Finding[]): Growth => ({ ...nothing, findings })
  const { available } = context
  if (start + device.size > available) return found(endsBeyond(seen, available))
  if (disk === undefined || typeof table === 'string' || entry === undefined || entry.start * table.sector !== start) {
    const reason = typeof table === 'string' ? table : 'it does not have this partition where the kernel shows it'
    return hasRoom(seen, context) ? found(damaged(seen, [reason])) : nothing
  }
  // The kernel cuts a partition off where its disk ends; one that the table ends behind it is not to be believed.
  if (entry.end * table.sector > available) return found(endsBeyond(seen, available, entry.end * table.sector))
  const inside = siblings(disk).find((other) => other.start > start && other.start < entry.end * table.sector)
  if (inside !== undefined) {
    return found(damaged(seen, [`the kernel shows ${inside.name} within what it gives to ${device.name}`]))
  }
  const end = endWithin(entry, table, context)
  const last = lastEnd(seen, entry, table)
  const grows = (end - entry.start) * table.sector > size
  if (last > entry.end) {
    // Only a partition that somebody wants to be larger, or room that it could have had, is worth a word.
    const wants = (context.wanted ?? 0n) > size || end > last
    return wants ? found(notLast(seen, entry, table, context)) : nothing
  }
  if (!grows) return table.problems.length === 0 ? nothing : found(damaged(seen, table.problems, 'warning'))
  const refusals = [
    ...(table.problems.length > 0 ? [damaged(seen, table.problems)] : []),
    ...(table.most !== undefined && end > table.most ? [tooLarge(seen, table, table.most)] : []),
    ...(disk.readOnly || device.readOnly ? [readOnly(seen, disk.readOnly ? disk : device)] : []),
    ...(isCapable(snapshot, capability.sysAdmin) ? [] : [notAllowed(seen)]),
  ]
  if (refusals.length > 0) return found(...refusals)
  const after = (end - entry.start) * table.sector
  const container = table.entries.find(({ role }) => role === 'extended')
  const around: Resize | undefined =
    entry.role === 'logical' && container !== undefined && container.end < end
      ? { number: container.number, before: container.end - container.start, after: end - container.start }
      : undefined
  const argv = partitionGrowth({
    disk: disk.path,
    partition: { number: entry.number, before: entry.end - entry.start, after: end - entry.start },
    ...(around === undefined ? {} : { around }),
    shown: {
      path: `/sys/class/block/${device.name}/size`,
      before: device.size / kernelUnit,
      after: after / kernelUnit,
    },
  })
  return {
    after: after as Bytes,
    findings: [],
    expect: expectations(seen, disk, table),
    commands: [writing(argv, locksOf(device, snapshot))],
    tools: partitionTools,
    summary: `grow partition ${entry.number} of ${disk.path} to ${formatSize(after as Bytes)} in its ${table.kind === 'gpt' ? 'GPT' : 'MBR'} and in the kernel`,
  }
}

/** Where the partition would end, in sectors of the table; never before it ends now. */
function endWithin(entry: TableEntry, table: PartitionTable, context: GrowthContext): bigint {
  const { sector } = table
  const possible = table.endOn(context.available / sector)
  const filled = ((possible * sector) / grain) * (grain / sector)
  if (context.wanted === undefined) return largest(filled, entry.end)
  const unit = unitOf(table)
  const wanted = entry.start + (((context.wanted + unit - 1n) / unit) * unit) / sector
  return largest(wanted > possible ? filled : wanted, entry.end)
}

function unitOf({ sector }: PartitionTable): bigint {
  return largest(sector, pageSize)
}

/** Where the last of all partitions ends, in sectors of the table; those that only the kernel shows count, too. */
function lastEnd({ disk, device }: Seen, own: TableEntry, { entries, sector }: PartitionTable): bigint {
  const others = entries.filter(
    ({ start, role }) => start > own.start && !(role === 'extended' && own.role === 'logical'),
  )
  const shown = siblings(disk)
    .filter(({ name }) => name !== device.name)
    .map(({ end }) => end / sector)
  return [...others.map(({ end }) => end), ...shown].reduce(largest, own.end)
}

/** The partitions of a disk as the kernel shows them, in bytes. */
function siblings(
  disk: DeviceSnapshot | undefined,
): readonly { readonly name: string; readonly start: bigint; readonly end: bigint }[] {
  return (disk?.partitions ?? []).map((name) => {
    const start = kernelSectors(disk?.attributes[`${name}/start`]) * kernelUnit
    const size = kernelSectors(disk?.attributes[`${name}/size`]) * kernelUnit
    return { name, start, end: start + size }
  })
}

/** Whether there is something to gain on a disk whose table cannot be relied on: more than a table's own place at the end. */
function hasRoom({ disk, start, device }: Seen, { available, wanted }: GrowthContext): boolean {
  const behind = siblings(disk).some(({ end }) => end > start + device.size)
  if (wanted !== undefined) return wanted > device.size
  return !behind && (available / grain) * grain - grain > start + device.size
}

function largest(first: bigint, second: bigint): bigint {
  return first > second ? first : second
}

/** That the disk and the partition are the same, and that the table says what it said. */
function expectations({ device }: Seen, disk: DeviceSnapshot, table: PartitionTable): readonly ExpectItem[] {
  const file = (path: string, equals: string): ExpectItem => ({ expect: { read: 'file', path }, equals })
  const diskseq = disk.attributes['diskseq']?.trim()
  const start = device.attributes['start']?.trim()
  return [
    file(`/sys/class/block/${device.name}/dev`, device.id),
    ...(start === undefined ? [] : [file(`/sys/class/block/${device.name}/start`, start)]),
    file(`/sys/class/block/${disk.name}/dev`, disk.id),
    ...(diskseq === undefined ? [] : [file(`/sys/class/block/${disk.name}/diskseq`, diskseq)]),
    ...table.written.map(
      ({ offset, bytes }): ExpectItem => ({
        expect: { read: 'range', path: disk.path, offset, length: bytes.length },
        equals: hex(bytes),
      }),
    ),
  ]
}

function finding(
  { device }: Seen,
  code: FindingCode,
  message: string,
  remedy: string,
  severity: Severity = 'blocker',
): Finding {
  return { code, severity, layer: 'partition', target: layerId(device), message, remedy }
}

function endsBeyond(seen: Seen, available: Bytes, end: bigint = seen.start + seen.device.size): Finding {
  return finding(
    seen,
    'identity-mismatch',
    `${seen.device.path} ends ${formatSize(end)} into its disk, which has only ${formatSize(available)}: the disk was made smaller, or it is another one.`,
    'Find out which disk this is before anything is written to it.',
  )
}

function damaged(seen: Seen, reasons: readonly string[], severity: Severity = 'blocker'): Finding {
  return finding(
    seen,
    'partition-table-damaged',
    `Nothing can safely be changed in the partition table of ${seen.disk?.path ?? seen.device.path}: ${reasons.join('; ')}.`,
    'Look at it with sfdisk --verify or sgdisk --verify, keep a copy (sfdisk --dump), and repair it first.',
    severity,
  )
}

function notLast(seen: Seen, own: TableEntry, table: PartitionTable, context: GrowthContext): Finding {
  const { disk, device } = seen
  const inTable = table.entries
    .filter(({ start, role }) => start > own.start && !(role === 'extended' && own.role === 'logical'))
    .map(({ number }) => number)
  const names = (disk?.partitions ?? []).filter((name) => {
    const number = Number(disk?.attributes[`${name}/partition`]?.trim())
    return inTable.includes(number)
  })
  const behind = names.length > 0 ? names.join(', ') : inTable.map((number) => `partition ${number}`).join(', ')
  const needed = context.backendUsers !== undefined || context.wanted !== undefined
  return finding(
    seen,
    'partition-not-last',
    `${device.path} cannot become larger: behind it on ${disk?.path ?? 'its disk'} is ${behind === '' ? 'a partition that only the kernel shows' : behind}.`,
    'Grow the last partition instead, or move or delete what is behind this one.',
    needed ? 'blocker' : 'note',
  )
}

function tooLarge(seen: Seen, { sector }: PartitionTable, most: bigint): Finding {
  return finding(
    seen,
    'limit-exceeded',
    `The partition table of ${seen.disk?.path ?? 'the disk'} is an MBR, in which no partition can end behind ${formatSize((most * sector) as Bytes)}.`,
    'Ask for less, or convert the table to a GPT first (sgdisk --mbrtogpt).',
  )
}

function readOnly(seen: Seen, { path }: DeviceSnapshot): Finding {
  return finding(seen, 'read-only', `${path} is read-only.`, 'Make it writable first (blockdev --setrw).')
}

function notAllowed(seen: Seen): Finding {
  return finding(
    seen,
    'permission-denied',
    `Telling the kernel of the new size of ${seen.device.path} needs CAP_SYS_ADMIN, which the user of the host does not have.`,
    'Run it as root.',
  )
}
