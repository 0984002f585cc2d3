import { VolumeExpansionError } from '../errors.ts'
import { handleOf, type PartRequest } from '../expander.ts'
import type { Finding } from '../findings.ts'
import type { Host } from '../hosts/host.ts'
import type { LayerState } from '../layers/layer.ts'
import { type Bytes, formatSize, roundUp } from '../size.ts'
import type { StackObservation } from './context.ts'
import type { RunOptions } from './plan.ts'
import type { ErasedParts, PlanDraft, PlannedAction, StepServices } from './step.ts'
import { growBackend } from './steps/grow-backend.ts'
import { growFilesystem } from './steps/grow-filesystem.ts'
import { growLayers } from './steps/grow-layers.ts'
import { locateDevice, locatePath } from './steps/locate-device.ts'
import { observeBackend, volumeKey } from './steps/observe-backend.ts'
import { observeLayers } from './steps/observe-layers.ts'

/** A part of a volume as it was looked at: what the steps of its own request have added to a context of its own. */
export interface ObservedPart {
  readonly request: PartRequest
  readonly steps: readonly ErasedParts[]
  readonly context: PartContext
  /** A layer of the part as the plan of the whole shows it. */
  readonly inPlan: (layer: LayerState) => LayerState
}

type PartContext = { readonly stack: StackObservation }

/** What `growParts()` carries out: an action of one of the part's own steps. */
export interface PartAction {
  readonly index: number
  readonly step: ErasedParts
  readonly payload: unknown
}

/** What a part adds to the plan of the whole. */
export interface PlannedPart {
  readonly part: ObservedPart
  readonly draft: PlanDraft
  readonly layers: readonly LayerState[]
  readonly findings: readonly Finding[]
  readonly actions: readonly PlannedAction<PartAction>[]
  readonly predictions: ReadonlyMap<string, Bytes>
}

const onHost = [locatePath(), observeLayers(), growLayers(), growFilesystem()].map(({ parts }) => parts)
const onVolume = [
  ...[observeBackend(), locateDevice(), observeLayers()],
  ...[growBackend(), growLayers(), growFilesystem()],
].map(({ parts }) => parts)

/**
 * Looks at every part. What keeps other runs out of their volumes and disks is taken for all parts together and in one order, so that two runs that share some of
 * them never wait for each other.
 */
export async function observeParts(
  requests: readonly PartRequest[],
  services: StepServices,
): Promise<readonly ObservedPart[]> {
  requests.forEach(checkRequest)
  const look = (how: StepServices): Promise<readonly ObservedPart[]> =>
    Promise.all(requests.map((request) => observePart(request, how)))
  const seen = await look({ ...services, planning: true })
  if (services.planning) return seen
  const volumes = requests.flatMap(({ volume }) => (volume === undefined ? [] : [volumeKey(handleOf(volume))]))
  for (const key of volumes.sort()) await services.exclusive(key, 'volume')
  const { diskKeys } = await import('./storage.ts')
  const disks = seen.flatMap(({ context }) => diskKeys(context.stack.storage))
  for (const key of disks.sort()) await services.exclusive(key, 'device')
  return look(services)
}

function checkRequest({ label, host, path, device }: PartRequest): void {
  const isHost = 'batch' in host && typeof host.batch === 'function'
  const places = [path, device].filter((place) => place !== undefined)
  if (isHost && places.length === 1 && places[0]?.startsWith('/') === true) return
  throw new VolumeExpansionError('contract-violated', `The part ${label} does not name one place on a host.`, {
    layer: 'volume',
    outcome: 'unchanged',
    remedy: 'Report this to whoever made the provider.',
  })
}

async function observePart(request: PartRequest, services: StepServices): Promise<ObservedPart> {
  const { label, host, path, device, volume } = request
  const steps = volume === undefined ? onHost : onVolume
  let context: object = { host: host as Host, path, device, ...(volume === undefined ? {} : { volume }) }
  try {
    for (const { observe } of steps) context = { ...context, ...(await observe?.(context, services)) }
  } catch (error) {
    throw error instanceof VolumeExpansionError ? ofPart(label, error) : error
  }
  // Sound: both lists of steps end with those that need the stack, and their own types have checked that it is added.
  return { request, steps, context: context as PartContext, inPlan: (layer) => renamed(label, layer) }
}

function ofPart(label: string, error: VolumeExpansionError): VolumeExpansionError {
  const { code, message, layer, outcome, retryable, remedy } = error
  return new VolumeExpansionError(code, `${label}: ${message}`, {
    ...{ layer, outcome, retryable, cause: error },
    ...(remedy === undefined ? {} : { remedy }),
  })
}

/** Ids are unique within one host only. */
function renamed(label: string, layer: LayerState): LayerState {
  return {
    ...layer,
    id: idIn(label, layer.id),
    label: `${label}: ${layer.label}`,
    below: layer.below.map((id) => idIn(label, id)),
  }
}

function idIn(label: string, id: string): string {
  return `${label}/${id}`
}

/** One try to plan a part: its steps' plans with `extra` bytes more than its container has. */
interface Attempt {
  readonly draft: PlanDraft
  readonly layers: readonly LayerState[]
  readonly findings: readonly Finding[]
  readonly actions: readonly { readonly step: ErasedParts; readonly planned: PlannedAction<unknown> }[]
  readonly predictions: ReadonlyMap<string, Bytes>
}

/** Each round corrects what the layers took for themselves in the one before; they take little, so few are needed. */
const mostRounds = 8

/**
 * Plans a part so that its filesystem shows what the whole needs. How much the layers in between take is not known to anybody but them, so the container is made larger
 * by what is missing until the prediction holds. Pure.
 *
 * @param target what the whole volume is to have
 */
export function planPart(part: ObservedPart, index: number, target: Bytes | 'fill', options: RunOptions): PlannedPart {
  const { request } = part
  const needed = target === 'fill' ? undefined : request.to?.(target)
  if (needed === undefined) return inWhole(part, index, attempt(part, 'fill', options))
  if ((shownNow(part) ?? 0n) >= needed) {
    const untouched = attempt(part, 0n, options)
    return inWhole(part, index, { ...untouched, findings: [], actions: [], predictions: new Map() })
  }
  let extra = 0n
  let tried = attempt(part, extra, options)
  for (let round = 0; round < mostRounds; round += 1) {
    const shown = shownAfter(part, tried)
    if (shown === undefined || shown >= needed) break
    extra += needed - shown
    const next = attempt(part, extra, options)
    const grew = (shownAfter(part, next) ?? 0n) > shown
    tried = next
    if (!grew) break
  }
  const shown = shownAfter(part, tried)
  const isBlocked = tried.findings.some(({ severity }) => severity === 'blocker')
  const short = shown === undefined || shown < needed
  const findings = short && !isBlocked ? [...tried.findings, tooSmall(part, needed, shown)] : tried.findings
  return inWhole(part, index, { ...tried, findings })
}

function attempt({ steps, context }: ObservedPart, extra: bigint | 'fill', options: RunOptions): Attempt {
  const predictions = new Map<string, Bytes>()
  const { to: _to, by: _by, max: _max, approved: _approved, ...rest } = options
  const draft: PlanDraft = {
    options: rest,
    predicted: (id) => predictions.get(id),
    target({ current, granularity }) {
      if (extra === 'fill') return 'fill'
      return extra === 0n ? current : roundUp((current + extra) as Bytes, granularity)
    },
  }
  const layers: LayerState[] = []
  const findings: Finding[] = []
  const actions: Attempt['actions'][number][] = []
  for (const step of steps) {
    const part = step.plan?.(context, draft)
    layers.push(...(part?.layers ?? []))
    findings.push(...(part?.findings ?? []))
    for (const planned of part?.actions ?? []) {
      actions.push({ step, planned })
      const { target, after } = planned.action
      if (target !== undefined && after !== undefined) predictions.set(target, after)
    }
    for (const [id, size] of part?.predictions ?? []) predictions.set(id, size)
  }
  return { draft, layers, findings, actions, predictions }
}

/** Bytes that users of the part's filesystem see (statfs); without a mount, the filesystem's own. */
function shownNow({ context }: ObservedPart): Bytes | undefined {
  const { filesystem, storage } = context.stack
  const [mounted] = storage.snapshot.devices.find(({ id }) => id === storage.top)?.mounts ?? []
  const statfs = (storage.snapshot.mount ?? mounted)?.statfs
  return statfs?.ok === true ? ((statfs.value.blocks * statfs.value.blockSize) as Bytes) : filesystem?.state.size
}

function shownAfter(part: ObservedPart, { predictions }: Attempt): Bytes | undefined {
  const { filesystem } = part.context.stack
  const now = shownNow(part)
  const after = filesystem === undefined ? undefined : predictions.get(filesystem.state.id)
  if (filesystem === undefined || now === undefined || after === undefined) return undefined
  const { size } = filesystem.state
  // XFS keeps its log for itself, whatever its size (xfs_fs_statfs); what ext keeps grows with it (ext4_statfs), at the most in proportion.
  if (filesystem.measured.type === 'xfs') return (after - (size - now)) as Bytes
  return ((after * now) / size) as Bytes
}

function tooSmall({ request }: ObservedPart, needed: Bytes, shown: Bytes | undefined): Finding {
  const can = shown === undefined ? 'what it can have could not be predicted' : `it can have ${formatSize(shown)}`
  return {
    code: 'device-too-small',
    severity: 'blocker',
    layer: 'filesystem',
    message: `${request.label} needs ${formatSize(needed)}, and ${can}.`,
    remedy: 'Make the device below it larger, or give the volume that it belongs to.',
  }
}

function inWhole(part: ObservedPart, index: number, tried: Attempt): PlannedPart {
  const { label } = part.request
  const { draft, layers, findings, actions, predictions } = tried
  return {
    ...{ part, draft },
    layers: layers.map(part.inPlan),
    findings: findings.map((finding) => ({
      ...finding,
      message: finding.message.includes(label) ? finding.message : `${label}: ${finding.message}`,
      ...(finding.target === undefined ? {} : { target: idIn(label, finding.target) }),
    })),
    actions: actions.map(({ step, planned: { action, payload } }) => ({
      action: {
        ...action,
        id: idIn(label, action.id),
        summary: `${label}: ${action.summary}`,
        ...(action.target === undefined ? {} : { target: idIn(label, action.target) }),
      },
      payload: { index, step, payload },
    })),
    predictions: new Map([...predictions].map(([id, size]) => [idIn(label, id), size])),
  }
}

/** What the steps of a part still have to have proven, such as a key; the part's context with it. Undefined: nothing is missing. */
export async function provePart(
  { part, draft }: PlannedPart,
  services: StepServices,
): Promise<PartContext | undefined> {
  let context: PartContext | undefined
  for (const { prove } of part.steps) {
    const found = await prove?.(context ?? part.context, draft, services)
    if (found !== undefined) context = { ...part.context, ...context, ...found }
  }
  return context
}
