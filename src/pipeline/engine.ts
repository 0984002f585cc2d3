import { systemClock } from '../clock.ts'
import { abortedError, asExpansionError, VolumeExpansionError } from '../errors.ts'
import { applyAcceptance, type Finding } from '../findings.ts'
import type { LayerState } from '../layers/layer.ts'
import { type HeldLock, processLocks } from '../services/lock.ts'
import type { Bytes } from '../size.ts'
import type { Where } from '../where.ts'
import { type Draft, draftFor } from './draft.ts'
import type { ExpansionEvent, NewEvent } from './events.ts'
import type { Action, Plan, RunOptions, Timeouts } from './plan.ts'
import type { ActionReport, Report } from './report.ts'
import { reportOf } from './reporting.ts'
import { checkSizes } from './request.ts'
import { approvedTarget, sealPlan } from './seal.ts'
import type { ErasedParts, StepServices } from './step.ts'

/** A step as the engine runs it; `when` names the part of the input, or of what the steps before have added to it, without which it is left out. */
export interface StepSlot {
  readonly parts: ErasedParts
  readonly when?: string
}

interface Prepared {
  readonly parts: ErasedParts
  readonly action: Action
  readonly payload: unknown
  readonly preparatory?: boolean
}

/** A plan with what carries it out. */
interface Planned {
  readonly plan: Plan
  readonly prepared: readonly Prepared[]
  readonly context: object
}

const minute = 60_000
const defaultTimeouts: Required<Timeouts> = {
  observe: minute,
  backend: 10 * minute,
  device: 2 * minute,
  tool: 360 * minute,
  snapshot: 360 * minute,
  lock: 360 * minute,
}

/** Observes and plans, and touches nothing. */
export async function planOnly(slots: readonly StepSlot[], input: object & RunOptions): Promise<Plan> {
  const session = new Session(input, () => {}, true)
  try {
    return (await observeAndPlan(slots, input, session)).plan
  } finally {
    session.end()
  }
}

/** The loop: observe, plan, then act and verify one action after the other; ends with a report, or with an error that carries a partial one. */
export function runSteps(
  slots: readonly StepSlot[],
  input: object & RunOptions,
  publish: (event: ExpansionEvent) => void,
): Promise<Report> {
  const session = new Session(input, publish, false)
  return carryOut(observeAndPlan(slots, input, session), session)
}

/** What is held here, and in {@link actAndVerify}, is held while the run waits, by each of the ten thousand of a fleet: hence no more than is needed. */
async function carryOut(planning: Promise<Planned>, session: Session): Promise<Report> {
  const progress: Progress = { planned: undefined, actions: [], measured: undefined, changed: false }
  try {
    progress.planned = await planning
    requireUnblocked(progress.planned.plan)
    while (progress.actions.length < progress.planned.prepared.length) await actAndVerify(session, progress)
    return succeeded(progress.planned.plan, session, progress)
  } catch (thrown) {
    throw await failed(thrown, session, progress)
  } finally {
    session.end()
  }
}

function succeeded(plan: Plan, session: Session, { actions, measured }: Progress): Report {
  const report = reportOf(plan, actions, measured ?? none, session.elapsed())
  session.publish({ type: 'succeeded', report })
  return report
}

async function failed(thrown: unknown, session: Session, progress: Progress): Promise<VolumeExpansionError> {
  const { planned, actions } = progress
  const left = planned === undefined ? [] : await recovered(planned, session, actions.length)
  const error = finalError(thrown, session, progress, left)
  session.publish({ type: 'failed', error })
  return error
}

/** Lets the steps that had begun put back what must not stay as it is, and returns what they could not. */
async function recovered({ prepared, context }: Planned, session: Session, begun: number): Promise<readonly string[]> {
  const left: string[] = []
  // What was aborted is the growth; this has to be done all the same.
  const services: StepServices = { ...session.services(), signal: new AbortController().signal }
  for (const { parts, payload } of prepared.slice(0, begun).reverse()) {
    try {
      await parts.recover?.(payload, context, services)
    } catch (thrown) {
      left.push(thrown instanceof Error ? thrown.message : String(thrown))
    }
  }
  return left
}

const none: ReadonlyMap<string, Bytes> = new Map()

interface Progress {
  planned: Planned | undefined
  readonly actions: ActionReport[]
  /** The last measurement of each layer that was grown. */
  measured: Map<string, Bytes> | undefined
  /** Whether something was done that is more than a preparation. */
  changed: boolean
}

async function observeAndPlan(
  slots: readonly StepSlot[],
  input: object & RunOptions,
  session: Session,
): Promise<Planned> {
  checkSizes(input)
  const active: StepSlot[] = []
  let context: object = { ...input }
  for (const slot of slots) {
    const { parts, when } = slot
    if (when !== undefined && (context as Record<string, unknown>)[when] === undefined) continue
    active.push(slot)
    if (session.signal.aborted) throw abortedError(session.signal, 'pipeline', 'unchanged')
    if (parts.observe !== undefined) context = { ...context, ...(await parts.observe(context, session.services())) }
  }
  const planned = await proven(active, context, input, session)
  session.publish({ type: 'observed', layers: planned.plan.layers })
  if (input.approved !== undefined) {
    const { requireFresh } = await import('./approval.ts')
    requireFresh(input.approved, planned.plan)
  }
  session.publish({ type: 'planned', plan: planned.plan })
  for (const finding of planned.plan.findings) {
    if (finding.severity === 'warning') session.publish({ type: 'warning', finding })
  }
  return planned
}

/** Plans, has proven what the plan needs, and plans again with that. */
async function proven(
  active: readonly StepSlot[],
  observed: object,
  input: RunOptions,
  session: Session,
): Promise<Planned> {
  let { planned, draft } = makePlan(active, observed, input, session)
  for (const { parts } of active) {
    if (parts.prove === undefined) continue
    const found = await parts.prove(planned.context, draft, session.services())
    if (found !== undefined) ({ planned, draft } = makePlan(active, { ...planned.context, ...found }, input, session))
  }
  return planned
}

function makePlan(
  active: readonly StepSlot[],
  context: object,
  input: RunOptions,
  session: Session,
): { readonly planned: Planned; readonly draft: Draft } {
  const draft = draftFor(input, input.approved === undefined ? undefined : approvedTarget(input.approved))
  const layers: LayerState[] = []
  const findings: Finding[] = []
  const all: Prepared[] = []
  for (const { parts } of active) {
    if (parts.plan === undefined) {
      if (parts.act !== undefined) all.push({ parts, action: plainAction(parts.name), payload: undefined })
      continue
    }
    const part = parts.plan(context, draft)
    layers.push(...(part.layers ?? []))
    findings.push(...(part.findings ?? []))
    for (const { action, payload, preparatory = false } of part.actions ?? []) {
      // What is added comes first: V8 gives every copy that something is added to a hidden class of its own, and a fleet holds thousands.
      all.push({ parts, action: { step: parts.name, ...action }, payload, preparatory })
      if (action.target !== undefined && action.after !== undefined) draft.predict(action.target, action.after)
    }
    for (const [id, size] of part.predictions ?? []) draft.predict(id, size)
  }
  const lastGrowth = all.findLastIndex(({ action, preparatory }) => action.target !== undefined && preparatory !== true)
  // A list that was filtered, or pushed to, has room for more; one of each is held for every volume of a fleet.
  const prepared = [...all.filter(({ preparatory }, index) => preparatory !== true || index < lastGrowth)]
  const judged = applyAcceptance([...draft.findings, ...findings], input.accept ?? [])
  const plan = sealPlan({
    target: draft.resolved ?? 'fill',
    layers: layers.map((layer) => ({ after: draft.predicted(layer.id) ?? layer.size, ...layer })),
    actions: prepared.map(({ action }) => action),
    findings: judged,
    blocked: judged.some(({ severity }) => severity === 'blocker'),
    observedAt: session.clock.date().toISOString(),
  })
  return { planned: { plan, prepared, context }, draft }
}

function plainAction(step: string): Action {
  return { id: step, step, layer: 'pipeline', summary: step, commands: [], calls: [] }
}

function requireUnblocked({ findings }: Plan): void {
  const blockers = findings.filter(({ severity }) => severity === 'blocker')
  const [first, ...others] = blockers
  if (first === undefined) return
  const more = others.length === 0 ? '' : ` (and ${others.length} more: ${others.map(({ code }) => code).join(', ')})`
  throw new VolumeExpansionError(first.code, `${first.message}${more}`, {
    layer: first.layer,
    outcome: 'unchanged',
    findings: blockers,
    ...(first.remedy === undefined ? {} : { remedy: first.remedy }),
  })
}

/** The next action. */
async function actAndVerify(session: Session, progress: Progress): Promise<void> {
  const next = nextAction(session, progress)
  try {
    const result = await next.parts.act?.(next.payload, contextOf(progress), session.services())
    finished(next, await verified(next, session, progress, result), session, progress)
  } catch (thrown) {
    progress.actions.push(session.reportOf(next.action, 'failed'))
    throw thrown
  }
}

function nextAction(session: Session, { planned, actions, changed }: Progress): Prepared {
  const next = planned?.prepared[actions.length]
  if (next === undefined) throw new TypeError('There is an action left.')
  if (session.signal.aborted) throw abortedError(session.signal, next.action.layer, changed ? 'changed' : 'unchanged')
  session.begin(next.action)
  return next
}

function contextOf({ planned }: Progress): object {
  return planned?.context ?? {}
}

async function verified(
  { parts, payload }: Prepared,
  session: Session,
  progress: Progress,
  result: unknown,
): Promise<readonly LayerState[]> {
  return (await parts.verify?.(payload, contextOf(progress), session.services(), result)) ?? []
}

function finished(
  { action, preparatory }: Prepared,
  measured: readonly LayerState[],
  session: Session,
  progress: Progress,
): void {
  if (preparatory !== true) progress.changed = true
  const sizes = progress.measured ?? new Map<string, Bytes>()
  progress.measured = sizes
  for (const { id, size } of measured) sizes.set(id, size)
  const size = action.target === undefined ? undefined : sizes.get(action.target)
  const report = session.reportOf(action, 'done')
  progress.actions.push(report)
  const { milliseconds } = report
  session.publish({ type: 'action-finished', action, milliseconds, ...(size === undefined ? {} : { size }) })
}

function finalError(
  thrown: unknown,
  session: Session,
  progress: Progress,
  left: readonly string[],
): VolumeExpansionError {
  const plan = progress.planned?.plan
  const began = progress.actions.length > 0
  const aborted = session.signal.aborted && !(thrown instanceof VolumeExpansionError && thrown.code === 'aborted')
  const own = aborted
    ? abortedError(session.signal, 'pipeline', began ? 'unknown' : 'unchanged')
    : asExpansionError(thrown, { layer: 'pipeline', ...(began ? {} : { outcome: 'unchanged' as const }) })
  const report = plan && reportOf(plan, progress.actions, progress.measured ?? none, session.elapsed())
  // Before the first action nothing was changed, whatever failed; after one that was done, something was.
  const outcome = !began ? 'unchanged' : own.outcome === 'unchanged' && progress.changed ? 'changed' : own.outcome
  const details = { outcome, ...(report === undefined ? {} : { report }) }
  if (left.length === 0) return own.with(details)
  const remedy = [...left, own.remedy ?? ''].join(' ').trim()
  return own.with({ ...details, outcome: 'changed', remedy })
}

/** One run's time, events and locks. */
class Session {
  readonly signal: AbortSignal
  readonly clock: StepServices['clock']
  readonly random: StepServices['random']
  readonly timeouts: Required<Timeouts>
  readonly planning: boolean
  readonly #publish: (event: ExpansionEvent) => void
  readonly #started: number
  #held: readonly HeldLock[] = noLocks
  #action: { readonly action: Action; readonly started: number } | undefined
  #details: Readonly<Record<string, string>> | undefined

  constructor(options: RunOptions, publish: (event: ExpansionEvent) => void, planning: boolean) {
    this.signal = options.signal ?? new AbortController().signal
    this.clock = options.clock ?? systemClock
    this.random = options.random ?? Math.random
    this.timeouts = options.timeouts === undefined ? defaultTimeouts : { ...defaultTimeouts, ...options.timeouts }
    this.planning = planning
    this.#publish = publish
    this.#started = this.clock.now()
  }

  /**
   * What a part of a step is given. Steps take of it what they please (`...services`), so its functions are bound; and it is made anew for each, so that a run that waits keeps
   * only what its step has kept of it.
   */
  services(): StepServices {
    const { signal, clock, random, timeouts, planning } = this
    return {
      ...{ signal, clock, random, timeouts, planning },
      waiting: (layer, reason) => this.publish({ type: 'waiting', layer, reason }),
      progress: (details) => {
        if (this.#action !== undefined) this.publish({ type: 'progress', action: this.#action.action, ...details })
      },
      made: (details) => {
        this.#details = { ...this.#details, ...details }
      },
      exclusive: (key, layer) => this.#exclusive(key, layer),
    }
  }

  elapsed(): number {
    return this.clock.now() - this.#started
  }

  publish(event: NewEvent): void {
    this.#publish({ elapsed: this.elapsed(), ...event })
  }

  begin(action: Action): void {
    this.#action = { action, started: this.clock.now() }
    this.#details = undefined
    this.publish({ type: 'action-started', action })
  }

  /** What is to be said of an action that was begun, with what it has made so far. */
  reportOf({ id, layer, summary }: Action, status: ActionReport['status']): ActionReport {
    const milliseconds = this.#action === undefined ? 0 : this.clock.now() - this.#action.started
    const details = this.#details
    return { id, layer, summary, status, milliseconds, ...(details && { details }) }
  }

  async #exclusive(key: string, layer: Where): Promise<{ readonly waited: boolean }> {
    if (this.#held.some((held) => held.key === key)) return { waited: false }
    const lock = await processLocks.acquire(key, {
      signal: this.signal,
      layer,
      timeout: { clock: this.clock, milliseconds: this.timeouts.lock },
      onWait: () => this.publish({ type: 'waiting', layer, reason: 'another run in this process has it' }),
    })
    this.#held = this.#held.concat(lock)
    return { waited: lock.waited }
  }

  end(): void {
    for (const lock of this.#held) lock.release()
    this.#held = noLocks
  }
}

const noLocks: readonly HeldLock[] = []
