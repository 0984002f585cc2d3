/** What LVM says of its groups, by the columns that `lvmReport` asks for. */
export interface LvmReport {
  readonly groups: readonly VolumeGroup[]
  /** UUIDs of physical volumes that more than one device carries, with the device that LVM leaves out. */
  readonly duplicates: readonly { readonly uuid: string; readonly device: string }[]
}

export interface VolumeGroup {
  /** Without the dashes, as device-mapper's UUIDs have it. */
  readonly uuid: string
  readonly name: string
  /** Bytes. */
  readonly extentSize: bigint
  readonly exported: boolean
  /** Devices are missing. */
  readonly partial: boolean
  /** Other hosts use it too, by a lock manager of the cluster. */
  readonly shared: boolean
  readonly writable: boolean
  readonly allocation: string
  readonly physical: readonly PhysicalVolume[]
  readonly logical: readonly LogicalVolume[]
}

export interface PhysicalVolume {
  readonly uuid: string
  /** The path by which LVM, with its filters and its devices file, knows the device. */
  readonly name: string
  /** `major:minor`. */
  readonly device: string
  /** Bytes before the first extent. */
  readonly start: bigint
  readonly extents: bigint
  readonly free: bigint
  readonly metadataAreas: bigint
  readonly allocatable: boolean
}

export interface LogicalVolume {
  /** Without the dashes. */
  readonly uuid: string
  readonly name: string
  /** Bytes by LVM's metadata; what the kernel has may lag behind. */
  readonly size: bigint
  /** lvs(8), "lv_attr bits". */
  readonly attributes: string
  readonly allocation: string
  /** In the order of the volume. */
  readonly segments: readonly Segment[]
}

export interface Segment {
  readonly type: string
  readonly stripes: bigint
  /** Extents from the start of the volume. */
  readonly start: bigint
  /** Paths of the physical volumes, or names of the hidden logical volumes, that it is on. */
  readonly on: readonly string[]
}

/** A report that does not have the shape that is expected. */
export class LvmReportError extends Error {
  override readonly name = 'LvmReportError'
}

/**
 * Reads a report. Nothing in it is trusted to be there: a column that is missing or malformed fails, because a size that is guessed would be worse than none.
 *
 * @throws {LvmReportError}
 */
export function readLvmReport(text: string): LvmReport {
  const root = objectOf(jsonOf(text), 'The report')
  const blocks = listOf(root['report'], 'The report').map((block) => objectOf(block, 'A part of the report'))
  // Physical volumes without a group come in a part without one.
  const groups = blocks.filter((block) => listOf(block['vg'] ?? [], 'vg').length > 0).map(groupOf)
  return { groups, duplicates: [...duplicateRows(blocks), ...duplicatesIn(root['log'])] }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // LVM 2.03 ends the list of its log with a comma that JSON does not allow.
    try {
      return JSON.parse(text.replace(/,(\s*\])/g, '$1'))
    } catch {
      throw new LvmReportError('it is not JSON, or was cut off')
    }
  }
}

type Row = Readonly<Record<string, unknown>>

function groupOf(block: Row): VolumeGroup {
  const rows = (name: string): readonly Row[] => listOf(block[name] ?? [], name).map((row) => objectOf(row, name))
  const [vg = {}] = rows('vg')
  const segments = rows('seg')
  return {
    uuid: compact(textOf(vg, 'vg_uuid')),
    name: nameOf(vg, 'vg_name'),
    extentSize: positiveOf(vg, 'vg_extent_size'),
    exported: flagOf(vg, 'vg_exported'),
    partial: flagOf(vg, 'vg_partial') || rows('pv').some((row) => flagOf(row, 'pv_missing')),
    shared: flagOf(vg, 'vg_shared') || flagOf(vg, 'vg_clustered'),
    writable: textOf(vg, 'vg_permissions') === 'writeable',
    allocation: textOf(vg, 'vg_allocation_policy'),
    physical: rows('pv').map(physicalOf),
    logical: rows('lv').map((row) => logicalOf(row, segments)),
  }
}

function physicalOf(row: Row): PhysicalVolume {
  const extents = numberOf(row, 'pv_pe_count')
  const used = numberOf(row, 'pv_pe_alloc_count')
  if (used > extents) throw new LvmReportError('a physical volume uses more extents than it has')
  return {
    uuid: compact(textOf(row, 'pv_uuid')),
    name: deviceOf(row),
    device: `${textOf(row, 'pv_major')}:${textOf(row, 'pv_minor')}`,
    start: numberOf(row, 'pe_start'),
    extents,
    free: extents - used,
    metadataAreas: numberOf(row, 'pv_mda_count'),
    allocatable: flagOf(row, 'pv_allocatable'),
  }
}

function logicalOf(row: Row, segments: readonly Row[]): LogicalVolume {
  const uuid = textOf(row, 'lv_uuid')
  const own = segments.filter((segment) => textOf(segment, 'lv_uuid') === uuid).map(segmentOf)
  return {
    uuid: compact(uuid),
    name: nameOf(row, 'lv_name'),
    size: numberOf(row, 'lv_size'),
    attributes: textOf(row, 'lv_attr'),
    allocation: textOf(row, 'lv_allocation_policy'),
    segments: own.sort((a, b) => (a.start < b.start ? -1 : 1)),
  }
}

function segmentOf(row: Row): Segment {
  // "/dev/sda:0-99 /dev/sdb:0-99"; a path may hold a colon itself.
  const ranges = textOf(row, 'seg_pe_ranges').split(' ')
  return {
    type: textOf(row, 'segtype'),
    stripes: numberOf(row, 'stripes'),
    start: numberOf(row, 'seg_start_pe'),
    on: ranges.filter((range) => range !== '').map((range) => range.replace(/:\d+-\d+$/, '')),
  }
}

function duplicateRows(blocks: readonly Row[]): LvmReport['duplicates'] {
  const rows = blocks.flatMap((block) => listOf(block['pv'] ?? [], 'pv')).map((row) => objectOf(row, 'pv'))
  return rows
    .filter((row) => flagOf(row, 'pv_duplicate'))
    .map((row) => ({ uuid: compact(textOf(row, 'pv_uuid')), device: textOf(row, 'pv_name') }))
}

/** LVM chooses one of the devices by itself, and says so only in its log. */
function duplicatesIn(log: unknown): LvmReport['duplicates'] {
  if (!Array.isArray(log)) return []
  return log.flatMap((entry) => {
    const message = objectOf(entry, 'log')['log_message']
    const match = typeof message === 'string' ? /Not using device (\S+) for PV ([\w-]{32,38})/.exec(message) : null
    return match === null ? [] : [{ uuid: compact(match[2] ?? ''), device: match[1] ?? '' }]
  })
}

function compact(uuid: string): string {
  return uuid.replaceAll('-', '')
}

function objectOf(value: unknown, what: string): Row {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new LvmReportError(`${what} is not an object`)
  }
  return value as Row
}

function listOf(value: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new LvmReportError(`${what} is not a list`)
  return value
}

function textOf(row: Row, column: string): string {
  const value = row[column]
  if (typeof value !== 'string') throw new LvmReportError(`the column ${column} is missing`)
  return value
}

/** LVM's names (lvm(8), "Valid names"); anything else would not be the name of what is meant. */
function nameOf(row: Row, column: string): string {
  const value = textOf(row, column)
  if (!/^(?!-|\.{1,2}$)[\w+.-]+$/.test(value)) throw new LvmReportError(`the column ${column} holds no name`)
  return value
}

/** A path, or what LVM writes in brackets for a device that is missing; what would be an option to a command is neither. */
function deviceOf(row: Row): string {
  const value = textOf(row, 'pv_name')
  if (!/^[/[]/.test(value)) throw new LvmReportError('the column pv_name holds no device')
  return value
}

function flagOf(row: Row, column: string): boolean {
  return textOf(row, column) !== ''
}

function numberOf(row: Row, column: string): bigint {
  const value = textOf(row, column)
  if (!/^\d{1,20}$/.test(value)) throw new LvmReportError(`the column ${column} is not a number`)
  return BigInt(value)
}

function positiveOf(row: Row, column: string): bigint {
  const value = numberOf(row, column)
  if (value === 0n) throw new LvmReportError(`the column ${column} is zero`)
  return value
}
