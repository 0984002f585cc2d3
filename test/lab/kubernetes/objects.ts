import type { Api, ApiObject } from './api.ts'
import { patchTypes } from './api.ts'

/** A claim by its two names. */
export interface ClaimName {
  readonly namespace: string
  readonly name: string
}

export interface BoundClaimOptions {
  /** A quantity, of the claim and of its volume. */
  readonly size?: string
  readonly storageClass?: string
  readonly accessModes?: readonly string[]
  readonly volumeMode?: 'Filesystem' | 'Block'
  /** What the PersistentVolume is: `{ rbd: {…} }`, `{ csi: {…} }`. Left out: a directory that nobody ever looks at. */
  readonly source?: ApiObject
  readonly volumeAnnotations?: Readonly<Record<string, string>>
  readonly labels?: Readonly<Record<string, string>>
  readonly ownerReferences?: readonly ApiObject[]
}

export const claimPath = ({ namespace, name }: ClaimName): string =>
  `/api/v1/namespaces/${namespace}/persistentvolumeclaims/${name}`
export const volumePath = (name: string): string => `/api/v1/persistentvolumes/${name}`

/** Makes objects of tests in a cluster. Names that are taken already are left as they are. */
export class Objects {
  readonly api: Api

  constructor(api: Api) {
    this.api = api
  }

  async namespace(name: string): Promise<void> {
    await this.api.create('/api/v1/namespaces', { metadata: { name } })
  }

  async storageClass(name: string, allowVolumeExpansion?: boolean, provisioner = 'lab.example/none'): Promise<void> {
    await this.api.create('/apis/storage.k8s.io/v1/storageclasses', {
      ...{ metadata: { name }, provisioner },
      ...(allowVolumeExpansion === undefined ? {} : { allowVolumeExpansion }),
    })
  }

  /** A claim that nothing is bound to yet. */
  async claim(claim: ClaimName, options: BoundClaimOptions = {}): Promise<ApiObject> {
    const { size = '1Gi', storageClass = 'grows', accessModes = ['ReadWriteOnce'], volumeMode, labels } = options
    return this.api.create(`/api/v1/namespaces/${claim.namespace}/persistentvolumeclaims`, {
      metadata: {
        name: claim.name,
        ...(labels && { labels }),
        ...(options.ownerReferences && { ownerReferences: options.ownerReferences }),
      },
      spec: {
        accessModes,
        storageClassName: storageClass,
        resources: { requests: { storage: size } },
        ...(volumeMode && { volumeMode }),
      },
    })
  }

  /** A PersistentVolume that is kept for one claim: without `claimRef`, another claim that waits would take it. */
  async volume(name: string, claim: ClaimName, options: BoundClaimOptions = {}): Promise<ApiObject> {
    const { size = '1Gi', storageClass = 'grows', accessModes = ['ReadWriteOnce'], volumeMode, source } = options
    return this.api.create('/api/v1/persistentvolumes', {
      metadata: { name, ...(options.volumeAnnotations && { annotations: options.volumeAnnotations }) },
      spec: {
        ...{ accessModes, capacity: { storage: size }, storageClassName: storageClass },
        persistentVolumeReclaimPolicy: 'Retain',
        claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', ...claim },
        ...(volumeMode && { volumeMode }),
        ...(source ?? { hostPath: { path: '/nowhere' } }),
      },
    })
  }

  /** A claim bound to a volume of its own, by the controllers or, without them, as they would write it. Resolves with the volume's name. */
  async boundClaim(claim: ClaimName, options: BoundClaimOptions = {}, byHand = false): Promise<string> {
    const volume = `pv-${claim.namespace}-${claim.name}`
    await this.volume(volume, claim, options)
    await this.claim(claim, options)
    if (byHand) {
      const { size = '1Gi', accessModes = ['ReadWriteOnce'] } = options
      const made = await this.api.get(claimPath(claim))
      const { uid } = made['metadata'] as { readonly uid: string }
      await this.api.patch(claimPath(claim), { spec: { volumeName: volume } })
      await this.api.patch(volumePath(volume), { spec: { claimRef: { uid } } })
      await this.api.patch(`${volumePath(volume)}/status`, { status: { phase: 'Bound' } })
      const status = { phase: 'Bound', accessModes, capacity: { storage: size } }
      await this.api.patch(`${claimPath(claim)}/status`, { status })
    }
    await eventually(`${claim.name} to be bound`, async () => (await this.status(claim))['phase'] === 'Bound')
    return volume
  }

  async status(claim: ClaimName): Promise<ApiObject> {
    return ((await this.api.get(claimPath(claim)))['status'] ?? {}) as ApiObject
  }

  /** Bytes as text: what the claim asks for, what it has, and what its volume has. */
  async sizes(
    claim: ClaimName,
  ): Promise<{ readonly request: string; readonly capacity: string; readonly volume: string }> {
    const { spec, status } = (await this.api.get(claimPath(claim))) as {
      readonly spec: {
        readonly volumeName: string
        readonly resources: { readonly requests: { readonly storage: string } }
      }
      readonly status: { readonly capacity?: { readonly storage: string } }
    }
    const volume = (await this.api.get(volumePath(spec.volumeName))) as {
      readonly spec: { readonly capacity: { readonly storage: string } }
    }
    return {
      request: spec.resources.requests.storage,
      capacity: status.capacity?.storage ?? '',
      volume: volume.spec.capacity.storage,
    }
  }

  /** A pod that mounts the claims; nothing ever runs it, but it is on its node. */
  async pod(
    namespace: string,
    name: string,
    claims: readonly string[],
    node?: string,
    phase = 'Running',
  ): Promise<void> {
    const path = `/api/v1/namespaces/${namespace}/pods`
    await this.api.create(path, {
      metadata: { name, labels: { app: name } },
      spec: podSpec(claims, node),
    })
    await this.api.patch(`${path}/${name}/status`, { status: { phase } })
  }

  async attachment(name: string, volume: string, node: string): Promise<void> {
    const path = '/apis/storage.k8s.io/v1/volumeattachments'
    await this.api.create(path, {
      metadata: { name },
      spec: { attacher: 'none.lab.example', nodeName: node, source: { persistentVolumeName: volume } },
    })
    await this.api.patch(`${path}/${name}/status`, { status: { attached: true } })
  }

  async quota(namespace: string, name: string, storage: string): Promise<void> {
    const path = `/api/v1/namespaces/${namespace}/resourcequotas`
    await this.api.create(path, { metadata: { name }, spec: { hard: { 'requests.storage': storage } } })
    // Only a quota whose use was counted limits anything.
    await eventually(`quota ${name} to be counted`, async () => {
      const { status } = (await this.api.get(`${path}/${name}`)) as { readonly status?: { readonly used?: object } }
      return status?.used !== undefined
    })
  }

  async limitRange(namespace: string, name: string, max: string): Promise<void> {
    await this.api.create(`/api/v1/namespaces/${namespace}/limitranges`, {
      metadata: { name },
      spec: { limits: [{ type: 'PersistentVolumeClaim', max: { storage: max } }] },
    })
  }

  async namespacedWorkload(
    kind: 'deployments' | 'statefulsets',
    namespace: string,
    name: string,
    spec: ApiObject,
  ): Promise<void> {
    await this.api.create(`/apis/apps/v1/namespaces/${namespace}/${kind}`, { metadata: { name }, spec })
  }

  /** Gives a user the rules of the manifests, as `kubectl apply` would. */
  async apply(manifests: readonly ApiObject[]): Promise<void> {
    for (const manifest of manifests) {
      const { namespace } = manifest['metadata'] as { readonly namespace?: string }
      const scope = namespace === undefined ? '' : `/namespaces/${namespace}`
      await this.api.create(
        `/apis/rbac.authorization.k8s.io/v1${scope}/${String(manifest['kind']).toLowerCase()}s`,
        manifest,
      )
    }
  }

  /** Changes the status of a claim as a controller would. */
  async setStatus(claim: ClaimName, status: ApiObject): Promise<void> {
    await this.api.patch(`${claimPath(claim)}/status`, { status }, patchTypes.strategic)
  }

  async setVolumeCapacity(volume: string, storage: string): Promise<void> {
    await this.api.patch(volumePath(volume), { spec: { capacity: { storage } } })
  }
}

export function podSpec(claims: readonly string[], node?: string): ApiObject {
  return {
    ...(node && { nodeName: node }),
    containers: [{ name: 'main', image: 'lab.example/none' }],
    volumes: claims.map((claimName, index) => ({ name: `data-${index}`, persistentVolumeClaim: { claimName } })),
  }
}

/** Waits for a condition with a generous deadline. */
export async function eventually(what: string, condition: () => Promise<boolean>, seconds = 60): Promise<void> {
  const deadline = performance.now() + seconds * 1000
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`Waited ${seconds} s for ${what}.`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
