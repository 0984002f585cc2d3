import type { ClusterAccess } from './cluster.ts'
import { type KubernetesObject, listAt, textAt, valueAt } from './fields.ts'

export type WorkloadKind = 'deployments' | 'statefulsets'

/** A Deployment or StatefulSet whose pods use a claim. */
export interface WorkloadState {
  readonly kind: WorkloadKind
  readonly namespace: string
  readonly name: string
  readonly uid: string
  readonly resourceVersion: string
  readonly replicas: number
  readonly ready: number
  /** How many it is to have again: written in the same request that stopped it, so that no crash can forget it. */
  readonly stoppedFrom?: number
}

/** Holds the number of replicas that a stopped workload had. */
export const stoppedAnnotation = 'volume-expander/stopped-replicas'
/** Holds the claim for which it was stopped. */
export const stoppedForAnnotation = 'volume-expander/stopped-for-claim'

export function workloadPath({ kind, namespace, name }: Pick<WorkloadState, 'kind' | 'namespace' | 'name'>): string {
  return `/apis/apps/v1/namespaces/${namespace}/${kind}/${name}`
}

export function workloadOf(kind: WorkloadKind, object: unknown): WorkloadState {
  const stopped = Number(textAt(object, 'metadata', 'annotations', stoppedAnnotation))
  return {
    kind,
    namespace: textAt(object, 'metadata', 'namespace') ?? '',
    name: textAt(object, 'metadata', 'name') ?? '',
    uid: textAt(object, 'metadata', 'uid') ?? '',
    resourceVersion: textAt(object, 'metadata', 'resourceVersion') ?? '',
    replicas: numberAt(object, 1, 'spec', 'replicas'),
    ready: numberAt(object, 0, 'status', 'readyReplicas'),
    ...(Number.isInteger(stopped) && stopped > 0 ? { stoppedFrom: stopped } : {}),
  }
}

function numberAt(object: unknown, otherwise: number, ...path: readonly string[]): number {
  const value = valueAt(object, ...path)
  return typeof value === 'number' ? value : otherwise
}

/** Whose pods use the claim, and pods of nobody who could be scaled. */
export interface ClaimWorkloads {
  readonly workloads: readonly WorkloadState[]
  readonly strays: readonly string[]
}

/** Finds them by the owners of the pods, and those that were stopped for this claim by their annotations. */
export async function workloadsOf(access: ClusterAccess, namespace: string, claim: string): Promise<ClaimWorkloads> {
  const list = (kind: string): Promise<unknown> => access.get(`/apis/apps/v1/namespaces/${namespace}/${kind}`)
  const [pods, deployments, sets, replicaSets] = await Promise.all([
    access.get(`/api/v1/namespaces/${namespace}/pods`),
    list('deployments'),
    list('statefulsets'),
    list('replicasets'),
  ])
  const known = [
    ...listAt(deployments, 'items').map((object) => ({ object, kind: 'deployments' as const })),
    ...listAt(sets, 'items').map((object) => ({ object, kind: 'statefulsets' as const })),
  ]
  const found = new Map<string, WorkloadState>()
  const add = (uid: string | undefined): boolean => {
    const entry = known.find(({ object }) => textAt(object, 'metadata', 'uid') === uid)
    if (entry === undefined || uid === undefined) return false
    found.set(uid, workloadOf(entry.kind, entry.object))
    return true
  }
  const strays: string[] = []
  for (const pod of listAt(pods, 'items').filter((each) => usesClaim(each, claim))) {
    const owner = controllerOf(pod)
    const replicaSet = listAt(replicaSets, 'items').find((each) => textAt(each, 'metadata', 'uid') === owner)
    if (!add(owner) && !add(controllerOf(replicaSet))) strays.push(textAt(pod, 'metadata', 'name') ?? '')
  }
  for (const { object } of known) {
    if (textAt(object, 'metadata', 'annotations', stoppedForAnnotation) === claim) {
      add(textAt(object, 'metadata', 'uid'))
    }
  }
  return { workloads: [...found.values()], strays }
}

function controllerOf(object: unknown): string | undefined {
  const owner = listAt(object, 'metadata', 'ownerReferences').find((each) => valueAt(each, 'controller') === true)
  return textAt(owner, 'uid')
}

/** Whether a pod that is not over mounts the claim. */
export function usesClaim(pod: unknown, claim: string): boolean {
  const phase = textAt(pod, 'status', 'phase')
  if (phase === 'Succeeded' || phase === 'Failed') return false
  return listAt(pod, 'spec', 'volumes').some(
    (entry: unknown) => textAt(entry as KubernetesObject, 'persistentVolumeClaim', 'claimName') === claim,
  )
}
