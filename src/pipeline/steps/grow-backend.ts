import { VolumeExpansionError } from '../../errors.ts'
import type { VolumeState } from '../../expander.ts'
import type { Finding } from '../../findings.ts'
import { volumeLayer } from '../../layers/volume.ts'
import { type Bytes, formatSize } from '../../size.ts'
import { pollUntil } from '../../wait.ts'
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
    async act(size, { backend }, services) {
      const { phase, growingTo } = backend.state
      // Where the backend does not tell how far it is going, only its end shows whether anything is left to ask for.
      const settled = phase === 'growing' && growingTo === undefined ? await ended(backend, services) : undefined
      if (settled !== undefined && settled.size >= size) return settled
      await backend.managed.expand(size, services.signal)
      return usable(backend, size, services)
    },
    verify: async (_size, { backend }, _services, state) => [volumeLayer(backend.handle, state)],
  })
}

function ended(backend: BackendObservation, services: StepServices): Promise<VolumeState> {
  return awaited(backend, 'to end the growth that is under way', (state) => state.phase === 'stable', services)
}

function usable(backend: BackendObservation, size: Bytes, services: StepServices): Promise<VolumeState> {
  const reached = (state: VolumeState): boolean => state.phase === 'stable' && state.size >= size
  return awaited(backend, `to show ${formatSize(size)}`, reached, services)
}

function awaited(
  backend: BackendObservation,
  what: string,
  isDone: (state: VolumeState) => boolean,
  services: StepServices,
): Promise<VolumeState> {
  const { handle, managed } = backend
  let shown = ''
  let grown = false
  return managed.follow(({ read, ...rhythm }) =>
    pollUntil<VolumeState>({
      what: `${handle.expander.name} ${what} for ${handle.identity.label}`,
      layer: 'volume',
      provider: handle.expander.name,
      // A look changes nothing; but a growth goes on all the same when it fails.
      read: (signal) =>
        read(signal).catch((error: VolumeExpansionError) => {
          throw error.outcome === 'unchanged' ? error.with({ outcome: grown ? 'changed' : 'unknown' }) : error
        }),
      judge(state) {
        if (state.phase === 'failed' || state.phase === 'unusable') throw failed(backend, state)
        return isDone(state) ? 'done' : 'waiting'
      },
      onState(state) {
        const { native, size: now, progress } = state
        grown ||= now > backend.state.size
        // A fleet that looks for minutes would keep thousands of events that say the same.
        const news = `${native} ${now} ${progress}`
        if (news === shown) return
        shown = news
        services.progress({ native, size: now, ...(progress === undefined ? {} : { fraction: progress }) })
      },
      describe: (state) => `${state.native}, ${formatSize(state.size)}`,
      deadline: services.clock.now() + services.timeouts.backend,
      ...rhythm,
      ...services,
    }),
  )
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
