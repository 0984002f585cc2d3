import { abortedError, type ErrorCode, type Outcome, VolumeExpansionError } from '../../src/errors.ts'

/** The provider's name, in errors, lock keys and reports. */
export const providerName = 'ebs'

/** What an action of EC2 is called in IAM policies, and whether it changes anything. */
export type Ec2ActionName =
  | 'DescribeVolumes'
  | 'DescribeVolumesModifications'
  | 'ModifyVolume'
  | 'CreateSnapshot'
  | 'DescribeSnapshots'

interface Meaning {
  readonly code: ErrorCode
  readonly remedy: string
  readonly retryable?: boolean
  /** Left out: EC2 said no before it did anything. */
  readonly outcome?: Outcome
}

const throttled: Meaning = {
  code: 'throttled',
  remedy: 'Ask for less at once, or have the account’s limit for this action raised.',
  retryable: true,
}
const unwell: Meaning = {
  code: 'backend-unreachable',
  remedy: 'See the AWS Health Dashboard. Run it again: it observes first and does only what is left.',
  retryable: true,
  outcome: 'unknown',
}
const unauthenticated: Meaning = {
  code: 'authentication-failed',
  remedy: 'Check the credentials: their expiry, their region, and the clock of this machine.',
}
const unfinished: Meaning = {
  code: 'too-soon',
  remedy: 'Run it again when the modification under way is completed, which can take more than a day.',
}
const missing: Meaning = {
  code: 'not-found',
  remedy: 'Check the id and the region: every region has volumes of its own.',
}
const wrong: Meaning = { code: 'invalid-request', remedy: 'Ask for what the volume’s type allows.' }
const quota: Meaning = {
  code: 'quota-exceeded',
  remedy: 'Have the quota of the region raised (Service Quotas, Amazon EBS), or ask for less.',
}

/** By code, never by text: Amazon EC2 API Reference, "Error codes". */
const meanings: ReadonlyMap<string, Meaning> = new Map<string, Meaning>([
  ['InvalidVolume.NotFound', missing],
  ['InvalidSnapshot.NotFound', missing],
  ['InvalidVolumeID.Malformed', { code: 'invalid-reference', remedy: 'Give an id such as vol-0123456789abcdef0.' }],
  ['InvalidVolumeID.ZoneMismatch', missing],
  ['UnauthorizedOperation', { code: 'permission-denied', remedy: '' }],
  ['AuthFailure', unauthenticated],
  ['InvalidClientTokenId', unauthenticated],
  ['SignatureDoesNotMatch', unauthenticated],
  ['RequestExpired', unauthenticated],
  ['ExpiredToken', unauthenticated],
  ['ExpiredTokenException', unauthenticated],
  ['CredentialsProviderError', unauthenticated],
  ['OptInRequired', unauthenticated],
  ['PendingVerification', unauthenticated],
  ['RequestLimitExceeded', throttled],
  ['Throttling', throttled],
  ['ThrottlingException', throttled],
  ['RequestThrottled', throttled],
  ['EC2ThrottledException', throttled],
  [
    'VolumeModificationRateExceeded',
    {
      code: 'too-soon',
      remedy: 'Four modifications in any 24 hours are allowed (since January 2026). Run it again later.',
    },
  ],
  ['IncorrectModificationState', unfinished],
  ['VolumeModificationSizeLimitExceeded', quota],
  ['MaxIOPSLimitExceeded', quota],
  ['VolumeLimitExceeded', quota],
  ['IncorrectState', { code: 'wrong-state', remedy: 'Bring the volume to available or in-use first.' }],
  [
    'InsufficientVolumeCapacity',
    { code: 'pool-full', remedy: 'Try later, or move to another Availability Zone.', retryable: true },
  ],
  ['OperationNotPermitted', { code: 'owned-elsewhere', remedy: 'Have the service that manages the volume change it.' }],
  ['UnknownVolumeType', wrong],
  ['InvalidParameterValue', { ...wrong, code: 'limit-exceeded' }],
  ['InvalidParameterCombination', wrong],
  ['InvalidParameterDependency', wrong],
  ['MissingParameter', wrong],
  [
    'UnsupportedOperation',
    {
      code: 'offline-only',
      remedy: 'The instance may be of a type that cannot see changes: detach the volume, or stop the instance.',
    },
  ],
  [
    'SnapshotCreationPerVolumeRateExceeded',
    { code: 'throttled', remedy: 'Wait 15 seconds between snapshots of one volume.', retryable: true },
  ],
  ['ConcurrentSnapshotLimitExceeded', { code: 'quota-exceeded', remedy: 'Wait until other snapshots are completed.' }],
  ['SnapshotLimitExceeded', quota],
  ['InternalError', unwell],
  ['InternalFailure', unwell],
  ['ServiceUnavailable', unwell],
  ['Unavailable', unwell],
])

/** A failure of a call to EC2 as the library's error; what is one already stays as it is. */
export function ec2Error(
  thrown: unknown,
  action: Ec2ActionName,
  about: string,
  signal?: AbortSignal,
): VolumeExpansionError {
  if (thrown instanceof VolumeExpansionError) return thrown
  const changes = action === 'ModifyVolume' || action === 'CreateSnapshot'
  if (signal?.aborted === true) return abortedError(signal, 'volume', changes ? 'unknown' : 'unchanged')
  const { code: native, status, wasClockCorrected } = factsOf(thrown)
  const meaning = meanings.get(native) ?? byStatus(status)
  const outcome = changes ? (meaning.outcome ?? 'unchanged') : 'unchanged'
  const remedy =
    meaning.code === 'permission-denied'
      ? `Allow ec2:${action} for these credentials, and run it again.`
      : meaning.remedy
  return new VolumeExpansionError(meaning.code, messageOf(meaning, native, action, about), {
    ...{ layer: 'volume', provider: providerName, outcome, remedy },
    // The SDK has learned by how much this machine's clock is wrong, and signs the next request accordingly.
    retryable: meaning.retryable ?? (meaning === unauthenticated && wasClockCorrected),
    cause: safeCause(thrown),
  })
}

/** An error with a code of EC2's that is not in the table: it was understood and refused. */
const refused: Meaning = { code: 'wrong-state', remedy: 'See the code in the Amazon EC2 API Reference, "Error codes".' }
/** Nothing of EC2's came back. */
const lost: Meaning = {
  code: 'backend-unreachable',
  remedy: 'Check the network and the endpoint. Run it again: it observes first and does only what is left.',
  retryable: true,
  outcome: 'unknown',
}

/** What answers without a code of EC2's, as something in between gives them. */
function byStatus(status: number | undefined): Meaning {
  if (status === 429) return throttled
  return status !== undefined && status >= 400 && status < 500 ? refused : lost
}

function messageOf({ code }: Meaning, native: string, action: Ec2ActionName, about: string): string {
  if (code === 'permission-denied') return `The right ec2:${action} is missing (for ${about}).`
  return `${action} failed for ${about}: ${native}.`
}

/** The code of the native error: what decisions are made by. */
export function nativeCode(thrown: unknown): string {
  return factsOf(thrown).code
}

function factsOf(thrown: unknown): { code: string; status: number | undefined; wasClockCorrected: boolean } {
  if (typeof thrown !== 'object' || thrown === null)
    return { code: 'no answer', status: undefined, wasClockCorrected: false }
  const error = thrown as {
    readonly name?: unknown
    readonly code?: unknown
    readonly $metadata?: { readonly httpStatusCode?: unknown; readonly clockSkewCorrected?: unknown }
  }
  const { httpStatusCode, clockSkewCorrected } = error.$metadata ?? {}
  const status = typeof httpStatusCode === 'number' ? httpStatusCode : undefined
  // A network error says its errno in `code`, an answer of EC2 its code in `name`.
  const name = typeof error.code === 'string' ? error.code : error.name
  return {
    code: typeof name === 'string' && name !== '' ? name.slice(0, 100) : 'no answer',
    status,
    wasClockCorrected: clockSkewCorrected === true,
  }
}

/** Only what cannot hold a secret: messages of EC2 can quote requests and encoded authorisations. */
function safeCause(thrown: unknown): Error {
  const { code, status } = factsOf(thrown)
  const error = new Error(status === undefined ? code : `${code} (HTTP status ${status})`)
  error.name = 'Ec2Error'
  return error
}

export function invalidReference(reason: string): VolumeExpansionError {
  return new VolumeExpansionError('invalid-reference', `This is no reference to an EBS volume: ${reason}.`, {
    ...{ layer: 'volume', provider: providerName, outcome: 'unchanged' },
    remedy: 'Give the id of a volume, such as vol-0123456789abcdef0.',
  })
}

/** @throws {VolumeExpansionError} `aborted` with outcome `unchanged` */
export function refuseAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw abortedError(signal, 'volume', 'unchanged')
}
