import type { VolumeHandle, VolumeState } from '../expander.ts'
import type { Finding } from '../findings.ts'
import type { Host, StorageSnapshot, StorageTarget, ToolsValue } from '../hosts/host.ts'
import type { Stack } from '../layers/stack.ts'
import type { ManagedVolume } from '../services/managed.ts'

/** What `observeBackend()` adds: the volume as its backend has it. */
export interface BackendObservation {
  readonly handle: VolumeHandle
  readonly managed: ManagedVolume
  readonly state: VolumeState
  /** Id of the volume's layer in the plan. */
  readonly id: string
}

/** What `locateDevice()` and `locatePath()` add: the one place in the host's storage that is meant. */
export interface StorageObservation {
  readonly host: Host
  readonly target: StorageTarget
  readonly snapshot: StorageSnapshot
  /** Id of the device that the filesystem is on. */
  readonly top: string
  /** Why the way from what was named up to the filesystem could not be gone to its end. */
  readonly stuck: readonly Finding[]
  /** Ids of the devices that the volume is; empty without a volume. */
  readonly volumeDevices: readonly string[]
  readonly tools: ToolsValue
  /** The volume below, where there is one. */
  readonly backend?: BackendObservation
}

/** What `observeLayers()` adds: the layers and the filesystem, measured. */
export interface StackObservation extends Stack {
  readonly storage: StorageObservation
  /** Measures what another look at the same place has shown, in the same way. Pure. */
  readonly measure: (storage: StorageObservation) => StackObservation
  /** The keys of encrypted layers, by the id of the layer: those that were asked for, and open it. */
  readonly keys?: ReadonlyMap<string, Uint8Array>
  /** What asking for keys found. */
  readonly keyFindings?: readonly Finding[]
}
