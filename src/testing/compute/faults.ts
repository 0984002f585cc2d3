import type { Method } from './methods.ts'

/**
 * What goes wrong once. `status`: it is answered with that and nothing is done. `reset`: the connection breaks before anything is done. `lost-answer`: it is done,
 * and the connection breaks before the answer. `operation-error`: it is accepted, and its operation ends as DONE with this error. `late`: it is done, and the
 * answer comes after so many milliseconds.
 */
export type Fault =
  | {
      readonly kind: 'status'
      readonly status: number
      readonly reason?: string
      readonly message?: string
      /** Seconds. */
      readonly retryAfter?: number
    }
  | { readonly kind: 'reset' }
  | { readonly kind: 'lost-answer' }
  | { readonly kind: 'operation-error'; readonly code: string; readonly message?: string }
  | { readonly kind: 'late'; readonly milliseconds: number }

interface Planned {
  readonly method: Method
  readonly fault: Fault
  left: number
}

/** Faults that are still to come, each for so many calls of one method. */
export class Faults {
  readonly #planned: Planned[] = []

  /** The next `times` calls of `method` meet this fault; several are met in the order in which they were added. */
  add(method: Method, fault: Fault, times = 1): void {
    this.#planned.push({ method, fault, left: times })
  }

  /** Forgets what has not happened. */
  clear(): void {
    this.#planned.length = 0
  }

  take(method: Method): Fault | undefined {
    const planned = this.#planned.find((each) => each.method === method && each.left > 0)
    if (planned === undefined) return undefined
    planned.left -= 1
    return planned.fault
  }
}
