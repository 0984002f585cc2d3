import type { DeviceSnapshot } from '../../hosts/host.ts'
import { readLabel } from './label.ts'
import type { PhysicalVolume, VolumeGroup } from './report.ts'

/** A physical volume directly below a logical one, and what it has, or will have, to give. Counted in extents. */
export interface Room {
  readonly device: DeviceSnapshot
  readonly physical: PhysicalVolume
  /** Free ones now. */
  readonly free: bigint
  /** What pvresize will add once the device below has grown. */
  readonly gained: bigint
  /** Below zero, this many are beyond the end of what the device will have. */
  readonly beyond: bigint
  readonly onVolume: boolean | undefined
}

/** How much a physical volume has to give when its device has `available` bytes. */
export function roomOf(
  device: DeviceSnapshot,
  physical: PhysicalVolume,
  { extentSize }: VolumeGroup,
  available: bigint,
  onVolume: boolean | undefined,
): Room {
  const trailing = readLabel(device)?.trailing ?? 0n
  const usable = available - physical.start - trailing
  const capacity = usable < 0n ? 0n : usable / extentSize
  const difference = capacity - physical.extents
  return {
    ...{ device, physical, onVolume, free: physical.free },
    gained: difference > 0n ? difference : 0n,
    beyond: difference < 0n ? -difference : 0n,
  }
}

/**
 * The physical volumes whose room may be used without being asked for: the only one; those on the volume that is grown; or, where no volume was given, those that
 * become larger just now. Extents elsewhere may be slower, or meant for something else.
 */
export function ownRooms(rooms: readonly Room[]): readonly Room[] {
  if (rooms.length === 1) return rooms
  if (rooms.some(({ onVolume }) => onVolume !== undefined)) return rooms.filter(({ onVolume }) => onVolume === true)
  return rooms.filter(({ gained }) => gained > 0n)
}

/** Extents that the rooms have together. */
export function extentsIn(rooms: readonly Room[]): bigint {
  return rooms.reduce((sum, { free, gained }) => sum + free + gained, 0n)
}

/** The first of the rooms that are enough for so many extents. */
export function enough(rooms: readonly Room[], extents: bigint): readonly Room[] {
  const taken: Room[] = []
  for (const room of rooms) {
    if (extentsIn(taken) >= extents) break
    if (extentsIn([room]) > 0n) taken.push(room)
  }
  return taken
}
