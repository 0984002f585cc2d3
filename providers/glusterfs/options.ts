import type { Volume } from '../../src/expander.ts'
import type { Host } from '../../src/hosts/host.ts'
import type { Bytes } from '../../src/size.ts'
import { invalidReference } from './errors.ts'
import type { VolumeKind } from './layout.ts'

/** What new bricks have to bring. */
export interface BrickNeed {
  readonly volume: string
  readonly kind: VolumeKind
  /** Bytes that the volume lacks. */
  readonly add: Bytes
  /** Bricks are added in whole sets of so many. */
  readonly bricksPerSet: number
  /** The last bricks of each set that keep names only. */
  readonly arbiters: number
  /** Bytes that the filesystem of each brick that holds data has to show, when one new set is to bring all of it. */
  readonly brickSize: Bytes
}

/** How one volume is allowed to grow. */
export interface GlusterGrowth {
  /**
   * New bricks, as `server:/directory`, in whole sets and in the order of `gluster volume add-brick`; or a function that makes them when they are needed. Left out: the
   * bricks that are there grow with what is below them.
   */
  readonly bricks?: readonly string[] | ((need: BrickNeed) => Promise<readonly string[]>)
  /** The volume below a brick's filesystem, by the brick's name (`server:/directory`). Left out: only what the brick's host has already is used. */
  readonly brickVolumes?: Readonly<Record<string, Volume>>
  /**
   * After bricks were added, files are spread over all of them: `wait` until that has ended (for terabytes raise `timeouts.backend`), only `start` it, or `none`: new
   * directories use the new bricks, old ones do not. Left out: `wait`.
   */
  readonly rebalance?: 'wait' | 'start' | 'none'
  /** Passes `force` to `add-brick`: for bricks of one set on one server. Left out: false. */
  readonly force?: boolean
}

/** A volume of the pool, by its name, with how it may grow. */
export interface GlusterVolumeRef extends GlusterGrowth {
  readonly name: string
}

export type GlusterRef = string | GlusterVolumeRef

export interface GlusterOptions {
  /** A server of the trusted pool, where the `gluster` command runs. */
  readonly host: Host
  /**
   * The servers by the names that the bricks have them by. The server that `host` is need not be among them. Needed to grow the devices below bricks, and to look at new bricks
   * before they are added.
   */
  readonly hosts?: Readonly<Record<string, Host>> | undefined
  /** Socket of glusterd, when it is not at the usual place (`--glusterd-sock`). */
  readonly socket?: string | undefined
}

/** The ref as the provider uses it. @throws {VolumeExpansionError} `invalid-reference` */
export function volumeRef(ref: unknown): GlusterVolumeRef {
  const given = typeof ref === 'object' && ref !== null && 'name' in ref ? (ref as GlusterVolumeRef) : { name: ref }
  const { name } = given
  const remedy = 'Give the name of the volume as `gluster volume list` shows it.'
  if (typeof name !== 'string') throw invalidReference(name, 'a name is a string', remedy)
  if (!isVolumeName(name)) throw invalidReference(name, 'a name has letters, digits, _ and - only', remedy)
  return { ...given, name }
}

/** As cli_validate_volname has it; "all" means every volume there. */
export function isVolumeName(name: unknown): name is string {
  return typeof name === 'string' && /^[A-Za-z0-9_][A-Za-z0-9_-]{0,255}$/.test(name) && name !== 'all'
}
