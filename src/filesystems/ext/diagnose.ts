import { type ErrorCode, VolumeExpansionError } from '../../errors.ts'
import type { DeviceSnapshot, ExecResult, StorageSnapshot } from '../../hosts/host.ts'
import { capability, isCapable, privateExit } from '../prescription.ts'
import { decodeSuperblock, type ExtSuperblock, isExt, superblockBytes } from './superblock.ts'

interface Cause {
  readonly code: ErrorCode
  readonly message: string
  readonly remedy: string
  readonly retryable?: boolean
}

/** What is known when a tool has failed. */
interface Failure {
  readonly text: string
  readonly exitCode: number
  readonly before: DeviceSnapshot
  readonly after: DeviceSnapshot | undefined
  readonly snapshot: StorageSnapshot
}

/** The true cause of a failed e2fsck or resize2fs; undefined when it did not fail, or said nothing that is known. */
export function diagnoseExt(
  result: ExecResult,
  before: DeviceSnapshot,
  after: DeviceSnapshot | undefined,
  snapshot: StorageSnapshot,
): VolumeExpansionError | undefined {
  if (result.ok || result.ended !== 'exited' || result.exitCode === undefined) return undefined
  const failure = { text: `${result.stderr}\n${result.stdout}`, exitCode: result.exitCode, before, after, snapshot }
  const checking = result.argv.some((argument) => argument === 'e2fsck' || argument.endsWith('/e2fsck'))
  const cause = (checking ? checkCause(failure) : undefined) ?? resizeCause(failure)
  if (cause === undefined) return undefined
  // resize2fs has begun to move things once it has said so.
  const begun = /Resizing the filesystem on|Begin pass/.test(failure.text) || (checking && (failure.exitCode & 1) === 1)
  return new VolumeExpansionError(cause.code, cause.message, {
    layer: 'filesystem',
    outcome: begun ? 'unknown' : 'unchanged',
    retryable: cause.retryable ?? false,
    remedy: cause.remedy,
  })
}

function checkCause(failure: Failure): Cause | undefined {
  const { exitCode, before } = failure
  const busy = busyCause(failure)
  if (busy !== undefined) return busy
  if ((exitCode & 4) !== 0) {
    return {
      code: 'filesystem-damaged',
      message: `e2fsck found damage in the filesystem on ${before.path} that it does not repair without being asked.`,
      remedy: `Make a copy of the device, then run e2fsck -f ${before.path} and answer its questions.`,
    }
  }
  if ((exitCode & 2) !== 0) {
    return {
      code: 'in-use',
      message: `e2fsck corrected the filesystem on ${before.path} and asks for a reboot: it was mounted.`,
      remedy: 'Reboot the host, then run this again.',
    }
  }
  return undefined
}

function busyCause({ text, before }: Failure): Cause | undefined {
  // resize2fs says of every filesystem that it grows online that it "is mounted on" something.
  if (!/Device or resource busy|is in use|is mounted(?! on )|EBUSY/.test(text)) return undefined
  return {
    code: 'in-use',
    message: `${before.path} is in use by something else: it could not be opened exclusively. Nothing says that its filesystem is damaged.`,
    remedy:
      'Find who has it (another mount namespace, a holder in sysfs, a virtual machine), or wait until it is free.',
    retryable: true,
  }
}

function resizeCause(failure: Failure): Cause | undefined {
  const { text, before, snapshot } = failure
  if (failure.exitCode === privateExit.mount || failure.exitCode === privateExit.noDirectory) {
    return {
      code: 'tool-failed',
      message: `${before.path} could not be mounted in a namespace of its own: ${lastLine(text)}`,
      remedy: 'Mount it on the host and run this again.',
    }
  }
  if (text.includes('Permission denied to resize filesystem')) return permissionCause(failure)
  if (/While checking for on-line resizing support: Device or resource busy|EXT4_IOC_RESIZE_FS.*busy/.test(text)) {
    return {
      code: 'conflicting-change',
      message: `Another growth of the filesystem on ${before.path} is under way.`,
      remedy: 'Wait until it has ended, and run this again.',
      retryable: true,
    }
  }
  const busy = busyCause(failure)
  if (busy !== undefined) return busy
  const rows: readonly (readonly [RegExp, () => Cause])[] = [
    [/Input\/output error/, () => inputOutput(before, 'be read or written')],
    // The kernel's answer when it cannot read the block that is to be the last (fs/ext4/resize.c, ext4_resize_fs).
    [/No space left on device While checking for on-line/, () => inputOutput(before, 'be read up to its end')],
    [/Read-only file system/, () => readOnly(before)],
    [
      /too large to be expressed in 32 bits|too many block group descriptors|inodes \(\d+\) must be less/,
      () => limit(before),
    ],
    [/does not match superblock|[Ss]uperblock checksum does not match/, () => checksumCause(failure)],
    [/Bad magic number/, () => magicCause(failure)],
    [/MMP: |MMP block|device currently active/, () => mmpCause(before)],
    [/Please run 'e2fsck -f/, () => checkWanted(failure)],
    [/short read|[Ss]eek past end/, () => truncated(before)],
    [
      /sparse_super2|Operation not supported|does not support online resizing|not support resizing|not been fully tested|unsupported feature/,
      () => unsupported(before, text),
    ],
    [/Permission denied|Operation not permitted/, () => denied(before, snapshot)],
  ]
  return rows.find(([pattern]) => pattern.test(text))?.[1]()
}

/** One text of resize2fs stands for several refusals of the kernel: the superblock and the rights tell them apart. */
function permissionCause(failure: Failure): Cause {
  const { before, snapshot } = failure
  const superblock = superblockOf(failure.after) ?? superblockOf(before)
  if (superblock !== undefined && (superblock.state & 2) !== 0) {
    return {
      code: 'filesystem-damaged',
      message: `The kernel has recorded errors in the filesystem on ${before.path}, and does not grow it.`,
      remedy: 'Read the kernel log, unmount it and run e2fsck -f.',
    }
  }
  if (!isCapable(snapshot, capability.sysResource)) return denied(before, snapshot)
  return {
    code: 'permission-denied',
    message: `The kernel refuses to grow the filesystem on ${before.path}, although no right is missing.`,
    remedy: 'Read the kernel log: it may be mounted by a backup superblock, or the host in a namespace without rights.',
  }
}

function denied(before: DeviceSnapshot, snapshot: StorageSnapshot): Cause {
  const missing = isCapable(snapshot, capability.sysResource) ? '' : ': CAP_SYS_RESOURCE is missing'
  return {
    code: 'permission-denied',
    message: `The growth of the filesystem on ${before.path} was not permitted${missing}.`,
    remedy: 'Run this as root on the host itself, or give the container or service the capability.',
  }
}

function inputOutput({ path }: DeviceSnapshot, what: string): Cause {
  return {
    code: 'io-error',
    message: `${path} could not ${what} while its filesystem was grown.`,
    remedy:
      'Read the kernel log, and mend the device first. Where the kernel has made the filesystem read-only or recorded errors in it, unmount it and run e2fsck -f. Then run this again.',
  }
}

function readOnly({ path }: DeviceSnapshot): Cause {
  return {
    code: 'read-only',
    message: `The device, the mount or the filesystem of ${path} is read-only.`,
    remedy: 'Find out why it is read-only (an error makes the kernel do it), then remount it writable.',
  }
}

function limit({ path }: DeviceSnapshot): Cause {
  return {
    code: 'limit-exceeded',
    message: `The filesystem on ${path} cannot become so large.`,
    remedy: 'Make the volume smaller than the limit, or unmount it and convert the filesystem with resize2fs -b first.',
  }
}

/** A reader can meet the superblock half written: only one that stays wrong is damaged. */
function checksumCause({ before, after }: Failure): Cause {
  if (superblockOf(after)?.checksumFits === true) {
    return {
      code: 'conflicting-change',
      message: `The superblock on ${before.path} was being written when the tool read it; it is sound.`,
      remedy: 'Run this again. Is another growth under way?',
      retryable: true,
    }
  }
  return {
    code: 'filesystem-damaged',
    message: `The superblock on ${before.path} does not fit its checksum.`,
    remedy: 'Unmount it, make a copy of the device, and run e2fsck -f.',
  }
}

function magicCause({ before, after }: Failure): Cause {
  const still = superblockOf(after) !== undefined
  return {
    code: still ? 'conflicting-change' : 'filesystem-damaged',
    message: still
      ? `The tool did not find the filesystem on ${before.path} that is there.`
      : `There is no ext filesystem on ${before.path} any more.`,
    remedy: still ? 'Run this again.' : 'Find out who wrote to the device; a backup superblock may still be sound.',
    retryable: still,
  }
}

function mmpCause({ path }: DeviceSnapshot): Cause {
  return {
    code: 'in-use',
    message: `The multiple-mount protection of the filesystem on ${path} says that another node has it.`,
    remedy:
      'Unmount it there. If that node is dead, mounting it here waits long enough to be sure, and then clears it.',
  }
}

function checkWanted(failure: Failure): Cause {
  const { before } = failure
  const superblock = superblockOf(failure.after)
  if (superblock !== undefined && superblock.lastCheck < superblock.mountTime && superblock.state === 1) {
    return {
      code: 'stale-plan',
      message: `The filesystem on ${before.path} was mounted after it was last checked.`,
      remedy:
        "Somebody used it meanwhile, or the host's clock runs behind the one of the machine that mounted it: set the clock right, make sure that nobody else has the disk, and run this again.",
      retryable: true,
    }
  }
  return {
    code: superblock !== undefined && (superblock.state & 2) !== 0 ? 'filesystem-damaged' : 'stale-plan',
    message: `The filesystem on ${before.path} has to be checked before it is grown, and did not have to when it was looked at.`,
    remedy:
      'That is also how a disk looks that is in use on another machine. Make sure that nobody has it, and run this again.',
  }
}

function truncated({ path }: DeviceSnapshot): Cause {
  return {
    code: 'filesystem-larger-than-device',
    message: `${path} ends before its filesystem does.`,
    remedy: 'Give the device its size back before anything writes to it: the end of the filesystem is missing.',
  }
}

function unsupported({ path }: DeviceSnapshot, text: string): Cause {
  return {
    code: 'unsupported-feature',
    message: `The filesystem on ${path} has a feature with which it cannot be grown this way: ${lastLine(text)}`,
    remedy: 'Unmount it and say `offline: true`, or, with bigalloc, mount it; newer e2fsprogs know more features.',
  }
}

function superblockOf(device: DeviceSnapshot | undefined): ExtSuperblock | undefined {
  const bytes = device === undefined ? undefined : superblockBytes(device)
  return isExt(bytes) ? decodeSuperblock(bytes) : undefined
}

function lastLine(text: string): string {
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  return (lines.find((line) => /^(?:resize2fs|mount|e2fsck):/.test(line)) ?? lines.at(-1) ?? '').trim()
}
