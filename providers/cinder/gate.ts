import { onAbort } from '../../src/abort.ts'
import { abortedError } from '../../src/errors.ts'

/**
 * Lets so many through at once, first come, first served. A pace counts what is sent; this counts what is not answered yet, so that a slow server's queue
 * does not become longer than the patience of those in it.
 */
export class Gate {
  readonly #most: number
  #inside = 0
  readonly #waiting = new Set<() => void>()

  constructor(most: number) {
    this.#most = most
  }

  /** @throws {VolumeExpansionError} `aborted` with outcome `unchanged`, before `work` has begun */
  async through<T>(work: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    if (this.#inside >= this.#most) await this.#turn(signal)
    else this.#inside += 1
    try {
      return await work()
    } finally {
      // The place is handed on, so that nobody who comes just now is quicker than who waits.
      const [next] = this.#waiting
      if (next === undefined) this.#inside -= 1
      else next()
    }
  }

  #turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const enter = (): void => {
        this.#waiting.delete(enter)
        forget()
        resolve()
      }
      const forget = onAbort(signal, () => {
        this.#waiting.delete(enter)
        if (signal !== undefined) reject(abortedError(signal, 'volume', 'unchanged'))
      })
      this.#waiting.add(enter)
    })
  }
}
