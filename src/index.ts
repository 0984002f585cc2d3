export { type Clock, type Random, systemClock } from './clock.ts'
export { type ErrorCode, type ErrorDetails, errorCodes, type Outcome, VolumeExpansionError } from './errors.ts'
export {
  type Capabilities,
  type ExpandOptions,
  type Limit,
  type Pace,
  type PartRequest,
  type PollCadence,
  type Provider,
  type ReadOptions,
  type ReadOutcome,
  type SnapshotOptions,
  type SnapshotPhase,
  type SnapshotState,
  type Snapshots,
  type Volume,
  type VolumeExpander,
  type VolumeIdentity,
  type VolumePhase,
  type VolumeState,
  type VolumeUser,
  volumeOf,
} from './expander.ts'
export type { FilesystemResizer, FilesystemState } from './filesystems/filesystem.ts'
export { type AcceptableCode, acceptableCodes, type Finding, type FindingCode, type Severity } from './findings.ts'
export type { DeviceHints, MountHints } from './hints.ts'
export type {
  BatchItem,
  BatchOptions,
  BatchResult,
  BatchResults,
  DeviceSnapshot,
  ExecItem,
  ExecOptions,
  ExecResult,
  ExpectItem,
  ExpectResult,
  Host,
  MountSnapshot,
  ReadItem,
  ReadResult,
  StorageSnapshot,
  StorageTarget,
} from './hosts/host.ts'
export { localHost } from './hosts/local/index.ts'
export type { Json } from './json.ts'
export type { Growth, GrowthContext, Layer, LayerState, ToolNeed } from './layers/layer.ts'
export type { Claim, ClaimAction, ResolvedClaim } from './pipeline/claim.ts'
export type { BackendObservation, StackObservation, StorageObservation } from './pipeline/context.ts'
export type { ExpansionEvent } from './pipeline/events.ts'
export { type ExpandRequest, expand, type Observation, observe, plan, type Subject } from './pipeline/expand.ts'
export { expandMany, type FleetEvent, type FleetOptions, type FleetReport, type FleetRun } from './pipeline/many.ts'
export { type ExpansionRun, type Pipeline, pipeline } from './pipeline/pipeline.ts'
export type {
  Action,
  HowMuch,
  Plan,
  PlanJson,
  PlannedLayer,
  RunOptions,
  SizeRequest,
  Timeouts,
} from './pipeline/plan.ts'
export type { ActionReport, LayerReport, Report } from './pipeline/report.ts'
export { Run } from './pipeline/run.ts'
export {
  defineStep,
  type PlanDraft,
  type PlannedAction,
  type PlanPart,
  type Step,
  type StepParts,
  type StepServices,
} from './pipeline/step.ts'
export { growBackend } from './pipeline/steps/grow-backend.ts'
export { growFilesystem } from './pipeline/steps/grow-filesystem.ts'
export { growLayers } from './pipeline/steps/grow-layers.ts'
export { growParts, type PartsObservation } from './pipeline/steps/grow-parts.ts'
export { locateDevice, locatePath, type Place } from './pipeline/steps/locate-device.ts'
export { observeBackend } from './pipeline/steps/observe-backend.ts'
export { observeLayers } from './pipeline/steps/observe-layers.ts'
export { publishClaim } from './pipeline/steps/publish-claim.ts'
export { type SnapshotBeforeOptions, snapshotBefore } from './pipeline/steps/snapshot-before.ts'
export { type Bytes, bytes, formatSize, parseSize, type SizeInput } from './size.ts'
export type { LayerKind, Where } from './where.ts'
