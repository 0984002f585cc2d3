import { setTimeout as sleep } from 'node:timers/promises'
import { type ErrorCode, VolumeExpansionError } from '../../errors.ts'
import type { Capabilities, ReadOutcome, VolumeExpander, VolumeState } from '../../expander.ts'
import { type Bytes, roundUp } from '../../size.ts'
import { ConformanceFailure, holds, rejection } from '../suite.ts'
import type { AnySetup, AttachedVolume, ProviderVolume } from './setup.ts'
import { wellFormed } from './state.ts'

/** One case, before it is bound to a setup. */
export interface ProviderCase {
  readonly name: string
  /** Why it does not apply to what the provider declares and has. */
  readonly skip?: (setup: AnySetup) => string | undefined
  readonly run: (probe: Probe) => Promise<void>
}

/** A volume with its size at the start, and a size that it has not reached yet. */
export interface Subject extends ProviderVolume<unknown> {
  readonly before: Bytes
  /** `before` and so many times the granularity. */
  readonly above: (steps: number) => Bytes
}

/** What a growth showed while it was watched. */
export interface Watched {
  readonly states: readonly VolumeState[]
  readonly last: VolumeState
}

/** The provider under examination, with the questions that many cases ask. */
export class Probe {
  readonly setup: AnySetup
  readonly expander: VolumeExpander<unknown, unknown>
  readonly capabilities: Capabilities

  constructor(setup: AnySetup) {
    this.setup = setup
    this.expander = setup.expander
    this.capabilities = setup.expander.capabilities
  }

  async subject(): Promise<Subject> {
    return this.#subject(await this.setup.volume())
  }

  async attached(): Promise<Subject & AttachedVolume<unknown>> {
    const volume = await this.setup.attached?.()
    if (volume === undefined) throw new ConformanceFailure('The setup has no attached volume.')
    return { ...volume, ...(await this.#subject(volume)) }
  }

  async #subject(volume: ProviderVolume<unknown>): Promise<Subject> {
    const unit = this.capabilities.granularity
    const before = (await volume.measure()) as Bytes
    holds(
      before > unit && before % unit === 0n,
      `The setup made a volume of ${before} bytes; the suite needs a multiple of ${unit}, and more than that.`,
    )
    return { ...volume, before, above: (steps) => roundUp((before + BigInt(steps) * unit) as Bytes, unit) }
  }

  /** What `read` answers, in requests of the declared size at the most. */
  async read(refs: readonly unknown[], signal?: AbortSignal): Promise<readonly ReadOutcome[]> {
    const options = signal === undefined ? {} : { signal }
    const outcomes: ReadOutcome[] = []
    for (let start = 0; start < refs.length; start += this.capabilities.readBatch) {
      const batch = refs.slice(start, start + this.capabilities.readBatch)
      const answer = await promised(() => this.expander.read(batch, options), 'read')
      holds(Array.isArray(answer), 'read has to answer with an array.')
      holds(answer.length === batch.length, `read answered ${batch.length} refs with ${answer.length} entries.`)
      outcomes.push(...answer)
    }
    return outcomes
  }

  async state(ref: unknown): Promise<VolumeState> {
    const [outcome] = await this.read([ref])
    return stateIn(outcome)
  }

  expand(ref: unknown, size: Bytes, signal?: AbortSignal, requestId: string = this.requestId()): Promise<void> {
    const options = { size, options: this.setup.options, requestId, ...(signal === undefined ? {} : { signal }) }
    return promised(() => this.expander.expand(ref, options), 'expand')
  }

  /** Never the same in two cases: a backend remembers, and would take one for a repetition of the other. */
  requestId(): string {
    return crypto.randomUUID()
  }

  pause(): Promise<void> {
    return this.setup.pause?.() ?? sleep(50)
  }

  /** Watches until the volume is stable with `size` bytes or more, and fails the case when it does not become that. */
  async until(volume: ProviderVolume<unknown>, size: bigint): Promise<Watched> {
    const patience = this.setup.patience ?? 200
    const states: VolumeState[] = []
    for (let pauses = 0; pauses <= patience; pauses += 1) {
      const state = await this.state(volume.ref)
      wellFormed(state)
      const real = await volume.measure()
      holds(state.size <= real, `read shows ${state.size} bytes while the volume has ${real}.`)
      states.push(state)
      holds(
        state.phase === 'stable' || state.phase === 'growing',
        `The volume became ${state.phase} (${state.native}).`,
      )
      if (state.phase === 'stable' && state.size >= size) return { states, last: state }
      await this.pause()
    }
    throw new ConformanceFailure(`The volume did not become stable with ${size} bytes within ${patience} pauses.`)
  }

  /** Gives a wrongly begun growth the time to show. */
  async rest(volume: ProviderVolume<unknown>): Promise<void> {
    for (let pauses = 0; pauses < 3; pauses += 1) await this.pause()
    await this.until(volume, 0n)
  }

  async unchanged(volume: Subject, after: string): Promise<void> {
    await this.rest(volume)
    await measures(volume, volume.before, after)
  }
}

/** Fails the case unless the volume really has so many bytes. */
export async function measures(volume: ProviderVolume<unknown>, size: bigint, after: string): Promise<void> {
  const real = await volume.measure()
  holds(real === size, `After ${after} the volume has ${real} bytes and should have ${size}.`)
}

export function stateIn(outcome: ReadOutcome | undefined): VolumeState {
  if (outcome instanceof Error) throw new ConformanceFailure(`read failed for a volume that exists: ${outcome.message}`)
  holds(typeof outcome === 'object' && outcome !== null, 'read answered with neither a state nor an error.')
  return outcome
}

/** Fails the case unless it is the library's error with this code and an outcome that says that nothing was changed. */
export function refusal(error: unknown, code: ErrorCode, what: string): VolumeExpansionError {
  holds(error instanceof VolumeExpansionError, `${what} has to fail with a VolumeExpansionError, not with ${error}.`)
  holds(error.code === code, `${what} has to fail with the code ${code}, not ${error.code}: ${error.message}`)
  holds(error.outcome === 'unchanged', `${what} changes nothing, so the outcome is not ${error.outcome}.`)
  return error
}

export async function refused(promise: Promise<unknown>, code: ErrorCode, what: string): Promise<VolumeExpansionError> {
  return refusal(await rejection(promise, `${what} has to be refused with ${code}.`), code, what)
}

/** Methods that promise something may not throw before they return. */
function promised<Value>(call: () => Promise<Value>, what: string): Promise<Value> {
  try {
    return Promise.resolve(call())
  } catch (error) {
    throw new ConformanceFailure(`${what} threw instead of returning a promise: ${error}`)
  }
}
