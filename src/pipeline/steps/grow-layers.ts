import type { Finding } from '../../findings.ts'
import type { GrowthContext } from '../../layers/layer.ts'
import type { StackedLayer } from '../../layers/stack.ts'
import { type Bytes, formatSize } from '../../size.ts'
import type { LayerKind } from '../../where.ts'
import type { StackObservation } from '../context.ts'
import { type GrowthPayload, type GrowthResult, growthContext, missingTools, plannedGrowth } from '../growth.ts'
import { defineStep, type PlanDraft, type PlannedAction, type PlanPart, type Step } from '../step.ts'

type Context = { readonly stack: StackObservation; readonly filesystemWillGrow?: never }

/** Grows every layer between the device and the filesystem, from below to above. */
export function growLayers(): Step<object, Context, { readonly layersWillGrow: true }> {
  return defineStep<object, Context, { readonly layersWillGrow: true }, GrowthPayload, GrowthResult>({
    name: 'grow layers',
    async observe() {
      // Loaded while nothing has been touched yet: later it is only asked for again.
      await import('../growing.ts')
      return { layersWillGrow: true }
    },
    plan: ({ stack }, draft) => plan(stack, draft),
    async prove({ stack }, draft, services) {
      const { askForKeys } = await import('../keys.ts')
      const keys = await askForKeys(stack, growths(stack, draft), draft.options, services)
      return keys === undefined ? undefined : { stack: { ...stack, ...keys } }
    },
    act: async (payload, { stack }, services) => (await import('../growing.ts')).grow(payload, stack, services),
    verify: async (_payload, { stack }, _services, result) =>
      (await import('../growing.ts')).measuredLayers(stack, result),
  })
}

function plan(stack: StackObservation, draft: PlanDraft): PlanPart<GrowthPayload> {
  const findings: Finding[] = []
  const actions: PlannedAction<GrowthPayload>[] = []
  const predictions = new Map<string, Bytes>()
  for (const payload of growths(stack, draft)) {
    const { state, growth } = payload
    const planned = plannedGrowth(payload)
    findings.push(...growth.findings, ...missingTools(growth, state, stack.storage.tools))
    predictions.set(state.id, growth.after)
    if (planned !== undefined) actions.push(planned)
  }
  findings.push(...(stack.keyFindings ?? []), ...containerFindings(stack, draft, predictions))
  return { layers: stack.layers.map(({ state }) => state), findings, actions, predictions }
}

/** How each layer would be grown, from below to above: each fills what those below it will have. */
function growths(stack: StackObservation, draft: PlanDraft): readonly GrowthPayload[] {
  const container = stack.storage.backend === undefined ? containerOf(stack) : undefined
  const wanted = container === undefined ? undefined : wantedOf(container, stack, draft)
  const predictions = new Map<string, Bytes>()
  return stack.layers.map((entry) => {
    const { layer, device, state } = entry
    const key = stack.keys?.get(state.id)
    const context: GrowthContext = {
      ...contextOf(stack, entry, draft, predictions),
      ...(entry === container && wanted !== undefined ? { wanted } : {}),
      ...(key === undefined ? {} : { key }),
    }
    const growth = layer.grow(device, stack.storage.snapshot, context)
    predictions.set(device.id, growth.after)
    return { subject: layer, deviceId: device.id, state, context, growth }
  })
}

function contextOf(
  stack: StackObservation,
  { layer, device, state }: StackedLayer,
  draft: PlanDraft,
  predictions: ReadonlyMap<string, Bytes>,
): GrowthContext {
  const { snapshot, volumeDevices } = stack.storage
  const isOnVolume = (id: string): boolean => {
    if (volumeDevices.includes(id)) return true
    return snapshot.devices.find((candidate) => candidate.id === id)?.below.some(isOnVolume) === true
  }
  const own = isOnVolume(device.id)
  if (device.below.length === 0) {
    return growthContext(stack, draft, (own ? volumeSize(stack, draft) : undefined) ?? state.size, own)
  }
  const sizes = device.below.flatMap((id): (readonly [string, Bytes])[] => {
    const size = predictions.get(id) ?? snapshot.devices.find((candidate) => candidate.id === id)?.size
    return size === undefined ? [] : [[id, size]]
  })
  const below = new Map(sizes)
  const context = growthContext(stack, draft, together(layer.kind, [...below.values()], state.size), own)
  if (stack.storage.backend === undefined) return { ...context, below }
  return { ...context, below, onVolume: new Set(device.below.filter(isOnVolume)) }
}

function together(kind: LayerKind, sizes: readonly Bytes[], otherwise: Bytes): Bytes {
  if (sizes.length === 0) return otherwise
  // Paths are the same disk many times.
  if (kind === 'multipath') return [...sizes].sort((a, b) => (a < b ? -1 : 1))[0] ?? otherwise
  return sizes.reduce((sum, size) => sum + size, 0n) as Bytes
}

function volumeSize({ storage }: StackObservation, draft: PlanDraft): Bytes | undefined {
  const { backend } = storage
  if (backend === undefined) return undefined
  const size = draft.predicted(backend.id) ?? backend.state.size
  return (size - (backend.state.overhead ?? 0n)) as Bytes
}

/** What `to` speaks of without a volume: the logical volume, else the partition, else what is at the bottom. */
function containerOf({ layers }: StackObservation): StackedLayer | undefined {
  for (const kind of ['lvm', 'partition', 'multipath'] as const) {
    const found = layers.filter(({ layer }) => layer.kind === kind).at(-1)
    if (found !== undefined) return found
  }
  // Layers of others may be of any kind; the lowest is what nobody here can make larger.
  return layers[0]
}

function wantedOf(
  { layer, device, state }: StackedLayer,
  { storage }: StackObservation,
  draft: PlanDraft,
): Bytes | undefined {
  const granularity = layer.granularity?.(device, storage.snapshot) ?? (1n as Bytes)
  const target = draft.target({ current: state.size, granularity, layer: state.kind })
  return target === 'fill' ? undefined : target
}

/** Without a volume, nobody here can make the container larger than what is below it. */
function containerFindings(
  stack: StackObservation,
  draft: PlanDraft,
  predictions: ReadonlyMap<string, Bytes>,
): readonly Finding[] {
  const container = containerOf(stack)
  if (stack.storage.backend !== undefined || container === undefined) return []
  const wanted = wantedOf(container, stack, draft)
  const { id, label, size, kind } = container.state
  const after = predictions.get(id) ?? size
  if (wanted === undefined || wanted <= after) return []
  return [
    {
      code: 'device-too-small',
      severity: 'blocker',
      layer: kind,
      target: id,
      message: `${label} can have ${formatSize(after)}, and ${formatSize(wanted)} was asked for.`,
      remedy: "Give the `volume` that it belongs to, so that it can be grown, or ask for to: 'fill'.",
    },
  ]
}
