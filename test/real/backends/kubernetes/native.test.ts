import { describe, expect, test } from 'vitest'
import { expand, plan } from '../../../../src/index.ts'
import { claim } from '../../../../src/kubernetes/index.ts'
import { bytes, GiB } from '../../../../src/size.ts'
import { playResizer } from '../../../lab/kubernetes/resizer.ts'
import { countingClient, failure, realCluster } from './support.ts'

const real = realCluster()

describe('growth by the cluster', () => {
  test('is asked for once, followed by a watch, and costs six requests', async () => {
    const name = await real.fresh()
    await real.objects.boundClaim(name)
    const client = await countingClient(real.cluster.kubeconfig)
    const resizer = playResizer(real.objects, name)
    const report = await expand({ claim: claim({ ...name, client }), to: '3Gi' })
    await resizer
    expect(report.layers.map(({ kind, label, before, after }) => [kind, label, before, after])).toEqual([
      ['claim', `claim ${name.namespace}/data`, GiB, bytes(3n * GiB)],
    ])
    expect(await real.objects.sizes(name)).toEqual({ request: '3Gi', capacity: '3Gi', volume: '3Gi' })
    const path = `/api/v1/namespaces/${name.namespace}/persistentvolumeclaims`
    expect([...client.requests].sort()).toEqual(
      [
        `GET ${path}/data`,
        `GET /api/v1/persistentvolumes/pv-${name.namespace}-data`,
        'GET /apis/storage.k8s.io/v1/storageclasses/grows',
        `PATCH ${path}/data?dryRun=All`,
        `PATCH ${path}/data`,
        `WATCH ${path}`,
      ].sort(),
    )
  })

  test('of what is large enough does nothing', async () => {
    const name = await real.fresh()
    await real.objects.boundClaim(name, { size: '5Gi' })
    const report = await expand({ claim: claim({ ...name, kubeconfig: real.cluster.kubeconfig }), to: '5Gi' })
    expect([report.changed, report.actions]).toEqual([false, []])
  })

  test('a plan asks for nothing, and says who would do it', async () => {
    const name = await real.fresh()
    await real.objects.boundClaim(name)
    const made = await plan({ claim: claim({ ...name, kubeconfig: real.cluster.kubeconfig }), by: '1Gi' })
    expect(made.findings.map(({ code, severity }) => [code, severity])).toEqual([['cluster-driver', 'note']])
    expect(made.target).toBe(2n * GiB)
    expect(await real.objects.sizes(name)).toEqual({ request: '1Gi', capacity: '1Gi', volume: '1Gi' })
  })

  test('a run that died is joined by the next one, which sends no second request', async () => {
    const name = await real.fresh()
    await real.objects.boundClaim(name)
    const client = await countingClient(real.cluster.kubeconfig)
    const control = new AbortController()
    const first = expand({ claim: claim({ ...name, client }), to: '2Gi', signal: control.signal })
    for await (const event of first) if (event.type === 'waiting') control.abort(new Error('enough'))
    expect(await failure(first)).toMatchObject({ code: 'aborted', outcome: 'unknown' })
    const resizer = playResizer(real.objects, name)
    const before = client.requests.length
    const report = await expand({ claim: claim({ ...name, client }), to: '2Gi' })
    await resizer
    expect(client.requests.slice(before).filter((request) => request.startsWith('PATCH'))).toEqual([])
    expect(report.layers[0]?.after).toBe(2n * GiB)
  })

  test('waits for the node, and says so', async () => {
    const name = await real.fresh()
    await real.objects.boundClaim(name)
    await real.objects.pod(name.namespace, 'shop-0', ['data'], 'node-a')
    const options = { ...name, kubeconfig: real.cluster.kubeconfig }
    const resizer = playResizer(real.objects, name, { needsNode: true, kubelet: false })
    const run = expand({ claim: claim(options), to: '2Gi' })
    const reasons: string[] = []
    for await (const event of run) {
      if (event.type !== 'waiting') continue
      reasons.push(event.reason)
      if (!/kubelet of/.test(event.reason)) continue
      await resizer
      await real.objects.setStatus(name, {
        capacity: { storage: '2Gi' },
        conditions: [{ type: 'FileSystemResizePending', $patch: 'delete' }],
      })
    }
    expect((await run).layers[0]?.after).toBe(2n * GiB)
    expect(reasons.at(-1)).toContain('the filesystem waits for the kubelet of shop-0 on node-a')
  })

  test('ends when only a pod is missing: the volume has grown, the claim has not', async () => {
    const name = await real.fresh()
    await real.objects.boundClaim(name)
    const kubeconfig = real.cluster.kubeconfig
    const resizer = playResizer(real.objects, name, { needsNode: true, kubelet: false })
    const error = await failure(expand({ claim: claim({ ...name, kubeconfig }), to: '2Gi' }))
    await resizer
    expect(error).toMatchObject({ code: 'pod-needed', outcome: 'changed', retryable: true })
    expect(await real.objects.sizes(name)).toEqual({ request: '2Gi', capacity: '1Gi', volume: '2Gi' })
    const again = await expand({ claim: claim({ ...name, kubeconfig, unmounted: 'accept' }), to: '2Gi' })
    expect(again.layers[0]?.after).toBe(GiB)
  })

  test('that nobody serves ends at the deadline with what it waited for', async () => {
    const name = await real.fresh()
    await real.objects.boundClaim(name)
    const error = await failure(
      expand({
        claim: claim({ ...name, kubeconfig: real.cluster.kubeconfig }),
        to: '2Gi',
        timeouts: { backend: 500 },
      }),
    )
    expect(error).toMatchObject({ code: 'timeout', outcome: 'unknown', retryable: true })
    expect(error.message).toContain('no resizer has taken it up yet')
    expect(error.remedy).toContain("driver: 'direct'")
  })

  test('never takes back a larger request that somebody else has made', async () => {
    const name = await real.fresh()
    await real.objects.boundClaim(name)
    const client = await countingClient(real.cluster.kubeconfig)
    let raised = false
    const meddled = {
      ...client,
      async watch(request: Parameters<typeof client.watch>[0]) {
        const answer = await client.watch(request)
        // Between the look and the request.
        await real.objects.api.patch(`/api/v1/namespaces/${name.namespace}/persistentvolumeclaims/data`, {
          spec: { resources: { requests: { storage: '4Gi' } } },
        })
        raised = true
        return answer
      },
    }
    const run = expand({ claim: claim({ ...name, client: meddled }), to: '2Gi' })
    while (!raised) await new Promise((resolve) => setTimeout(resolve, 10))
    const [report] = await Promise.all([run, playResizer(real.objects, name)])
    expect(report.layers[0]?.after).toBe(4n * GiB)
    expect(await real.objects.sizes(name)).toEqual({ request: '4Gi', capacity: '4Gi', volume: '4Gi' })
  })
})

describe('refusals before anything is asked for', () => {
  const refused = async (name: { readonly namespace: string; readonly name: string }, to = '9Gi') => {
    const error = await failure(expand({ claim: claim({ ...name, kubeconfig: real.cluster.kubeconfig }), to }))
    expect(error.outcome).toBe('unchanged')
    return error
  }

  test.each(['fixed', 'unset', 'missing', ''])('a class that does not allow it: %j', async (storageClass) => {
    const name = await real.fresh()
    await real.objects.boundClaim(name, { storageClass })
    const error = await refused(name)
    expect(error.code).toBe('expansion-not-allowed')
    expect(error.message).toContain('only dynamically provisioned pvc can be resized')
    if (storageClass === 'fixed') {
      expect(error.remedy).toContain(`kubectl patch storageclass fixed -p '{"allowVolumeExpansion": true}'`)
    }
  })

  test('a claim that is not bound', async () => {
    const name = await real.fresh()
    await real.objects.claim(name)
    expect(await refused(name)).toMatchObject({ code: 'claim-not-bound' })
  })

  test('a quota, by its name', async () => {
    const name = await real.fresh()
    await real.objects.boundClaim(name)
    await real.objects.quota(name.namespace, 'storage', '5Gi')
    const error = await refused(name)
    expect(error.code).toBe('quota-exceeded')
    expect(error.remedy).toContain(`kubectl -n ${name.namespace} edit resourcequota storage`)
  })

  test('a LimitRange', async () => {
    const name = await real.fresh()
    await real.objects.boundClaim(name)
    await real.objects.limitRange(name.namespace, 'sizes', '8Gi')
    const error = await refused(name)
    expect(error.code).toBe('limit-exceeded')
    expect(error.message).toContain('maximum storage usage per PersistentVolumeClaim is 8Gi, but request is 9Gi')
  })

  test('a size below the one that is there', async () => {
    const name = await real.fresh()
    await real.objects.boundClaim(name, { size: '4Gi' })
    expect(await refused(name, '2Gi')).toMatchObject({ code: 'would-shrink' })
  })

  test('a claim that does not exist', async () => {
    const name = await real.fresh()
    expect(await refused(name)).toMatchObject({ code: 'not-found' })
  })
})
