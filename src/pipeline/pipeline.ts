import { planOnly, runSteps, type StepSlot } from './engine.ts'
import type { ExpansionEvent } from './events.ts'
import type { HowMuch, Plan, RunOptions } from './plan.ts'
import type { Report } from './report.ts'
import { checkOptions } from './request.ts'
import { Run } from './run.ts'
import type { Step } from './step.ts'

/** A run of a pipeline: a promise of its report and an iterable of its events. */
export type ExpansionRun = Run<Report, ExpansionEvent>

/** What keeps a step out of a place in which its needs are not met; shown by the compiler. */
export type InOrder<Context, Needs> = [Context] extends [Needs]
  ? unknown
  : { readonly 'the steps before do not add what this one needs': Needs }

/**
 * Steps in the order in which they act. All of them observe first, then the whole is planned, and only then the first one acts. Immutable: `use` and `when`
 * return a new pipeline.
 */
export interface Pipeline<Input, Context> {
  /** Adds a step. A step whose needs the ones before do not add does not compile. */
  use<In, Needs, Adds>(step: Step<In, Needs, Adds> & InOrder<Context, Needs>): Pipeline<Input & In, Context & Adds>
  /** Adds a step that takes part only when the input has `key`; that part of the input may then be left out. */
  when<Key extends string, In, Needs, Adds>(
    key: Key,
    step: Step<In, Needs, Adds> & InOrder<Context, Needs>,
  ): Pipeline<Input & Omit<In, Key> & { readonly [Part in Key & keyof In]?: In[Part] }, Context & Partial<Adds>>
  /** Observes and plans; touches nothing. */
  plan(input: Input & RunOptions & HowMuch): Promise<Plan>
  /**
   * Begins at once. Idempotent: what is large enough already is left alone, and a run that died is resumed by running it again.
   * @throws {TypeError} at once, when an argument is of the wrong kind
   */
  run(input: Input & RunOptions & HowMuch): ExpansionRun
}

/** An empty pipeline. */
export function pipeline(): Pipeline<object, object> {
  return pipelineOf([])
}

const slotsOf = new WeakMap<object, readonly StepSlot[]>()

/**
 * What {@link Pipeline.run} does, without the run around it that keeps events for whoever iterates later: for a fleet, which has one run for all.
 *
 * @throws {TypeError} at once, when an argument is of the wrong kind
 */
export function carryOut<Input, Context>(
  pipeline: Pipeline<Input, Context>,
  input: Input & RunOptions & HowMuch,
  emit: (event: ExpansionEvent) => void,
): Promise<Report> {
  return runSteps(slotsOf.get(pipeline) ?? [], checkOptions(input), emit)
}

/** A pipeline of steps whose order no compiler has checked: what one of them adds decides which of the others take part. */
export function pipelineOf<Input, Context>(slots: readonly StepSlot[]): Pipeline<Input, Context> {
  const made: Pipeline<Input, Context> = {
    use: (step) => pipelineOf([...slots, { parts: step.parts }]),
    when: (key, step) => pipelineOf([...slots, { parts: step.parts, when: key }]),
    async plan(input) {
      return planOnly(slots, checkOptions(input))
    },
    run(input) {
      const checked = checkOptions(input)
      return new Run((emit) => runSteps(slots, checked, emit))
    },
  }
  slotsOf.set(made, slots)
  return made
}
