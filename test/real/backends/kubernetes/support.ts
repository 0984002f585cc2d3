import { afterAll, beforeAll } from 'vitest'
import { file } from '../../../../providers/file/index.ts'
import { type Provider, VolumeExpansionError } from '../../../../src/index.ts'
import type { KubernetesClient } from '../../../../src/kubernetes/index.ts'
import { kubeconfigClient } from '../../../../src/kubernetes/kubeconfig.ts'
import { Cluster, type ClusterOptions } from '../../../lab/kubernetes/cluster.ts'
import { type ClaimName, Objects } from '../../../lab/kubernetes/objects.ts'

export interface RealCluster {
  readonly cluster: Cluster
  readonly objects: Objects
  /** The name of a claim in a namespace that no other test has. */
  readonly fresh: (name?: string) => Promise<ClaimName>
}

/** What a run failed with; throws when it did not fail as the library fails. */
export async function failure(run: PromiseLike<unknown>): Promise<VolumeExpansionError> {
  const thrown = await Promise.resolve(run).then(
    () => undefined,
    (error: unknown) => error,
  )
  if (thrown instanceof VolumeExpansionError) return thrown
  throw new Error(`It did not fail as it should: ${String(thrown)}`)
}

const fileDriver = 'file.lab.example'

/** What a PersistentVolume over a file says. */
export function fileSource(path: string): { readonly csi: { readonly driver: string; readonly volumeHandle: string } } {
  return { csi: { driver: fileDriver, volumeHandle: path } }
}

/** The provider of files, for the PersistentVolumes of {@link fileSource}. */
export const files: Provider = {
  name: 'file',
  fromPersistentVolume(volume) {
    const { csi } = (volume as { readonly spec: Partial<ReturnType<typeof fileSource>> }).spec
    return csi?.driver === fileDriver ? file().volume(csi.volumeHandle) : undefined
  },
}

let namespaces = 0

/** A cluster for the tests of one file, with the classes `grows` and `fixed`. */
export function realCluster(options: ClusterOptions = {}): RealCluster {
  let started: { readonly cluster: Cluster; readonly objects: Objects } | undefined
  const running = (): { readonly cluster: Cluster; readonly objects: Objects } => {
    if (started === undefined) throw new Error('The cluster is started before the first test.')
    return started
  }
  beforeAll(async () => {
    const cluster = await Cluster.start(options)
    started = { cluster, objects: new Objects(cluster.admin) }
    await started.objects.storageClass('grows', true)
    await started.objects.storageClass('fixed', false)
    await started.objects.storageClass('unset')
  })
  afterAll(() => started?.cluster.stop())
  return {
    get cluster() {
      return running().cluster
    },
    get objects() {
      return running().objects
    },
    async fresh(name = 'data') {
      namespaces += 1
      const namespace = `test-${namespaces}`
      await running().objects.namespace(namespace)
      return { namespace, name }
    },
  }
}

export interface CountingClient extends KubernetesClient {
  /** `PATCH /api/v1/…?dryRun=All`, in the order in which they were sent. */
  readonly requests: readonly string[]
}

/** The library's own client over a kubeconfig, with everything that it sends. */
export async function countingClient(kubeconfig: string): Promise<CountingClient> {
  const client = await kubeconfigClient({ kubeconfig })
  const requests: string[] = []
  const show = (path: string, query: Readonly<Record<string, string>> = {}): string => {
    const text = new URLSearchParams(query).toString()
    return text === '' ? path : `${path}?${text}`
  }
  return {
    ...{ server: client.server, requests },
    send(request) {
      requests.push(`${request.method} ${show(request.path, request.query)}`)
      return client.send(request)
    },
    watch(request) {
      requests.push(`WATCH ${request.path}`)
      return client.watch(request)
    },
  }
}
