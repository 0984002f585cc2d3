import type { ClusterAccess } from './cluster.ts'
import { listAt, textAt, valueAt } from './fields.ts'
import { answerError, type RefusedClaim } from './refusals.ts'

/** Who has the volume of a claim. */
export interface ClaimUsers {
  /** Pods that are not over, as `name` or `name on node`. */
  readonly pods: readonly { readonly name: string; readonly node?: string }[]
  /** Names of the nodes that have it: by a pod, or by an attachment. */
  readonly nodes: readonly string[]
}

/** Looks at the pods of the namespace alone. */
export async function podUsersOf(access: ClusterAccess, name: RefusedClaim): Promise<ClaimUsers> {
  const pods = podsOf(await access.get(`/api/v1/namespaces/${name.namespace}/pods`), name.name)
  return { pods, nodes: nodesOf(pods, []) }
}

/**
 * Looks at the pods of the namespace and at the attachments of the volume, which show nodes that have it without a pod.
 *
 * @throws {VolumeExpansionError} `permission-denied`: who may not see all of them does not know that nobody else has it
 */
export async function usersOf(access: ClusterAccess, name: RefusedClaim, volume: string): Promise<ClaimUsers> {
  const [{ pods }, attached] = await Promise.all([podUsersOf(access, name), attachedNodes(access, name, volume)])
  return { pods, nodes: nodesOf(pods, attached) }
}

function nodesOf(pods: ClaimUsers['pods'], attached: readonly string[]): readonly string[] {
  const nodes = [...pods.flatMap(({ node }) => (node === undefined ? [] : [node])), ...attached]
  return [...new Set(nodes)].sort()
}

async function attachedNodes(access: ClusterAccess, name: RefusedClaim, volume: string): Promise<readonly string[]> {
  const path = '/apis/storage.k8s.io/v1/volumeattachments'
  const answer = await access.answer({ method: 'GET', path })
  // There are none before Kubernetes 1.13.
  if (answer.status === 404) return []
  if (answer.status >= 300) throw answerError(answer, 'looking for the nodes that have it', 'unchanged', name)
  return listAt(answer.body, 'items').flatMap((attachment) => {
    if (textAt(attachment, 'spec', 'source', 'persistentVolumeName') !== volume) return []
    // Whether it is attached yet, or still: one that comes or goes is a user too.
    return [textAt(attachment, 'spec', 'nodeName') ?? '']
  })
}

function podsOf(pods: unknown, claim: string): ClaimUsers['pods'] {
  return listAt(pods, 'items').flatMap((pod) => {
    const phase = textAt(pod, 'status', 'phase')
    if (phase === 'Succeeded' || phase === 'Failed') return []
    const name = textAt(pod, 'metadata', 'name') ?? ''
    const uses = listAt(pod, 'spec', 'volumes').some(
      (entry) =>
        textAt(entry, 'persistentVolumeClaim', 'claimName') === claim ||
        // The claim of a generic ephemeral volume is named after the pod and the volume.
        (valueAt(entry, 'ephemeral') !== undefined && `${name}-${textAt(entry, 'name') ?? ''}` === claim),
    )
    if (!uses) return []
    const node = textAt(pod, 'spec', 'nodeName')
    return [{ name, ...(node === undefined ? {} : { node }) }]
  })
}

export function describePods({ pods }: ClaimUsers): string {
  return pods.map(({ name, node }) => (node === undefined ? name : `${name} on ${node}`)).join(', ')
}
