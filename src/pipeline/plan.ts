import type { Clock, Random } from '../clock.ts'
import type { AcceptableCode, Finding } from '../findings.ts'
import type { Json } from '../json.ts'
import type { LayerState } from '../layers/layer.ts'
import type { Bytes, SizeInput } from '../size.ts'
import type { Where } from '../where.ts'

/** How much is wanted. Exactly one of `to` and `by`. */
export interface SizeRequest {
  /**
   * The least size of the volume or, without one, of the container that `path` or `device` names; `'fill'`: the layers fill what is there already. A size
   * below the one that is there is refused (`would-shrink`).
   */
  readonly to?: SizeInput | 'fill' | undefined
  /** How much to add: a size, or a percentage of the size now (`'20%'`). Resolved once, into the plan's absolute target. */
  readonly by?: SizeInput | undefined
  /** Caps what `by` may reach; a `to` above it is refused. */
  readonly max?: SizeInput | undefined
}

/** Exactly one way to say how much; a request that says two, or none, does not compile. */
export type HowMuch =
  | { readonly to: SizeInput | 'fill'; readonly by?: undefined; readonly approved?: undefined }
  | { readonly by: SizeInput; readonly to?: undefined; readonly approved?: undefined }
  | { readonly approved: Plan | PlanJson; readonly to?: undefined; readonly by?: undefined; readonly max?: undefined }

/** What may be said about a run, besides what is to be grown. */
export interface RunOptions extends SizeRequest {
  /** Stops the waiting and the actions that have not begun; what the backend or the kernel has begun goes on by itself. */
  readonly signal?: AbortSignal
  /** Findings that would block and that the caller knows and accepts. */
  readonly accept?: readonly AcceptableCode[]
  /** Allows writes to a filesystem that is not mounted (e2fsck, resize2fs, a private mount). Left out: false. */
  readonly offline?: boolean
  readonly timeouts?: Timeouts
  /** Gives the key of an encrypted device when its growth needs one. It is proven before anything is touched, and never leaves standard input. */
  readonly luksKey?: (device: {
    readonly host: string
    readonly path: string
    readonly uuid: string
  }) => Promise<Uint8Array | string>
  /** A plan that was approved before, as it was made or as its JSON: it brings the target, and the run is refused (`stale-plan`) when the world no longer fits it. */
  readonly approved?: Plan | PlanJson | undefined
  /** Left out: the system's. */
  readonly clock?: Clock
  /** Left out: `Math.random`. */
  readonly random?: Random
}

/** Milliseconds. A deadline that passes means that the outcome is unknown; nothing is ever killed for it. */
export interface Timeouts {
  /** One look at a host. A disk that does not answer holds a read for ever; nothing was changed then. Left out: 1 minute. */
  readonly observe?: number
  /** From the accepted request until the backend shows the new size. Left out: 10 minutes. */
  readonly backend?: number
  /** From then until the host sees the new size. Left out: 2 minutes. */
  readonly device?: number
  /** One growth tool; a filesystem of many TiB takes minutes. Left out: 6 hours. */
  readonly tool?: number
  /** From the begun snapshot until it is usable; the first one of a large volume takes hours. Left out: 6 hours. */
  readonly snapshot?: number
  /** Waiting for another run, or for a tool that a dead run left behind. Left out: 6 hours. */
  readonly lock?: number
}

/** One thing that will be done. */
export interface Action {
  /** Unique in the plan. */
  readonly id: string
  /** The name of the step that does it. */
  readonly step: string
  readonly layer: Where
  /** Id of the layer that it grows, for those that grow one. */
  readonly target?: string
  readonly summary: string
  /** Bytes, measured. */
  readonly before?: Bytes
  /** Bytes, predicted; at least so many are there afterwards. */
  readonly after?: Bytes
  /** The commands as they will be run. */
  readonly commands: readonly (readonly string[])[]
  /** The backend calls as people know them: `ModifyVolume`, `os-extend`, `truncate`. */
  readonly calls: readonly string[]
}

/** A layer as it was measured, with what it will be. */
export interface PlannedLayer extends LayerState {
  /** Bytes, predicted; its size now where nothing becomes of it. */
  readonly after: Bytes
}

/** What would be done, and everything that was found on the way. Made by observing and pure thought: nothing was touched. */
export interface Plan {
  /** Absolute, in bytes: what `by` was resolved to. */
  readonly target: Bytes | 'fill'
  /** From below to above, as measured. */
  readonly layers: readonly PlannedLayer[]
  readonly actions: readonly Action[]
  readonly findings: readonly Finding[]
  /** Whether a finding blocks it: `expand` would be refused with the code of the first one. */
  readonly blocked: boolean
  /** ISO date of the observation. */
  readonly observedAt: string
  /** Sizes as decimal strings; enough to approve it elsewhere and to hand it back as `approved`. */
  toJSON(): PlanJson
}

/** A plan as JSON; sizes are decimal strings. */
export interface PlanJson {
  readonly volumeExpanderPlan: 1
  readonly target: string
  readonly layers: readonly Json[]
  readonly actions: readonly Json[]
  readonly findings: readonly Json[]
  readonly blocked: boolean
  readonly observedAt: string
}
