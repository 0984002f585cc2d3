import type { VolumeExpansionError } from '../errors.ts'
import type { DeviceSnapshot, ExecResult, StorageSnapshot } from '../hosts/host.ts'
import type { Growth, GrowthContext } from '../layers/layer.ts'
import type { Bytes } from '../size.ts'

/** A filesystem as it was measured from the bytes of its device and, when it is mounted, by the kernel. */
export interface FilesystemState {
  /** The precise type: `ext3`, `ext4`, `xfs`. */
  readonly type: string
  readonly uuid: string
  readonly label: string
  /** Bytes of the device that the filesystem spans. */
  readonly size: Bytes
  readonly blockSize: Bytes
  /** Mount points in the host's own namespace. */
  readonly mountPoints: readonly string[]
  /** For people and reports. */
  readonly facts: Readonly<Record<string, string | number | boolean | bigint>>
}

/** A family of filesystems that can be grown. All methods are pure: they judge snapshots, and prescribe what a host then does. */
export interface FilesystemResizer {
  /** The family: `ext`, `xfs`. */
  readonly name: string
  /** Programs that its growth may need, besides those of the layers and filesystems of this library, which are always looked for. */
  readonly programs?: readonly string[]
  /** Whether the device carries this family's mark; says nothing about its health. */
  detect(device: DeviceSnapshot): boolean
  /**
   * The filesystem's state.
   * @throws {VolumeExpansionError} `filesystem-damaged` when the superblock cannot be believed
   */
  measure(device: DeviceSnapshot, snapshot: StorageSnapshot): FilesystemState
  /** How it would be grown to fill `context.available`; every reason against it is a finding. Never shrinks. */
  grow(device: DeviceSnapshot, snapshot: StorageSnapshot, context: GrowthContext): Growth
  /** The true cause of a command that failed or of a growth that did not show; undefined when there is nothing more to say. */
  diagnose(
    result: ExecResult,
    before: DeviceSnapshot,
    after: DeviceSnapshot | undefined,
    snapshot: StorageSnapshot,
  ): VolumeExpansionError | undefined
}
