import type { ClusterAccess } from './cluster.ts'
import { listAt, textAt, valueAt } from './fields.ts'
import type { RefusedClaim } from './refusals.ts'

/** Who has the volume of a claim. */
export interface ClaimUsers {
  /** Pods that are not over, as `name` or `name on node`. */
  readonly pods: readonly { readonly name: string; readonly node?: string }[]
  /** Names of the nodes that have it: by a pod, or by an attachment. */
  readonly nodes: readonly string[]
}

/** Looks at the pods of the namespace and at the attachments of the volume. */
export async function usersOf(access: ClusterAccess, name: RefusedClaim, volume: string): Promise<ClaimUsers> {
  const [pods, attachments] = await Promise.all([
    access.get(`/api/v1/namespaces/${name.namespace}/pods`),
    // Not there before Kubernetes 1.13; and who may not see them still sees the pods.
    access.look('/apis/storage.k8s.io/v1/volumeattachments'),
  ])
  const using = podsOf(pods, name.name)
  const attached = listAt(attachments, 'items').flatMap((attachment) => {
    if (textAt(attachment, 'spec', 'source', 'persistentVolumeName') !== volume) return []
    if (valueAt(attachment, 'status', 'attached') !== true) return []
    return [textAt(attachment, 'spec', 'nodeName') ?? '']
  })
  const nodes = [...using.flatMap(({ node }) => (node === undefined ? [] : [node])), ...attached]
  return { pods: using, nodes: [...new Set(nodes)].sort() }
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
