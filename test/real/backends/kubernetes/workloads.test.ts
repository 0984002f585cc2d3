import { describe, expect, onTestFinished, test } from 'vitest'
import { file } from '../../../../providers/file/index.ts'
import { growBackend, observeBackend, pipeline, publishClaim } from '../../../../src/index.ts'
import { claim, growClaim, growStatefulSet, startWorkload, stopWorkload } from '../../../../src/kubernetes/index.ts'
import { GiB } from '../../../../src/size.ts'
import { usualControllers } from '../../../lab/kubernetes/cluster.ts'
import { type ClaimName, eventually, podSpec } from '../../../lab/kubernetes/objects.ts'
import { playResizer } from '../../../lab/kubernetes/resizer.ts'
import { Disk } from '../../support/disk.ts'
import { countingClient, failure, fileSource, files, realCluster } from './support.ts'

// A set that is deleted without its pods goes only when the garbage collector has let them go.
const real = realCluster({ controllers: [...usualControllers, 'garbagecollector'] })

interface Item {
  readonly metadata: { readonly name: string; readonly uid: string; readonly annotations?: Record<string, string> }
  readonly spec: { readonly replicas?: number }
}

const pods = async (namespace: string): Promise<readonly Item[]> =>
  (await real.objects.api.get(`/api/v1/namespaces/${namespace}/pods`))['items'] as readonly Item[]

const workload = async (namespace: string, kind: string, name: string): Promise<Item> =>
  (await real.objects.api.get(`/apis/apps/v1/namespaces/${namespace}/${kind}/${name}`)) as unknown as Item

async function deployment({ namespace, name }: ClaimName, replicas: number): Promise<void> {
  const labels = { app: 'shop' }
  await real.objects.namespacedWorkload('deployments', namespace, 'shop', {
    ...{ replicas, selector: { matchLabels: labels } },
    template: { metadata: { labels }, spec: podSpec([name]) },
  })
  await eventually('the pods', async () => (await pods(namespace)).length === replicas)
}

/** Plays the kubelets: what is there becomes ready, until it is told to stop or the test ends. */
function kubelets(namespace: string): () => void {
  let stopped = false
  onTestFinished(() => {
    stopped = true
  })
  const loop = async (): Promise<void> => {
    while (!stopped) {
      for (const { metadata } of await pods(namespace)) {
        const path = `/api/v1/namespaces/${namespace}/pods/${metadata.name}/status`
        const now = new Date().toISOString()
        const conditions = ['Ready', 'ContainersReady', 'Initialized'].map((type) => ({
          ...{ type, status: 'True', lastTransitionTime: now },
        }))
        await real.objects.api.send(
          'PATCH',
          path,
          { status: { phase: 'Running', conditions } },
          'application/merge-patch+json',
        )
      }
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
  void loop().catch(() => {})
  return () => {
    stopped = true
  }
}

const offline = pipeline()
  .use(observeBackend())
  .use(stopWorkload())
  .use(growBackend())
  .use(publishClaim())
  .use(startWorkload())

describe('a workload that is stopped while its volume grows', () => {
  async function scene(): Promise<{ readonly name: ClaimName; readonly disk: Disk }> {
    const name = await real.fresh()
    const disk = new Disk(GiB)
    await real.objects.boundClaim(name, { storageClass: 'fixed', source: fileSource(disk.image) })
    await deployment(name, 2)
    return { name, disk }
  }

  test('is scaled down, and up again when it is done', async () => {
    const { name, disk } = await scene()
    const stop = kubelets(name.namespace)
    const before = await pods(name.namespace)
    const target = claim({ ...name, kubeconfig: real.cluster.kubeconfig, volumes: [files] })
    const report = await offline.run({ volume: file().volume(disk.image), claim: target, to: '2Gi' })
    stop()
    expect(report.findings.map(({ code }) => code)).toEqual(expect.arrayContaining(['workload-stops', 'pod-needed']))
    expect(disk.size).toBe(2n * GiB)
    expect(await real.objects.sizes(name)).toEqual({ request: '1Gi', capacity: '1Gi', volume: '2Gi' })
    const { spec, metadata } = await workload(name.namespace, 'deployments', 'shop')
    expect([spec.replicas, metadata.annotations?.['volume-expander/stopped-replicas']]).toEqual([2, undefined])
    const after = await pods(name.namespace)
    expect(after).toHaveLength(2)
    expect(after.map((pod) => pod.metadata.uid)).not.toEqual(expect.arrayContaining([before[0]?.metadata.uid]))
  })

  test('is started again by a run that fails', async () => {
    const { name, disk } = await scene()
    const broken = pipeline()
      .use(observeBackend())
      .use(stopWorkload())
      .use(growBackend())
      .use(publishClaim())
      .use(startWorkload())
    const client = await countingClient(real.cluster.kubeconfig)
    const refusing = {
      ...client,
      send(request: Parameters<typeof client.send>[0]) {
        const isPublication = request.method === 'PATCH' && request.path.includes('/persistentvolumes/')
        return isPublication
          ? Promise.resolve({ status: 403, body: { message: 'a webhook does not like it' } })
          : client.send(request)
      },
    }
    const target = claim({ ...name, client: refusing, volumes: [files] })
    const error = await failure(broken.run({ volume: file().volume(disk.image), claim: target, to: '2Gi' }))
    expect(error.message).toContain('a webhook does not like it')
    const { spec, metadata } = await workload(name.namespace, 'deployments', 'shop')
    expect([spec.replicas, metadata.annotations?.['volume-expander/stopped-replicas']]).toEqual([2, undefined])
  })

  test('is started again when the run is aborted', async () => {
    const { name, disk } = await scene()
    const control = new AbortController()
    const target = claim({ ...name, kubeconfig: real.cluster.kubeconfig, volumes: [files] })
    const run = offline.run({ volume: file().volume(disk.image), claim: target, to: '2Gi', signal: control.signal })
    for await (const event of run) {
      if (event.type === 'action-started' && event.action.step === 'grow backend') control.abort(new Error('enough'))
    }
    expect(await failure(run)).toMatchObject({ code: 'aborted' })
    expect((await workload(name.namespace, 'deployments', 'shop')).spec.replicas).toBe(2)
  })

  test('that a dead run has left stopped is finished by the next one', async () => {
    const { name, disk } = await scene()
    const annotations = { 'volume-expander/stopped-replicas': '2', 'volume-expander/stopped-for-claim': 'data' }
    await real.objects.api.patch(`/apis/apps/v1/namespaces/${name.namespace}/deployments/shop`, {
      ...{ metadata: { annotations }, spec: { replicas: 0 } },
    })
    await eventually('no pods', async () => (await pods(name.namespace)).length === 0)
    const stop = kubelets(name.namespace)
    const target = claim({ ...name, kubeconfig: real.cluster.kubeconfig, volumes: [files] })
    await offline.run({ volume: file().volume(disk.image), claim: target, to: '2Gi' })
    stop()
    expect((await workload(name.namespace, 'deployments', 'shop')).spec.replicas).toBe(2)
    expect(disk.size).toBe(2n * GiB)
  })

  test('is refused for pods that nobody would start again', async () => {
    const name = await real.fresh()
    const disk = new Disk(GiB)
    await real.objects.boundClaim(name, { storageClass: 'fixed', source: fileSource(disk.image) })
    await real.objects.pod(name.namespace, 'lonely', ['data'])
    const target = claim({ ...name, kubeconfig: real.cluster.kubeconfig, volumes: [files] })
    const error = await failure(offline.run({ volume: file().volume(disk.image), claim: target, to: '2Gi' }))
    expect(error).toMatchObject({ code: 'in-use', outcome: 'unchanged' })
    expect(error.message).toContain('lonely')
    expect(disk.size).toBe(GiB)
  })

  test('grows by the cluster too, which ends it when the pods are back', async () => {
    const name = await real.fresh()
    await real.objects.boundClaim(name)
    await deployment(name, 1)
    const stop = kubelets(name.namespace)
    const byCluster = pipeline().use(stopWorkload()).use(growClaim()).use(startWorkload())
    const resizer = playResizer(real.objects, name, { needsNode: true, kubelet: false })
    const target = claim({ ...name, kubeconfig: real.cluster.kubeconfig, unmounted: 'accept' })
    await byCluster.run({ claim: target, to: '2Gi' })
    await resizer
    stop()
    expect((await workload(name.namespace, 'deployments', 'shop')).spec.replicas).toBe(1)
    expect((await real.objects.sizes(name)).volume).toBe('2Gi')
  })
})

describe('a StatefulSet', () => {
  const ordinals = [0, 1, 2]

  async function statefulSet(): Promise<string> {
    const { namespace } = await real.fresh()
    for (const ordinal of ordinals) await real.objects.boundClaim({ namespace, name: `data-shop-${ordinal}` })
    const labels = { app: 'shop' }
    await real.objects.namespacedWorkload('statefulsets', namespace, 'shop', {
      ...{ replicas: 2, serviceName: 'shop', podManagementPolicy: 'Parallel', selector: { matchLabels: labels } },
      template: { metadata: { labels }, spec: { containers: [{ name: 'main', image: 'lab.example/none' }] } },
      volumeClaimTemplates: [
        {
          metadata: { name: 'data' },
          spec: {
            ...{ accessModes: ['ReadWriteOnce'], storageClassName: 'grows' },
            resources: { requests: { storage: '1Gi' } },
          },
        },
      ],
    })
    await eventually('the pods', async () => (await pods(namespace)).length === 2)
    return namespace
  }

  const served = (namespace: string): Promise<unknown> =>
    Promise.all(ordinals.map((ordinal) => playResizer(real.objects, { namespace, name: `data-shop-${ordinal}` })))

  test('grows with all its claims, and says what remains of the template', async () => {
    const namespace = await statefulSet()
    const options = { namespace, name: 'shop', kubeconfig: real.cluster.kubeconfig, to: '2Gi' }
    const [report] = await Promise.all([growStatefulSet(options), served(namespace)])
    expect(report.claims).toEqual(['data-shop-0', 'data-shop-1', 'data-shop-2'])
    expect(report.fleet.succeeded).toBe(3)
    expect(report.template).toMatchObject({ name: 'data', status: 'left', size: '1Gi' })
    expect(report.template.remedy).toContain('--cascade=orphan')
  })

  test('is made anew around its pods when that is asked for', async () => {
    const namespace = await statefulSet()
    const before = await pods(namespace)
    const old = await workload(namespace, 'statefulsets', 'shop')
    const [report] = await Promise.all([
      growStatefulSet({
        ...{ namespace, name: 'shop', kubeconfig: real.cluster.kubeconfig, to: '2Gi' },
        ...{ templates: 'recreate', concurrency: 3 },
      }),
      served(namespace),
    ])
    expect(report.template).toEqual({ name: 'data', status: 'recreated', size: '2Gi' })
    const now = await workload(namespace, 'statefulsets', 'shop')
    expect(now.metadata.uid).not.toBe(old.metadata.uid)
    const uids = (items: readonly Item[]): readonly string[] => items.map(({ metadata }) => metadata.uid).sort()
    expect(uids(await pods(namespace))).toEqual(uids(before))
    await eventually('the pods to be its own', async () => {
      const owners = (await pods(namespace)) as unknown as readonly {
        readonly metadata: { readonly ownerReferences?: readonly { readonly uid: string }[] }
      }[]
      return owners.every(({ metadata }) => metadata.ownerReferences?.[0]?.uid === now.metadata.uid)
    })
    const { body } = await real.objects.api.send('GET', `/api/v1/namespaces/${namespace}/configmaps`)
    const left = (body['items'] as readonly Item[]).filter(({ metadata }) =>
      metadata.name.startsWith('volume-expander'),
    )
    expect(left).toEqual([])
  })

  test('that a run has deleted and not made again is made by the next one', async () => {
    const namespace = await statefulSet()
    const client = await countingClient(real.cluster.kubeconfig)
    // As if the program had died right after the deletion.
    const dying = {
      ...client,
      send(request: Parameters<typeof client.send>[0]) {
        const isMaking = request.method === 'POST' && request.path.endsWith('/statefulsets')
        return isMaking ? Promise.resolve({ status: 403, body: { message: 'dead' } }) : client.send(request)
      },
    }
    const options = { namespace, name: 'shop', to: '2Gi', templates: 'recreate' as const, concurrency: 3 }
    const [error] = await Promise.all([failure(growStatefulSet({ ...options, client: dying })), served(namespace)])
    expect(error.remedy).toContain('kubectl create -f -')
    expect((await real.objects.api.send('GET', `/apis/apps/v1/namespaces/${namespace}/statefulsets/shop`)).status).toBe(
      404,
    )
    expect(await pods(namespace)).toHaveLength(2)
    const report = await growStatefulSet({ ...options, client })
    expect(report.template.status).toBe('sufficient')
    expect((await workload(namespace, 'statefulsets', 'shop')).spec.replicas).toBe(2)
    expect(await pods(namespace)).toHaveLength(2)
  })

  test('begins nothing more after a failure, and leaves the template alone', async () => {
    const namespace = await statefulSet()
    await real.objects.api.patch(`/api/v1/namespaces/${namespace}/persistentvolumeclaims/data-shop-0`, {
      metadata: { labels: { 'argocd.argoproj.io/instance': 'shop' } },
    })
    const report = await growStatefulSet({
      ...{ namespace, name: 'shop', kubeconfig: real.cluster.kubeconfig, to: '2Gi', templates: 'recreate' },
    })
    expect([report.fleet.failed, report.fleet.notStarted, report.template.status]).toEqual([1, 2, 'left'])
  })
})
