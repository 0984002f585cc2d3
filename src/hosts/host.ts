import type { DeviceHints } from '../hints.ts'
import type { Bytes } from '../size.ts'

/**
 * Where commands run. Two ways in: {@link Host.exec} for one command, {@link Host.batch} for an ordered list of reads, expectations and commands
 * that costs one round trip on a remote host and no process at all for its reads on the local one.
 *
 * Commands are argument vectors; a host that needs a shell to carry them quotes them. Nothing is ever interpreted.
 */
export interface Host {
  /** Names the host in plans, reports and lock keys; the same host has the same id in every run. */
  readonly id: string
  /**
   * Runs one command to its end. Rejects only when the host itself fails (`host-unreachable`) or the signal is aborted before the command began
   * (`aborted`); how the command ended is in the result.
   */
  exec(argv: readonly string[], options?: ExecOptions): Promise<ExecResult>
  /**
   * Does the items in order, each with a result of its own. A failed expectation, and a command that ended otherwise than its `accept` allows, skip
   * every **command** after it (never a read: what was found is worth knowing).
   */
  batch<const Items extends readonly BatchItem[]>(items: Items, options?: BatchOptions): Promise<BatchResults<Items>>
  /**
   * Begins to connect, so that the first call does not wait for all of it. Says nothing: what fails is told by the calls, which connect by themselves. Left out: there is
   * nothing to connect to.
   */
  reach?(): void
  /** Ends connections; a local host has none. Idempotent. */
  close?(): Promise<void>
}

export interface BatchOptions {
  /** Aborted before the first item: nothing is done. Aborted later: no further command is begun, and a detached one goes on by itself. */
  readonly signal?: AbortSignal
}

export interface ExecOptions extends BatchOptions {
  /** Written to the command's standard input; never seen in argv, events or errors. */
  readonly stdin?: Uint8Array
  /** Milliseconds; when they have passed the result is `running` for a detached command, and `killed` for any other. Left out: no deadline. */
  readonly deadline?: number
  /**
   * For commands that write to disks: runs in a session and, where that can be done, a control group of its own, with its output in a file on
   * tmpfs, and is never killed: neither by a deadline nor by the end of the caller.
   */
  readonly detached?: boolean
  /**
   * Absolute paths of the whole-disk devices (or image files) that the command locks exclusively (flock, as systemd's block device locking has it) for as long
   * as it lives. Taken by the command itself, so that a dead caller leaves the lock with the living tool. Held by somebody else: `locked`.
   */
  readonly lock?: readonly string[]
  /** Exit codes that count as success for the rest of the batch. Left out: 0. */
  readonly accept?: readonly number[]
}

/** How a command ended. Codes and messages are evidence for diagnosis, never proof of what happened: measure. */
export interface ExecResult {
  readonly argv: readonly string[]
  /**
   * `exited`: with {@link exitCode}. `signalled`: by {@link signal}. `killed`: by us, at its deadline. `running`: detached and still running at its deadline.
   * `locked`: somebody else holds a lock, the command did not begin. `missing`: there is no such program. `refused`: it may not be executed.
   * `skipped`: an earlier item of the batch failed.
   */
  readonly ended: 'exited' | 'signalled' | 'killed' | 'running' | 'locked' | 'missing' | 'refused' | 'skipped'
  /** True when it exited with an accepted code. */
  readonly ok: boolean
  readonly exitCode?: number
  readonly signal?: string
  /** At most 64 KiB each, the last part kept. */
  readonly stdout: string
  readonly stderr: string
  readonly milliseconds: number
  /** Whether a detached command really left the caller's control group. */
  readonly ownControlGroup?: boolean
}

export type BatchItem = ReadItem | ExpectItem | ExecItem

export type ReadItem = FileRead | RangeRead | StatRead | StatfsRead | ToolRead | StorageRead

/** The text of a small file, such as a sysfs attribute. At most 1 MiB is read. */
export interface FileRead {
  readonly read: 'file'
  readonly path: string
}

/** `length` bytes at `offset` of a device or file; fewer at its end. */
export interface RangeRead {
  readonly read: 'range'
  readonly path: string
  readonly offset: bigint
  readonly length: number
}

/** What a path is, links followed. */
export interface StatRead {
  readonly read: 'stat'
  readonly path: string
}

/** The sizes of the filesystem that a path is on. */
export interface StatfsRead {
  readonly read: 'statfs'
  readonly path: string
}

/** Which of the programs exist in the host's usual places for them. */
export interface ToolRead {
  readonly read: 'tools'
  readonly names: readonly string[]
}

/** Everything that the planner needs to know of one place in the storage of the host, in one read. */
export interface StorageRead {
  readonly read: 'storage'
  readonly at: StorageTarget
  /**
   * Looks for locks in any case. Left out: only where the place is not mounted, which is when they tell who else uses it. On Linux it is not free: a look at
   * /proc/locks takes some 10 ms, and everybody who takes or drops a file lock meanwhile waits (fs/locks.c holds file_rwsem for writing).
   */
  readonly locks?: boolean
}

/** A place in a host's storage: a path on a mounted filesystem, a block device, an image file, or what fits the hints of a volume. */
export type StorageTarget =
  | { readonly path: string }
  | { readonly device: string }
  | { readonly image: string }
  | { readonly hints: DeviceHints }

/** Goes on only when the read gives this text: a file's without the white space around it, a range's in lower-case hexadecimal, a stat's as `dev:ino:rdev`. */
export interface ExpectItem {
  readonly expect: FileRead | RangeRead | StatRead
  readonly equals: string
}

export interface ExecItem extends Omit<ExecOptions, 'signal'> {
  readonly exec: readonly string[]
}

/** A read that failed says why by the name of its errno (`ENOENT`, `EACCES`, `EIO`); unknown is not zero and not absent. */
export interface ReadFailure {
  readonly ok: false
  readonly errno: string
  readonly message: string
}

export type ReadResult<Value> = { readonly ok: true; readonly value: Value } | ReadFailure

export interface ExpectResult {
  readonly ok: boolean
  /** What was found; left out when the read itself failed. */
  readonly found?: string
}

export interface StatValue {
  readonly type: 'file' | 'directory' | 'block' | 'character' | 'other'
  /** `major:minor` of the filesystem that it is on. */
  readonly dev: string
  /** `major:minor` of the device that it is, for devices. */
  readonly rdev: string
  readonly ino: bigint
  /** Bytes, for files. */
  readonly size: Bytes
  /** The permission bits. */
  readonly mode: number
  readonly uid: number
  /** The absolute path with every link resolved. */
  readonly realpath: string
}

export interface StatfsValue {
  /** The magic number of the filesystem's type. */
  readonly type: bigint
  readonly blockSize: bigint
  readonly blocks: bigint
  readonly free: bigint
  readonly available: bigint
}

/** Absolute path for each program that exists. */
export type ToolsValue = Readonly<Record<string, string | undefined>>

export type BatchResult<Item> = Item extends FileRead
  ? ReadResult<string>
  : Item extends RangeRead
    ? ReadResult<Uint8Array>
    : Item extends StatRead
      ? ReadResult<StatValue>
      : Item extends StatfsRead
        ? ReadResult<StatfsValue>
        : Item extends ToolRead
          ? ReadResult<ToolsValue>
          : Item extends StorageRead
            ? ReadResult<StorageSnapshot>
            : Item extends ExpectItem
              ? ExpectResult
              : Item extends ExecItem
                ? ExecResult
                : never

export type BatchResults<Items extends readonly BatchItem[]> = {
  readonly [Index in keyof Items]: BatchResult<Items[Index]>
}

/**
 * The raw truth of one place in a host's storage, as bytes and texts: how a host gets it is its own affair (in process, or by one script over SSH), what it means
 * is decided by shared code.
 */
export interface StorageSnapshot {
  /** Whom the commands of this host run as, and on what. */
  readonly system: SystemSnapshot
  /** What the target names turned out to be, in the order found; none: not there; several: the caller decides or refuses. */
  readonly found: readonly string[]
  /**
   * The devices from each found one down to the disks, found ones first, and after them what stands on the found ones (partitions, mappings, logical volumes) up to
   * the top. Ids are `major:minor`, or `image:dev:ino` for an image file that is used without a loop device.
   */
  readonly devices: readonly DeviceSnapshot[]
  /**
   * What `lvm fullreport --reportformat json --units b --nosuffix` says, read-only and without the lock of LVM; only there when one of the devices carries LVM's mark. One process,
   * or none where there is no LVM.
   */
  readonly lvm?: ReadResult<string>
  /** For a path target: the mount that it is on. */
  readonly mount?: MountSnapshot
}

export interface SystemSnapshot {
  /** The kernel's release, such as `6.1.0-18-amd64`. */
  readonly kernel: string
  readonly uid: number
  /** Effective capabilities as a bit set. */
  readonly capabilities: bigint
  /** Bytes of a page: resize2fs rounds to it. */
  readonly pageSize: number
}

export interface DeviceSnapshot {
  /** `major:minor`, or `image:dev:ino`. */
  readonly id: string
  readonly kind: 'block' | 'image'
  /** The path to use in commands: `/dev/<name>`, or the image's real path. */
  readonly path: string
  /** The kernel's name, such as `sda1`; for an image its path. */
  readonly name: string
  readonly size: Bytes
  readonly readOnly: boolean
  /**
   * Attributes below the device's directory in sysfs, those that exist: `diskseq`, `partition`, `start`, `dm/name`, `dm/uuid`, `loop/backing_file`,
   * `loop/offset`, `loop/sizelimit`, `md/level`, `device/vendor`, `device/model`, `device/serial`, `device/wwid`, `serial`, `wwid`, `queue/logical_block_size` …
   * and for each partition of a disk `<name>/partition`, `<name>/start` and `<name>/size`.
   */
  readonly attributes: Readonly<Record<string, string>>
  /** Ids of the devices directly below: slaves, or the disk of a partition. */
  readonly below: readonly string[]
  /** Kernel names of the devices directly above. */
  readonly holders: readonly string[]
  /** Kernel names of this disk's partitions. */
  readonly partitions: readonly string[]
  /**
   * The bytes of the ranges that `probeRanges` and `furtherRanges` name, or the reason why the device could not be read: `ENODATA` for those above to which no way
   * up led, so that nobody looked at them.
   */
  readonly probe: ReadResult<readonly ProbedRange[]>
  /** Where it is mounted in the host's own mount namespace. */
  readonly mounts: readonly MountSnapshot[]
  /** Who else has it; only for the top of what stands on the found device, and only when that is not mounted in the host's own namespace. */
  readonly users?: UsersSnapshot
  /** Processes that hold a flock on it now, such as a growth tool whose caller died; empty where they were not looked for, see {@link StorageRead.locks}. */
  readonly locks: readonly LockSnapshot[]
}

/** A stretch of a device's bytes. */
export interface ProbedRange {
  readonly offset: bigint
  readonly bytes: Uint8Array
  /** As the disk has it, and not as the kernel remembers it; without any bytes where that could not be read. */
  readonly direct?: true
}

export interface MountSnapshot {
  readonly mountPoint: string
  /** `major:minor` of the mounted filesystem. */
  readonly dev: string
  /** What of the filesystem is mounted: `/` but for bind mounts of a part. */
  readonly root: string
  /** The type as it was mounted. */
  readonly type: string
  readonly source: string
  /** Options of this mount. */
  readonly options: readonly string[]
  /** Options of the superblock. */
  readonly superOptions: readonly string[]
  readonly statfs: ReadResult<StatfsValue>
}

export interface UsersSnapshot {
  /** Whether the processes of everybody could be looked at; process 1 (init), at which hardened machines let nobody look, need not be among them. */
  readonly complete: boolean
  /** Some of the processes that could not be looked at, so that a refusal can name them. */
  readonly unseen?: readonly { readonly pid: number; readonly command: string }[]
  /** Result of an exclusive open: `busy` is somebody; left out: not tried, or it failed otherwise. */
  readonly exclusive?: 'free' | 'busy'
  /** Mounts in other mount namespaces, with one process of each namespace. */
  readonly foreignMounts: readonly { readonly pid: number; readonly command: string; readonly mount: MountSnapshot }[]
  /** Processes with an open descriptor or mapping. */
  readonly openers: readonly { readonly pid: number; readonly command: string; readonly writable: boolean }[]
  /** Kernel names of the loop devices over an image, or over the file below a loop device. */
  readonly loops: readonly string[]
  /** For an image, and the file below a loop device: whether the filesystem that it is on is known to belong to this host alone. Left out: not looked at. */
  readonly localBacking?: boolean
  /** Whether it is the active swap. */
  readonly swap: boolean
}

export interface LockSnapshot {
  readonly pid: number
  readonly command: string
}
