import { describe, expect, test } from 'vitest'
import {
  abortedError,
  asExpansionError,
  type ErrorDetails,
  errorCodes,
  failureCodes,
  VolumeExpansionError,
} from '../src/errors.ts'
import { type Finding, findingCodes } from '../src/findings.ts'
import { bytes } from '../src/size.ts'

const finding: Finding = { code: 'read-only', severity: 'blocker', layer: 'device', message: 'it is read-only' }

test('an error alone does not say that nothing happened, and is not worth repeating', () => {
  const error = new VolumeExpansionError('timeout', 'too long', { layer: 'volume' })
  expect(error).toBeInstanceOf(Error)
  expect(error).toMatchObject({
    name: 'VolumeExpansionError',
    code: 'timeout',
    message: 'too long',
    layer: 'volume',
    outcome: 'unknown',
    retryable: false,
    findings: [],
  })
  for (const key of ['provider', 'retryAfter', 'remedy', 'report'] as const) expect(error[key]).toBeUndefined()
  expect('cause' in error).toBe(false)
})

test('every detail is kept', () => {
  const details: Required<ErrorDetails> = {
    layer: 'filesystem',
    outcome: 'changed',
    provider: 'file',
    retryable: true,
    retryAfter: 250,
    remedy: 'Wait.',
    cause: new Error('below'),
    findings: [finding],
    report: { changed: true },
  }
  expect(new VolumeExpansionError('tool-failed', 'it failed', details)).toMatchObject(details)
})

describe('with', () => {
  const cause = new Error('below')
  const error = new VolumeExpansionError('throttled', 'slow down', {
    layer: 'volume',
    outcome: 'unchanged',
    retryable: true,
    retryAfter: 100,
    cause,
  })

  test('changes what is given and nothing else', () => {
    const other = error.with({ outcome: 'unknown', provider: 'ebs', report: { changed: false } })
    expect(other).not.toBe(error)
    expect(other).toBeInstanceOf(VolumeExpansionError)
    expect(other).toMatchObject({
      code: 'throttled',
      message: 'slow down',
      layer: 'volume',
      outcome: 'unknown',
      provider: 'ebs',
      retryable: true,
      retryAfter: 100,
      report: { changed: false },
      cause,
    })
    expect(error).toMatchObject({ outcome: 'unchanged', provider: undefined, report: undefined })
  })

  test('keeps the stack of where it happened', () => {
    expect(error.with({ outcome: 'changed' }).stack).toBe(error.stack)
  })

  test('adds no cause where there was none', () => {
    expect('cause' in new VolumeExpansionError('timeout', 'x', { layer: 'host' }).with({ outcome: 'changed' })).toBe(
      false,
    )
  })
})

describe('toJSON', () => {
  test('has everything a program needs, and of the cause its name and message only', () => {
    const cause = Object.assign(new TypeError('no answer'), {
      config: { headers: { authorization: 'Bearer s3cret' } },
      cause: new Error('token s3cret'),
    })
    const error = new VolumeExpansionError('backend-unreachable', 'it does not answer', {
      layer: 'volume',
      provider: 'cinder',
      cause,
      findings: [finding],
      report: { size: bytes(4096), toJSON: undefined },
    })
    const text = JSON.stringify(error)
    expect(JSON.parse(text)).toEqual({
      name: 'VolumeExpansionError',
      code: 'backend-unreachable',
      message: 'it does not answer',
      layer: 'volume',
      outcome: 'unknown',
      provider: 'cinder',
      retryable: false,
      findings: [finding],
      report: { size: '4096' },
      cause: { name: 'TypeError', message: 'no answer' },
    })
    expect(text).not.toContain('s3cret')
  })

  test('leaves out a cause that is not an error, since nothing is known of what it holds', () => {
    const error = new VolumeExpansionError('timeout', 'x', { layer: 'volume', cause: { password: 's3cret' } })
    expect(JSON.parse(JSON.stringify(error))).not.toHaveProperty('cause')
  })
})

test.each(['unchanged', 'changed', 'unknown'] as const)(
  'an aborted signal becomes an error with outcome %s',
  (outcome) => {
    const reason = new Error('enough')
    const error = abortedError(AbortSignal.abort(reason), 'filesystem', outcome)
    expect(error).toMatchObject({ code: 'aborted', layer: 'filesystem', outcome, cause: reason, retryable: false })
    expect(error.remedy).toContain(outcome === 'unchanged' ? 'Nothing was changed' : 'goes on by itself')
  },
)

describe('asExpansionError', () => {
  const details: ErrorDetails = { layer: 'volume', provider: 'x', outcome: 'unchanged' }

  test('leaves what is one already as it is', () => {
    const error = new VolumeExpansionError('pool-full', 'full', { layer: 'volume' })
    expect(asExpansionError(error, details)).toBe(error)
  })

  test.each([
    [new RangeError('out'), 'out'],
    ['text', 'text'],
    [undefined, 'undefined'],
    [null, 'null'],
  ])('wraps %o', (thrown, message) => {
    const error = asExpansionError(thrown, details)
    expect(error).toMatchObject({ code: 'contract-violated', message, ...details })
    expect(error.cause).toBe(thrown)
  })
})

test('every code has one meaning, in words', () => {
  const codes = [...Object.keys(failureCodes), ...Object.keys(findingCodes)]
  expect(new Set(codes).size).toBe(codes.length)
  expect(Object.keys(errorCodes).sort()).toEqual(codes.sort())
  for (const [code, meaning] of Object.entries(errorCodes)) {
    expect(code).toMatch(/^[a-z0-9]+(-[a-z0-9]+)*$/)
    expect(meaning).toMatch(/^[A-Z].*\.$/)
  }
})
