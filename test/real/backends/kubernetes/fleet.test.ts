import { expect, test } from 'vitest'
import { expandMany } from '../../../../src/index.ts'
import { claim } from '../../../../src/kubernetes/index.ts'
import { GiB } from '../../../../src/size.ts'
import { nativeRole } from './roles.ts'
import { countingClient, realCluster } from './support.ts'

// Claims are bound by hand: the binder of the controller manager would take minutes for so many.
const real = realCluster({ controllers: [] })
const many = 500

test(`${many} claims at once cost one watch, and trip nobody`, { timeout: 900_000 }, async () => {
  const { namespace } = await real.fresh()
  const names = Array.from({ length: many }, (_, index) => ({ namespace, name: `data-${index}` }))
  for (let next = 0; next < many; next += 20) {
    await Promise.all(names.slice(next, next + 20).map((name) => real.objects.boundClaim(name, {}, true)))
  }
  // Not an administrator: those are exempt from priority and fairness.
  await real.objects.apply(nativeRole({ user: 'grower', namespace }))
  const client = await countingClient(await real.cluster.user({ name: 'grower' }))
  const rejected = async (): Promise<number> =>
    (await real.cluster.metric('apiserver_flowcontrol_rejected_requests_total')).reduce(
      (sum, { value }) => sum + value,
      0,
    )
  const before = await rejected()
  const written = new Map<string, number>()
  const stop = new AbortController()
  const resizer = playResizerOfAll(written, namespace, stop.signal)
  const reported = new Map<number, number>()
  const run = expandMany(
    names.map((name) => ({ claim: claim({ ...name, client }), to: '2Gi' })),
    { concurrency: many },
  )
  for await (const { index, event } of run) if (event.type === 'action-finished') reported.set(index, performance.now())
  const report = await run
  stop.abort()
  await resizer
  expect([report.succeeded, report.failed]).toEqual([many, 0])
  expect(client.requests.filter((request) => request.startsWith('WATCH'))).toHaveLength(1)
  expect(client.requests.length).toBeLessThanOrEqual(6 * many)
  expect(await rejected()).toBe(before)
  const delays = names.map(({ name }, index) => (reported.get(index) ?? Number.NaN) - (written.get(name) ?? Number.NaN))
  const sorted = delays.sort((a, b) => a - b)
  console.log(
    `capacity updated -> reported: median ${sorted[many / 2]?.toFixed(0)} ms, p99 ${sorted[Math.floor(many * 0.99)]?.toFixed(0)} ms`,
  )
  expect(
    report.results.every((result) => result.status === 'succeeded' && result.report.layers[0]?.after === 2n * GiB),
  ).toBe(true)
})

/** Meets every request of the namespace, as soon as it sees it. */
async function playResizerOfAll(written: Map<string, number>, namespace: string, signal: AbortSignal): Promise<void> {
  const path = `/api/v1/namespaces/${namespace}/persistentvolumeclaims`
  const seen = new Set<string>()
  while (!signal.aborted) {
    const { items } = (await real.objects.api.get(path)) as {
      readonly items: readonly {
        readonly metadata: { readonly name: string }
        readonly spec: { readonly resources: { readonly requests: { readonly storage: string } } }
      }[]
    }
    for (const { metadata, spec } of items) {
      const { name } = metadata
      const { storage } = spec.resources.requests
      if (storage === '1Gi' || seen.has(name)) continue
      seen.add(name)
      await real.objects.setStatus({ namespace, name }, { capacity: { storage } })
      written.set(name, performance.now())
    }
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
