import { describe, expect, test } from 'vitest'
import { expand, plan } from '../../src/index.ts'
import type { KubernetesRequest } from '../../src/kubernetes/index.ts'
import { GiB } from '../../src/size.ts'
import { claimAt, classAt, failureOf, shop, shopClaim, volumeAt } from './shop.ts'

/** Meets every request as soon as it is made. */
function served(cluster: ReturnType<typeof shop>): ReturnType<typeof shop> {
  cluster.onChange((path, object) => {
    if (path !== claimAt) return
    const { spec } = object as { readonly spec: { readonly resources: { readonly requests: { storage: string } } } }
    const { storage } = spec.resources.requests
    cluster.change(volumeAt, { spec: { capacity: { storage } } })
    cluster.change(claimAt, { status: { capacity: { storage } } })
  })
  return cluster
}

describe('growth by the cluster', () => {
  test('costs six requests, of which the request comes after the watch', async () => {
    const cluster = served(shop())
    const report = await expand({ claim: shopClaim(cluster), to: '20Gi' })
    expect(report.layers.map(({ before, after }) => [before, after])).toEqual([[10n * GiB, 20n * GiB]])
    expect(cluster.requests).toEqual([
      `GET ${claimAt}`,
      `GET ${volumeAt}`,
      `GET ${classAt}`,
      `PATCH ${claimAt}?dryRun=All`,
      'WATCH /api/v1/namespaces/shop/persistentvolumeclaims',
      `PATCH ${claimAt}`,
    ])
  })

  // kubernetes/kubernetes#63557: the server takes the parameter for nothing, and the patch for what it is.
  test.each(['v1.8.15', 'v1.10.13', 'v1.11.10', 'v1.12.10'])('never sends dryRun to %s', async (version) => {
    const cluster = served(shop({ version }))
    await plan({ claim: shopClaim(cluster), to: '20Gi' })
    expect(cluster.requests.some((request) => request.includes('dryRun'))).toBe(false)
    expect(cluster.requests.some((request) => request.startsWith('PATCH'))).toBe(false)
    await expand({ claim: shopClaim(cluster), to: '20Gi' })
    expect(cluster.requests.filter((request) => request.startsWith('PATCH'))).toEqual([`PATCH ${claimAt}`])
  })

  test('is refused where there is none', async () => {
    const cluster = shop({ version: 'v1.7.16' })
    const error = await failureOf(expand({ claim: shopClaim(cluster), to: '20Gi' }))
    expect(error).toMatchObject({ code: 'cluster-feature-off', outcome: 'unchanged' })
    expect(cluster.requests.some((request) => request.startsWith('PATCH'))).toBe(false)
  })

  test.each([
    ['requests.storage', { hard: '25Gi', used: '10Gi' }, '20Gi', undefined],
    ['requests.storage', { hard: '15Gi', used: '10Gi' }, '20Gi', 'quota-exceeded'],
    ['grows.storageclass.storage.k8s.io/requests.storage', { hard: '15Gi', used: '10Gi' }, '20Gi', 'quota-exceeded'],
  ])('an old server: the quota of %s, %j', async (key, { hard, used }, to, code) => {
    const cluster = shop({ version: 'v1.11.10' })
    cluster.set('/api/v1/namespaces/shop/resourcequotas/q', {
      status: { hard: { [key]: hard }, used: { [key]: used } },
    })
    const { findings } = await plan({ claim: shopClaim(cluster), to })
    expect(findings.find(({ severity }) => severity === 'blocker')?.code).toBe(code)
  })

  test('goes on after a watch that broke off, and after one that has forgotten', async () => {
    for (const forgotten of [false, true]) {
      const cluster = shop()
      const run = expand({ claim: shopClaim(cluster), to: '20Gi' })
      let ended = false
      for await (const event of run) {
        if (event.type !== 'waiting' || ended) continue
        ended = true
        cluster.endWatches({ forgotten })
        cluster.change(claimAt, { status: { capacity: { storage: '20Gi' } } })
      }
      expect((await run).layers[0]?.after).toBe(20n * GiB)
    }
  })

  test('ends when the claim is deleted', async () => {
    const cluster = shop()
    const run = expand({ claim: shopClaim(cluster), to: '20Gi' })
    for await (const event of run) if (event.type === 'waiting') cluster.delete(claimAt)
    expect(await failureOf(run)).toMatchObject({ code: 'not-found', outcome: 'unknown' })
  })

  test('claims of one namespace share one watch, which ends with the last of them', async () => {
    const cluster = served(shop())
    const other = claimAt.replace('data', 'logs')
    cluster.set(other, { ...cluster.get(claimAt), metadata: { name: 'logs', uid: 'other-uid' } })
    cluster.onChange((path, object) => {
      const { spec } = object as { readonly spec: { readonly resources: { readonly requests: { storage: string } } } }
      if (path === other) cluster.change(other, { status: { capacity: spec.resources.requests } })
    })
    cluster.set(volumeAt, { ...cluster.get(volumeAt), spec: { capacity: { storage: '10Gi' } } })
    await Promise.all(['data', 'logs'].map((name) => expand({ claim: shopClaim(cluster, { name }), to: '20Gi' })))
    expect(cluster.requests.filter((request) => request.startsWith('WATCH'))).toHaveLength(1)
    await expand({ claim: shopClaim(cluster), to: '30Gi' })
    expect(cluster.requests.filter((request) => request.startsWith('WATCH'))).toHaveLength(2)
  })

  test('a throttled request is sent again', async () => {
    let throttled = 2
    const answer = ({ method }: KubernetesRequest) => {
      if (method !== 'PATCH' || throttled === 0) return undefined
      throttled -= 1
      return { status: 429, body: { message: 'Too many requests' }, headers: {} }
    }
    const cluster = served(shop({ answer }))
    expect((await expand({ claim: shopClaim(cluster), to: '20Gi' })).layers[0]?.after).toBe(20n * GiB)
  })
})

// Shapes as Kubernetes 1.34 documents and sends them; the cluster of the real tests is older, and drops these fields.
describe('the fields of newer clusters, by recorded shapes', () => {
  const infeasible = {
    allocatedResources: { storage: '500Gi' },
    allocatedResourceStatuses: { storage: 'ControllerResizeInfeasible' },
    conditions: [
      { type: 'ControllerResizeError', status: 'True', message: 'rpc error: code = OutOfRange desc = quota' },
    ],
  }

  test.each([
    ['ControllerResizeInProgress', 'the resizer is growing the volume'],
    ['NodeResizePending', 'the filesystem waits for'],
    ['NodeResizeInProgress', 'the kubelet is growing the filesystem'],
    ['SomethingNew', 'SomethingNew'],
  ])('%s is waited for by name', async (resizeStatus, shown) => {
    const cluster = shop()
    const run = expand({ claim: shopClaim(cluster, { unmounted: 'wait' }), to: '20Gi' })
    const reasons: string[] = []
    for await (const event of run) {
      if (event.type !== 'waiting') continue
      reasons.push(event.reason)
      if (reasons.length === 1) {
        const change = { allocatedResources: { storage: '20Gi' }, allocatedResourceStatuses: { storage: resizeStatus } }
        cluster.change(claimAt, { status: change })
      } else cluster.change(claimAt, { status: { capacity: { storage: '20Gi' }, allocatedResourceStatuses: null } })
    }
    await run
    expect(reasons[1]).toContain(shown)
  })

  test('what turns out infeasible ends the waiting, with the reason and the way back', async () => {
    const cluster = shop()
    const run = expand({ claim: shopClaim(cluster), to: '500Gi' })
    for await (const event of run) if (event.type === 'waiting') cluster.change(claimAt, { status: infeasible })
    const error = await failureOf(run)
    expect(error).toMatchObject({ code: 'infeasible-size', outcome: 'changed' })
    expect(error.message).toContain('OutOfRange')
    expect(error.remedy).toContain('above 10 GiB and below 500 GiB')
  })

  test('a request that cannot be met is lowered when a smaller size is asked for, and never below what is there', async () => {
    const cluster = served(shop({ request: '500Gi', status: infeasible }))
    const same = await failureOf(expand({ claim: shopClaim(cluster), to: '500Gi' }))
    expect(same).toMatchObject({ code: 'infeasible-size', outcome: 'unchanged' })
    const below = await failureOf(expand({ claim: shopClaim(cluster), to: '5Gi' }))
    expect(below).toMatchObject({ code: 'would-shrink', outcome: 'unchanged' })
    const report = await expand({ claim: shopClaim(cluster), to: '20Gi' })
    expect(report.actions[0]?.summary).toContain('lower the request')
    expect(report.layers[0]?.after).toBe(20n * GiB)
  })

  test('a request of somebody else that can be met is not lowered', async () => {
    const cluster = shop({ request: '40Gi' })
    const { actions } = await plan({ claim: shopClaim(cluster), to: '20Gi' })
    expect(actions.map(({ after, calls }) => [after, calls])).toEqual([[40n * GiB, ['watch persistentvolumeclaims']]])
  })
})
