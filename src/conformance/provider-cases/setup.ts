import type { VolumeExpander } from '../../expander.ts'
import type { Bytes } from '../../size.ts'

/** A volume of its own for one case, with ways to it that do not go through the provider. */
export interface ProviderVolume<Ref> {
  readonly ref: Ref
  /** Other ways to write the same ref; none where the provider knows only one. */
  readonly spellings?: readonly Ref[]
  /** Bytes that hosts can use now, found out without the provider. */
  readonly measure: () => Promise<bigint>
  /** Makes it `size` bytes large as another tool would, and returns once that is settled. */
  readonly grow: (size: Bytes) => Promise<void>
}

/** A volume that a host has attached, for the check of `hostsSeeGrowth`. */
export interface AttachedVolume<Ref> extends ProviderVolume<Ref> {
  /** Bytes that the host's device shows, without it having been told anything. */
  readonly seen: () => Promise<bigint>
}

/** A PersistentVolume of the provider's own driver, with a ref of the volume that it is. */
export interface OwnPersistentVolume<Ref> {
  readonly persistentVolume: object
  readonly ref: Ref
}

/** What the suite needs in order to examine a provider. All refs are of one scope. */
export interface ProviderSetup<Ref, Options = undefined> {
  readonly expander: VolumeExpander<Ref, Options>
  /** Options of every `expand`. */
  readonly options?: Options
  /** Makes a new volume whose size is a multiple of the granularity, and more than that. */
  readonly volume: () => Promise<ProviderVolume<Ref>>
  /** A well-formed ref of a volume that does not exist. */
  readonly missing: Ref
  /** Refs of any type that cannot name a volume, whatever exists. */
  readonly malformed: readonly unknown[]
  /** A well-formed id of a snapshot that does not exist. Needed when the provider has `snapshots`. */
  readonly missingSnapshot?: string
  /** The backend accepts the next growth of this volume, and its answer is lost on the way. Left out where that cannot be arranged: what the provider then says is not checked. */
  readonly loseAnswer?: (ref: Ref) => void
  /** Passwords, keys and tokens that the provider was given, for the check that it shows none of them. Left out: it was given none. */
  readonly secrets?: readonly string[]
  /** Lets some of the backend's time pass. Left out: 50 milliseconds of real time. */
  readonly pause?: () => Promise<void>
  /** How many pauses a growth may take at the most. Left out: 200. */
  readonly patience?: number
  /** Left out where no host can be had: `hostsSeeGrowth` is then not checked. */
  readonly attached?: () => Promise<AttachedVolume<Ref>>
  /** Needed when the provider has `fromPersistentVolume`. */
  readonly persistentVolumes?: () => Promise<readonly OwnPersistentVolume<Ref>[]>
}

/** A setup whose types are forgotten: the suite hands refs and options only back to the expander that they came with. */
export type AnySetup = ProviderSetup<unknown, unknown>
