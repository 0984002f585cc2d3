import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { expand } from '../../src/index.ts'
import { type ClaimOptions, claim } from '../../src/kubernetes/index.ts'
import { memoryCluster } from '../../src/testing/index.ts'
import { failureOf, shop, shopClaim } from './shop.ts'

describe('claim()', () => {
  const client = memoryCluster()

  test.each<[string, Record<string, unknown>]>([
    ['a name with a slash', { name: 'data/status' }],
    ['no namespace', { namespace: undefined }],
    ['a path in the namespace', { namespace: '../kube-system' }],
    ['a client and a kubeconfig', { client, kubeconfig: '/k' }],
    ['a client that is none', { client: {} }],
    ['volumes that know no PersistentVolume', { volumes: [{ volume: () => undefined }] }],
    ['hosts that are no function', { hosts: 'node' }],
    ['a driver that there is not', { driver: 'auto' }],
    ['an unknown way to wait', { unmounted: 'hope' }],
  ])('refuses %s at once', (_what, wrong) => {
    const options = { namespace: 'shop', name: 'data', ...wrong } as unknown as ClaimOptions
    expect(() => claim(options)).toThrow(TypeError)
  })

  test('is shown by its name alone', () => {
    expect(JSON.stringify(claim({ namespace: 'shop', name: 'data', client }))).toBe(
      '{"namespace":"shop","name":"data"}',
    )
  })

  test('says itself which volume and which host', () => {
    const target = shopClaim(shop())
    expect(() => expand({ claim: target, path: '/data', to: '20Gi' } as never)).toThrow(TypeError)
    expect(() => expand({ claim: {}, to: '20Gi' } as never)).toThrow(TypeError)
  })

  test('that is not bound is refused, with the way to see why', async () => {
    const cluster = shop({ status: { phase: 'Pending' } })
    const error = await failureOf(expand({ claim: shopClaim(cluster), to: '20Gi' }))
    expect(error).toMatchObject({ code: 'claim-not-bound', outcome: 'unchanged', layer: 'claim' })
    expect(error.remedy).toContain('kubectl -n shop describe pvc data')
  })
})

describe('a kubeconfig', () => {
  const secret = 'canary-8c1f2d'

  async function withKubeconfig(content: object, use: (path: string) => Promise<void>): Promise<void> {
    const directory = await mkdtemp(join(tmpdir(), 'kubeconfig-'))
    try {
      const path = join(directory, 'config')
      await writeFile(path, JSON.stringify(content))
      await use(path)
    } finally {
      await rm(directory, { recursive: true })
    }
  }

  test('of a server that is not there: it is named, and no secret is', async () => {
    const config = {
      clusters: [{ name: 'c', cluster: { server: 'https://127.0.0.1:1' } }],
      users: [{ name: 'u', user: { token: secret } }],
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
      'current-context': 'x',
    }
    await withKubeconfig(config, async (kubeconfig) => {
      const control = new AbortController()
      const run = expand({
        claim: claim({ namespace: 'shop', name: 'data', kubeconfig }),
        to: '20Gi',
        random: () => 0,
        signal: control.signal,
      })
      const error = await failureOf(run)
      expect(error).toMatchObject({ code: 'backend-unreachable', outcome: 'unchanged', retryable: true })
      expect(error.message).toContain('https://127.0.0.1:1')
      expect(`${JSON.stringify(error)} ${error.stack} ${String(error.cause)}`).not.toContain(secret)
    })
  })

  test.each([
    ['is not there', undefined],
    ['has no context', {}],
  ])('that %s is refused', async (_what, content) => {
    await withKubeconfig(content ?? {}, async (path) => {
      const kubeconfig = content === undefined ? `${path}-missing` : path
      const run = expand({ claim: claim({ namespace: 'shop', name: 'data', kubeconfig }), to: '20Gi' })
      expect(await failureOf(run)).toMatchObject({ code: 'invalid-request', outcome: 'unchanged' })
    })
  })
})
