import { type AbortListener, ignoreAbort, listenForAbort } from './abort.ts'
import type { Clock, Random } from './clock.ts'
import { abortedError, VolumeExpansionError } from './errors.ts'
import { abortableSleep, linkedController, refuseAborted } from './services/abortable.ts'
import { type Alarm, arm, disarm } from './services/alarms.ts'
import type { Where } from './where.ts'

/** How often something is looked at while it is waited for. Milliseconds. */
export interface PollSchedule {
  /** The first interval. Left out: 100. */
  readonly first?: number
  /** By how much each interval is longer than the one before. Left out: 1.6. */
  readonly factor?: number
  /** The longest interval. Left out: 5000. */
  readonly cap?: number
}

/** Looks that are made for many at once, at times of their own. */
export interface Rounds<State> {
  /** Whether there are any at the moment. */
  isOn(): boolean
  /** Shows the watcher every look from now on. */
  join(watcher: RoundWatcher<State>): void
  leave(watcher: RoundWatcher<State>): void
}

export interface RoundWatcher<State> {
  resolve(state: State): void
  reject(error: VolumeExpansionError): void
  /** There are no more rounds; it has been left out already. */
  alone(): void
  /** The rounds' own. */
  place: object | undefined
}

export interface PollOptions<State> {
  /** What is waited for, for people: "vol-1 to reach 200 GiB". */
  readonly what: string
  readonly layer: Where
  readonly provider?: string | undefined
  /** Looks once. A retryable `VolumeExpansionError` does not end the waiting; every other rejection does. */
  readonly read: (signal: AbortSignal) => Promise<State>
  /** Whether the state is the one that is waited for; throws when it never will be. */
  readonly judge: (state: State) => 'done' | 'waiting'
  /** Shows a state to people, for the message of a timeout. */
  readonly describe?: ((state: State) => string) | undefined
  /** Called with every state that was seen, before it is judged. */
  readonly onState?: ((state: State) => void) | undefined
  readonly schedule?: PollSchedule | undefined
  /** Milliseconds before the first look. Left out: none. */
  readonly delay?: number | undefined
  /** Looks that many share. Left out: every look is its own. */
  readonly rounds?: Rounds<State> | undefined
  /** When the waiting ends, as `clock.now()` counts; at least one look is made after it. */
  readonly deadline: number
  /** Milliseconds that the look after the deadline may take, so that a request that never answers cannot hold the run. Left out: 30 000. */
  readonly lastLook?: number | undefined
  readonly clock: Clock
  readonly random: Random
  readonly signal?: AbortSignal | undefined
}

type Look<State> =
  | { readonly kind: 'state'; readonly state: State }
  | { readonly kind: 'failure'; readonly error: VolumeExpansionError }
  | { readonly kind: 'late' }

/**
 * Looks until the state is the one that is waited for, and returns that state. The first look is made at once, or after `delay`; the intervals grow, and each is shortened
 * by up to a half at random so that many that began together do not stay together. A failed look's `retryAfter` lengthens the interval. While there are `rounds`, what they
 * show takes the place of own looks. Changes nothing.
 *
 * @throws {VolumeExpansionError} `timeout` with outcome `unknown`, never before a look that began after the deadline; `aborted` with outcome
 * `unknown`; whatever `judge` throws and whatever `read` rejects with that is not retryable
 */
export function pollUntil<State>(options: PollOptions<State>): Promise<State> {
  const { clock, rounds, deadline, signal } = options
  const begun = clock.now()
  // Nothing but one object is left to wait for the first of the rounds: most of many thousands wait there until they are done.
  if (signal?.aborted === true || begun >= deadline || rounds?.isOn() !== true)
    return pollAlone(options, { seen: nothing, failure: undefined, begun }, false)
  return inRounds(options, rounds, { seen: nothing, failure: undefined, begun })
}

async function pollAlone<State>(options: PollOptions<State>, sight: Sight<State>, hasWaited: boolean): Promise<State> {
  const { clock, random, deadline, rounds, signal, layer } = options
  const { first = 100, factor = 1.6, cap = 5000 } = options.schedule ?? {}
  const meaning = { layer, outcome: 'unknown' } as const
  let interval = Math.min(first, cap)
  let final = clock.now() >= deadline
  const early = Math.min(options.delay ?? 0, deadline - sight.begun)
  if (early > 0 && !hasWaited && rounds?.isOn() !== true) await abortableSleep(clock, early, signal, meaning)
  for (;;) {
    refuseAborted(signal, meaning)
    if (!final && rounds?.isOn() === true) return inRounds(options, rounds, sight)
    const look = await lookOnce(options)
    sight.failure = look.kind === 'failure' ? look.error : undefined
    if (look.kind === 'state') {
      sight.seen = look.state
      options.onState?.(look.state)
      if (options.judge(look.state) === 'done') return look.state
    }
    if (final) throw timeoutError(options, sight)
    const wanted = Math.max(interval * (1 - random() / 2), sight.failure?.retryAfter ?? 0)
    interval = Math.min(interval * factor, cap)
    const left = Math.max(deadline - clock.now(), 0)
    // Decided here and not by reading the clock again after the sleep: timers may fire a fraction of a millisecond early.
    final = wanted >= left
    await abortableSleep(clock, Math.min(wanted, left), signal, meaning)
  }
}

const nothing: unique symbol = Symbol('nothing')

/** The newest of what was seen. */
interface Sight<State> {
  seen: State | typeof nothing
  failure: VolumeExpansionError | undefined
  /** When the waiting began. */
  readonly begun: number
}

/** Waits in rounds that many share, and goes on alone when they, or the time, have ended. */
function inRounds<State>(options: PollOptions<State>, rounds: Rounds<State>, sight: Sight<State>): Promise<State> {
  return new Promise((resolve, reject) => new RoundWait(options, rounds, sight, resolve, reject).begin())
}

/** One object for each that waits, and neither timer, signal nor function of its own: ten thousand may wait. */
class RoundWait<State> implements RoundWatcher<State>, Alarm, AbortListener {
  place: object | undefined = undefined
  readonly #options: PollOptions<State>
  readonly #rounds: Rounds<State>
  readonly #sight: Sight<State>
  readonly #found: (found: State | Promise<State>) => void
  readonly #failed: (reason: unknown) => void

  constructor(
    options: PollOptions<State>,
    rounds: Rounds<State>,
    sight: Sight<State>,
    found: (found: State | Promise<State>) => void,
    failed: (reason: unknown) => void,
  ) {
    this.#options = options
    this.#rounds = rounds
    this.#sight = sight
    this.#found = found
    this.#failed = failed
  }

  get at(): number {
    return this.#options.deadline
  }

  begin(): void {
    this.#rounds.join(this)
    arm(this.#options.clock, this)
    listenForAbort(this.#options.signal, this)
  }

  resolve(state: State): void {
    this.#sight.seen = state
    this.#sight.failure = undefined
    try {
      this.#options.onState?.(state)
      if (this.#options.judge(state) === 'waiting') return
    } catch (thrown) {
      this.#end()
      this.#failed(thrown)
      return
    }
    this.#end()
    this.#found(state)
  }

  reject(error: VolumeExpansionError): void {
    this.#sight.failure = error
    if (error.retryable) return
    this.#end()
    this.#failed(error)
  }

  alone(): void {
    this.#end()
    this.#found(pollAlone(this.#options, this.#sight, true))
  }

  ring(): void {
    this.alone()
  }

  aborted(): void {
    const { signal, layer } = this.#options
    this.#end()
    if (signal !== undefined) this.#failed(abortedError(signal, layer, 'unknown'))
  }

  #end(): void {
    disarm(this.#options.clock, this)
    this.#rounds.leave(this)
    ignoreAbort(this.#options.signal, this)
  }
}

async function lookOnce<State>(options: PollOptions<State>): Promise<Look<State>> {
  const { clock, deadline, lastLook = 30_000, signal, layer } = options
  const { controller, unlink } = linkedController(signal)
  const patience = Math.max(deadline - clock.now(), lastLook)
  const late = clock.sleep(patience, controller.signal).then((): Look<State> => ({ kind: 'late' }))
  const answered = (async (): Promise<Look<State>> => {
    try {
      return { kind: 'state', state: await options.read(controller.signal) }
    } catch (thrown) {
      if (thrown instanceof VolumeExpansionError && thrown.retryable) return { kind: 'failure', error: thrown }
      throw thrown
    }
  })()
  try {
    return await Promise.race([answered, late])
  } catch (thrown) {
    refuseAborted(signal, { layer, outcome: 'unknown' })
    throw thrown
  } finally {
    unlink()
    // Ends the timer, and tells a request that is still under way that nobody waits for it.
    controller.abort()
    late.catch(() => undefined)
    answered.catch(() => undefined)
  }
}

function describe<State>(options: PollOptions<State>, state: State): string {
  return options.describe === undefined ? String(state) : options.describe(state)
}

function timeoutError<State>(
  options: PollOptions<State>,
  { seen, failure, begun }: Sight<State>,
): VolumeExpansionError {
  const waited = options.clock.now() - begun
  const sight = seen === nothing ? 'nothing was seen' : `last seen: ${describe(options, seen)}`
  const trouble = failure === undefined ? '' : `; the last look failed: ${failure.message}`
  const message = `Waited ${Math.round(waited / 100) / 10} s for ${options.what}; ${sight}${trouble}`
  return new VolumeExpansionError('timeout', message, {
    layer: options.layer,
    outcome: 'unknown',
    retryable: true,
    ...(options.provider === undefined ? {} : { provider: options.provider }),
    ...(failure === undefined ? {} : { cause: failure }),
    remedy: 'What was begun may still happen. Run it again: it observes first and does only what is left.',
  })
}
