import type { Clock } from '../../clock.ts'

/**
 * How often a group of methods may be called: so many in each minute, the minutes being fixed ones that refill at their beginning as the quota page
 * describes it (https://cloud.google.com/compute/api-quota), or a token bucket, for tests that want throttling without a minute's wait.
 */
export type RateLimit = { readonly perMinute: number } | { readonly burst: number; readonly perSecond: number }

/** One group's meter. */
export class Meter {
  readonly #limit: RateLimit
  readonly #clock: Clock
  #minute = Number.NaN
  #used = 0
  #tokens: number
  #at: number

  constructor(limit: RateLimit, clock: Clock) {
    this.#limit = limit
    this.#clock = clock
    this.#tokens = 'burst' in limit ? limit.burst : 0
    this.#at = clock.now()
  }

  /** Whether one more call is allowed now; counts it when it is. */
  take(): boolean {
    const now = this.#clock.now()
    if ('perMinute' in this.#limit) {
      const minute = Math.floor(now / 60_000)
      if (minute !== this.#minute) this.#used = 0
      this.#minute = minute
      if (this.#used >= this.#limit.perMinute) return false
      this.#used += 1
      return true
    }
    const { burst, perSecond } = this.#limit
    this.#tokens = Math.min(burst, this.#tokens + ((now - this.#at) / 1000) * perSecond)
    this.#at = now
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }
}
