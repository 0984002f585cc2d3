import { abortedError, type ErrorCode, type Outcome, VolumeExpansionError } from '../../src/errors.ts'

/** The provider's name, in errors, lock keys and reports. */
export const providerName = 'gce-pd'

/** A failure of the API, whichever client it came through. */
export interface NativeFailure {
  /** The HTTP status; left out when there was no answer. */
  readonly status?: number
  /** `errors[].reason` of an answer, or `error.errors[].code` of an operation. */
  readonly reason?: string
  readonly message: string
  /** Milliseconds that the answer asks to wait. */
  readonly retryAfter?: number
}

/** What a failure was about, for the error of this library. */
export interface FailureContext {
  /** For people: "disk d1 in zones/a". */
  readonly what: string
  /** Whether the call could have changed something. */
  readonly mutates: boolean
  /** The IAM permission that the call needs. */
  readonly permission: string
}

interface Meaning {
  readonly code: ErrorCode
  readonly remedy: string
  readonly retryable?: boolean
  /** Milliseconds. */
  readonly retryAfter?: number
}

const throttled: Meaning = {
  code: 'throttled',
  remedy:
    'Wait a minute: the rate quotas of the project refill at the beginning of each (https://cloud.google.com/compute/api-quota).',
  retryable: true,
}
const quota: Meaning = {
  code: 'quota-exceeded',
  remedy:
    'Have the quota of that region raised, or free what is not needed (https://cloud.google.com/compute/resource-usage).',
}
const exhausted: Meaning = {
  code: 'pool-full',
  remedy: 'The zone has no capacity for it now: try again later.',
}
const busy: Meaning = {
  code: 'conflicting-change',
  remedy: 'Another change of the disk is under way. Run it again when that has ended: it observes first.',
  retryable: true,
  retryAfter: 5000,
}
const denied: Meaning = {
  code: 'permission-denied',
  remedy: 'Grant the permission that the message names, such as with roles/compute.storageAdmin.',
}
const missing: Meaning = {
  code: 'not-found',
  remedy: 'Check project, zone or region, and name; a disk is never created here.',
}
const unauthenticated: Meaning = {
  code: 'authentication-failed',
  remedy: 'Renew the credentials: gcloud auth application-default login, or a valid service account.',
}
const unusable: Meaning = {
  code: 'wrong-state',
  remedy: 'The disk cannot be changed in that way: see what the message says of its type and state.',
}
const refused: Meaning = { code: 'invalid-request', remedy: 'Compute Engine refused the request: see its message.' }
const broken: Meaning = {
  code: 'backend-unreachable',
  remedy: 'Look at https://status.cloud.google.com, and run it again: it observes first.',
  retryable: true,
}
const failed: Meaning = {
  code: 'backend-failed',
  remedy: 'Run it again: it observes first. When it stays so, ask Google Cloud support with the operation’s name.',
}

/**
 * By reason, without case and underscores: `rateLimitExceeded` of an answer and `RATE_LIMIT_EXCEEDED` of an operation are one. Reasons and codes are those of
 * https://cloud.google.com/compute/docs/troubleshooting/troubleshooting-api-errors and of the errors that the CSI driver tells apart
 * (gcp-compute-persistent-disk-csi-driver#1847).
 */
const byReason: ReadonlyMap<string, Meaning> = new Map([
  ['ratelimitexceeded', throttled],
  ['userratelimitexceeded', throttled],
  ['resourceoperationrateexceeded', throttled],
  ['concurrentoperationsquotaexceeded', throttled],
  ['quotaexceeded', quota],
  ['regionquotaexceeded', quota],
  ['limitexceeded', quota],
  ['zoneresourcepoolexhausted', exhausted],
  ['zoneresourcepoolexhaustedwithdetails', exhausted],
  ['resourcenotready', busy],
  ['resourceinusebyanotherresource', busy],
  ['conditionnotmet', busy],
  ['forbidden', denied],
  ['insufficientpermissions', denied],
  ['iampermissiondenied', denied],
  ['permissionserror', denied],
  ['accessnotconfigured', denied],
  ['notfound', missing],
  ['resourcenotfound', missing],
  ['autherror', unauthenticated],
  ['unauthenticated', unauthenticated],
  ['invalidusage', unusable],
  ['unsupportedoperation', unusable],
  ['internalerror', failed],
])

function meaningOf({ status, reason = '' }: NativeFailure): Meaning {
  const known = byReason.get(reason.toLowerCase().replaceAll('_', ''))
  if (known !== undefined && !(known === failed && status !== undefined)) return known
  switch (status) {
    case 401:
      return unauthenticated
    case 403:
      return denied
    case 404:
      return missing
    case 409:
    case 412:
      return busy
    case 429:
      return throttled
    default:
      return status === undefined || status >= 500 ? broken : refused
  }
}

/**
 * The failure of a call as the library's error. What was refused with a status below 500 has changed nothing; after any other failure of a mutation it is not
 * known.
 */
export function callError(failure: NativeFailure, context: FailureContext, cause: unknown): VolumeExpansionError {
  const { code, remedy, retryable = false, retryAfter } = meaningOf(failure)
  const answered = failure.status !== undefined && failure.status < 500
  const named = /Required '([\w.]+)' permission/.exec(failure.message)?.[1] ?? context.permission
  const after = failure.retryAfter ?? retryAfter
  return new VolumeExpansionError(
    code,
    `${context.what}: ${shortened(failure.message)}${failure.status === undefined ? '' : ` (${failure.status})`}`,
    {
      ...{ layer: 'volume', provider: providerName, retryable, cause },
      outcome: context.mutates && !answered ? 'unknown' : 'unchanged',
      remedy:
        code === 'permission-denied'
          ? `Grant ${named} to the caller, such as with roles/compute.storageAdmin.`
          : remedy,
      ...(after === undefined ? {} : { retryAfter: after }),
    },
  )
}

/** The error of an operation that is DONE: it has ended, and what it was to change is as it was. */
export function operationError(code: string, message: string, context: FailureContext): VolumeExpansionError {
  const meaning = meaningOf({ reason: code, message })
  const known = meaning === broken ? failed : meaning
  const { remedy, retryable = false, retryAfter } = known
  return new VolumeExpansionError(
    known.code,
    `${context.what}: the operation ended with ${code}: ${shortened(message)}`,
    {
      ...{ layer: 'volume', provider: providerName, outcome: 'unchanged', retryable, remedy },
      ...(retryAfter === undefined ? {} : { retryAfter }),
    },
  )
}

// google.rpc.Code to HTTP, as https://cloud.google.com/apis/design/errors maps them: all that a client over gRPC codes may leave.
const httpOfGrpc: Readonly<Record<number, number>> = {
  3: 400,
  4: 504,
  5: 404,
  6: 409,
  7: 403,
  8: 429,
  9: 400,
  10: 409,
  13: 500,
  14: 503,
  16: 401,
}

/**
 * What an official client threw, in either of its shapes: a GaxiosError of @google-cloud/compute 6 (`code` is the HTTP status, and the message the JSON body), or a
 * GoogleError of version 7 (`code` is a gRPC code, and `httpStatusCode` the status). Undefined for anything that is no answer of the API.
 */
export function sdkFailureOf(thrown: unknown): NativeFailure | undefined {
  if (!(thrown instanceof Error)) return undefined
  const { code, status, httpStatusCode, reason } = thrown as Error &
    Readonly<Record<'code' | 'status' | 'httpStatusCode' | 'reason', unknown>>
  const http = [httpStatusCode, status, code].find(
    (value): value is number => typeof value === 'number' && value >= 100,
  )
  const answered = http ?? (typeof code === 'number' ? httpOfGrpc[code] : undefined)
  if (answered === undefined) return undefined
  const body = bodyFailure(jsonOf(thrown.message)) ?? bodyFailure(fieldOf(fieldOf(thrown, 'response'), 'data'))
  const own = typeof reason === 'string' ? reason : firstReason(thrown)
  const found = body?.reason ?? own
  const after = headerOf(fieldOf(fieldOf(thrown, 'response'), 'headers'), 'retry-after')
  return {
    status: answered,
    message: body?.message ?? thrown.message,
    ...(found === undefined ? {} : { reason: found }),
    ...(after !== undefined && /^\d+$/.test(after) ? { retryAfter: Number(after) * 1000 } : {}),
  }
}

/** The `error` of an answer's JSON body. */
export function bodyFailure(body: unknown): { readonly message: string; readonly reason?: string } | undefined {
  const error = fieldOf(body, 'error')
  const message = fieldOf(error, 'message')
  if (typeof message !== 'string') return undefined
  const reason = firstReason(error)
  return reason === undefined ? { message } : { message, reason }
}

function firstReason(error: unknown): string | undefined {
  const errors = fieldOf(error, 'errors')
  const reason = Array.isArray(errors) ? fieldOf(errors[0], 'reason') : undefined
  return typeof reason === 'string' ? reason : undefined
}

/** A field of whatever an answer may be. */
export function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
}

function headerOf(headers: unknown, name: string): string | undefined {
  const value = headers instanceof Headers ? headers.get(name) : fieldOf(headers, name)
  return typeof value === 'string' ? value : undefined
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

function shortened(message: string): string {
  return message.length > 500 ? `${message.slice(0, 500)}…` : message
}

/** The ref cannot name a disk, whatever exists. */
export function invalidReference(reason: string, remedy?: string): VolumeExpansionError {
  return new VolumeExpansionError('invalid-reference', `That is not usable as a disk of Compute Engine: ${reason}.`, {
    ...{ layer: 'volume', provider: providerName, outcome: 'unchanged' },
    remedy: remedy ?? "Give { zone, disk } or { region, disk }, or a link such as 'projects/P/zones/Z/disks/D'.",
  })
}

/** @throws {VolumeExpansionError} `aborted` */
export function refuseAborted(signal: AbortSignal | undefined, outcome: Outcome = 'unchanged'): void {
  if (signal?.aborted) throw abortedError(signal, 'volume', outcome)
}

export function missingDisk(what: string): VolumeExpansionError {
  return new VolumeExpansionError('not-found', `${what} does not exist.`, {
    ...{ layer: 'volume', provider: providerName, outcome: 'unchanged', remedy: missing.remedy },
  })
}
