import { closeSync, openSync, readSync } from 'node:fs'

/** Milliseconds between two looks. */
const interval = 5

/**
 * By how much the event loop is late, less the time for which its thread was ready to run and the kernel ran others: on a machine that others use too, that is what the
 * process itself has to answer for. Linux counts it by thread (`/proc/self/task/<tid>/schedstat`: nanoseconds run, nanoseconds waited); elsewhere nothing is taken off.
 */
export class OwnLoopDelay {
  readonly #delays: number[] = []
  readonly #file: number | undefined = opened()
  readonly #buffer = Buffer.alloc(100)
  #timer: NodeJS.Timeout | undefined
  #at = 0
  #withheld = 0

  start(): void {
    this.#at = performance.now()
    this.#withheld = this.#waited()
    this.#timer = setInterval(() => this.#look(), interval)
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  close(): void {
    this.stop()
    if (this.#file !== undefined) closeSync(this.#file)
  }

  /** Milliseconds. */
  percentile(percent: number): number {
    const sorted = this.#delays.toSorted((a, b) => a - b)
    return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))] ?? 0
  }

  #look(): void {
    const [now, withheld] = [performance.now(), this.#waited()]
    this.#delays.push(Math.max(0, now - this.#at - interval - (withheld - this.#withheld)))
    this.#at = now
    this.#withheld = withheld
  }

  /** Milliseconds for which the main thread has waited for a processor so far. */
  #waited(): number {
    if (this.#file === undefined) return 0
    const length = readSync(this.#file, this.#buffer, 0, this.#buffer.length, 0)
    return Number(this.#buffer.toString('latin1', 0, length).split(' ')[1]) / 1e6
  }
}

function opened(): number | undefined {
  try {
    return openSync(`/proc/self/task/${process.pid}/schedstat`, 'r')
  } catch {
    return undefined
  }
}
