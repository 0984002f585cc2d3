import { onAbort } from '../abort.ts'
import type { Clock } from '../clock.ts'
import { abortedError, type Outcome } from '../errors.ts'
import type { Where } from '../where.ts'

/** What an abort means at the place where it is noticed. */
export interface AbortMeaning {
  readonly layer: Where
  /** What is known of the world when the waiting is given up here. */
  readonly outcome: Outcome
}

/** @throws {VolumeExpansionError} `aborted`, when the signal is aborted already */
export function refuseAborted(signal: AbortSignal | undefined, meaning: AbortMeaning): void {
  if (signal?.aborted === true) throw abortedError(signal, meaning.layer, meaning.outcome)
}

/** Sleeps on the clock. @throws {VolumeExpansionError} `aborted` as soon as the signal is */
export async function abortableSleep(
  clock: Clock,
  milliseconds: number,
  signal: AbortSignal | undefined,
  meaning: AbortMeaning,
): Promise<void> {
  try {
    await clock.sleep(milliseconds, signal)
  } catch (thrown) {
    refuseAborted(signal, meaning)
    throw thrown
  }
}

/**
 * The promise, unless the signal is aborted first: then rejects with `aborted`, and whatever the promise does later is ignored. For waiting on work
 * that may not honour its signal.
 */
export function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined, meaning: AbortMeaning): Promise<T> {
  if (signal === undefined) return promise
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(abortedError(signal, meaning.layer, meaning.outcome))
    if (signal.aborted) stop()
    const forget = onAbort(signal, stop)
    promise.then(resolve, reject).finally(forget)
  })
}

/** A controller that is aborted together with `signal`; `unlink` has to be called when it is no longer needed, so that a long-lived signal keeps no listener. */
export function linkedController(signal: AbortSignal | undefined): {
  readonly controller: AbortController
  readonly unlink: () => void
} {
  const controller = new AbortController()
  const stop = (): void => controller.abort(signal?.reason)
  if (signal?.aborted === true) stop()
  return { controller, unlink: onAbort(signal, stop) }
}
