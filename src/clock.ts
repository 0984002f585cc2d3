import { onAbort } from './abort.ts'

/** Time as the core sees it, passed in so that tests can drive it. */
export interface Clock {
  /** Milliseconds since an arbitrary start; never goes back. */
  now(): number
  /** The wall clock, for what people and backends read. */
  date(): Date
  /** Resolves after `milliseconds`; rejects with the signal's reason as soon as it is aborted. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>
}

/** A number from 0 (inclusive) to 1 (exclusive), passed in so that a seed repeats a run. */
export type Random = () => number

// setTimeout counts in a 32-bit integer; a longer wait is slept in slices.
const longestTimer = 2 ** 31 - 1

export const systemClock: Clock = {
  now: () => performance.now(),
  date: () => new Date(),
  async sleep(milliseconds, signal) {
    for (let left = milliseconds; left > 0; left -= longestTimer) await timer(Math.min(left, longestTimer), signal)
    signal?.throwIfAborted()
  },
}

function timer(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) return reject(signal.reason)
    const handle = setTimeout(() => {
      forget()
      resolve()
    }, milliseconds)
    const forget = onAbort(signal, () => {
      clearTimeout(handle)
      reject(signal?.reason)
    })
  })
}
