import { onAbort } from '../abort.ts'
import type { Clock } from '../clock.ts'
import { abortedError, asExpansionError, VolumeExpansionError } from '../errors.ts'
import type { ReadOutcome, VolumeExpander, VolumeState } from '../expander.ts'
import { orAborted } from './abortable.ts'
import { defaultPause, type Pacer } from './pacing.ts'
import { inSlices } from './slices.ts'

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
   * Milliseconds in which all volumes that are watched are looked at together once, while there are many of them: {@link ReadBatcher.watch}. Left out: they are not
   * looked at in rounds.
   */
  readonly rhythm?: number | undefined
  /** Milliseconds in which nothing that was just begun is expected to be over: as long a volume is not looked at for its own sake. Left out: 0. */
  readonly head?: number | undefined
  /** How many volumes that wait to be grown are looked at along with those that are followed. Left out: none. */
  readonly riders?: number | undefined
  /** Requests under way at once; more callers wait and share the next ones. Left out: 8. */
  readonly concurrency?: number | undefined
}

type Expander = VolumeExpander<unknown, unknown>

interface Caller {
  resolve(state: VolumeState): void
  reject(error: VolumeExpansionError): void
}

/** Who is told what every round shows of a volume, until it leaves: {@link ReadBatcher.watch}. */
export interface Watcher extends Caller {
  /** There are no more rounds, since nobody else is followed; it has been left out already. */
  alone(): void
  /** Where it waits; the batcher's own. */
  place: object | undefined
}

/** The callers of one key that share its place in one request; watchers share its place in every round. */
interface Slot {
  readonly key: string
  readonly ref: unknown
  readonly expander: Expander
  /** When it was first asked for. */
  readonly since: number
  // Hardly ever more than one: a list of one takes a fraction of the memory of a set, or of a list that was pushed to, and ten thousand of them wait at a time.
  callers: readonly (Caller | Watcher)[]
  /** `asked`: wanted now. `due`: it waited for the rhythm, and its time has come. `patient`: it waits for the rhythm. */
  urgency: 'asked' | 'due' | 'patient'
  /** Set while its request is under way. */
  request: Request | undefined
}

interface Request {
  readonly controller: AbortController
  readonly slots: readonly Slot[]
  answered: boolean
}

// How long the scope is taken to be watched by several after two different volumes were asked for: a little more than the longest interval of polls.
const crowdMemory = 10_000
// By how much each volume that is followed lengthens the window, up to the declared one: two share one of a tenth of a second, forty one of two.
const windowPerVolume = 50
// How long the most that were followed, or waited to be grown, at a time still count: the last few of a fleet are no reason to look more often than before.
const fleetMemory = 30_000
// A round is asked for so much before the window is over that its answer is there by then: by how long the last ones took, by a part of the window for what nobody
// foresees, and never by more than a half.
const spareOfWindow = 0.02
const leastOfWindow = 0.5
// How much of the longest one still counts after the next one.
const remembrance = 0.9
// What the first one is taken to need of the window.
const roundsTake = 0.1

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
  readonly #head: number
  readonly #mostRiders: number
  // What the next requests are for.
  readonly #pending = new Map<string, Slot>()
  // What waits for the next round.
  readonly #patient = new Map<string, Slot>()
  readonly #riders = new Map<string, { readonly ref: unknown; readonly expander: Expander }>()
  #underWay = 0
  #followers = 0
  #most = { count: 0, at: Number.NEGATIVE_INFINITY }
  #roundAt = Number.NEGATIVE_INFINITY
  #roundTook: number
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
    this.#head = options.head ?? 0
    this.#roundTook = this.#rhythm * roundsTake
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
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(abortedError(signal, 'volume', 'unchanged'))
      const slot = this.#slotFor(expander, key, ref, 'asked')
      const forget = onAbort(signal, () => {
        this.#remove(slot, caller)
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
      join(slot, caller)
      this.#schedule()
    })
  }

  /**
   * Shows the watcher what each round observes of the volume, one state or error a round, until {@link leave}. Only while {@link sharesRounds}, and without a promise or
   * a timer of its own: many thousands may wait.
   */
  watch(expander: Expander, key: string, ref: unknown, watcher: Watcher): void {
    this.#place(watcher, this.#slotFor(expander, key, ref, 'patient'))
    this.#schedule()
  }

  /** The watcher is told nothing more. */
  leave(watcher: Watcher): void {
    const slot = watcher.place as Slot | undefined
    watcher.place = undefined
    if (slot !== undefined) this.#remove(slot, watcher)
  }

  /** One more volume is followed, until {@link exit}. */
  enter(): void {
    this.#followers += 1
    this.#fleet()
  }

  exit(): void {
    this.#followers -= 1
    if (this.sharesRounds) return
    for (const slot of [...this.#patient.values()]) this.#release(slot)
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

  #place(watcher: Watcher, slot: Slot): void {
    watcher.place = slot
    join(slot, watcher)
  }

  #remove(slot: Slot, caller: Caller): void {
    if (!slot.callers.includes(caller)) return
    slot.callers = slot.callers.length === 1 ? nobody : slot.callers.filter((other) => other !== caller)
    if (slot.callers.length === 0) this.#abandon(slot)
  }

  /** Lets those go who watch a volume in rounds that there are no longer. */
  #release(slot: Slot): void {
    for (const caller of slot.callers) {
      if (!isWatcher(caller)) continue
      this.leave(caller)
      caller.alone()
    }
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
    const slot: Slot = { key, ref, expander, since: now, callers: nobody, urgency, request: undefined }
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
      if (isIn(this.#patient, slot) && this.#patient.delete(slot.key) && this.#patient.size === 0)
        this.#untilRound?.abort()
      if (isIn(this.#pending, slot) && this.#pending.delete(slot.key) && this.#pending.size === 0)
        this.#flushing?.abort()
    } else if (!slot.request.answered && slot.request.slots.every(({ callers }) => callers.length === 0)) {
      slot.request.controller.abort()
    }
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

  /**
   * Once in a window, counted from when the first of those who wait can have been over, if they were not looked at before. The window grows with those who come
   * meanwhile.
   */
  async #untilDue(signal: AbortSignal): Promise<void> {
    const spare = this.#rhythm * spareOfWindow + this.#roundTook
    const most = Math.max(this.#rhythm - spare, this.#rhythm * leastOfWindow)
    // Who waits to be grown will be followed soon.
    const window = (): number => Math.min(most, this.#fleet() * windowPerVolume)
    let first = Number.POSITIVE_INFINITY
    for (const { since } of this.#patient.values()) first = Math.min(first, since)
    const from = Math.max(this.#roundAt, first + this.#head)
    for (;;) {
      const left = from + window() - this.#clock.now()
      if (left <= 0) return
      await this.#clock.sleep(Math.max(left, 1), signal)
    }
  }

  /** How many there are, or were a short while ago. */
  #fleet(): number {
    const [count, now] = [this.#followers + this.#riders.size, this.#clock.now()]
    if (count >= this.#most.count || now - this.#most.at > fleetMemory) this.#most = { count, at: now }
    return this.#most.count
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
    const request: Request = { controller: new AbortController(), slots, answered: false }
    for (const slot of slots) slot.request = request
    this.#underWay += 1
    const isRound = slots.every(({ urgency }) => urgency === 'due')
    const riders = isRound ? this.#ridersFor(slots) : []
    const sentAt = this.#clock.now()
    void this.#ask(first.expander, request, riders, epoch)
      // What riders showed is for the provider's memory alone; a wrong number of entries is judged as it is.
      .then((outcomes) =>
        outcomes?.length === slots.length + riders.length ? outcomes.slice(0, slots.length) : outcomes,
      )
      .then(
        (outcomes) => {
          const throttled = Array.isArray(outcomes) ? outcomes.find(isThrottled) : undefined
          if (throttled !== undefined) this.#pacer.slowDown(throttled.retryAfter ?? defaultPause, epoch)
          return judged(first.expander, slots, outcomes)
        },
        (thrown: unknown) => failureOf(first.expander, thrown),
      )
      .then((outcomes) => {
        request.answered = true
        this.#underWay -= 1
        if (isRound) this.#roundTook = Math.max(this.#clock.now() - sentAt, this.#roundTook * remembrance)
        this.#schedule()
        const outcomeOf = (index: number): VolumeState | VolumeExpansionError =>
          outcomes instanceof VolumeExpansionError
            ? outcomes
            : (outcomes[index] ?? violated(first.expander, 'read left a ref out'))
        return inSlices(this.#clock, slots, (slot, index) => this.#settle(slot, outcomeOf(index)))
      })
      .then(() => this.#schedule())
  }

  /** Tells everyone who asked; who watches waits for the next round. */
  #settle(slot: Slot, outcome: VolumeState | VolumeExpansionError): void {
    const { callers } = slot
    if (!callers.every(isWatcher)) slot.callers = callers.filter(isWatcher)
    slot.request = undefined
    for (const caller of callers) {
      if (isWatcher(caller) && caller.place !== slot) continue
      if (outcome instanceof VolumeExpansionError) caller.reject(outcome)
      else caller.resolve(outcome)
    }
    if (slot.callers.length === 0) return
    if (this.sharesRounds) this.#again(slot)
    else this.#release(slot)
  }

  #again(slot: Slot): void {
    slot.urgency = 'patient'
    const waiting = this.#pending.get(slot.key) ?? this.#patient.get(slot.key)
    if (waiting === undefined) this.#patient.set(slot.key, slot)
    else for (const watcher of slot.callers.filter(isWatcher)) this.#place(watcher, waiting)
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

const nobody: readonly never[] = []

function join(slot: Slot, caller: Caller | Watcher): void {
  slot.callers = slot.callers.concat(caller)
}

function isThrottled(thrown: unknown): thrown is VolumeExpansionError {
  return thrown instanceof VolumeExpansionError && thrown.code === 'throttled'
}

function isWatcher(caller: Caller | Watcher): caller is Watcher {
  return 'alone' in caller
}

/** Somebody else may have asked for the same volume meanwhile. */
function isIn(slots: ReadonlyMap<string, Slot>, slot: Slot): boolean {
  return slots.get(slot.key) === slot
}

/** What each slot is told, or what all of them are. */
function judged(
  expander: Expander,
  slots: readonly Slot[],
  outcomes: readonly ReadOutcome[],
): readonly (VolumeState | VolumeExpansionError)[] | VolumeExpansionError {
  if (Array.isArray(outcomes) && outcomes.length === slots.length) {
    return slots.map((slot, index) => judge(expander, slot, outcomes[index]))
  }
  const count = Array.isArray(outcomes) ? `${outcomes.length} entries` : typeof outcomes
  return violated(expander, `read answered ${slots.length} refs with ${count}`)
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
