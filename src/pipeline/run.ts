/** How many events are kept for iterators that begin late. */
const historyLength = 1000

/**
 * A run under way: a promise of its result, and an iterable of its events. Any number of iterators, begun at any time, replay the bounded history, follow, and
 * end normally; a failure is their last event, so whoever iterates need not catch the promise as well.
 *
 * Never return a run from an `async` function: `await` would unwrap it.
 */
export class Run<Result, Event> implements Promise<Result>, AsyncIterable<Event> {
  readonly [Symbol.toStringTag] = 'Run'
  readonly #promise: Promise<Result>
  readonly #history: Event[] = []
  #dropped = 0
  #ended = false
  #wake: (() => void)[] = []

  /** Begins the work at once; `emit` publishes an event. The work has to emit its own last event. */
  constructor(work: (emit: (event: Event) => void) => Promise<Result>) {
    const emit = (event: Event): void => {
      this.#history.push(event)
      if (this.#history.length > historyLength) {
        this.#history.shift()
        this.#dropped += 1
      }
      this.#notify()
    }
    this.#promise = work(emit).finally(() => {
      this.#ended = true
      this.#notify()
    })
  }

  #notify(): void {
    const waiting = this.#wake
    this.#wake = []
    for (const wake of waiting) wake()
  }

  // biome-ignore lint/suspicious/noThenProperty: being a promise is what this class is for
  then<Fulfilled = Result, Rejected = never>(
    fulfilled?: ((value: Result) => Fulfilled | PromiseLike<Fulfilled>) | null,
    rejected?: ((reason: unknown) => Rejected | PromiseLike<Rejected>) | null,
  ): Promise<Fulfilled | Rejected> {
    return this.#promise.then(fulfilled, rejected)
  }

  catch<Rejected = never>(
    rejected?: ((reason: unknown) => Rejected | PromiseLike<Rejected>) | null,
  ): Promise<Result | Rejected> {
    return this.#promise.catch(rejected)
  }

  finally(settled?: (() => void) | null): Promise<Result> {
    return this.#promise.finally(settled)
  }

  async *#follow(): AsyncGenerator<Event, void, undefined> {
    for (let next = 0; ; ) {
      next = Math.max(next, this.#dropped)
      const event = this.#history[next - this.#dropped]
      if (event !== undefined) {
        next += 1
        yield event
      } else if (this.#ended) {
        return
      } else {
        await new Promise<void>((resolve) => this.#wake.push(resolve))
      }
    }
  }

  [Symbol.asyncIterator](): AsyncGenerator<Event, void, undefined> {
    // The last event tells of a failure; the promise need not be caught too.
    this.#promise.catch(() => {})
    return this.#follow()
  }
}
