export type { Claim } from '../pipeline/claim.ts'
export { type ClaimDriver, type ClaimOptions, claim } from './claim.ts'
export type { KubernetesAnswer, KubernetesClient, KubernetesRequest, KubernetesWatchEvent } from './client.ts'
export type { WhenUnmounted } from './following.ts'
