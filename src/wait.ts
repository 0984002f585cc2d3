import type { Clock, Random } from './clock.ts'
import { VolumeExpansionError, type Where } from './errors.ts'
import { abortableSleep, linkedController, refuseAborted } from './services/abortable.ts'

/** How often something is looked at while it is waited for. Milliseconds. */
export interface PollSchedule {
  /** The first interval. Left out: 100. */
  readonly first?: number
  /** By how much each interval is longer than the one before. Left out: 1.6. */
  readonly factor?: number
  /** The longest interval. Left out: 5000. */
  readonly cap?: number
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
  /** Whether `read` waits for its turn by itself at the moment, so that nothing is slept before it. Left out: never. */
  readonly paced?: (() => boolean) | undefined
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
 * by up to a half at random so that many that began together do not stay together. A failed look's `retryAfter` lengthens the interval. Changes nothing.
 *
 * @throws {VolumeExpansionError} `timeout` with outcome `unknown`, never before a look that began after the deadline; `aborted` with outcome
 * `unknown`; whatever `judge` throws and whatever `read` rejects with that is not retryable
 */
export async function pollUntil<State>(options: PollOptions<State>): Promise<State> {
  const { clock, random, deadline, signal, layer } = options
  const { first = 100, factor = 1.6, cap = 5000 } = options.schedule ?? {}
  const isPaced = (): boolean => options.paced?.() === true
  const meaning = { layer, outcome: 'unknown' } as const
  const begun = clock.now()
  let interval = Math.min(first, cap)
  let seen: { readonly state: State } | undefined
  let failure: VolumeExpansionError | undefined
  let final = begun >= deadline
  const early = Math.min(options.delay ?? 0, deadline - begun)
  if (early > 0 && !isPaced()) await abortableSleep(clock, early, signal, meaning)
  for (;;) {
    refuseAborted(signal, meaning)
    const look = await lookOnce(options)
    failure = look.kind === 'failure' ? look.error : undefined
    if (look.kind === 'state') {
      seen = look
      options.onState?.(look.state)
      if (options.judge(look.state) === 'done') return look.state
    }
    if (final) throw timeoutError(options, clock.now() - begun, seen, failure)
    const wanted = Math.max(isPaced() ? 0 : interval * (1 - random() / 2), failure?.retryAfter ?? 0)
    interval = Math.min(interval * factor, cap)
    const left = Math.max(deadline - clock.now(), 0)
    // Decided here and not by reading the clock again after the sleep: timers may fire a fraction of a millisecond early.
    final = wanted >= left
    await abortableSleep(clock, Math.min(wanted, left), signal, meaning)
  }
}

async function lookOnce<State>(options: PollOptions<State>): Promise<Look<State>> {
  const { clock, deadline, lastLook = 30_000, read, signal, layer } = options
  const { controller, unlink } = linkedController(signal)
  const patience = Math.max(deadline - clock.now(), lastLook)
  const late = clock.sleep(patience, controller.signal).then((): Look<State> => ({ kind: 'late' }))
  const answered = (async (): Promise<Look<State>> => {
    try {
      return { kind: 'state', state: await read(controller.signal) }
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
  waited: number,
  seen: { readonly state: State } | undefined,
  failure: VolumeExpansionError | undefined,
): VolumeExpansionError {
  const sight = seen === undefined ? 'nothing was seen' : `last seen: ${describe(options, seen.state)}`
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
