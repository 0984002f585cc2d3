import { onAbort } from '../abort.ts'
import type { Clock } from '../clock.ts'
import { abortedError } from '../errors.ts'
import type { Pace } from '../expander.ts'

// After a throttle the rate recovers by this part of the reference rate each second: from a half to the whole in ten seconds.
const recoveryPerSecond = 1 / 20
// A scope whose rate nobody declared is limited only after a throttle, and no longer than this after the last one.
const forgetAfter = 60_000
const rounding = 1e-9
// However often a backend throttles, the scope goes on at this part of its rate.
const slowest = 1 / 64

/** Milliseconds for which a scope pauses after a throttle that did not say for how long. */
export const defaultPause = 500

interface Waiter {
  readonly grant: () => void
}

/**
 * A token bucket for one kind of request to one scope, first come, first served. A throttle slows down everyone who shares it: all wait, the rate is
 * halved, and it recovers little by little. Without a declared pace nothing is held back until the backend throttles for the first time;
 * then half of the rate that was just tried is where it goes on.
 */
export class Pacer {
  readonly #pace: Pace | undefined
  readonly #clock: Clock
  readonly #queue = new Set<Waiter>()
  #rate: number
  #reference: number
  #tokens: number
  #refilledAt: number
  #pausedUntil = Number.NEGATIVE_INFINITY
  #throttledAt = Number.NEGATIVE_INFINITY
  #epoch = 0
  #timer: AbortController | undefined
  // Grants of the current second and of the one before, to know what was tried where no pace was declared.
  #counted = { second: 0, now: 0, before: 0 }

  constructor(pace: Pace | undefined, clock: Clock) {
    if (pace !== undefined && !(pace.burst >= 1 && pace.perSecond > 0)) {
      throw new TypeError('A pace has a burst of at least 1 and a rate above 0 per second.')
    }
    this.#pace = pace
    this.#clock = clock
    this.#rate = pace?.perSecond ?? Number.POSITIVE_INFINITY
    this.#reference = this.#rate
    this.#tokens = pace?.burst ?? 1
    this.#refilledAt = clock.now()
  }

  /** Whether it is as good as new: nobody waits, no throttle is remembered and the bucket is full. */
  get rested(): boolean {
    this.#refill()
    return this.#queue.size === 0 && this.#isUnthrottled() && this.#tokens >= this.#burst()
  }

  /**
   * Resolves when the caller may send one request, with the number of the throttling epoch, which {@link slowDown} takes back.
   *
   * @throws {VolumeExpansionError} `aborted` with outcome `unchanged`; the token goes to the next
   */
  take(signal?: AbortSignal): Promise<number> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(abortedError(signal, 'volume', 'unchanged'))
      const leave = (): void => {
        this.#queue.delete(waiter)
        forget()
      }
      const forget = onAbort(signal, () => {
        leave()
        if (this.#queue.size === 0) this.#timer?.abort()
        if (signal !== undefined) reject(abortedError(signal, 'volume', 'unchanged'))
      })
      const waiter: Waiter = {
        grant: () => {
          leave()
          resolve(this.#epoch)
        },
      }
      this.#queue.add(waiter)
      this.#pump()
    })
  }

  /**
   * After a throttle: nobody goes on for `milliseconds`, and then at half the rate. Requests that were on their way together are throttled together:
   * only the first of an epoch halves the rate.
   */
  slowDown(milliseconds: number, epoch: number = this.#epoch): void {
    this.#refill()
    const now = this.#clock.now()
    this.#pausedUntil = Math.max(this.#pausedUntil, now + milliseconds)
    this.#throttledAt = now
    if (epoch !== this.#epoch) return
    this.#epoch += 1
    if (!Number.isFinite(this.#rate)) {
      this.#rate = Math.max(1, this.#counted.now, this.#counted.before)
      this.#reference = this.#rate
    }
    this.#rate = Math.max(this.#rate / 2, this.#reference * slowest)
    this.#tokens = 0
  }

  #burst(): number {
    return this.#pace?.burst ?? 1
  }

  #isUnthrottled(): boolean {
    return this.#rate === (this.#pace?.perSecond ?? Number.POSITIVE_INFINITY) && this.#clock.now() >= this.#pausedUntil
  }

  #refill(): void {
    const now = this.#clock.now()
    // A pause gives no tokens and no recovery.
    const from = Math.max(this.#refilledAt, Math.min(this.#pausedUntil, now))
    const seconds = (now - from) / 1000
    this.#refilledAt = now
    if (this.#pace === undefined && now - this.#throttledAt >= forgetAfter) this.#rate = Number.POSITIVE_INFINITY
    if (!Number.isFinite(this.#rate)) {
      this.#tokens = this.#burst()
      return
    }
    const limit = this.#pace?.perSecond ?? Number.POSITIVE_INFINITY
    const recovered = Math.min(limit, this.#rate + this.#reference * recoveryPerSecond * seconds)
    this.#tokens = Math.min(this.#burst(), this.#tokens + ((this.#rate + recovered) / 2) * seconds)
    this.#rate = recovered
  }

  #count(): void {
    const second = Math.floor(this.#clock.now() / 1000)
    const { second: last, now } = this.#counted
    if (second !== last) this.#counted = { second, now: 0, before: second === last + 1 ? now : 0 }
    this.#counted.now += 1
  }

  /** Milliseconds until the next request may go. */
  #delay(): number {
    this.#refill()
    const pause = this.#pausedUntil - this.#clock.now()
    if (pause > 0) return pause
    const needed =
      this.#pace?.together === true ? Math.max(1, Math.min(this.#queue.size, Math.floor(this.#burst()))) : 1
    // A hair's breadth below a whole token is a rounding error of the refill; waiting for it would be a timer of no length.
    return this.#tokens >= needed - rounding ? 0 : ((needed - this.#tokens) / this.#rate) * 1000
  }

  /** How many may go in this moment. */
  #room(): number {
    return this.#pace?.together === true && Number.isFinite(this.#rate) ? Math.floor(this.#tokens + rounding) : 1
  }

  #grantReady(): number {
    for (;;) {
      const delay = this.#delay()
      if (delay > 0) return delay
      for (let room = this.#room(); room > 0; room -= 1) {
        const [first] = this.#queue
        if (first === undefined) return 0
        if (Number.isFinite(this.#rate)) this.#tokens -= 1
        this.#count()
        first.grant()
      }
    }
  }

  #pump(): void {
    if (this.#timer !== undefined) return
    const delay = this.#grantReady()
    if (this.#queue.size === 0) return
    // The timer is the bucket's and not a caller's: it goes on for the next when one leaves, and ends when nobody is left.
    const timer = new AbortController()
    this.#timer = timer
    void this.#clock
      .sleep(Math.max(delay, 1), timer.signal)
      .catch(() => undefined)
      .then(() => {
        this.#timer = undefined
        this.#pump()
      })
  }
}
