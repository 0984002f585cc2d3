import { type ErrorCode, VolumeExpansionError } from '../../errors.ts'
import type { DeviceSnapshot, ExecResult, StorageSnapshot } from '../../hosts/host.ts'
import { capability, isCapable, privateExit } from '../prescription.ts'

interface Cause {
  readonly code: ErrorCode
  readonly message: string
  readonly remedy: string
  readonly retryable?: boolean
  readonly outcome?: 'unknown' | 'changed'
}

/** The true cause of a failed xfs_growfs or private mount; undefined when it did not fail, or said nothing that is known. */
export function diagnoseXfs(
  result: ExecResult,
  before: DeviceSnapshot,
  _after: DeviceSnapshot | undefined,
  snapshot: StorageSnapshot,
): VolumeExpansionError | undefined {
  if (result.ok || result.ended !== 'exited') return undefined
  const text = `${result.stderr}\n${result.stdout}`
  const cause = causeOf(text, result.exitCode, before.path, snapshot)
  if (cause === undefined) return undefined
  return new VolumeExpansionError(cause.code, cause.message, {
    layer: 'filesystem',
    outcome: cause.outcome ?? 'unchanged',
    retryable: cause.retryable ?? false,
    remedy: cause.remedy,
  })
}

function causeOf(
  text: string,
  exitCode: number | undefined,
  path: string,
  snapshot: StorageSnapshot,
): Cause | undefined {
  if (exitCode === privateExit.unmount) {
    return {
      code: 'tool-failed',
      message: `The filesystem on ${path} was grown in a private mount, which could not be unmounted in the ordinary way.`,
      remedy: 'The mount ended with its namespace. Run this again, which measures the filesystem.',
      outcome: 'unknown',
    }
  }
  if (/Operation not permitted|Permission denied|must be superuser/.test(text)) {
    const missing = isCapable(snapshot, capability.sysAdmin) ? '' : ': CAP_SYS_ADMIN is missing'
    return {
      code: 'permission-denied',
      message: `The growth of the filesystem on ${path} was not permitted${missing}.`,
      remedy: 'Run this as root on the host itself, or give the container or service the capability.',
    }
  }
  if (exitCode === privateExit.mount || exitCode === privateExit.noDirectory) return mountCause(text, path)
  const rows: readonly (readonly [RegExp, Cause])[] = [
    [
      /Read-only file system/,
      {
        code: 'read-only',
        message: `The device, the mount or the filesystem of ${path} is read-only.`,
        remedy: 'Find out why it is read-only, then remount it writable.',
      },
    ],
    [
      /is not a mounted XFS filesystem/,
      {
        code: 'stale-plan',
        message: `The filesystem on ${path} was unmounted after it had been looked at.`,
        remedy: 'Run this again.',
        retryable: true,
      },
    ],
    [
      /try to shrink unused space/,
      {
        code: 'filesystem-larger-than-device',
        message: `${path} became smaller than its filesystem, and the tool tried to shrink it.`,
        remedy: 'Give the device its size back at once: the end of the filesystem is missing.',
        outcome: 'unknown',
      },
    ],
    [
      /Device or resource busy|Resource temporarily unavailable/,
      {
        code: 'conflicting-change',
        message: `Another growth of the filesystem on ${path} is under way.`,
        remedy: 'Wait until it has ended, and run this again.',
        retryable: true,
      },
    ],
    [
      /Input\/output error/,
      {
        code: 'io-error',
        message: `${path} could not be read or written while its filesystem was grown.`,
        remedy:
          'Read the kernel log, and mend the device first. Where the kernel has shut the filesystem down, unmount it and mount it again, which replays its log. Then run this again.',
        outcome: 'unknown',
      },
    ],
    [
      /Structure needs cleaning/,
      {
        code: 'filesystem-damaged',
        message: `The kernel found the filesystem on ${path} damaged.`,
        remedy: 'Read the kernel log, unmount it and run xfs_repair.',
        outcome: 'unknown',
      },
    ],
    [
      /No space left on device/,
      {
        code: 'tool-failed',
        message: `The kernel had no block left to grow the filesystem on ${path} with.`,
        remedy: 'Free some space on it, and run this again.',
      },
    ],
  ]
  return rows.find(([pattern]) => pattern.test(text))?.[1]
}

function mountCause(text: string, path: string): Cause {
  const said = text.split('\n').find((line) => line.startsWith('mount:')) ?? 'mount failed'
  if (/can't read superblock/.test(text)) {
    return {
      code: 'filesystem-larger-than-device',
      message: `The filesystem on ${path} could not be mounted: its device ends before it does, or cannot be read.`,
      remedy: 'Compare the sizes, and give the device its size back before anything writes to it.',
    }
  }
  if (/already mounted|busy/.test(text)) {
    return {
      code: 'in-use',
      message: `${path} is in use by something else: it could not be mounted.`,
      remedy: 'Find who has it, or wait until it is free.',
      retryable: true,
    }
  }
  if (/Structure needs cleaning/.test(text)) {
    return {
      code: 'filesystem-damaged',
      message: `The kernel found the filesystem on ${path} damaged.`,
      remedy: 'Read the kernel log, and repair it with xfs_repair.',
    }
  }
  return {
    code: 'tool-failed',
    message: `${path} could not be mounted in a namespace of its own: ${said.trim()}`,
    remedy: 'Read the kernel log. Mount it on the host and run this again.',
  }
}
