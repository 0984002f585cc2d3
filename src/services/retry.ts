import type { Clock, Random } from '../clock.ts'
import { type Outcome, VolumeExpansionError } from '../errors.ts'
import type { Where } from '../where.ts'
import { abortableSleep, refuseAborted } from './abortable.ts'

export interface RetryOptions {
  readonly clock: Clock
  readonly random: Random
  readonly signal?: AbortSignal | undefined
  readonly layer: Where
  /** How many tries there are at the most, throttled ones apart. Left out: 5. */
  readonly attempts?: number | undefined
  /** How many throttled tries there are at the most. Left out: 20. */
  readonly throttledAttempts?: number | undefined
  /** No try begins after this, as `clock.now()` counts. Left out: none. */
  readonly deadline?: number | undefined
  /** Milliseconds of the first wait at the most; each later one may be twice as long. Left out: 200. */
  readonly first?: number | undefined
  /** Milliseconds of any wait at the most, unless the backend asks for more. Left out: 20 000. */
  readonly cap?: number | undefined
  /** Whether the failure is worth another try. Left out: its `retryable`. */
  readonly classify?: ((error: VolumeExpansionError) => boolean) | undefined
  /** Called for every throttled try, so that whoever shares the limit slows down as well. */
  readonly onThrottled?: ((error: VolumeExpansionError) => void) | undefined
}

/**
 * Tries until it succeeds, fails for good or is not worth another try. Waits between the tries at random, from nothing up to a bound that doubles, and
 * never less than the backend's `retryAfter`. Only a `VolumeExpansionError` that is retryable is tried again. A mutation is repeated after an
 * answer that was lost only because `VolumeExpander.expand` is idempotent, with one request id for every try.
 *
 * @throws {VolumeExpansionError} the last failure, with the outcome of all tries together: once one of them may have changed something, a later refusal
 * does not take that back; `aborted` with the same outcome
 */
export async function retrying<T>(operation: (attempt: number) => Promise<T>, options: RetryOptions): Promise<T> {
  const { clock, random, signal, layer, first = 200, cap = 20_000, deadline = Number.POSITIVE_INFINITY } = options
  const classify = options.classify ?? ((error: VolumeExpansionError): boolean => error.retryable)
  const left = { failures: options.attempts ?? 5, throttles: options.throttledAttempts ?? 20 }
  let outcome: Outcome = 'unchanged'
  for (let attempt = 1; ; attempt += 1) {
    refuseAborted(signal, { layer, outcome })
    try {
      return await operation(attempt)
    } catch (thrown) {
      if (!(thrown instanceof VolumeExpansionError)) throw thrown
      const throttled = thrown.code === 'throttled'
      if (throttled) options.onThrottled?.(thrown)
      outcome = combined(outcome, thrown.outcome)
      const error = outcome === thrown.outcome ? thrown : thrown.with({ outcome })
      if (thrown.code === 'aborted' || !classify(thrown)) throw error
      left[throttled ? 'throttles' : 'failures'] -= 1
      if (left.throttles <= 0 || left.failures <= 0) throw error
      const delay = (thrown.retryAfter ?? 0) + random() * Math.min(cap, first * 2 ** Math.min(attempt - 1, 30))
      if (clock.now() + delay > deadline) throw error
      await abortableSleep(clock, delay, signal, { layer, outcome })
    }
  }
}

const gravity: Readonly<Record<Outcome, number>> = { unchanged: 0, unknown: 1, changed: 2 }

function combined(earlier: Outcome, later: Outcome): Outcome {
  return gravity[earlier] > gravity[later] ? earlier : later
}
