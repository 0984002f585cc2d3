import { onAbort } from '../abort.ts'
import type { Clock } from '../clock.ts'
import { abortedError, asExpansionError, VolumeExpansionError } from '../errors.ts'
import type { ReadOutcome, VolumeExpander, VolumeState } from '../expander.ts'
import { orAborted } from './abortable.ts'
import { defaultPause, type Pacer } from './pacing.ts'

export interface BatchingOptions {
  readonly clock: Clock
  /** Every request takes one token of it. */
  readonly pacer: Pacer
  /**
   * Milliseconds for which a first caller waits for others to share its request, while more than one volume of the scope is being watched. A caller
   * that is alone never waits: only callers of the same turn of the event loop share its request. Left out: 20.
   */
  readonly window?: number | undefined
  /**
   * Milliseconds in which the looks of all who follow a growth go together once, while there are many of them: {@link ReadBatcher.follow}. Left out: a look goes
   * like any other read.
   */
  readonly rhythm?: number | undefined
  /** How many volumes that wait to be grown are looked at along with those that are followed. Left out: none. */
  readonly riders?: number | undefined
  /** Requests under way at once; more callers wait and share the next ones. Left out: 8. */
  readonly concurrency?: number | undefined
}

type Expander = VolumeExpander<unknown, unknown>

interface Caller {
  readonly resolve: (state: VolumeState) => void
  readonly reject: (error: VolumeExpansionError) => void
}

/** The callers of one key that share its place in one request. */
interface Slot {
  readonly key: string
  readonly ref: unknown
  readonly expander: Expander
  readonly callers: Set<Caller>
  /** `asked`: wanted now. `due`: it waited for the rhythm, and its time has come. `patient`: it waits for the rhythm. */
  urgency: 'asked' | 'due' | 'patient'
  /** Set once its request is under way. */
  request?: Request
}

interface Request {
  readonly controller: AbortController
  readonly slots: readonly Slot[]
}

// How long the scope is taken to be watched by several after two different volumes were asked for: a little more than the longest interval of polls.
const crowdMemory = 10_000
// By how much each volume that is followed lengthens the window, up to the declared one: two share one of a tenth of a second, forty one of two.
const windowPerVolume = 50
// A round is asked for a little before the window is over, so that its answer is there by then.
const roundsBeforeWindow = 0.9

/**
 * Turns many reads of single volumes of one scope into few requests. A caller never joins a request that is under way already: what it
 * gets was observed after it asked. A caller that leaves disturbs nobody; a request is aborted only when all of its callers have left.
 */
export class ReadBatcher {
  readonly #clock: Clock
  readonly #pacer: Pacer
  readonly #window: number
  readonly #concurrency: number
  readonly #rhythm: number
  readonly #mostRiders: number
  // What the next requests are for.
  readonly #pending = new Map<string, Slot>()
  // What waits for the next round.
  readonly #patient = new Map<string, Slot>()
  readonly #riders = new Map<string, { readonly ref: unknown; readonly expander: Expander }>()
  #underWay = 0
  #followers = 0
  #roundAt = Number.NEGATIVE_INFINITY
  #untilRound: AbortController | undefined
  // Flushes that wait for their window or token, each with what stops it when nobody is left to wait for it.
  #flushing: AbortController | undefined
  #wakeUp: (() => void) | undefined
  #lastKey: string | undefined
  #lastAskedAt = Number.NEGATIVE_INFINITY
  #crowdedUntil = Number.NEGATIVE_INFINITY

  constructor(options: BatchingOptions) {
    this.#clock = options.clock
    this.#pacer = options.pacer
    this.#window = options.window ?? 20
    this.#concurrency = Math.max(1, options.concurrency ?? 8)
    this.#rhythm = options.rhythm ?? 0
    this.#mostRiders = options.riders ?? 0
  }

  /** Whether nothing is asked for or under way. */
  get idle(): boolean {
    return this.#pending.size === 0 && this.#patient.size === 0 && this.#underWay === 0
  }

  /**
   * The volume's state, observed after this call.
   *
   * @throws {VolumeExpansionError} the volume's own failure or the request's; `aborted` with outcome `unchanged`; `contract-violated` when the provider
   * answered with something else than one entry per ref, with another volume's state, or failed with an error that is not the library's
   */
  read(expander: Expander, key: string, ref: unknown, signal?: AbortSignal): Promise<VolumeState> {
    return this.#join(expander, key, ref, 'asked', signal)
  }

  /**
   * A look at a growth under way: like {@link read}, but while {@link sharesRounds} it waits for the round in which all such looks of the scope go together.
   */
  follow(expander: Expander, key: string, ref: unknown, signal?: AbortSignal): Promise<VolumeState> {
    return this.#join(expander, key, ref, this.sharesRounds ? 'patient' : 'asked', signal)
  }

  /** Counts one more volume that is followed; the returned function takes it back. */
  enter(): () => void {
    this.#followers += 1
    let left = false
    return () => {
      if (!left) this.#followers -= 1
      left = true
    }
  }

  /** Whether several volumes are followed in rounds, so that a look waits for the next one. */
  get sharesRounds(): boolean {
    return this.#rhythm > 0 && this.#followers > 1
  }

  /**
   * Lets a volume that waits to be grown be looked at in rounds that have room for it, at no request of its own: what its provider remembers stays fresh. The
   * returned function ends that.
   */
  ride(expander: Expander, key: string, ref: unknown): () => void {
    if (this.#mostRiders === 0) return () => {}
    const rider = { ref, expander }
    this.#riders.set(key, rider)
    return () => {
      if (this.#riders.get(key) === rider) this.#riders.delete(key)
    }
  }

  #join(
    expander: Expander,
    key: string,
    ref: unknown,
    urgency: 'asked' | 'patient',
    signal: AbortSignal | undefined,
  ): Promise<VolumeState> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(abortedError(signal, 'volume', 'unchanged'))
      const slot = this.#slotFor(expander, key, ref, urgency)
      const forget = onAbort(signal, () => {
        slot.callers.delete(caller)
        if (slot.callers.size === 0) this.#abandon(slot)
        if (signal !== undefined) reject(abortedError(signal, 'volume', 'unchanged'))
      })
      const caller: Caller = {
        resolve: (state) => {
          forget()
          resolve(state)
        },
        reject: (error) => {
          forget()
          reject(error)
        },
      }
      slot.callers.add(caller)
      this.#schedule()
    })
  }

  #slotFor(expander: Expander, key: string, ref: unknown, urgency: 'asked' | 'patient'): Slot {
    const now = this.#clock.now()
    if (this.#lastKey !== key && now - this.#lastAskedAt < crowdMemory) this.#crowdedUntil = now + crowdMemory
    this.#lastKey = key
    this.#lastAskedAt = now
    const waiting = this.#pending.get(key) ?? this.#patient.get(key)
    if (waiting !== undefined) {
      if (urgency === 'asked') this.#hasten(waiting, 'asked')
      return waiting
    }
    const slot: Slot = { key, ref, expander, callers: new Set(), urgency }
    if (urgency === 'patient') this.#patient.set(key, slot)
    else this.#pending.set(key, slot)
    return slot
  }

  #hasten(slot: Slot, urgency: 'asked' | 'due'): void {
    slot.urgency = urgency
    this.#patient.delete(slot.key)
    this.#pending.set(slot.key, slot)
  }

  #abandon(slot: Slot): void {
    if (slot.request === undefined) {
      if (this.#patient.delete(slot.key) && this.#patient.size === 0) this.#untilRound?.abort()
      if (this.#pending.delete(slot.key) && this.#pending.size === 0) this.#flushing?.abort()
    } else if (slot.request.slots.every((each) => each.callers.size === 0)) slot.request.controller.abort()
  }

  #awaitRound(): void {
    if (this.#untilRound !== undefined || this.#patient.size === 0) return
    const round = new AbortController()
    this.#untilRound = round
    void this.#untilDue(round.signal)
      .then(() => {
        this.#roundAt = this.#clock.now()
        for (const slot of this.#patient.values()) this.#hasten(slot, 'due')
      })
      // Only an abort gets here: everyone left before the round.
      .catch(() => undefined)
      .finally(() => {
        this.#untilRound = undefined
        this.#schedule()
      })
  }

  /** Once in a window; and a whole window after a pause, since what has just begun is not over at once. The window grows with those who come meanwhile. */
  async #untilDue(signal: AbortSignal): Promise<void> {
    // Who waits to be grown will be followed soon.
    const window = (): number =>
      Math.min(this.#rhythm * roundsBeforeWindow, (this.#followers + this.#riders.size) * windowPerVolume)
    const begun = this.#clock.now()
    const from = this.#roundAt + window() > begun ? this.#roundAt : begun
    for (;;) {
      const left = from + window() - this.#clock.now()
      if (left <= 0) return
      await this.#clock.sleep(Math.max(left, 1), signal)
    }
  }

  #schedule(): void {
    this.#awaitRound()
    if (this.#pending.size >= this.#batchSize()) this.#wakeUp?.()
    if (this.#flushing !== undefined || this.#underWay >= this.#concurrency || this.#pending.size === 0) return
    const flushing = new AbortController()
    this.#flushing = flushing
    void this.#collect(flushing.signal)
      .then((epoch) => this.#send(epoch))
      // Only an abort gets here: everyone left before anything was sent.
      .catch(() => undefined)
      .finally(() => {
        this.#flushing = undefined
        this.#schedule()
      })
  }

  /** Waits for others to join and for a token; who asks meanwhile joins as well. */
  async #collect(signal: AbortSignal): Promise<number> {
    await this.#joining(signal)
    return await this.#pacer.take(signal)
  }

  async #joining(signal: AbortSignal): Promise<void> {
    const full = new Promise<void>((resolve) => {
      this.#wakeUp = resolve
    })
    const isCrowd = this.#clock.now() < this.#crowdedUntil && this.#pending.size < this.#batchSize()
    // Those that are due have waited for each other already.
    const crowded = isCrowd && [...this.#pending.values()].some(({ urgency }) => urgency === 'asked')
    if (!crowded || this.#window <= 0) return await new Promise((resolve) => setImmediate(resolve))
    const ended = new AbortController()
    const forget = onAbort(signal, () => ended.abort())
    const waited = this.#clock.sleep(this.#window, ended.signal).catch(() => undefined)
    await Promise.race([full, waited])
    forget()
    ended.abort()
  }

  #batchSize(): number {
    const [first] = this.#pending.values()
    return this.#batchSizeOf(first)
  }

  #batchSizeOf(first: Slot | undefined): number {
    return Math.max(1, Math.floor(first?.expander.capabilities.readBatch ?? 1))
  }

  #send(epoch: number): void {
    const slots = [...this.#pending.values()].slice(0, this.#batchSize())
    const [first] = slots
    if (first === undefined) return
    for (const slot of slots) this.#pending.delete(slot.key)
    // Expanders of one scope are interchangeable by contract (the scope names the client as well), so that the first one may ask for all.
    const request: Request = { controller: new AbortController(), slots }
    for (const slot of slots) slot.request = request
    this.#underWay += 1
    const riders = slots.every(({ urgency }) => urgency === 'due') ? this.#ridersFor(slots) : []
    void this.#ask(first.expander, request, riders, epoch)
      // What riders showed is for the provider's memory alone; a wrong number of entries is judged as it is.
      .then((outcomes) =>
        outcomes?.length === slots.length + riders.length ? outcomes.slice(0, slots.length) : outcomes,
      )
      .then(
        (outcomes) => {
          const throttled = Array.isArray(outcomes) ? outcomes.find(isThrottled) : undefined
          if (throttled !== undefined) this.#pacer.slowDown(throttled.retryAfter ?? defaultPause, epoch)
          settle(first.expander, slots, outcomes)
        },
        (thrown: unknown) => rejectAll(slots, failureOf(first.expander, thrown)),
      )
      .finally(() => {
        this.#underWay -= 1
        this.#schedule()
      })
  }

  #ridersFor(slots: readonly Slot[]): readonly unknown[] {
    const room = Math.min(this.#mostRiders, this.#batchSizeOf(slots[0]) - slots.length)
    const aboard = new Set(slots.map(({ key }) => key))
    const refs: unknown[] = []
    for (const [key, { ref }] of this.#riders) {
      if (refs.length >= room) break
      if (!aboard.has(key)) refs.push(ref)
    }
    return refs
  }

  async #ask(
    expander: Expander,
    request: Request,
    riders: readonly unknown[],
    epoch: number,
  ): Promise<readonly ReadOutcome[]> {
    const { signal } = request.controller
    const refs = [...request.slots.map((slot) => slot.ref), ...riders]
    try {
      return await orAborted(expander.read(refs, { signal }), signal, { layer: 'volume', outcome: 'unchanged' })
    } catch (thrown) {
      // Once for the whole request, and not once for each of its callers.
      if (isThrottled(thrown)) this.#pacer.slowDown(thrown.retryAfter ?? defaultPause, epoch)
      throw thrown
    }
  }
}

function isThrottled(thrown: unknown): thrown is VolumeExpansionError {
  return thrown instanceof VolumeExpansionError && thrown.code === 'throttled'
}

function settle(expander: Expander, slots: readonly Slot[], outcomes: readonly ReadOutcome[]): void {
  if (!Array.isArray(outcomes) || outcomes.length !== slots.length) {
    const count = Array.isArray(outcomes) ? `${outcomes.length} entries` : typeof outcomes
    rejectAll(slots, violated(expander, `read answered ${slots.length} refs with ${count}`))
    return
  }
  slots.forEach((slot, index) => {
    const judged = judge(expander, slot, outcomes[index])
    for (const caller of slot.callers) {
      if (judged instanceof VolumeExpansionError) caller.reject(judged)
      else caller.resolve(judged)
    }
  })
}

function judge(expander: Expander, slot: Slot, outcome: ReadOutcome | undefined): VolumeState | VolumeExpansionError {
  if (outcome instanceof Error) return failureOf(expander, outcome)
  if (typeof outcome !== 'object' || outcome === null) {
    return violated(expander, `read answered ${slot.key} with neither a state nor an error`)
  }
  if (outcome.key !== slot.key) {
    return violated(expander, `read answered ${slot.key} with the state of ${outcome.key}`)
  }
  if (typeof outcome.size !== 'bigint') return violated(expander, `the state of ${slot.key} has no size in bytes`)
  return outcome
}

function rejectAll(slots: readonly Slot[], error: VolumeExpansionError): void {
  for (const slot of slots) for (const caller of slot.callers) caller.reject(error)
}

const remedy = 'Report this to whoever made the provider; its conformance suite shows what it has to hold.'

function failureOf(expander: Expander, thrown: unknown): VolumeExpansionError {
  const error = asExpansionError(thrown, { layer: 'volume', provider: expander.name, outcome: 'unchanged', remedy })
  return error.provider === undefined ? error.with({ provider: expander.name }) : error
}

function violated(expander: Expander, what: string): VolumeExpansionError {
  return new VolumeExpansionError('contract-violated', `The provider ${expander.name} broke its contract: ${what}.`, {
    layer: 'volume',
    provider: expander.name,
    outcome: 'unchanged',
    remedy,
  })
}
