/** What the API answers: a status and a JSON body, with headers where they say something. */
export interface Answer {
  readonly status: number
  readonly body: unknown
  readonly headers?: Readonly<Record<string, string>>
}

/** A refusal in the API's own shape; thrown by the handlers, and turned into an {@link Answer} in one place. */
export class ApiFailure extends Error {
  readonly status: number
  readonly reason: string
  readonly retryAfter: number | undefined

  constructor(status: number, reason: string, message: string, retryAfter?: number) {
    super(message)
    this.status = status
    this.reason = reason
    this.retryAfter = retryAfter
  }
}

/**
 * The error body of Google's JSON APIs: `error.code` is the HTTP status, and `error.errors[].reason` the word to judge by
 * (https://cloud.google.com/compute/docs/troubleshooting/troubleshooting-api-errors). Newer errors carry an `ErrorInfo` in `details` as well.
 */
export function failureAnswer({ status, reason, message, retryAfter }: ApiFailure): Answer {
  const error = { code: status, message, errors: [{ message, domain: domainOf(reason), reason }] }
  const quota = reason === 'rateLimitExceeded'
  return {
    status,
    body: { error: quota ? { ...error, status: 'PERMISSION_DENIED', details: [rateLimitInfo] } : error },
    ...(retryAfter === undefined ? {} : { headers: { 'retry-after': `${retryAfter}` } }),
  }
}

const rateLimitInfo = {
  '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
  reason: 'RATE_LIMIT_EXCEEDED',
  domain: 'googleapis.com',
}

function domainOf(reason: string): string {
  return reason.includes('LimitExceeded') ? 'usageLimits' : 'global'
}

export function notFound(path: string): ApiFailure {
  return new ApiFailure(404, 'notFound', `The resource '${path}' was not found`)
}

export function invalid(message: string): ApiFailure {
  return new ApiFailure(400, 'invalid', message)
}

/** The text that compute-image-tools#996 shows: it names the permission and the resource. */
export function forbidden(permission: string, path: string): ApiFailure {
  return new ApiFailure(403, 'forbidden', `Required '${permission}' permission for '${path}'`)
}

/** What a token that has expired, or none at all, is answered with. */
export function unauthenticated(): ApiFailure {
  return new ApiFailure(
    401,
    'authError',
    'Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.',
  )
}
