import type { VolumeExpansionError } from './errors.ts'
import type { Finding } from './findings.ts'
import type { DeviceHints } from './hints.ts'
import type { Bytes } from './size.ts'

/** What is true of a provider whatever the volume: declared, checked by the conformance suite both ways; undeclared means refused. */
export interface Capabilities {
  /** The backend's unit of size in bytes; the core rounds requests up to it. */
  readonly granularity: Bytes
  /** How many refs one `read` takes at the most. */
  readonly readBatch: number
  /** Whether states carry a progress while a growth is under way. */
  readonly progress: boolean
  /** Whether hosts that have the volume see its new size without being told (krbd: yes; a loop device over a file: no). */
  readonly hostsSeeGrowth: boolean
  /** What hosts have of a volume: a block device, or the mount of a network filesystem, on which nothing has to grow. Left out: a device. */
  readonly seenAs?: 'device' | 'mount'
  /** Requests per second that one scope should see at the most, reads and mutations apart. Left out: not paced. */
  readonly pace?: { readonly read?: Pace; readonly expand?: Pace }
  /** How a growth under way is followed. Left out: at once, often, and then every five seconds. */
  readonly poll?: PollCadence
}

/** How often it is worth looking at a growth under way. Milliseconds. */
export interface PollCadence {
  /** From the acceptance of a growth to the first look; nothing is expected to be over before, so that with many the window is counted from then. */
  readonly first: number
  /** The longest interval between the looks at a volume that is followed alone. */
  readonly cap: number
  /**
   * While many volumes of a scope are followed, all of their looks go together, once in this time: the longest that one which is ready waits to be seen. With few it
   * is shorter, and one alone never waits for others.
   */
  readonly window: number
}

/** A token bucket. */
export interface Pace {
  /** Requests that may go at once. */
  readonly burst: number
  /** Requests per second after that. */
  readonly perSecond: number
  /**
   * Whether requests that have to wait go in groups as large as the burst instead of one by one: no slower in all, and what is done afterwards (looking at each) is
   * done for a group at once. Left out: false.
   */
  readonly together?: boolean
}

/** A bound on a volume's size, with where it is known from: a limit without a source cannot be argued with. */
export interface Limit {
  readonly what: 'size' | 'quota' | 'pool'
  /** Bytes; the largest size that is allowed. */
  readonly most: Bytes
  /** The document, or the backend's own answer. */
  readonly source: string
  /** ISO date of that source, for limits that are data of this library; left out when the backend itself said it just now. */
  readonly asOf?: string
}

/** Somebody that has the volume: an attachment the backend knows, a watcher, a process that holds the file. */
export interface VolumeUser {
  readonly kind: 'attachment' | 'watcher' | 'loop' | 'process'
  /** For people: "instance i-0abc as /dev/sdf", "/dev/loop3", "qemu-system-x86 (pid 4711)". */
  readonly description: string
  /** Whether it is the block device that the request's own host has of this volume; such a user does not make an offline write unsafe by itself. */
  readonly isDevice?: boolean
}

/**
 * `stable`: nothing is under way, and `size` is what hosts can use. `growing`: a change is under way; `size` is still the old one.
 * `failed`: the last change failed, and the backend will not go on by itself. `unusable`: another state, in which no growth can begin.
 */
export type VolumePhase = 'stable' | 'growing' | 'failed' | 'unusable'

/** One volume as the backend has it now. Only what was observed; whatever could not be seen is left out, never guessed. */
export interface VolumeState {
  /** The canonical key of the volume within its scope: what `normalize` gave. */
  readonly key: string
  /** Bytes that hosts can use now. */
  readonly size: Bytes
  readonly phase: VolumePhase
  /** The backend's own word for its state, such as `in-use` or `optimizing`. */
  readonly native: string
  /** While `growing`: the size it is on the way to, in bytes, where the backend tells. */
  readonly growingTo?: Bytes
  /** 0 to 1, while a change is under way and the backend tells. */
  readonly progress?: number
  readonly limits?: readonly Limit[]
  /** When the backend allows the next change, where it does not allow one now. */
  readonly nextChangeAt?: Date
  /** With `failed`: whether a growth may be asked for again as it is. Left out: no. */
  readonly repeatable?: boolean
  /** With `failed`: why the change failed, as the error that a run which waits for it ends with. Left out: only `findings` tell. */
  readonly failure?: VolumeExpansionError
  /** Why the backend allows no further change now, where nobody can say until when. One that is under way and large enough may still be joined. */
  readonly changeBlockedBy?: string
  /** Whether the backend can grow the volume while it is in use. Left out: it cannot be known before the call. */
  readonly onlineGrowth?: boolean
  /** Everyone that has the volume. Left out: it could not be seen, which is not the same as nobody. */
  readonly users?: readonly VolumeUser[]
  /** Bytes by which the device on a host is smaller than the volume, such as the header of an encrypted volume type. */
  readonly overhead?: Bytes
  /**
   * Bytes up to which the storage behind the volume could fill it now. Above that its size is a promise, which is worth a `thin-overcommit` warning and never a
   * refusal. Left out: not thin, or unknown.
   */
  readonly backed?: Bytes
  /** Blockers and warnings that only the provider can know: another owner, a frozen account. */
  readonly findings?: readonly Finding[]
  /** The same, for what matters only when the volume has to grow: a volume that is large enough is never refused for them. */
  readonly growthFindings?: readonly Finding[]
}

/** The canonical name of a volume. Locks go by both; batches and rate limits never cross a scope. */
export interface VolumeIdentity {
  /** Endpoint, project, region or zone, and client: two refs with one scope may be read in one request. */
  readonly scope: string
  /** Two refs that name the same volume have the same key: `{pool, image}` and `'pool/image'` are one. */
  readonly key: string
  /** For people. */
  readonly label: string
}

export interface ReadOptions {
  readonly signal?: AbortSignal
}

export interface ExpandOptions<Options> {
  /** Bytes: the least size the volume has to have; a multiple of the declared granularity. */
  readonly size: Bytes
  readonly options: Options | undefined
  readonly signal?: AbortSignal
  /** The same for every try of one intended growth: a UUID, for backends that use one to recognise a repeated request. */
  readonly requestId: string
}

/** What `read` found for one ref: a state, or the error that this ref alone has. */
export type ReadOutcome = VolumeState | Error

/** `pending`: it is being made. `usable`: a volume can be made of it. `failed`: it will never be. */
export type SnapshotPhase = 'pending' | 'usable' | 'failed'

/** A snapshot as the backend has it now. */
export interface SnapshotState {
  readonly id: string
  readonly phase: SnapshotPhase
  /** The backend's own word for its state. */
  readonly native: string
  /** 0 to 1, while it is being made and the backend tells. */
  readonly progress?: number
}

export interface SnapshotOptions {
  /** What the backend is to call it. */
  readonly name: string
  /** The same for every try of one intended snapshot: a UUID. */
  readonly requestId: string
  readonly signal?: AbortSignal
}

/** How a provider makes snapshots, where its backend can: crash-consistent ones of a volume in use. */
export interface Snapshots<Ref> {
  /**
   * Begins one and returns its id. Idempotent for one `requestId` and name: a try after a lost answer finds the snapshot that the first try has begun.
   */
  readonly create: (ref: Ref, options: SnapshotOptions) => Promise<string>
  /** The state now. Rejects with `not-found` when there is no such snapshot. */
  readonly read: (ref: Ref, id: string, options: ReadOptions) => Promise<SnapshotState>
}

/** A request for a part of a volume that lives on a host of its own, such as a brick; the core plans and grows it with its layers. */
export interface PartRequest {
  /** For people, and for the ids of what the part adds to the plan: unique among the parts of a volume. */
  readonly label: string
  readonly host: object
  readonly path?: string
  readonly device?: string
  /** The volume below it, when the user gave one; left out, only what is on the host is grown. */
  readonly volume?: Volume
  /**
   * Bytes that the filesystem of the part has to show to its users (statfs) so that the whole volume has `size`. Pure. It is asked while the whole is
   * planned; a part that shows so much already is left alone. Left out: what is there is filled.
   */
  readonly to?: (size: Bytes) => Bytes
}

/**
 * A provider: knows its backend's protocol and nothing else. Rounding, preflight, waiting, batching, pacing, retries, locks, dry run and
 * events are the core's. Every method rejects with a `VolumeExpansionError`, and honours the signal before any side effect.
 */
export interface VolumeExpander<Ref, Options = undefined> {
  /** The provider's name, such as `cinder`; part of error details, lock keys and reports. */
  readonly name: string
  readonly capabilities: Capabilities
  /**
   * The canonical identity of a ref. Synchronous, without effects, and without a request to the backend; at the most it looks where a local name leads.
   * @throws {VolumeExpansionError} `invalid-reference`
   */
  normalize(ref: Ref): VolumeIdentity
  /**
   * The observed states, one entry for each ref and in their order; at most `capabilities.readBatch` refs of one scope. A failure that concerns
   * one ref alone (`not-found`) is its entry; a failure of the whole call rejects. Changes nothing; idempotent.
   */
  read(refs: readonly Ref[], options: ReadOptions): Promise<readonly ReadOutcome[]>
  /**
   * Asks the backend for at least `size` and returns once that is accepted. Idempotent: a volume that is large enough already, or on its way
   * there, is success. Never shrinks, even when another tool grew the volume meanwhile.
   */
  expand(ref: Ref, options: ExpandOptions<Options>): Promise<void>
  /** How a host recognises the device; pure. */
  identify(ref: Ref, state: VolumeState): DeviceHints
  /** Further requests that the core has to grow for this volume to become larger, before it asks `expand`; all of them are proven before the first is touched. */
  readonly parts?: (ref: Ref, state: VolumeState) => Promise<readonly PartRequest[]>
  /** Left out: the backend has no snapshots, or the provider does not make them. */
  readonly snapshots?: Snapshots<Ref>
  /** The ref of a Kubernetes PersistentVolume that belongs to this provider; undefined when it does not. */
  readonly fromPersistentVolume?: (persistentVolume: object) => Ref | undefined
}

declare const sealed: unique symbol

/** A volume to grow: an opaque pair of a provider and a ref. Made by a factory, such as `file().volume('/srv/disk.img')`. */
export interface Volume {
  readonly [sealed]?: never
  /** The provider's name. */
  readonly provider: string
  /** For people; never holds a secret. */
  readonly label: string
}

/**
 * What a provider's factory returns, as far as everybody may rely on it: its own `volume(ref, options?)`, and the way from a PersistentVolume to a volume. Given to
 * `claim()` as one of its `volumes`.
 */
export interface Provider {
  /** The provider's name. */
  readonly name: string
  /**
   * The volume of a Kubernetes PersistentVolume, as the API server gives it; undefined when it belongs to another provider. Without a request.
   * @throws {VolumeExpansionError} `invalid-reference`: it belongs to this provider and is malformed
   */
  fromPersistentVolume(persistentVolume: object): Volume | undefined
}

/** What a factory of a provider makes its `fromPersistentVolume` of. */
export function fromPersistentVolumeOf<Ref, Options>(
  expander: VolumeExpander<Ref, Options>,
  options?: Options,
): Provider['fromPersistentVolume'] {
  return (persistentVolume) => {
    const ref = expander.fromPersistentVolume?.(persistentVolume)
    return ref === undefined ? undefined : volumeOf(expander, ref, options)
  }
}

/** What the core keeps of a volume. */
export interface VolumeHandle {
  readonly expander: VolumeExpander<unknown, unknown>
  readonly ref: unknown
  readonly options: unknown
  readonly identity: VolumeIdentity
}

const handles = new WeakMap<Volume, VolumeHandle>()

/**
 * Makes the opaque {@link Volume} of a provider and a ref; what a provider's factory calls. The ref is normalised at once.
 *
 * @throws {VolumeExpansionError} `invalid-reference`
 */
export function volumeOf<Ref, Options>(expander: VolumeExpander<Ref, Options>, ref: Ref, options?: Options): Volume {
  const identity = expander.normalize(ref)
  const volume: Volume = Object.freeze({ provider: expander.name, label: identity.label, toJSON: volumeJson })
  // The pair is sound: this ref and these options only ever go back to the expander that they came with.
  handles.set(volume, { expander: expander as VolumeExpander<unknown, unknown>, ref, options, identity })
  return volume
}

// One for all volumes, of which there may be many.
function volumeJson(this: Volume): object {
  const { provider, label } = this
  return { provider, label }
}

/** @throws {TypeError} when the value was not made by {@link volumeOf} */
export function handleOf(volume: Volume): VolumeHandle {
  const handle = typeof volume === 'object' && volume !== null ? handles.get(volume) : undefined
  if (handle === undefined) {
    throw new TypeError("`volume` has to be a volume made by a provider, such as file().volume('/srv/disk.img').")
  }
  return handle
}
