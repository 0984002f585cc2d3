import type { FilesystemResizer } from '../filesystems/filesystem.ts'
import type { Finding } from '../findings.ts'
import type { StorageSnapshot, ToolsValue } from '../hosts/host.ts'
import type { Growth, GrowthContext, Layer, LayerState } from '../layers/layer.ts'
import type { Bytes } from '../size.ts'
import type { StackObservation } from './context.ts'
import type { PlanDraft, PlannedAction } from './step.ts'

/** One layer or filesystem that will be grown, with how. */
export interface GrowthPayload {
  readonly subject: Layer | FilesystemResizer
  readonly deviceId: string
  readonly state: LayerState
  /** What it was told, so that it can be asked again about another look at the same storage. */
  readonly context: GrowthContext
  readonly growth: Growth
}

/** What growing left: the last look at the storage. */
export interface GrowthResult {
  readonly snapshot: StorageSnapshot
  readonly size: Bytes
}

/** What a layer or resizer is told about who else has the volume. Nobody has a say about disks that are not the volume's. */
export function growthContext(
  stack: StackObservation,
  draft: PlanDraft,
  available: Bytes,
  onVolume = true,
): GrowthContext {
  const backend = stack.storage.backend
  const context = { available, offline: draft.options.offline === true }
  if (backend === undefined || !onVolume) return context
  const { users } = backend.state
  const others = (users ?? []).filter(({ isDevice }) => isDevice !== true).map(({ description }) => description)
  return { ...context, backendUsers: { known: users !== undefined, others } }
}

/** The planned action of a growth; undefined when there is nothing to do. */
export function plannedGrowth(payload: GrowthPayload): PlannedAction<GrowthPayload> | undefined {
  const { growth, state } = payload
  if (growth.commands.length === 0 && growth.settles !== true) return undefined
  return {
    action: {
      id: state.id,
      layer: state.kind,
      target: state.id,
      summary: growth.summary ?? `wait until ${state.label} shows its new size`,
      before: state.size,
      after: growth.after,
      commands: growth.commands.map(({ exec }) => exec),
      calls: [],
    },
    payload,
  }
}

/** A blocker for each program that a growth needs and the host does not have. */
export function missingTools(growth: Growth, state: LayerState, tools: ToolsValue): readonly Finding[] {
  return growth.tools
    .filter(({ name }) => tools[name] === undefined)
    .map(({ name, packages }) => ({
      code: 'tool-missing',
      severity: 'blocker',
      layer: state.kind,
      target: state.id,
      message: `${name} is missing on ${state.host ?? 'the host'}.`,
      remedy: `Install it there: ${packages}.`,
    }))
}
