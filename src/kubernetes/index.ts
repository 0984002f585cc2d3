export type { Claim } from '../pipeline/claim.ts'
export { settleClaim as growClaim } from '../pipeline/steps/publish-claim.ts'
export { type ClaimDriver, type ClaimOptions, claim } from './claim.ts'
export type { KubernetesAnswer, KubernetesClient, KubernetesRequest, KubernetesWatchEvent } from './client.ts'
export type { WhenUnmounted } from './following.ts'
export {
  growStatefulSet,
  type StatefulSetOptions,
  type StatefulSetReport,
  type TemplateReport,
} from './stateful-set.ts'
export { startWorkload, stopWorkload, type WorkloadObservation } from './workload.ts'
