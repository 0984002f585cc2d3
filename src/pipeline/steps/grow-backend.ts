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
export function growBackend(): Step<object, Context, object> {
  return defineStep<object, Context, object, Bytes, VolumeState>({
    name: 'grow backend',
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
      await backend.managed.expand(size, services.signal)
      return usable(backend, size, services)
    },
    verify: async (_size, { backend }, _services, state) => [volumeLayer(backend.handle, state)],
  })
}

function usable(backend: BackendObservation, size: Bytes, services: StepServices): Promise<VolumeState> {
  const { handle, managed } = backend
  return pollUntil<VolumeState>({
    what: `${handle.expander.name} to show ${formatSize(size)} for ${handle.identity.label}`,
    layer: 'volume',
    provider: handle.expander.name,
    read: (signal) => managed.read(signal),
    judge(state) {
      if (state.phase === 'failed' || state.phase === 'unusable') throw failed(backend, state)
      return state.phase === 'stable' && state.size >= size ? 'done' : 'waiting'
    },
    onState: (state) =>
      services.progress({
        native: state.native,
        size: state.size,
        ...(state.progress === undefined ? {} : { fraction: state.progress }),
      }),
    describe: (state) => `${state.native}, ${formatSize(state.size)}`,
    deadline: services.clock.now() + services.timeouts.backend,
    ...services,
  })
}

function failed({ handle, state: before }: BackendObservation, state: VolumeState): VolumeExpansionError {
  const reason = state.findings?.map(({ message }) => message).join(' ') ?? ''
  return new VolumeExpansionError(
    'backend-failed',
    `${handle.expander.name} reports ${state.native} for ${handle.identity.label}. ${reason}`.trim(),
    { layer: 'volume', provider: handle.expander.name, outcome: state.size > before.size ? 'changed' : 'unchanged' },
  )
}

function largest(first: Bytes, ...others: readonly (Bytes | undefined)[]): Bytes {
  return others.reduce<Bytes>((most, size) => (size !== undefined && size > most ? size : most), first)
}

const limitCodes = { size: 'limit-exceeded', quota: 'quota-exceeded', pool: 'pool-full' } as const

function judged({ handle, state, id }: BackendObservation, after: Bytes, usersWillStop: boolean): readonly Finding[] {
  const label = handle.identity.label
  const found: Finding[] = []
  const block = (code: Finding['code'], message: string, remedy: string): void =>
    void found.push({ code, severity: 'blocker', layer: 'volume', target: id, message, remedy })
  if (state.phase === 'failed' || state.phase === 'unusable') {
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
