import type { Finding } from '../findings.ts'
import { type Bytes, formatSize } from '../size.ts'
import type { ClusterAccess } from './cluster.ts'
import { listAt, recordAt, textAt, valueAt } from './fields.ts'
import { sizeOf } from './quantity.ts'
import type { RefusedClaim } from './refusals.ts'
import { claimLayerId } from './sight.ts'

/**
 * Judges a growth by the quotas and limits of the namespace as they are read now: for servers that cannot be asked to pretend, and for capacity that the server
 * would not count. Who may not read them cannot be warned.
 */
export async function limitFindings(
  access: ClusterAccess,
  name: RefusedClaim,
  request: Bytes,
  wanted: Bytes,
): Promise<readonly Finding[]> {
  const base = `/api/v1/namespaces/${name.namespace}`
  const [quotas, ranges] = await Promise.all([
    access.look(`${base}/resourcequotas`),
    access.look(`${base}/limitranges`),
  ])
  const target = claimLayerId(name)
  const unseen = [quotas === undefined ? 'resourcequotas' : '', ranges === undefined ? 'limitranges' : ''].filter(
    Boolean,
  )
  const found: Finding[] = unseen.map((resource) => ({
    ...{ code: 'permission-denied', severity: 'blocker', layer: 'claim', target },
    message: `The ${resource} of ${name.namespace} cannot be read, so that they could be overrun unseen.`,
    remedy: `Add to the Role in ${name.namespace} of this user: {apiGroups: [""], resources: ["${resource}"], verbs: ["list"]}`,
  }))
  for (const quota of listAt(quotas, 'items')) {
    found.push(...overQuota(quota, name, (wanted - request) as Bytes, target))
  }
  for (const range of listAt(ranges, 'items')) {
    for (const limit of listAt(range, 'spec', 'limits')) {
      const most = sizeOf(valueAt(limit, 'max', 'storage'))
      if (textAt(limit, 'type') !== 'PersistentVolumeClaim' || most === undefined || wanted <= most) continue
      found.push({
        ...{ code: 'limit-exceeded', severity: 'blocker', layer: 'claim', target },
        message: `The LimitRange ${textAt(range, 'metadata', 'name') ?? ''} allows a claim ${formatSize(most)}, and ${formatSize(wanted)} is wanted.`,
        remedy: `Ask for less, or have it raised: kubectl -n ${name.namespace} edit limitrange`,
      })
    }
  }
  return found
}

function overQuota(quota: unknown, name: RefusedClaim, more: Bytes, target: string): readonly Finding[] {
  const { storageClass } = name
  const keys = [
    'requests.storage',
    ...(storageClass === undefined ? [] : [`${storageClass}.storageclass.storage.k8s.io/requests.storage`]),
  ]
  const hard = recordAt(quota, 'status', 'hard')
  const used = recordAt(quota, 'status', 'used')
  const quotaName = textAt(quota, 'metadata', 'name') ?? ''
  return keys.flatMap((key): Finding[] => {
    const most = sizeOf(hard[key])
    const now = sizeOf(used[key])
    if (most === undefined || now === undefined || now + more <= most) return []
    return [
      {
        ...{ code: 'quota-exceeded', severity: 'blocker', layer: 'claim', target },
        message: `The quota ${quotaName} allows ${formatSize(most)} of ${key}; ${formatSize(now)} is used, and ${formatSize(more)} more is wanted.`,
        remedy: `Ask for less, or have the quota raised: kubectl -n ${name.namespace} edit resourcequota ${quotaName}`,
      },
    ]
  })
}
