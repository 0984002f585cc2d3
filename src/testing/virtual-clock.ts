import { onAbort } from '../abort.ts'
import type { Clock, Random } from '../clock.ts'

export interface VirtualClockOptions {
  /** What the wall clock shows at the start. Left out: 2030-01-01T00:00:00Z. */
  readonly start?: Date
  /**
   * Whether time goes on by itself: as soon as nothing else is left to do, it jumps to the next timer. Only for code that waits for nothing but this clock,
   * since real input and output is not seen as something left to do. Left out: false.
   */
  readonly auto?: boolean
}

/** A clock whose time goes on only when it is told to, or by itself in jumps: hours of waiting pass at once, and always in the same order. */
export interface VirtualClock extends Clock {
  /** Lets everything that can happen without time passing happen. */
  settle(): Promise<void>
  /** Lets `milliseconds` pass, with every timer that falls due on the way, in order. */
  advance(milliseconds: number): Promise<void>
  /** Lets time pass until no timer is left. */
  runUntilIdle(): Promise<void>
  /** Lets time pass until the promise is settled, and returns what it gives; rejects when no timer is left that could settle it. */
  run<T>(promise: Promise<T>): Promise<T>
  /** How many sleeps have not ended. */
  readonly pending: number
}

interface Timer {
  readonly due: number
  readonly fire: () => void
}

// Code under test hands over between promises and turns of the event loop; when so many turns in a row bring no new sleep, it waits for time.
const quietTurns = 4

class SteppedClock implements VirtualClock {
  readonly #start: number
  readonly #auto: boolean
  readonly #timers = new Set<Timer>()
  #now = 0
  #changes = 0
  #driving = false

  constructor(options: VirtualClockOptions) {
    this.#start = (options.start ?? new Date('2030-01-01T00:00:00Z')).getTime()
    this.#auto = options.auto ?? false
  }

  get pending(): number {
    return this.#timers.size
  }

  now(): number {
    return this.#now
  }

  date(): Date {
    return new Date(this.#start + this.#now)
  }

  sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason)
      if (!(milliseconds > 0)) return resolve()
      this.#changes += 1
      const timer: Timer = {
        due: this.#now + milliseconds,
        fire: () => {
          forget()
          resolve()
        },
      }
      const forget = onAbort(signal, () => {
        this.#changes += 1
        this.#timers.delete(timer)
        reject(signal?.reason)
      })
      this.#timers.add(timer)
      if (this.#auto) void this.#drive()
    })
  }

  async settle(): Promise<void> {
    for (let quiet = 0, seen = this.#changes; quiet < quietTurns; quiet += 1) {
      await new Promise((resolve) => setImmediate(resolve))
      if (seen !== this.#changes) quiet = -1
      seen = this.#changes
    }
  }

  async advance(milliseconds: number): Promise<void> {
    if (!(milliseconds >= 0)) throw new TypeError('Time does not go back.')
    const end = this.#now + milliseconds
    await this.settle()
    for (let next = this.#next(); next !== undefined && next.due <= end; next = this.#next()) await this.#fire(next)
    this.#now = end
    await this.settle()
  }

  async runUntilIdle(): Promise<void> {
    await this.settle()
    for (let next = this.#next(); next !== undefined; next = this.#next()) await this.#fire(next)
  }

  async run<T>(promise: Promise<T>): Promise<T> {
    let settled = false
    const end = (): void => {
      settled = true
    }
    promise.then(end, end)
    await this.settle()
    while (!settled) {
      const next = this.#next()
      if (next === undefined) throw new Error('Nothing is left on the virtual clock that could settle the promise.')
      await this.#fire(next)
    }
    return await promise
  }

  async #drive(): Promise<void> {
    if (this.#driving) return
    this.#driving = true
    await this.runUntilIdle()
    this.#driving = false
  }

  /** The timer that falls due first, of several the one that was set first; sleeps without end never do. */
  #next(): Timer | undefined {
    let first: Timer | undefined
    for (const timer of this.#timers) {
      if (timer.due < (first?.due ?? Number.POSITIVE_INFINITY)) first = timer
    }
    return first
  }

  async #fire(timer: Timer): Promise<void> {
    this.#timers.delete(timer)
    this.#now = timer.due
    timer.fire()
    await this.settle()
  }
}

export function virtualClock(options: VirtualClockOptions = {}): VirtualClock {
  return new SteppedClock(options)
}

/** Numbers from 0 to 1 that are the same for the same seed (xorshift on 32 bits); not for secrets. */
export function seededRandom(seed: number): Random {
  // Zero is the one state that xorshift never leaves, and small seeds need spreading over the 32 bits.
  let state = Math.imul(Math.trunc(seed), 0x9e3779b1) >>> 0 || 0x6d2b79f5
  const next = (): number => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    state >>>= 0
    return state / 2 ** 32
  }
  for (let warmUp = 0; warmUp < 8; warmUp += 1) next()
  return next
}
