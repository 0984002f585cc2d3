import { describe, expect, test } from 'vitest'
import { callError, type FailureContext, operationError, sdkFailureOf } from '../../../providers/gce-pd/errors.ts'

const context: FailureContext = { what: 'disk d1', mutates: true, permission: 'compute.disks.resize' }

/** As @google-cloud/compute 6.15 throws it: recorded from the client against the emulator. */
function gaxiosError(status: number, reason: string, message: string, headers: Record<string, string> = {}): Error {
  const body = { error: { code: status, message, errors: [{ message, domain: 'global', reason }] } }
  return Object.assign(new Error(JSON.stringify(body)), {
    code: status,
    status,
    response: { status, headers: new Headers(headers), data: {} },
  })
}

/** As @google-cloud/compute 7.8 throws it: `code` is a gRPC code, and the HTTP status stands beside it. */
function googleError(code: number, httpStatusCode: number | undefined, message: string, reason?: string): Error {
  return Object.assign(new Error(message), {
    code,
    ...(httpStatusCode === undefined ? {} : { httpStatusCode }),
    ...(reason === undefined ? {} : { errors: [{ message, domain: 'global', reason }] }),
  })
}

describe('one failure in two shapes', () => {
  test.each([
    ['not-found', gaxiosError(404, 'notFound', 'gone'), googleError(5, 404, 'gone', 'notFound'), false],
    ['permission-denied', gaxiosError(403, 'forbidden', 'no'), googleError(7, 403, 'no', 'forbidden'), false],
    [
      'throttled',
      gaxiosError(403, 'rateLimitExceeded', 'slow'),
      googleError(7, 403, 'slow', 'rateLimitExceeded'),
      true,
    ],
    ['throttled', gaxiosError(429, 'whatever', 'slow'), googleError(8, 429, 'slow'), true],
    ['quota-exceeded', gaxiosError(403, 'quotaExceeded', 'full'), googleError(7, 403, 'full', 'quotaExceeded'), false],
    ['authentication-failed', gaxiosError(401, 'authError', 'who'), googleError(16, 401, 'who'), false],
    ['invalid-request', gaxiosError(400, 'invalid', 'bad'), googleError(3, 400, 'bad', 'invalid'), false],
    [
      'conflicting-change',
      gaxiosError(400, 'resourceNotReady', 'busy'),
      googleError(9, 400, 'busy', 'resourceNotReady'),
      true,
    ],
    ['backend-unreachable', gaxiosError(503, 'backendError', 'down'), googleError(14, 503, 'down'), true],
    ['backend-unreachable', gaxiosError(500, 'internalError', 'oops'), googleError(13, undefined, 'oops'), true],
  ])('%s', (code, six, seven, retryable) => {
    const outcome = code === 'backend-unreachable' ? 'unknown' : 'unchanged'
    for (const shape of [six, seven]) {
      const failure = sdkFailureOf(shape)
      expect(failure).toBeDefined()
      if (failure !== undefined)
        expect(callError(failure, context, shape)).toMatchObject({ code, retryable, outcome, provider: 'gce-pd' })
    }
    expect(sdkFailureOf(six)?.message).toBe(sdkFailureOf(seven)?.message)
  })

  test('a body of version 6 that came as data', () => {
    const thrown = Object.assign(new Error('Request failed with status code 403'), {
      status: 403,
      response: {
        status: 403,
        headers: {},
        data: { error: { message: 'slow', errors: [{ reason: 'rateLimitExceeded' }] } },
      },
    })
    expect(sdkFailureOf(thrown)).toEqual({ status: 403, message: 'slow', reason: 'rateLimitExceeded' })
  })

  test('what the answer asks to wait', () => {
    expect(sdkFailureOf(gaxiosError(429, 'x', 'slow', { 'retry-after': '7' }))).toMatchObject({ retryAfter: 7000 })
  })

  test.each([[new Error('x')], ['text'], [undefined], [Object.assign(new Error('reset'), { code: 'ECONNRESET' })]])(
    '%s is no answer',
    (thrown) => {
      expect(sdkFailureOf(thrown)).toBeUndefined()
    },
  )
})

test('a connection that breaks leaves a mutation unknown, and a read unchanged', () => {
  expect(callError({ message: 'reset' }, context, undefined)).toMatchObject({ outcome: 'unknown', retryable: true })
  expect(callError({ message: 'reset' }, { ...context, mutates: false }, undefined)).toMatchObject({
    outcome: 'unchanged',
  })
})

test('a denial names the permission of its message, or else that of the call', () => {
  const named = callError(
    { status: 403, reason: 'forbidden', message: "Required 'compute.disks.use' permission for 'x'" },
    context,
    undefined,
  )
  expect(named.remedy).toContain('compute.disks.use')
  expect(callError({ status: 403, message: 'no' }, context, undefined).remedy).toContain('compute.disks.resize')
})

test('the error of an operation keeps its native code in the message', () => {
  const error = operationError('ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS', 'none left', context)
  expect(error).toMatchObject({ code: 'pool-full', outcome: 'unchanged' })
  expect(error.message).toContain('ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS')
})
