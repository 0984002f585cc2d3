import { type ErrorCode, type Outcome, VolumeExpansionError } from '../../src/errors.ts'

/** The provider's name, in errors, lock keys and reports. */
export const providerName = 'glusterfs'

interface Meaning {
  /** What the answer says; the words of GlusterFS 10. */
  readonly when: RegExp
  readonly code: ErrorCode
  readonly remedy: string
  readonly retryable?: boolean
}

const meanings: readonly Meaning[] = [
  {
    when: /does not exist|Unable to get volinfo/,
    code: 'not-found',
    remedy: 'Check the name of the volume: gluster volume list.',
  },
  {
    when: /rebalance is in progress|remove-brick.*in progress|Rebalance on .* is already started/i,
    code: 'conflicting-change',
    remedy: 'Wait until it has ended (gluster volume rebalance … status), and run this again.',
    retryable: true,
  },
  {
    when: /Another transaction is in progress|Another \w+ operation is in progress|Locking failed/i,
    code: 'conflicting-change',
    remedy: 'Another command holds the volume. Wait a moment, and run this again.',
    retryable: true,
  },
  {
    when: /not connected|not in 'Peer in Cluster' state|peers? (?:is|are) down/i,
    code: 'wrong-state',
    remedy: 'Bring the server of that brick back (gluster pool list), and run this again.',
  },
  {
    when: /Brick may be containing or be contained by an existing brick/,
    code: 'invalid-request',
    remedy: 'Give directories that are not yet, nor contain, bricks of a volume.',
  },
  {
    when: /Incorrect number of bricks|number of bricks/i,
    code: 'invalid-request',
    remedy: 'Give as many bricks as whole sets have: a replica of three takes three at a time.',
  },
  {
    when: /Multiple bricks of a .* volume are present on the same server/,
    code: 'invalid-request',
    remedy:
      'Give bricks on different servers. With `force: true` it is done all the same, and one server that fails takes the data with it.',
  },
  {
    when: /is already part of a volume|or a prefix of it is already part of a volume/,
    code: 'half-done',
    remedy:
      'An earlier try has marked the directory. When it holds no data, take the mark away on its server: setfattr -x trusted.glusterfs.volume-id DIRECTORY. Given the server in `hosts`, this is looked at and done here.',
  },
  {
    when: /root partition|mount point/i,
    code: 'invalid-request',
    remedy: 'Give a directory below the mount point of a filesystem of its own.',
  },
  {
    when: /is not started|not in started state/i,
    code: 'wrong-state',
    remedy: 'Start the volume: gluster volume start NAME.',
  },
]

/** What `gluster` said when it refused, as the library's error. */
export function glusterError(message: string, outcome: Outcome): VolumeExpansionError {
  const said = message.replace(/\s+/g, ' ').trim() || 'nothing'
  const meaning = meanings.find(({ when }) => when.test(said))
  return failure(meaning?.code ?? 'backend-failed', `gluster says: ${said}`, outcome, {
    remedy: meaning?.remedy ?? 'Read the log of glusterd on that server, then run this again: it observes first.',
    retryable: meaning?.retryable ?? false,
  })
}

/** An error of this provider. */
export function failure(
  code: ErrorCode,
  message: string,
  outcome: Outcome,
  details: {
    readonly remedy: string
    readonly retryable?: boolean
    readonly retryAfter?: number
    readonly cause?: unknown
  },
): VolumeExpansionError {
  return new VolumeExpansionError(code, message, { layer: 'volume', provider: providerName, outcome, ...details })
}

/** The ref cannot name a volume, whatever exists. */
export function invalidReference(ref: unknown, reason: string, remedy: string): VolumeExpansionError {
  const shown = typeof ref === 'string' ? JSON.stringify(ref.slice(0, 200)) : `A value of the type ${typeof ref}`
  return failure('invalid-reference', `${shown} is not usable as a volume: ${reason}.`, 'unchanged', { remedy })
}
