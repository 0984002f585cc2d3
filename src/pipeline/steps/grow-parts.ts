import { VolumeExpansionError } from '../../errors.ts'
import type { Finding } from '../../findings.ts'
import type { LayerState } from '../../layers/layer.ts'
import { volumeLayer } from '../../layers/volume.ts'
import { type Bytes, parseSize } from '../../size.ts'
import type { BackendObservation } from '../context.ts'
import type { ObservedPart, PartAction, PlannedPart } from '../parts.ts'
import type { RunOptions } from '../plan.ts'
import { defineStep, type PlanDraft, type Step } from '../step.ts'

/** What `growParts()` adds: the parts that were looked at; none where the provider has no parts or nothing has to grow. */
export interface PartsObservation {
  readonly parts: readonly ObservedPart[]
  /** What plans and proves them: loaded with the first part, and not by whoever has none. */
  readonly partPlanner?: Pick<typeof import('../parts.ts'), 'planPart' | 'provePart'>
}

type Context = { readonly backend: BackendObservation; readonly layersWillGrow?: never }

/**
 * Grows what a volume is made of: the parts that its provider names, each a request for a host of its own, planned and grown by the same steps as every other one. All of
 * them are looked at and proven before the first is touched. Has to come before the backend is asked to grow the whole.
 */
export function growParts(): Step<object, Context, PartsObservation> {
  return defineStep<object & RunOptions, Context, PartsObservation, PartAction, unknown>({
    name: 'grow parts',
    async observe({ backend, to, approved }, services) {
      const { handle, state } = backend
      if (handle.expander.parts === undefined || isLargeEnough(state.size, to ?? approved?.target)) return { parts: [] }
      const requests = await handle.expander.parts(handle.ref, state)
      if (requests.length === 0) return { parts: [] }
      const { observeParts, planPart, provePart } = await import('../parts.ts')
      return { parts: await observeParts(requests, services), partPlanner: { planPart, provePart } }
    },
    plan(context, draft) {
      const planned = plannedParts(context, draft)
      return {
        layers: planned.flatMap(({ layers }) => layers),
        findings: planned.flatMap(({ findings }): readonly Finding[] => findings),
        actions: planned.flatMap(({ actions }) => actions),
        predictions: new Map(planned.flatMap(({ predictions }) => [...predictions])),
      }
    },
    async prove(context, draft, services) {
      const planned = plannedParts(context, draft)
      const proven = await Promise.all(planned.map((part) => context.partPlanner?.provePart(part, services)))
      if (proven.every((context) => context === undefined)) return undefined
      return {
        parts: context.parts.map((part, index) => {
          const found = proven[index]
          return found === undefined ? part : { ...part, context: found }
        }),
      }
    },
    act: (action, { parts }, services) => {
      const { context } = partOf(action, parts)
      return action.step.act?.(action.payload, context, services) ?? Promise.resolve()
    },
    async verify(action, { parts, backend }, services, result) {
      const part = partOf(action, parts)
      const measured = (await action.step.verify?.(action.payload, part.context, services, result)) ?? []
      return [...measured.map(part.inPlan), ...(await wholeNow(backend, services.signal))]
    },
  })
}

/** The volume as it is now; how much of a part's growth shows in it is for the report alone, and is proven later. */
async function wholeNow({ handle, managed }: BackendObservation, signal: AbortSignal): Promise<readonly LayerState[]> {
  try {
    return [volumeLayer(handle, await managed.read(signal))]
  } catch (error) {
    if (error instanceof VolumeExpansionError && error.code !== 'aborted') return []
    throw error
  }
}

function plannedParts(
  { parts, partPlanner, backend }: Context & PartsObservation,
  draft: PlanDraft,
): readonly PlannedPart[] {
  if (partPlanner === undefined) return []
  const { state, handle } = backend
  const { granularity } = handle.expander.capabilities
  const target = draft.target({ current: state.size, granularity, layer: 'volume' })
  return parts.map((part, index) => partPlanner.planPart(part, index, target, draft.options))
}

function partOf({ index }: PartAction, parts: readonly ObservedPart[]): ObservedPart {
  const part = parts[index]
  if (part === undefined) throw new TypeError('An action belongs to a part of its plan.')
  return part
}

function isLargeEnough(size: Bytes, target: unknown): boolean {
  if (typeof target !== 'string' && typeof target !== 'bigint') return false
  return target !== 'fill' && parseSize(target) <= size
}
