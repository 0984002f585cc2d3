import { type ErrorCode, type Outcome, VolumeExpansionError } from '../../src/errors.ts'

/** The provider's name, in errors, lock keys and reports. */
export const providerName = 'file'

interface Meaning {
  readonly code: ErrorCode
  readonly says: string
  readonly remedy: string
  readonly retryable?: boolean
}

const malformed: Meaning = {
  code: 'invalid-reference',
  says: 'cannot be a path of a file',
  remedy: 'Give the absolute path of a regular file.',
}
const overloaded: Meaning = {
  code: 'backend-unreachable',
  says: 'could not be opened, because the process or the system has no room for another open file',
  remedy: 'Raise the limit of open files (ulimit -n), or run fewer things at once.',
  retryable: true,
}
const broken: Meaning = {
  code: 'backend-unreachable',
  says: 'could not be reached: its filesystem answers with an error of its own',
  remedy: 'Read the kernel log, and check the storage below the file before anything else is written to it.',
}

// errno(3) by name, with what it means for a file that is to be grown.
const meanings: ReadonlyMap<string, Meaning> = new Map<string, Meaning>([
  ['ENOENT', { code: 'not-found', says: 'does not exist', remedy: 'Check the path. A file is never created here.' }],
  [
    'ENOTDIR',
    { code: 'not-found', says: 'does not exist: a part of its path is not a directory', remedy: 'Check the path.' },
  ],
  [
    'EACCES',
    {
      code: 'permission-denied',
      says: 'may not be used by this user',
      remedy: 'Run as a user that may read and write it.',
    },
  ],
  [
    'EPERM',
    {
      code: 'permission-denied',
      says: 'may not be written: it is immutable, append-only or sealed',
      remedy: 'Take the attribute away (lsattr, chattr) if the file really is to grow.',
    },
  ],
  [
    'EROFS',
    { code: 'read-only', says: 'is on a read-only filesystem', remedy: 'Mount that filesystem read-write first.' },
  ],
  [
    'EFBIG',
    {
      code: 'limit-exceeded',
      says: 'cannot become so large: its filesystem or the limit of this process (ulimit -f) forbids it',
      remedy: 'Ask for less, raise the limit, or move the file to a filesystem that allows larger files.',
    },
  ],
  [
    'EDQUOT',
    {
      code: 'quota-exceeded',
      says: 'cannot grow: the disk quota of its owner is used up',
      remedy: 'Have the quota raised.',
    },
  ],
  [
    'ENOSPC',
    {
      code: 'pool-full',
      says: 'cannot grow: its filesystem is full',
      remedy: 'Make room on the filesystem that the file is on.',
    },
  ],
  [
    'ETXTBSY',
    {
      code: 'wrong-state',
      says: 'is in use in a way that forbids writing: as active swap or as a running program',
      remedy: 'End that use first (swapoff).',
    },
  ],
  ['EISDIR', { code: 'invalid-reference', says: 'is a directory', remedy: malformed.remedy }],
  ['ELOOP', { ...malformed, says: 'cannot be resolved: its symbolic links go round in a circle' }],
  ['ENAMETOOLONG', { ...malformed, says: 'is longer than a path can be' }],
  ['EINVAL', malformed],
  ['EMFILE', overloaded],
  ['ENFILE', overloaded],
])

/** A failure of the operating system on `path`, as the library's error; what is one already stays as it is. */
export function fileError(thrown: unknown, path: string, outcome: Outcome): VolumeExpansionError {
  if (thrown instanceof VolumeExpansionError) return thrown
  const errno = errnoOf(thrown)
  // Without an errno it was no answer of the operating system, and nothing is known about it.
  const { code, says, remedy, retryable } = (errno === undefined ? undefined : meanings.get(errno)) ?? broken
  return new VolumeExpansionError(code, `${shown(path)} ${says}${errno === undefined ? '' : ` (${errno})`}.`, {
    layer: 'volume',
    provider: providerName,
    outcome,
    retryable: retryable ?? false,
    remedy,
    cause: thrown,
  })
}

/** The ref cannot name a file, whatever is on the disk. */
export function invalidReference(
  ref: unknown,
  reason: string,
  remedy: string = malformed.remedy,
): VolumeExpansionError {
  return new VolumeExpansionError('invalid-reference', `${describe(ref)} is not usable as a file volume: ${reason}.`, {
    layer: 'volume',
    provider: providerName,
    outcome: 'unchanged',
    remedy,
  })
}

/** A path for people: as it is, or quoted when it would break the line that it is shown in. */
export function shown(path: string): string {
  return /^[\p{Cc}\s]|[\p{Cc}\u2028\u2029]|\s$/u.test(path) ? JSON.stringify(path) : path
}

function describe(ref: unknown): string {
  if (typeof ref !== 'string') return `A value of the type ${ref === null ? 'null' : typeof ref}`
  return JSON.stringify(ref.length > 200 ? `${ref.slice(0, 200)}…` : ref)
}

function errnoOf(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error) || !('code' in thrown)) return undefined
  return typeof thrown.code === 'string' ? thrown.code : undefined
}
