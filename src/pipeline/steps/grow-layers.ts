import type { Finding } from '../../findings.ts'
import type { Bytes } from '../../size.ts'
import type { StackObservation } from '../context.ts'
import {
  type GrowthPayload,
  type GrowthResult,
  grow,
  growthContext,
  measuredLayers,
  missingTools,
  plannedGrowth,
} from '../growth.ts'
import { defineStep, type PlanDraft, type PlannedAction, type Step } from '../step.ts'

type Context = { readonly stack: StackObservation; readonly filesystemWillGrow?: never }

/** Grows every layer between the device and the filesystem, from below to above. */
export function growLayers(): Step<object, Context, { readonly layersWillGrow: true }> {
  return defineStep<object, Context, { readonly layersWillGrow: true }, GrowthPayload, GrowthResult>({
    name: 'grow layers',
    observe: async () => ({ layersWillGrow: true }),
    plan({ stack }, draft) {
      const findings: Finding[] = []
      const actions: PlannedAction<GrowthPayload>[] = []
      const predictions = new Map<string, Bytes>()
      for (const { layer, device, state } of stack.layers) {
        const available = sizeBelow(stack, state.id, device.below, draft, predictions)
        const growth = layer.grow(device, stack.storage.snapshot, growthContext(stack, draft, available ?? state.size))
        const payload = { subject: layer, deviceId: device.id, state, growth }
        const planned = plannedGrowth(payload)
        findings.push(...growth.findings, ...missingTools(growth, state, stack.storage.tools))
        predictions.set(state.id, growth.after)
        if (planned !== undefined) actions.push(planned)
      }
      const layers = stack.layers.map(({ state }) => state)
      return { layers, findings: [...findings, ...containerFindings(stack, draft)], actions, predictions }
    },
    act: (payload, { stack }, services) => grow(payload, stack, services),
    verify: async (_payload, { stack }, _services, result) => measuredLayers(stack, result),
  })
}

/** Bytes that the layer below will have: the volume's for the lowest layer, the layers' planned just now for all others. */
function sizeBelow(
  stack: StackObservation,
  id: string,
  below: readonly string[],
  draft: PlanDraft,
  predictions: ReadonlyMap<string, Bytes>,
): Bytes | undefined {
  const backend = stack.storage.backend
  if (below.length === 0) {
    if (backend === undefined) return undefined
    const size = draft.predicted(backend.id) ?? backend.state.size
    return (size - (backend.state.overhead ?? 0n)) as Bytes
  }
  const under = stack.layers.filter((entry) => entry.state.id !== id && below.includes(entry.device.id))
  return under.length === 0
    ? undefined
    : (under.reduce((sum, { state }) => sum + (predictions.get(state.id) ?? state.size), 0n) as Bytes)
}

/** Without a volume, the device is the container that `to` speaks of, and nobody here can make it larger. */
function containerFindings(stack: StackObservation, draft: PlanDraft): readonly Finding[] {
  const container = stack.layers.at(-1)
  if (stack.storage.backend !== undefined || container === undefined) return []
  const current = container.state.size
  const target = draft.target({ current, granularity: 1n as Bytes, layer: 'device' })
  if (target === 'fill' || target <= current) return []
  return [
    {
      code: 'device-too-small',
      severity: 'blocker',
      layer: 'device',
      target: container.state.id,
      message: `${container.state.label} ends before the size that was asked for.`,
      remedy: "Give the `volume` that it belongs to, so that it can be grown, or ask for to: 'fill'.",
    },
  ]
}
