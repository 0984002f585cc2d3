import { type ErrorCode, type Outcome, VolumeExpansionError } from '../../src/errors.ts'
import type { ExecResult } from '../../src/hosts/host.ts'

/** The provider's name, in errors, lock keys and reports. */
export const providerName = 'rbd'

interface Details {
  readonly outcome: Outcome
  readonly remedy: string
  readonly retryable?: boolean
  readonly cause?: unknown
}

export function rbdError(code: ErrorCode, message: string, details: Details): VolumeExpansionError {
  return new VolumeExpansionError(code, message, { layer: 'volume', provider: providerName, ...details })
}

/** The ref cannot name an image, whatever the cluster has. */
export function invalidReference(ref: unknown, reason: string): VolumeExpansionError {
  return rbdError('invalid-reference', `${describe(ref)} is not usable as an RBD image: ${reason}.`, {
    outcome: 'unchanged',
    remedy: "Give 'pool/image', 'pool/namespace/image' or { pool, namespace, image }.",
  })
}

function describe(ref: unknown): string {
  if (typeof ref === 'string') return JSON.stringify(ref.length > 200 ? `${ref.slice(0, 200)}…` : ref)
  return `A value of the type ${ref === null ? 'null' : typeof ref}`
}

/** A failure that says for itself what it left behind: the command had not begun to do anything. */
const untouched: Outcome = 'unchanged'

interface Meaning {
  readonly code: ErrorCode
  readonly says: string
  readonly remedy: string
  readonly retryable?: boolean
  /** Left out: what the command may have left behind. */
  readonly outcome?: Outcome
}

// Programs of Ceph exit with the errno that librbd or librados gave (errno(3) on Linux).
const meanings: Readonly<Record<number, Meaning>> = {
  1: {
    code: 'permission-denied',
    says: 'may not be used in that way by this user of Ceph',
    remedy:
      "Give the user the right, such as: ceph auth caps client.NAME mon 'profile rbd' osd 'profile rbd pool=POOL'.",
    outcome: untouched,
  },
  2: {
    code: 'not-found',
    says: 'does not exist',
    remedy: 'Check the names of pool, namespace and image, and the trash (rbd trash ls). An image is never made here.',
    outcome: untouched,
  },
  16: {
    code: 'conflicting-change',
    says: 'is busy with something else',
    remedy: 'Wait for what else is done to the image (rbd status, ceph progress), and run this again.',
    retryable: true,
  },
  28: { code: 'pool-full', says: 'cannot grow: its pool is full', remedy: 'Add room to the cluster, or free some.' },
  30: {
    code: 'wrong-state',
    says: 'is read-only: a mirror that is not the primary one, or an image that is being migrated',
    remedy: 'Grow the primary image; mirroring brings the new size here.',
    outcome: untouched,
  },
  108: {
    code: 'backend-unreachable',
    says: 'was taken from this client: the cluster has put it on its blocklist',
    remedy: 'Look at `ceph osd blocklist ls`, and find out who fenced this client off and why.',
  },
  122: {
    code: 'quota-exceeded',
    says: 'cannot grow: the quota of its pool is used up',
    remedy: 'Have the quota raised.',
  },
}

/** Exit code of a command whose cluster did not answer in time. */
export const timedOut = 110

/**
 * What a command of Ceph that did not succeed means.
 *
 * @param subject the image for people, such as `volumes/data`
 * @param outcome what the command may have left behind when it does not tell
 */
export function commandError(result: ExecResult, subject: string, outcome: Outcome): VolumeExpansionError {
  const [program = 'rbd'] = result.argv
  const words = lastWords(result.stderr)
  switch (result.ended) {
    case 'missing':
      return rbdError('tool-missing', `${program} is missing on the host that was to ask the cluster.`, {
        outcome: untouched,
        remedy: 'Install ceph-common there, or give a host that has it.',
      })
    case 'refused':
      return rbdError('permission-denied', `${program} may not be run on the host: ${words}`, {
        outcome: untouched,
        remedy: 'Run as a user that may execute it.',
      })
    case 'killed':
    case 'running':
      return late(subject, outcome, `${program} did not end in time`)
    case 'exited':
      return exitError(result.exitCode ?? 0, program, words, result.stderr, subject, outcome)
    case 'signalled':
    case 'locked':
    case 'skipped':
      return rbdError(
        'tool-failed',
        `${program} for ${subject} ended without an answer (${result.signal ?? result.ended}).`,
        {
          outcome,
          remedy: 'Look at the image with `rbd info`, and run this again.',
        },
      )
    default:
      return result.ended satisfies never
  }
}

function exitError(
  code: number,
  program: string,
  words: string,
  stderr: string,
  subject: string,
  outcome: Outcome,
): VolumeExpansionError {
  if (/unable to open config file/.test(stderr)) {
    return rbdError('invalid-request', `The configuration of the cluster cannot be read on the host: ${words}`, {
      outcome: untouched,
      remedy: 'Give `conf` as the absolute path of a ceph.conf that is on that host.',
    })
  }
  if (/couldn't connect to the cluster|error connecting to the cluster/.test(stderr)) return notConnected(code, subject)
  if (code === timedOut) {
    // An image that could not even be opened was not touched.
    return late(subject, /error opening/.test(stderr) ? untouched : outcome, `the cluster did not answer (${words})`)
  }
  const meaning = meanings[code]
  if (meaning === undefined) {
    return rbdError('tool-failed', `${program} for ${subject} failed with exit code ${code}: ${words}`, {
      outcome,
      remedy: 'Look at the health of the cluster (ceph -s) and at the image (rbd info), and run this again.',
    })
  }
  const { code: own, says, remedy, retryable = false, outcome: certain = outcome } = meaning
  return rbdError(own, `${subject} ${says} (${words}).`, { outcome: certain, remedy, retryable })
}

function notConnected(code: number, subject: string): VolumeExpansionError {
  if ([1, 2, 13, 95].includes(code)) {
    return rbdError(
      'authentication-failed',
      `The cluster of ${subject} did not let this user of Ceph in (errno ${code}).`,
      {
        outcome: untouched,
        remedy:
          'Check `user` (without client.) and `keyring`: the file has to be on the host, with a key that `ceph auth get` shows too.',
      },
    )
  }
  return rbdError('backend-unreachable', `The cluster of ${subject} does not answer (errno ${code}).`, {
    outcome: untouched,
    retryable: true,
    remedy: 'Check the monitors (mon_host in ceph.conf) and the network between them and the host.',
  })
}

function late(subject: string, outcome: Outcome, what: string): VolumeExpansionError {
  return rbdError('timeout', `${subject}: ${what}.`, {
    outcome,
    retryable: true,
    remedy:
      outcome === 'unchanged'
        ? 'Look at the health of the cluster (ceph -s): an OSD or a monitor may hang, or the cluster may be full.'
        : 'What was begun may still happen. Look at the health of the cluster (ceph -s), and run this again: it observes first.',
  })
}

/** The last line that a program wrote, without its name and the white space around it. */
function lastWords(stderr: string): string {
  const line = stderr.trim().split('\n').at(-1)?.trim() ?? ''
  const words = line.replace(/^rbd: /, '').replace(/\.$/, '')
  return words === '' ? 'without a word' : words.slice(0, 300)
}
