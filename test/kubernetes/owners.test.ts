import { expect, test } from 'vitest'
import { expand, plan } from '../../src/index.ts'
import { claimAt, failureOf, shop, shopClaim } from './shop.ts'

const fields = { 'f:spec': { 'f:resources': { 'f:requests': { 'f:storage': {} } } } }

test.each<[string, Record<string, unknown>, string, RegExp]>([
  [
    'an operator',
    { ownerReferences: [{ apiVersion: 'kafka.strimzi.io/v1', kind: 'Kafka', name: 'events', controller: true }] },
    'blocker',
    /Kafka events/,
  ],
  ['Argo CD', { labels: { 'argocd.argoproj.io/instance': 'shop' } }, 'blocker', /Argo CD application shop/],
  ['Flux', { labels: { 'kustomize.toolkit.fluxcd.io/name': 'shop' } }, 'blocker', /Flux Kustomization shop/],
  ['Helm', { annotations: { 'meta.helm.sh/release-name': 'shop' } }, 'warning', /Helm release shop/],
  ['a field manager', { managedFields: [{ manager: 'argocd-controller', fieldsV1: fields }] }, 'blocker', /argocd/],
  [
    'a field manager of one’s own',
    { managedFields: [{ manager: 'acme-tool', fieldsV1: fields }] },
    'warning',
    /acme-tool/,
  ],
])('a claim managed by %s', async (_who, metadata, severity, message) => {
  const { findings } = await plan({ claim: shopClaim(shop({ metadata })), to: '20Gi' })
  const owned = findings.filter(({ code }) => code === 'owned-elsewhere')
  expect(owned).toMatchObject([{ severity, message: expect.stringMatching(message) }])
  expect(owned[0]?.remedy).toMatch(/^Change the size there: /)
})

test.each([
  { managedFields: [{ manager: 'kubectl-client-side-apply', fieldsV1: fields }] },
  { ownerReferences: [{ apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'shop' }] },
  { labels: { app: 'shop' } },
])('a claim that nobody insists on: %j', async (metadata) => {
  const { findings } = await plan({ claim: shopClaim(shop({ metadata })), to: '20Gi' })
  expect(findings.map(({ code }) => code)).not.toContain('owned-elsewhere')
})

test('is grown all the same when that is accepted', async () => {
  const cluster = shop({ metadata: { labels: { 'argocd.argoproj.io/instance': 'shop' } } })
  cluster.onChange(() => cluster.change(claimAt, { status: { capacity: { storage: '20Gi' } } }))
  const target = shopClaim(cluster)
  expect((await failureOf(expand({ claim: target, to: '20Gi' }))).code).toBe('owned-elsewhere')
  const report = await expand({ claim: target, to: '20Gi', accept: ['owned-elsewhere'] })
  expect(report.findings.find(({ code }) => code === 'owned-elsewhere')?.accepted).toBe(true)
})
