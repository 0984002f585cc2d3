import type { Claim, VolumeExpansionError } from '../../src/index.ts'
import { VolumeExpansionError as LibraryError } from '../../src/index.ts'
import type { ClaimOptions } from '../../src/kubernetes/index.ts'
import { claim } from '../../src/kubernetes/index.ts'
import { type MemoryCluster, type MemoryClusterOptions, memoryCluster } from '../../src/testing/index.ts'

export const claimAt = '/api/v1/namespaces/shop/persistentvolumeclaims/data'
export const volumeAt = '/api/v1/persistentvolumes/pv-data'
export const classAt = '/apis/storage.k8s.io/v1/storageclasses/grows'

export interface ShopOptions extends MemoryClusterOptions {
  /** Parts of the claim's status, over those of a claim of 10Gi at rest. */
  readonly status?: Readonly<Record<string, unknown>>
  readonly request?: string
  readonly metadata?: Readonly<Record<string, unknown>>
  /** Left out: it is allowed. */
  readonly allowVolumeExpansion?: boolean
  readonly accessModes?: readonly string[]
  readonly volumeMode?: string
}

/** A cluster with the claim shop/data of 10Gi, bound to pv-data, which is the volume `v1` of a scripted provider. */
export function shop(options: ShopOptions = {}): MemoryCluster {
  const { status, request = '10Gi', metadata, allowVolumeExpansion = true, accessModes = ['ReadWriteOnce'] } = options
  const cluster = memoryCluster(options)
  cluster.set(classAt, { metadata: { name: 'grows' }, provisioner: 'lab.example/none', allowVolumeExpansion })
  cluster.set(claimAt, {
    metadata: { name: 'data', namespace: 'shop', uid: 'claim-uid', ...metadata },
    spec: {
      ...{ accessModes, storageClassName: 'grows', volumeName: 'pv-data' },
      resources: { requests: { storage: request } },
      ...(options.volumeMode && { volumeMode: options.volumeMode }),
    },
    status: { phase: 'Bound', capacity: { storage: '10Gi' }, ...status },
  })
  cluster.set(volumeAt, {
    metadata: { name: 'pv-data', uid: 'volume-uid' },
    spec: {
      capacity: { storage: '10Gi' },
      claimRef: { namespace: 'shop', name: 'data', uid: 'claim-uid' },
      csi: { driver: 'scripted', volumeHandle: 'v1' },
    },
  })
  return cluster
}

export function shopClaim(client: MemoryCluster, options: Partial<ClaimOptions> = {}): Claim {
  return claim({ namespace: 'shop', name: 'data', client, ...options })
}

export async function failureOf(run: PromiseLike<unknown>): Promise<VolumeExpansionError> {
  const thrown = await Promise.resolve(run).then(
    () => undefined,
    (error: unknown) => error,
  )
  if (thrown instanceof LibraryError) return thrown
  throw new Error(`expected a VolumeExpansionError, not ${String(thrown)}`)
}
