import type { Finding } from '../findings.ts'
import type { DeviceSnapshot, ExecItem, ExpectItem, StorageSnapshot } from '../hosts/host.ts'
import type { Bytes } from '../size.ts'
import type { LayerKind } from '../where.ts'

/** One layer as it was measured. */
export interface LayerState {
  /** Unique in the stack, such as `filesystem:7:0`. */
  readonly id: string
  readonly kind: LayerKind
  /** For people: `/dev/loop0`, `ext4 on /data`. */
  readonly label: string
  /** Id of the host; left out for the backend's volume. */
  readonly host?: string
  readonly size: Bytes
  /** Ids of the layers directly below. */
  readonly below: readonly string[]
  /** Marks that stay the same while the layer is the same: diskseq, UUID. What a plan was approved for. */
  readonly identity: Readonly<Record<string, string>>
  /** For people and reports; JSON-safe. */
  readonly facts: Readonly<Record<string, string | number | boolean | bigint>>
}

/** What the planner tells a layer or a resizer when it asks how to grow. */
export interface GrowthContext {
  /** The bytes that the layers directly below will have together when this growth runs; of paths to one and the same disk, those of the smallest. */
  readonly available: Bytes
  /** The same by the id of each device directly below. Left out where there is none. */
  readonly below?: ReadonlyMap<string, Bytes>
  /** Ids of those directly below that stand on the volume that is grown. Left out when there is no volume. */
  readonly onVolume?: ReadonlySet<string>
  /**
   * Bytes that this layer is to have at the least, when the request speaks of it: it is the container that was named, and `to` or `by` says how much. It takes so
   * much and no more, as far as there is room; the core refuses when `after` stays below it. Left out: fill what is below.
   */
  readonly wanted?: Bytes
  /** Whether the request allows offline writes. */
  readonly offline: boolean
  /**
   * The key of an encrypted layer, proven to open it. Only ever written to a command's standard input. Left out while it is not known yet whether one is needed:
   * `after` is predicted all the same, and when it is more than the layer has now, the core asks for the key, or refuses.
   */
  readonly key?: Uint8Array
  /** The backend's view of who has the volume: left out when no volume is below. */
  readonly backendUsers?: { readonly known: boolean; readonly others: readonly string[] }
}

/**
 * How a layer would be grown: pure data, so that it can be shown and refused, and so that a host can carry it out in one round trip. The
 * core puts the expectations before the commands, and a measurement after them.
 */
export interface Growth {
  /** Bytes that the layer will have; equal to its size now when there is nothing to do. */
  readonly after: Bytes
  readonly findings: readonly Finding[]
  /** Right before the commands, in the same round trip. */
  readonly expect: readonly ExpectItem[]
  readonly commands: readonly ExecItem[]
  /** Programs that the commands need. */
  readonly tools: readonly ToolNeed[]
  /** Whether filling what is below may take time to show after the commands, so that it is worth waiting for. */
  readonly settles?: boolean
  /** Whether the commands are run again while it is waited for: they only look, and what they look for may not be there yet. Left out: false. */
  readonly repeats?: boolean
  /** For people: "xfs_growfs on /data". Left out when there is nothing to do. */
  readonly summary?: string
}

export interface ToolNeed {
  readonly name: string
  /** The Debian and RPM packages that bring it. */
  readonly packages: string
}

/** How to prove, before anything is touched, that a key opens an encrypted layer. */
export interface KeyProof {
  /** For the request's callback: the UUID of the encrypted device. */
  readonly uuid: string
  /** Ends with 0 when the key on its standard input opens the layer, and changes nothing. */
  readonly command: readonly string[]
  readonly tools: readonly ToolNeed[]
}

/** A layer between the backend's volume and the filesystem. All methods are pure. */
export interface Layer {
  readonly kind: LayerKind
  /** Programs that its growth may need, besides those of the layers and filesystems of this library, which are always looked for. */
  readonly programs?: readonly string[]
  /** What key the growth of this device will need; undefined for none. */
  readonly keyProof?: (device: DeviceSnapshot, snapshot: StorageSnapshot) => KeyProof | undefined
  /** Bytes of the unit in which it grows: what is asked for is rounded up to it, so that the same request finds nothing to do later. Left out: 1. */
  readonly granularity?: (device: DeviceSnapshot, snapshot: StorageSnapshot) => Bytes
  /** Whether this device is such a layer. */
  detect(device: DeviceSnapshot, snapshot: StorageSnapshot): boolean
  measure(device: DeviceSnapshot, snapshot: StorageSnapshot): LayerState
  grow(device: DeviceSnapshot, snapshot: StorageSnapshot, context: GrowthContext): Growth
}
