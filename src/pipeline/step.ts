import type { Clock, Random } from '../clock.ts'
import type { Finding } from '../findings.ts'
import type { LayerState } from '../layers/layer.ts'
import type { Bytes } from '../size.ts'
import type { Where } from '../where.ts'
import type { Action, RunOptions, Timeouts } from './plan.ts'

/** What a step may use while it observes, acts and verifies. */
export interface StepServices {
  readonly signal: AbortSignal
  readonly clock: Clock
  readonly random: Random
  readonly timeouts: Required<Timeouts>
  /** True while only a plan is wanted: nothing is waited for and nothing locked. */
  readonly planning: boolean
  /** Tells people that the run waits for something. */
  waiting(layer: Where, reason: string): void
  /** Tells people how far the current action is. */
  progress(details: { readonly fraction?: number; readonly size?: Bytes; readonly native?: string }): void
  /** Says what the current action has made that is worth knowing afterwards; it stands in the report, also of a run that fails later. */
  made(details: Readonly<Record<string, string>>): void
  /**
   * Keeps everybody else in this process out of what the key names until the run ends. Resolves with whether it had to wait: what was observed before may
   * then be out of date.
   */
  exclusive(key: string, layer: Where): Promise<{ readonly waited: boolean }>
}

/** What the steps before have planned, and what was asked for. */
export interface PlanDraft {
  readonly options: RunOptions
  /**
   * The absolute target. The first step that owns the container (the volume, or without one the device) resolves it by giving the container's size now and its
   * granularity; for every later caller it is what it is.
   */
  target(container: {
    readonly current: Bytes
    readonly granularity: Bytes
    readonly layer: LayerState['kind']
  }): Bytes | 'fill'
  /** Bytes that a layer will have once the actions planned so far are done. */
  predicted(layerId: string): Bytes | undefined
}

/** What a step adds to the plan. */
export interface PlanPart<Payload> {
  /** The layers that it measured, from below to above. */
  readonly layers?: readonly LayerState[]
  readonly findings?: readonly Finding[]
  readonly actions?: readonly PlannedAction<Payload>[]
  /** What is predicted of layers that grow without an action of their own, such as a device that follows its volume by itself. */
  readonly predictions?: ReadonlyMap<string, Bytes>
}

/** An action with what the step's own `act` will need. */
export interface PlannedAction<Payload> {
  readonly action: Omit<Action, 'step'>
  readonly payload: Payload
  /** It only prepares for a growth that comes after it, and is left out when there is none. It grows nothing itself. Left out: false. */
  readonly preparatory?: boolean
}

/** What a step is written as; {@link defineStep} makes it one. Every part may be left out. */
export interface StepParts<Input, Needs, Adds, Payload, Result> {
  /** Shown in plans, events and reports. */
  readonly name: string
  /** Looks, and touches nothing. What it returns is added to the context. */
  readonly observe?: (context: Input & Needs, services: StepServices) => Promise<Adds>
  /** Pure. A step that acts and has no `plan` acts once, always. */
  readonly plan?: (context: Input & Needs & Adds, draft: PlanDraft) => PlanPart<Payload>
  /**
   * Proves what only the plan shows to be needed, such as a key; touches nothing. What it returns replaces parts of the context, and all is planned once more.
   * Undefined: nothing is missing.
   */
  readonly prove?: (
    context: Input & Needs & Adds,
    draft: PlanDraft,
    services: StepServices,
  ) => Promise<Partial<Needs & Adds> | undefined>
  /** Does one planned action. */
  readonly act?: (payload: Payload, context: Input & Needs & Adds, services: StepServices) => Promise<Result>
  /** Measures again, and returns the layers as they are now; throws `verification-failed` when they are not as planned. */
  readonly verify?: (
    payload: Payload,
    context: Input & Needs & Adds,
    services: StepServices,
    result: Result,
  ) => Promise<readonly LayerState[]>
  /**
   * Called once a run has failed, or was aborted, after this action had begun, for what must not stay as it is: a workload that was stopped. The steps of a run are called
   * in the opposite order. The signal is not the one that was aborted.
   */
  readonly recover?: (payload: Payload, context: Input & Needs & Adds, services: StepServices) => Promise<void>
}

/**
 * A step of a pipeline. `Input` is what the caller of the pipeline has to give, `Needs` what earlier steps have to have added to the context, `Adds` what this
 * one adds. The phantom members carry the variance (functions as properties: methods would be bivariant and let a wrong order compile).
 */
export interface Step<Input, Needs, Adds> {
  readonly name: string
  readonly parts: ErasedParts
  readonly input?: (input: Input) => void
  readonly needs?: (needs: Needs) => void
  readonly adds?: () => Adds
}

/** The parts with their types forgotten; only {@link defineStep} makes them, and only the pipeline calls them, in the checked order. */
export type ErasedParts = StepParts<object, object, object, unknown, unknown>

/**
 * Makes a step. The parts are checked against the four type arguments; `Payload` is what `plan` hands to `act`, and `Result` what `act` hands to `verify`.
 *
 * @throws {TypeError} when the name is missing or a part is not a function
 */
export function defineStep<
  Input extends object,
  Needs extends object,
  Adds extends object,
  Payload = undefined,
  Result = void,
>(parts: StepParts<Input, Needs, Adds, Payload, Result>): Step<Input, Needs, Adds> {
  if (typeof parts.name !== 'string' || parts.name === '') throw new TypeError('A step has a name.')
  for (const part of ['observe', 'plan', 'prove', 'act', 'verify', 'recover'] as const) {
    if (parts[part] !== undefined && typeof parts[part] !== 'function') {
      throw new TypeError(`The part ${part} of the step ${parts.name} is not a function.`)
    }
  }
  // The one place where the types are forgotten: a pipeline holds steps of every type, and its own types have checked their order.
  return { name: parts.name, parts: parts as unknown as ErasedParts }
}
