import { type Finding, type FindingCode, findingCodes } from './findings.ts'
import { type Json, jsonSafe } from './json.ts'
import type { Where } from './where.ts'

/**
 * What a failure left behind. `unchanged`: nothing was grown by this run. `changed`: something was, the partial report says what.
 * `unknown`: an answer was lost or a deadline passed; run again, which observes first and joins what is under way.
 */
export type Outcome = 'unchanged' | 'changed' | 'unknown'

/** Codes of failures that no plan can foresee, with what each means. */
export const failureCodes = {
  'invalid-size': 'A size could not be read, or is outside of 1 byte to 2^63-1 bytes.',
  'invalid-reference': 'A reference to a volume is malformed for its provider.',
  aborted: "The caller's signal was aborted; what was begun is said in the outcome.",
  timeout: 'A deadline passed. What was begun may still happen: the outcome is unknown until it is observed again.',
  'stale-plan': 'The world no longer fits the approved plan: an identity or a size is another one.',
  'verification-failed': 'An action ended, but measuring the layer again did not show what it should have done.',
  'tool-failed': 'A tool ended with a failure that has no code of its own.',
  'io-error': 'The device could not be read or written: the machine reports I/O errors.',
  'tool-running': 'Another tool holds the disk, and did not end before the deadline.',
  'host-unreachable': 'The host does not answer, or the connection to it was lost.',
  'backend-unreachable': 'The backend does not answer, or answers with a failure of its own.',
  'backend-failed': 'The backend accepted the growth and then reported that it failed.',
  'authentication-failed': 'The backend or the host did not accept the credentials.',
  throttled: 'The backend asked to slow down for longer than the run may wait.',
  'conflicting-change': 'Another change to the same volume is under way, and it is not the one that was asked for.',
  'contract-violated': 'A provider, layer, resizer or host broke its contract; nothing that it says can be relied on.',
} as const

/** Stable: codes are part of the API, messages are not. A blocked plan fails with the code of its first blocker. */
export type ErrorCode = keyof typeof failureCodes | FindingCode

/** Every code that an error can have, with its meaning. */
export const errorCodes: Readonly<Record<ErrorCode, string>> = { ...failureCodes, ...findingCodes }

export interface ErrorDetails {
  /** Where it happened. */
  readonly layer: Where
  /** Left out: `unknown`, because a failure alone does not say that nothing happened. */
  readonly outcome?: Outcome
  /** The provider's name, where one was involved. */
  readonly provider?: string
  /** Whether the same call may succeed later without anyone changing anything. Left out: false. */
  readonly retryable?: boolean
  /** Milliseconds that the backend asked to wait before the next try, where it said so. */
  readonly retryAfter?: number
  /** What a person should do next. */
  readonly remedy?: string
  readonly cause?: unknown
  /** All blockers of a refused plan, the first of which gave the code. */
  readonly findings?: readonly Finding[]
  /** What had been done and observed when the run ended. */
  readonly report?: object
}

/**
 * The one error of this library. Judge it by {@link code}, {@link outcome} and {@link retryable}; show {@link message} and
 * {@link remedy} to people. `toJSON` is free of secrets: it holds the cause's name and message only.
 */
export class VolumeExpansionError extends Error {
  override readonly name = 'VolumeExpansionError'
  readonly code: ErrorCode
  readonly layer: Where
  readonly outcome: Outcome
  readonly provider: string | undefined
  readonly retryable: boolean
  readonly retryAfter: number | undefined
  readonly remedy: string | undefined
  readonly findings: readonly Finding[]
  readonly report: object | undefined

  constructor(code: ErrorCode, message: string, details: ErrorDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.layer = details.layer
    this.outcome = details.outcome ?? 'unknown'
    this.provider = details.provider
    this.retryable = details.retryable ?? false
    this.retryAfter = details.retryAfter
    this.remedy = details.remedy
    this.findings = details.findings ?? []
    this.report = details.report
  }

  /** The same error with other details: how the core adds what it alone knows, such as the partial report. */
  with(details: Partial<ErrorDetails>): VolumeExpansionError {
    const { layer, outcome, provider, retryable, retryAfter, remedy, findings, report, cause } = this
    const own = { layer, outcome, provider, retryable, retryAfter, remedy, findings, report, cause }
    const error = new VolumeExpansionError(this.code, this.message, withoutUndefined({ ...own, ...details }))
    if (this.stack !== undefined) error.stack = this.stack
    return error
  }

  toJSON(): Json {
    const { name, code, message, layer, outcome, provider, retryable, retryAfter, remedy, findings, report, cause } =
      this
    return jsonSafe({
      ...{ name, code, message, layer, outcome, provider, retryable, retryAfter, remedy, findings, report },
      cause: cause instanceof Error ? { name: cause.name, message: cause.message } : undefined,
    })
  }
}

function withoutUndefined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>
  }
}

/** What an aborted signal becomes: code `aborted` with the signal's reason as its cause. */
export function abortedError(signal: AbortSignal, layer: Where, outcome: Outcome): VolumeExpansionError {
  return new VolumeExpansionError('aborted', 'The run was aborted.', {
    layer,
    outcome,
    cause: signal.reason,
    remedy:
      outcome === 'unchanged'
        ? 'Nothing was changed. Run it again when you want to.'
        : 'Growth that had begun goes on by itself. Run it again: it observes first and does only what is left.',
  })
}

/** Any thrown value as the library's error; what is one already stays as it is. */
export function asExpansionError(thrown: unknown, details: ErrorDetails): VolumeExpansionError {
  if (thrown instanceof VolumeExpansionError) return thrown
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return new VolumeExpansionError('contract-violated', message, { ...details, cause: thrown })
}
