import { VolumeExpansionError } from '../../errors.ts'
import type { VolumeState } from '../../expander.ts'
import type { Finding } from '../../findings.ts'
import { volumeLayer } from '../../layers/volume.ts'
import type { Looks } from '../../services/managed.ts'
import { type Bytes, formatSize } from '../../size.ts'
import { type PollOptions, type PollSchedule, pollUntil } from '../../wait.ts'
import type { BackendObservation } from '../context.ts'
import { defineStep, type Step, type StepServices } from '../step.ts'

type Context = {
  readonly backend: BackendObservation
  readonly layersWillGrow?: never
  /** A step before this one stops whoever uses the volume. */
  readonly usersWillStop?: true
}

/** Grows the volume at its backend and waits until its new size can be used. Has to come before the layers above it grow. */
export function growBackend(): Step<object, Context, { readonly backendWillGrow: true }> {
  return defineStep<object, Context, { readonly backendWillGrow: true }, Bytes, VolumeState>({
    name: 'grow backend',
    observe: async () => ({ backendWillGrow: true }),
    plan({ backend, usersWillStop = false }, draft) {
      const { state, handle, id } = backend
      const layer = volumeLayer(handle, state)
      const target = draft.target({
        current: state.size,
        granularity: handle.expander.capabilities.granularity,
        layer: 'volume',
      })
      const joined = state.phase === 'growing' ? state.growingTo : undefined
      const after = largest(state.size, target === 'fill' ? undefined : target, joined)
      // A volume that is large enough is still not settled while another change is under way.
      const needed = after > state.size || state.phase === 'growing'
      const findings = needed ? judged(backend, after, usersWillStop) : []
      const common = {
        layers: [layer],
        findings: [...(state.findings ?? []), ...findings],
        predictions: new Map([[id, after]]),
      }
      if (!needed) return common
      const asks = target !== 'fill' && target > (joined ?? state.size)
      const action = {
        id,
        layer: 'volume' as const,
        target: id,
        summary: asks
          ? `grow ${layer.label} to ${formatSize(after)}`
          : `wait until ${layer.label} has grown to ${formatSize(after)}`,
        before: state.size,
        after,
        commands: [],
        calls: asks ? [`${handle.expander.name} expand`] : [],
      }
      return { ...common, actions: [{ action, payload: after }] }
    },
    act(size, { backend }, services) {
      const { phase, growingTo } = backend.state
      // Where the backend does not tell how far it is going, only its end shows whether anything is left to ask for.
      const isOpen = phase === 'growing' && growingTo === undefined
      return isOpen ? growAfterwards(backend, size, services) : new Growth(backend, size, services).end('asked for')
    },
    verify: async (_size, { backend }, _services, state) => [volumeLayer(backend.handle, state)],
  })
}

async function growAfterwards(backend: BackendObservation, size: Bytes, services: StepServices): Promise<VolumeState> {
  const settled = await new Growth(backend, undefined, services).end('under way')
  return settled.size >= size ? settled : new Growth(backend, size, services).end('asked for')
}

/** The wait for a growth: one object for each, since ten thousand may be in flight, that keeps no more of the step's services than it needs. */
class Growth implements PollOptions<VolumeState> {
  readonly clock: StepServices['clock']
  readonly random: StepServices['random']
  readonly signal: AbortSignal
  deadline = 0
  readonly #backend: BackendObservation
  /** Undefined: whatever it has when it ends. */
  readonly #size: Bytes | undefined
  /** Milliseconds. */
  readonly #patience: number
  readonly #progress: StepServices['progress']
  #looks: Looks | undefined
  #shown: VolumeState | undefined
  #grown = false

  constructor(backend: BackendObservation, size: Bytes | undefined, services: StepServices) {
    this.clock = services.clock
    this.random = services.random
    this.signal = services.signal
    this.#backend = backend
    this.#size = size
    this.#patience = services.timeouts.backend
    this.#progress = services.progress
  }

  /** Waits until its size can be used. Asks for it first, unless it is under way. */
  async end(growth: 'asked for' | 'under way'): Promise<VolumeState> {
    const { managed, state } = this.#backend
    if (growth === 'asked for') await managed.expand(this.#size ?? state.size, this.signal)
    this.#looks = managed.follow()
    this.deadline = this.clock.now() + this.#patience
    try {
      return await pollUntil(this)
    } finally {
      this.#looks.end()
    }
  }

  get what(): string {
    const { expander, identity } = this.#backend.handle
    const end = this.#size === undefined ? 'to end the growth that is under way' : `to show ${formatSize(this.#size)}`
    return `${expander.name} ${end} for ${identity.label}`
  }

  get layer(): 'volume' {
    return 'volume'
  }

  get provider(): string {
    return this.#backend.handle.expander.name
  }

  get rounds(): Looks | undefined {
    return this.#looks
  }

  get delay(): number | undefined {
    return this.#looks?.delay
  }

  get schedule(): PollSchedule | undefined {
    return this.#looks?.schedule
  }

  /** A look changes nothing; but a growth goes on all the same when it fails. */
  async read(signal: AbortSignal): Promise<VolumeState> {
    try {
      return await this.#backend.managed.read(signal)
    } catch (thrown) {
      if (!(thrown instanceof VolumeExpansionError) || thrown.outcome !== 'unchanged') throw thrown
      throw thrown.with({ outcome: this.#grown ? 'changed' : 'unknown' })
    }
  }

  judge(state: VolumeState): 'done' | 'waiting' {
    if (state.phase === 'failed' || state.phase === 'unusable') throw failed(this.#backend, state)
    return state.phase === 'stable' && state.size >= (this.#size ?? 0n) ? 'done' : 'waiting'
  }

  onState(state: VolumeState): void {
    const { native, size, progress } = state
    const { native: nativeBefore, size: sizeBefore, progress: progressBefore } = this.#shown ?? {}
    this.#grown ||= size > this.#backend.state.size
    this.#shown = state
    // A fleet that looks for minutes would keep thousands of events that say the same.
    if (native === nativeBefore && size === sizeBefore && progress === progressBefore) return
    this.#progress({ native, size, ...(progress === undefined ? {} : { fraction: progress }) })
  }

  describe(state: VolumeState): string {
    return `${state.native}, ${formatSize(state.size)}`
  }
}

function failed({ handle, state: before }: BackendObservation, state: VolumeState): VolumeExpansionError {
  // What has failed has ended; of any other state nobody can say what becomes of the growth in it.
  const outcome = state.size > before.size ? 'changed' : state.phase === 'failed' ? 'unchanged' : 'unknown'
  if (state.failure !== undefined) return state.failure.with({ outcome })
  const reason = state.findings?.map(({ message }) => message).join(' ') ?? ''
  return new VolumeExpansionError(
    'backend-failed',
    `${handle.expander.name} reports ${state.native} for ${handle.identity.label}. ${reason}`.trim(),
    {
      ...{ layer: 'volume', provider: handle.expander.name },
      outcome,
      remedy:
        state.findings?.find(({ remedy }) => remedy !== undefined)?.remedy ??
        'See what the backend says about the volume, and bring it back to a usable state.',
    },
  )
}

function largest(first: Bytes, ...others: readonly (Bytes | undefined)[]): Bytes {
  return others.reduce<Bytes>((most, size) => (size !== undefined && size > most ? size : most), first)
}

const limitCodes = { size: 'limit-exceeded', quota: 'quota-exceeded', pool: 'pool-full' } as const

function judged({ handle, state, id }: BackendObservation, after: Bytes, usersWillStop: boolean): readonly Finding[] {
  const label = handle.identity.label
  const found: Finding[] = [...(state.growthFindings ?? [])]
  const block = (code: Finding['code'], message: string, remedy: string): void =>
    void found.push({ code, severity: 'blocker', layer: 'volume', target: id, message, remedy })
  if ((state.phase === 'failed' && state.repeatable !== true) || state.phase === 'unusable') {
    block(
      'wrong-state',
      `${label} is ${state.native}, and cannot be grown in that state.`,
      'Bring the volume back to a usable state first.',
    )
  }
  for (const { what, most, source, asOf } of state.limits ?? []) {
    if (after <= most) continue
    const dated = asOf === undefined ? '' : ` of ${asOf}`
    block(
      asOf === undefined ? limitCodes[what] : 'dated-limit',
      `${formatSize(after)} for ${label} is above the ${what} limit of ${formatSize(most)} (${source}${dated}).`,
      asOf === undefined
        ? 'Ask for less, or have the limit raised.'
        : "Ask for less, or accept 'dated-limit' if the limit was raised since.",
    )
  }
  if (state.nextChangeAt !== undefined && state.phase === 'stable') {
    block(
      'too-soon',
      `${label} may be changed again at ${state.nextChangeAt.toISOString()}.`,
      'Run it again after that.',
    )
  }
  const joins = state.phase === 'growing' && state.growingTo !== undefined && after <= state.growingTo
  if (state.changeBlockedBy !== undefined && !joins) {
    block('too-soon', `${label} cannot be changed now: ${state.changeBlockedBy}.`, 'Run it again when that is over.')
  }
  if (state.backed !== undefined && after > state.backed) {
    found.push({
      code: 'thin-overcommit',
      severity: 'warning',
      layer: 'volume',
      target: id,
      message: `The storage behind ${label} could fill it up to ${formatSize(state.backed)} now; above that its size is a promise.`,
      remedy: 'Watch the free space behind it, or add some.',
    })
  }
  if (!usersWillStop && state.onlineGrowth === false && (state.users?.length ?? 0) > 0) {
    const users = (state.users ?? []).map(({ description }) => description).join(', ')
    block(
      'offline-only',
      `${label} cannot be grown while it is in use by ${users}.`,
      'Detach it, grow it, and attach it again.',
    )
  }
  return found
}
