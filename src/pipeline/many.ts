import { systemClock } from '../clock.ts'
import { abortedError, asExpansionError, type VolumeExpansionError } from '../errors.ts'
import { type Json, jsonSafe } from '../json.ts'
import { inSlices } from '../services/slices.ts'
import type { ExpansionEvent } from './events.ts'
import { type ExpandRequest, expandOne } from './expand.ts'
import type { Plan } from './plan.ts'
import type { Report } from './report.ts'
import { Run } from './run.ts'

export interface FleetOptions {
  /** How many run at once. Left out: 16. */
  readonly concurrency?: number
  /** How many of the first requests run alone, and have to succeed before any other one begins. Left out: none. */
  readonly canary?: number
  /** No further request is begun after so many failures. Left out: a failure stays its own. */
  readonly haltAfterFailures?: number
  /** Stops what runs, and begins nothing more. */
  readonly signal?: AbortSignal
}

export type FleetResult =
  | { readonly status: 'succeeded'; readonly index: number; readonly report: Report }
  | { readonly status: 'failed'; readonly index: number; readonly error: VolumeExpansionError }
  | { readonly status: 'not-started'; readonly index: number }

/** What became of each request, in the order of the requests. */
export interface FleetReport {
  readonly results: readonly FleetResult[]
  readonly succeeded: number
  readonly failed: number
  readonly notStarted: number
  /** Whether a failed canary or too many failures kept requests from beginning. */
  readonly halted: boolean
  toJSON(): Json
}

/** An event of one of the requests. */
export interface FleetEvent {
  /** Position of the request. */
  readonly index: number
  readonly event: ExpansionEvent
}

export type FleetRun = Run<FleetReport, FleetEvent>

/**
 * Grows many volumes; requests to one backend are shared and paced. Resolves also when some of them failed: a failure stays its volume's, and the report has it.
 * Rejects only when it was aborted, with the partial report.
 *
 * @throws {TypeError} at once, when an argument is of the wrong kind; then nothing is begun
 */
export function expandMany(requests: readonly (ExpandRequest | Plan)[], options: FleetOptions = {}): FleetRun {
  if (!Array.isArray(requests)) throw new TypeError('expandMany() takes a list of requests.')
  const concurrency = positive('concurrency', options.concurrency, 16)
  const canary = Math.min(positive('canary', options.canary, 0), requests.length)
  const most = positive('haltAfterFailures', options.haltAfterFailures, Number.POSITIVE_INFINITY)
  return new Run((emit) => new Fleet(requests, options.signal, most, emit).run(canary, concurrency))
}

function positive(name: string, value: number | undefined, otherwise: number): number {
  if (value === undefined) return otherwise
  if (!Number.isInteger(value) || value < (name === 'canary' ? 0 : 1))
    throw new TypeError(`\`${name}\` is a whole number above 0.`)
  return value
}

class Fleet {
  readonly #requests: readonly (ExpandRequest | Plan)[]
  // One for all, also when nobody can abort it: each of ten thousand runs would make its own.
  readonly #signal: AbortSignal
  readonly #mostFailures: number
  readonly #emit: (event: FleetEvent) => void
  // Of those that have ended.
  readonly #results = new Map<number, FleetResult>()
  #failures = 0
  #halted = false

  constructor(
    requests: readonly (ExpandRequest | Plan)[],
    signal: AbortSignal | undefined,
    mostFailures: number,
    emit: (event: FleetEvent) => void,
  ) {
    this.#requests = requests
    this.#signal = signal ?? new AbortController().signal
    this.#mostFailures = mostFailures
    this.#emit = emit
  }

  async run(canary: number, concurrency: number): Promise<FleetReport> {
    await this.#runRange(0, canary, concurrency)
    if (this.#failures > 0 && canary > 0) this.#halted = true
    await this.#runRange(canary, this.#requests.length, concurrency)
    const report = this.#report()
    if (this.#signal.aborted) {
      const changed = report.results.some((result) => result.status === 'succeeded' && result.report.changed)
      throw abortedError(this.#signal, 'pipeline', changed ? 'changed' : 'unknown').with({ report })
    }
    return report
  }

  /** Begins as many as may run at once, and another one whenever one has ended. */
  async #runRange(first: number, end: number, concurrency: number): Promise<void> {
    let next = first
    // The beginning counts as one, so that the end is not noticed before all have begun.
    let running = 1
    let finish = (): void => {}
    const finished = new Promise<void>((resolve) => {
      finish = resolve
    })
    const begin = (): void => {
      if (next >= end || this.#halted || this.#signal.aborted) return
      const index = next
      next += 1
      running += 1
      this.#runOne(index, ended)
    }
    const leave = (): void => {
      running -= 1
      if (running === 0) finish()
    }
    const ended = (): void => {
      if (this.#failures >= this.#mostFailures) this.#halted = true
      begin()
      leave()
    }
    const [request] = this.#requests
    const clock = (typeof request === 'object' && 'clock' in request ? request.clock : undefined) ?? systemClock
    const lanes = Array.from({ length: Math.min(concurrency, end - first) })
    await inSlices(clock, lanes, begin)
    leave()
    await finished
  }

  #runOne(index: number, ended: () => void): void {
    const succeeded = (report: Report): void => {
      this.#results.set(index, { status: 'succeeded', index, report })
      ended()
    }
    const failed = (thrown: unknown): void => {
      this.#failures += 1
      const error = asExpansionError(thrown, { layer: 'request', outcome: 'unchanged' })
      this.#results.set(index, { status: 'failed', index, error })
      ended()
    }
    try {
      expandOne(this.#withSignal(index), (event) => this.#emit({ index, event })).then(succeeded, failed)
    } catch (thrown) {
      // Not at once: the next one would be begun before this one is.
      queueMicrotask(() => failed(thrown))
    }
  }

  #withSignal(index: number): ExpandRequest | Plan {
    const request = this.#requests[index]
    if (typeof request !== 'object' || request === null) throw new TypeError('A request is an object.')
    if ('actions' in request) return request
    const { signal, ...rest } = request
    // First, as in the engine: no hidden class for each.
    return {
      signal: signal === undefined ? this.#signal : AbortSignal.any([this.#signal, signal]),
      ...rest,
    } as ExpandRequest
  }

  #report(): FleetReport {
    const results = this.#requests.map(
      (_request, index): FleetResult => this.#results.get(index) ?? { status: 'not-started', index },
    )
    const count = (status: FleetResult['status']): number => results.filter((result) => result.status === status).length
    const parts = {
      results,
      succeeded: count('succeeded'),
      failed: count('failed'),
      notStarted: count('not-started'),
      halted: this.#halted,
    }
    return { ...parts, toJSON: (): Json => jsonSafe(parts) }
  }
}
