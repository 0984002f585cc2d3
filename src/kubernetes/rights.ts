import type { Finding } from '../findings.ts'
import type { ClusterAccess } from './cluster.ts'
import { valueAt } from './fields.ts'
import { grantRemedy, type RefusedClaim, type Right } from './refusals.ts'
import { claimLayerId } from './sight.ts'

/** A right that is needed, in the namespace of the claim or in the whole cluster. */
export interface NeededRight extends Right {
  readonly scope: 'namespace' | 'cluster'
}

const claims = 'persistentvolumeclaims'

/** What the cluster's own growth needs, besides the reads that have shown themselves. */
export const nativeRights: readonly NeededRight[] = [
  { verb: 'patch', resource: claims, scope: 'namespace' },
  { verb: 'watch', resource: claims, scope: 'namespace' },
]

/** What publishing a growth needs. */
export const directRights: readonly NeededRight[] = [
  { verb: 'patch', resource: claims, scope: 'namespace' },
  { verb: 'patch', resource: `${claims}/status`, scope: 'namespace' },
  { verb: 'patch', resource: 'persistentvolumes', scope: 'cluster' },
]

/**
 * Asks the cluster which of the rights are missing (SelfSubjectAccessReview, which every user who is logged in may ask), so that it is known before anything is grown.
 */
export async function missingRights(
  access: ClusterAccess,
  name: RefusedClaim,
  needed: readonly NeededRight[],
): Promise<readonly Finding[]> {
  const answers = await Promise.all(needed.map((right) => isAllowed(access, name.namespace, right)))
  return needed.flatMap((right, index): Finding[] => {
    if (answers[index] !== false) return []
    const { verb, resource, scope } = right
    const where = scope === 'namespace' ? `in the namespace ${name.namespace}` : 'in the cluster'
    return [
      {
        ...{ code: 'permission-denied', severity: 'blocker', layer: 'claim', target: claimLayerId(name) },
        message: `This user may not ${verb} ${resource} ${where}.`,
        remedy: grantRemedy(right, scope === 'namespace' ? name.namespace : undefined),
      },
    ]
  })
}

/** Undefined: the cluster did not say. */
async function isAllowed(access: ClusterAccess, namespace: string, right: NeededRight): Promise<boolean | undefined> {
  const { verb, resource: whole, group = '', scope } = right
  const [resource, subresource] = whole.split('/')
  const resourceAttributes = {
    ...{ verb, group, resource },
    ...(subresource === undefined ? {} : { subresource }),
    ...(scope === 'namespace' ? { namespace } : {}),
  }
  const { status, body } = await access.answer({
    method: 'POST',
    path: '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
    body: { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectAccessReview', spec: { resourceAttributes } },
  })
  const allowed = valueAt(body, 'status', 'allowed')
  return status < 300 && typeof allowed === 'boolean' ? allowed : undefined
}
