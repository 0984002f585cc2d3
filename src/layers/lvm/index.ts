import { identityExpectations, locksOf, writing } from '../../filesystems/prescription.ts'
import type { Finding } from '../../findings.ts'
import type { DeviceSnapshot, ExecItem, StorageSnapshot } from '../../hosts/host.ts'
import { bytes, formatSize } from '../../size.ts'
import type { Growth, GrowthContext, Layer, LayerState, ToolNeed } from '../layer.ts'
import {
  availableOf,
  blockerOf,
  directlyBelow,
  mappingExpectations,
  nameOf,
  standing,
  suspended,
  truncated,
  uuidOf,
} from '../mapped.ts'
import { groupFindings, roomFindings, volumeFindings } from './findings.ts'
import { hiddenPart, specialKind } from './kinds.ts'
import { readLabel } from './label.ts'
import { type LogicalVolume, LvmReportError, readLvmReport, type VolumeGroup } from './report.ts'
import { enough, extentsIn, ownRooms, type Room, roomOf } from './rooms.ts'

const tools: readonly ToolNeed[] = [
  { name: 'lvm', packages: 'lvm2' },
  { name: 'flock', packages: 'util-linux' },
]

/**
 * A logical volume on its physical volumes: `pvresize` of those that have room to gain, then `lvextend` to an absolute number of extents, so that a second one changes
 * nothing, from the named physical volumes only.
 *
 * The commands begin only when nobody holds the whole disk. LVM closes every descriptor that it inherits, and so drops that lock when it begins: from then on the lock of
 * its own volume group keeps others out, and it is done in a moment. The archive of old metadata is not written: on a root without a free block that alone
 * would fail the growth, while a backup that cannot be written is only warned of.
 */
export const lvm: Layer = {
  kind: 'lvm',
  detect: (device) => uuidOf(device).startsWith('LVM-'),

  measure(device, snapshot): LayerState {
    const place = locate(device, snapshot)
    const facts =
      'problem' in place || place.volume === undefined
        ? {}
        : {
            group: place.group.name,
            volume: place.volume.name,
            extentSize: place.group.extentSize,
            physicalVolumes: directlyBelow(device, snapshot)
              .map(({ path }) => path)
              .join(' '),
          }
    return {
      id: layerId(device),
      kind: 'lvm',
      label: `LVM ${nameOf(device)}`,
      size: device.size,
      below: device.below,
      identity: { mapping: uuidOf(device) },
      facts,
    }
  },

  granularity(device, snapshot) {
    const place = locate(device, snapshot)
    if ('problem' in place) return bytes(1n)
    return bytes(place.group.extentSize * stripesOf(place.volume))
  },

  grow: (device, snapshot, context) => grow(device, snapshot, context),
}

/** Of the last segment, which every further extent continues. */
function stripesOf(volume: LogicalVolume | undefined): bigint {
  const stripes = volume?.segments.at(-1)?.stripes ?? 1n
  return stripes > 0n ? stripes : 1n
}

function layerId({ id }: DeviceSnapshot): string {
  return `lvm:${id}`
}

type Place =
  | { readonly group: VolumeGroup; readonly volume: LogicalVolume | undefined; readonly namesakes: number }
  | { readonly problem: string; readonly errno?: string }

/** The group and the volume that the mapping's UUID names: `LVM-`, 32 characters of the group, 32 of the volume. */
function locate(device: DeviceSnapshot, { lvm: report }: StorageSnapshot): Place {
  if (report === undefined) return { problem: 'it was not asked' }
  if (!report.ok) return { problem: report.message, errno: report.errno }
  try {
    const { groups } = readLvmReport(report.value)
    const uuid = uuidOf(device).slice('LVM-'.length)
    const group = groups.find((candidate) => candidate.uuid === uuid.slice(0, 32))
    if (group === undefined) return { problem: 'it does not know the volume group' }
    return {
      group,
      volume: group.logical.find((candidate) => candidate.uuid === uuid.slice(32, 64)),
      namesakes: groups.filter(({ name }) => name === group.name).length,
    }
  } catch (error) {
    if (error instanceof LvmReportError) return { problem: error.message }
    throw error
  }
}

function grow(device: DeviceSnapshot, snapshot: StorageSnapshot, context: GrowthContext): Growth {
  const { size } = device
  const blocker = blockerOf('lvm', layerId(device))
  const refused = (...findings: readonly Finding[]): Growth => standing(size, findings)
  const place = locate(device, snapshot)
  if ('problem' in place) return refused(unreported(device, place, blocker))
  const { group, volume } = place
  const below = directlyBelow(device, snapshot)
  const sum = below.reduce((total, each) => total + each.size, 0n)
  // Of several, only the sum may be known; when it is less than what is there, one of them lost its end.
  if (context.available < sum && below.every((each) => availableOf(each, below, context) === undefined)) {
    return refused(truncated(device, sum, context.available, blocker))
  }
  const rooms = roomsBelow(below, group, context)
  if (rooms === undefined) return refused(undivided(device, blocker))
  const short = rooms.find(({ beyond }) => beyond > 0n)
  if (short !== undefined) {
    const needed = short.device.size
    return refused(truncated(device, needed, availableOf(short.device, below, context) ?? 0n, blocker))
  }
  const layered = /^LVM-[A-Za-z0-9]{64}-./.test(uuidOf(device))
  const kind = layered || volume === undefined ? `part of ${hiddenPart(device)}` : specialKind(volume)
  if (volume === undefined || kind !== undefined) {
    return special(device, snapshot, context, rooms, kind ?? 'hidden', blocker)
  }
  const duplicates = readDuplicates(snapshot, group)
  if (rooms.length < below.length) {
    // LVM takes other devices for the physical volumes than those that the kernel has below the volume: copies, as a rule.
    const copies = groupFindings(group, place.namesakes, duplicates, blocker)
    return refused(...copies, elsewhereByLvm(device, below, group, blocker))
  }
  if (volume.size < size) return refused(unlike(device, group, volume, blocker))
  const behind = volume.size > size
  const current = volume.size / group.extentSize
  const goal = goalOf(volume, group, current, rooms, context)
  if (goal.extents === 0n && goal.findings.length === 0 && !behind)
    return standing(size, leftover(device, rooms, context))
  const findings = [
    ...groupFindings(group, place.namesakes, duplicates, blocker),
    ...volumeFindings(volume, group, device, blocker),
    ...suspended(device, blocker),
    ...roomFindings(goal.rooms, blocker),
    ...goal.findings,
  ]
  const after = bytes((current + goal.extents) * group.extentSize)
  if (findings.some(({ severity, code }) => severity === 'blocker' && code !== 'extents-elsewhere')) {
    return { ...standing(size, findings), tools }
  }
  return {
    ...prescription(device, snapshot, group, volume, goal, behind),
    after,
    findings,
    tools,
  }
}

interface Goal {
  /** Further ones. */
  readonly extents: bigint
  readonly rooms: readonly Room[]
  readonly findings: readonly Finding[]
}

function roomsBelow(
  below: readonly DeviceSnapshot[],
  group: VolumeGroup,
  context: GrowthContext,
): readonly Room[] | undefined {
  const rooms: Room[] = []
  for (const device of below) {
    const physical = group.physical.find((candidate) => candidate.device === device.id)
    if (physical === undefined) continue
    const available = availableOf(device, below, context)
    if (available === undefined) return undefined
    rooms.push(roomOf(device, physical, group, available, context.onVolume?.has(device.id)))
  }
  return rooms
}

function goalOf(
  volume: LogicalVolume,
  { extentSize }: VolumeGroup,
  current: bigint,
  rooms: readonly Room[],
  { wanted }: GrowthContext,
): Goal {
  const own = ownRooms(rooms)
  const asked = wanted === undefined ? undefined : (wanted + extentSize - 1n) / extentSize - current
  if (asked !== undefined && asked <= 0n) return { extents: 0n, rooms: [], findings: [] }
  const last = volume.segments.at(-1)
  if (last !== undefined && last.stripes > 1n) return stripedGoal(last.on, last.stripes, own, rooms, asked)
  const extents = extentsIn(own)
  if (asked === undefined) return { extents, rooms: enough(own, extents), findings: [] }
  if (asked <= extents) return { extents: asked, rooms: enough(own, asked), findings: [] }
  // What is still missing may be had from the others, when the request allows that.
  const all = [...own, ...rooms.filter((room) => !own.includes(room))]
  const possible = asked < extentsIn(all) ? asked : extentsIn(all)
  const others = enough(all, possible).filter((room) => !own.includes(room))
  const taken = { extents: possible, rooms: enough(all, possible) }
  return { ...taken, findings: others.length === 0 ? [] : [elsewhere(others)] }
}

/**
 * Every leg has to become longer by as much: the new stripes are as many as the last ones, and on the same physical volumes. Of those that do not grow themselves,
 * extents that are free are taken only for what was asked for, and when the request allows it.
 */
function stripedGoal(
  legs: readonly string[],
  stripes: bigint,
  own: readonly Room[],
  rooms: readonly Room[],
  asked: bigint | undefined,
): Goal {
  const on = rooms.filter(({ physical }) => legs.includes(physical.name))
  const distinct = BigInt(new Set(legs).size) === stripes && BigInt(on.length) === stripes
  const wanted = asked === undefined ? undefined : (asked + stripes - 1n) / stripes
  const others = on.filter((room) => !own.includes(room))
  const byOwn = leastOf(on.map((room) => (own.includes(room) ? extentsIn([room]) : 0n)))
  const least = wanted === undefined || byOwn >= wanted ? byOwn : leastOf(on.map((room) => extentsIn([room])))
  const each = wanted === undefined ? least : leastOf([least, wanted])
  if (asked === undefined && each === 0n && own.every(({ gained }) => gained === 0n)) {
    return { extents: 0n, rooms: [], findings: [] }
  }
  if (!distinct || each === 0n) return { extents: 0n, rooms: [], findings: [uneven(legs)] }
  const findings = each > byOwn && others.length > 0 ? [elsewhere(others)] : []
  return { extents: each * stripes, rooms: on, findings }
}

function leastOf(numbers: readonly bigint[]): bigint {
  return [...numbers].sort((a, b) => (a < b ? -1 : 1))[0] ?? 0n
}

function prescription(
  device: DeviceSnapshot,
  snapshot: StorageSnapshot,
  group: VolumeGroup,
  volume: LogicalVolume,
  goal: Goal,
  behind: boolean,
): Pick<Growth, 'expect' | 'commands' | 'summary'> {
  const lock = locksOf(device, snapshot)
  const name = `${group.name}/${volume.name}`
  const command = (tool: string, ...args: readonly string[]): ExecItem =>
    writing(['lvm', tool, '--config', 'backup { archive=0 }', ...args], lock)
  const resized = goal.rooms.filter(({ gained }) => gained > 0n)
  const extents = volume.size / group.extentSize + goal.extents
  const paths = goal.rooms.map(({ physical }) => physical.name)
  const labels = directlyBelow(device, snapshot).flatMap((below) => {
    const label = readLabel(below)
    return label === undefined ? [] : identityExpectations(below, snapshot, label.uuid)
  })
  const done = [
    ...(behind ? [`lvchange --refresh ${name}`] : []),
    ...resized.map(({ physical }) => `pvresize ${physical.name}`),
    ...(goal.extents > 0n ? [`lvextend ${name} to ${extents} extents`] : []),
  ]
  return {
    expect: [...mappingExpectations(device), ...labels],
    commands: [
      ...(behind ? [command('lvchange', '--refresh', name)] : []),
      ...resized.map(({ physical }) => command('pvresize', physical.name)),
      ...(goal.extents > 0n ? [command('lvextend', '--extents', `${extents}`, name, ...paths)] : []),
    ],
    summary: done.join(', '),
  }
}

/** A volume that is not grown here: refused by name when it would have to grow, and let be when it would not. */
function special(
  device: DeviceSnapshot,
  snapshot: StorageSnapshot,
  context: GrowthContext,
  rooms: readonly Room[],
  kind: string,
  blocker: ReturnType<typeof blockerOf>,
): Growth {
  const asked = context.wanted !== undefined && context.wanted > device.size
  const below = directlyBelow(device, snapshot)
  const sum = below.reduce((total, { size }) => total + size, 0n)
  if (rooms.length === 0 && context.available < sum) {
    return standing(device.size, [truncated(device, sum, context.available, blocker)])
  }
  if (!asked && rooms.every(({ gained }) => gained === 0n)) return standing(device.size)
  const name = nameOf(device)
  return standing(device.size, [
    blocker(
      'unsupported-feature',
      `${name} is ${kind}: it is not grown here, and what is below it would become larger for nothing.`,
      `Grow it with pvresize and lvextend yourself; then run this again, for the filesystem, with to: 'fill' and without a volume.`,
    ),
  ])
}

type Blocker = ReturnType<typeof blockerOf>

function readDuplicates({ lvm: report }: StorageSnapshot, { physical }: VolumeGroup): readonly string[] {
  if (report?.ok !== true) return []
  const own = new Set(physical.map(({ uuid }) => uuid))
  return readLvmReport(report.value)
    .duplicates.filter(({ uuid }) => own.has(uuid))
    .map(({ device }) => device)
}

function unreported(
  device: DeviceSnapshot,
  { problem, errno }: { readonly problem: string; readonly errno?: string },
  blocker: Blocker,
): Finding {
  const missing = errno === 'ENOENT'
  return blocker(
    missing ? 'tool-missing' : 'unsupported-feature',
    `LVM could not say where ${nameOf(device)} is and how much room there is: ${problem}.`,
    missing ? 'Install it on the host: lvm2.' : 'Look at what lvm fullreport says on the host, as the user of the run.',
  )
}

function undivided(device: DeviceSnapshot, blocker: Blocker): Finding {
  return blocker(
    'ambiguous',
    `${nameOf(device)} stands on several physical volumes, and it is not known which of them become larger.`,
    'Grow the physical volumes one after the other.',
  )
}

function elsewhereByLvm(
  device: DeviceSnapshot,
  below: readonly DeviceSnapshot[],
  group: VolumeGroup,
  blocker: Blocker,
): Finding {
  return blocker(
    'identity-mismatch',
    `${nameOf(device)} is on ${below.map(({ path }) => path).join(' and ')}, but LVM has the group ${group.name} on ${group.physical.map(({ name }) => name).join(' and ')}.`,
    'Look at pvs -a and at the filters of lvm.conf: a disk may be there twice.',
  )
}

function unlike(device: DeviceSnapshot, group: VolumeGroup, volume: LogicalVolume, blocker: Blocker): Finding {
  return blocker(
    'identity-mismatch',
    `The kernel shows ${nameOf(device)} with ${formatSize(device.size)}, and LVM's metadata say ${formatSize(volume.size)}.`,
    `Find out who changed ${group.name}/${volume.name}, before anything is written to it; the archive of LVM (vgcfgrestore --list) may say.`,
  )
}

function elsewhere(rooms: readonly Room[]): Finding {
  const names = rooms.map(({ physical }) => physical.name).join(' and ')
  return {
    code: 'extents-elsewhere',
    severity: 'blocker',
    layer: 'lvm',
    message: `There is not enough room on the physical volumes that grow: free extents of ${names} would be taken as well.`,
    remedy: "Grow what is below further, or accept it with accept: ['extents-elsewhere'].",
  }
}

function uneven(legs: readonly string[]): Finding {
  return {
    code: 'unsupported-feature',
    severity: 'blocker',
    layer: 'lvm',
    message: `The volume is striped over ${[...new Set(legs)].join(' and ')}, and not every one of them has, or will have, further room.`,
    remedy: 'Grow all of them by as much, then run this again.',
  }
}

function leftover(device: DeviceSnapshot, rooms: readonly Room[], context: GrowthContext): readonly Finding[] {
  const free = context.wanted === undefined ? rooms.filter((room) => room.free > 0n) : []
  if (free.length === 0) return []
  return [
    {
      code: 'extents-elsewhere',
      severity: 'note',
      layer: 'lvm',
      target: layerId(device),
      message: `${free.map(({ physical, free: extents }) => `${physical.name} has ${extents} free extents`).join(', ')}: they are left as they are, because nothing below them grows.`,
      remedy:
        'To use them, give the `volume` that they are on, or say with `to` how much the logical volume is to have.',
    },
  ]
}
