import { afterAll, beforeAll } from 'vitest'
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
