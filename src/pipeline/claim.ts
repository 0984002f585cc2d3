import type { Volume } from '../expander.ts'
import type { Finding } from '../findings.ts'
import type { Host } from '../hosts/host.ts'
import type { LayerState } from '../layers/layer.ts'
import type { Bytes } from '../size.ts'
import type { BackendObservation } from './context.ts'
import type { RunOptions } from './plan.ts'
import type { PlanDraft, PlanPart, StepServices } from './step.ts'

/**
 * What the users of a cluster see of a volume. Made by `claim()` of `volume-expander/kubernetes`. It resolves the request before anything is grown (which volume,
 * on which host), and publishes the truth after.
 */
export interface Claim {
  /** `namespace/name`. */
  readonly label: string
  /** Looks at the cluster, and touches nothing. */
  readonly resolve: (services: StepServices, options: RunOptions, given?: GivenVolume) => Promise<ResolvedClaim>
}

/** The volume that the caller of a pipeline has given: the claim has to be of that one. */
export interface GivenVolume {
  readonly backend: BackendObservation
  /** Whether the pipeline looks at, and grows, what is on it. */
  readonly onHost: boolean
}

/** One thing that is done to the claim or its PersistentVolume. */
export interface ClaimAction {
  /** Resolves with what was measured afterwards. */
  readonly act: (services: StepServices) => Promise<readonly LayerState[]>
}

export interface ResolvedClaim {
  /** Left out when the cluster grows the volume itself, and when nothing here can. */
  readonly volume?: Volume
  /** The node that has it, where one has and the filesystem is grown there. */
  readonly host?: Host
  /** What was found so far, whatever is planned. */
  readonly findings: readonly Finding[]
  /** What is to be done to reach, or to publish, the size that the volume will have. Pure. */
  readonly plan: (draft: PlanDraft, backend?: BackendObservation) => PlanPart<ClaimAction>
  /** Asks the cluster whether it would take what was planned. What it returns takes the place of this; undefined: nothing was found. */
  readonly prove: (
    draft: PlanDraft,
    services: StepServices,
    backend?: BackendObservation,
  ) => Promise<ResolvedClaim | undefined>
}

/** Bytes that the volume will have when everything before is done. */
export function volumeSizeAfter(draft: PlanDraft, backend: BackendObservation): Bytes {
  return draft.predicted(backend.id) ?? backend.state.size
}
