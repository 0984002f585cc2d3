import { describe, expect, test } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { handleOf, type VolumeExpander, volumeOf } from '../../src/expander.ts'
import { expand, type Provider, plan } from '../../src/index.ts'
import { GiB } from '../../src/size.ts'
import { scriptedProvider } from '../../src/testing/index.ts'
import { claimAt, failureOf, shop, shopClaim, volumeAt } from './shop.ts'

function backend(size = '10Gi') {
  const provider = scriptedProvider({ clock: systemClock, volumes: { v1: size } })
  const given: Provider = {
    name: 'scripted',
    fromPersistentVolume(volume) {
      const { csi } = (volume as { readonly spec: { readonly csi?: { readonly volumeHandle: string } } }).spec
      return csi === undefined ? undefined : provider.volume(csi.volumeHandle)
    },
  }
  return { provider, volumes: [given] }
}

const pod = (name: string, nodeName: string): Record<string, unknown> => ({
  metadata: { name },
  spec: { nodeName, volumes: [{ name: 'd', persistentVolumeClaim: { claimName: 'data' } }] },
  status: { phase: 'Running' },
})

describe('growth by this library', () => {
  test('is chosen where the class forbids it and a provider knows the volume, and the plan says why', async () => {
    const { volumes, provider } = backend()
    const made = await plan({ claim: shopClaim(shop({ allowVolumeExpansion: false }), { volumes }), to: '20Gi' })
    const note = made.findings.find(({ code }) => code === 'cluster-driver')
    expect(note?.message).toContain(
      'This library grows shop/data (driver: direct): its storage class grows does not allow growth',
    )
    expect(provider.mutations).toEqual([])
  })

  test('a raw block volume is grown without looking at what is on it, and published', async () => {
    const { volumes, provider } = backend()
    const cluster = shop({ allowVolumeExpansion: false, volumeMode: 'Block' })
    const report = await expand({ claim: shopClaim(cluster, { volumes }), to: '20Gi' })
    expect(report.layers.map(({ after }) => after)).toEqual([20n * GiB, 20n * GiB, 20n * GiB])
    expect(provider.state('v1').size).toBe(20n * GiB)
    expect(report.findings.map(({ message }) => message).join(' ')).toContain('raw block volume')
    expect(cluster.get(claimAt)).toMatchObject({ status: { capacity: { storage: '20Gi' } } })
  })

  test('a network filesystem has no device on any node: its parts and the volume are grown, and published', async () => {
    const { provider } = backend()
    let asked = 0
    const expander: VolumeExpander<string> = {
      ...(handleOf(provider.volume('v1')).expander as VolumeExpander<string>),
      parts: async () => {
        asked += 1
        return []
      },
    }
    const given: Provider = {
      name: 'scripted',
      fromPersistentVolume: () =>
        volumeOf({ ...expander, capabilities: { ...expander.capabilities, seenAs: 'mount' } }, 'v1'),
    }
    const cluster = shop({ allowVolumeExpansion: false, accessModes: ['ReadWriteMany'] })
    const pods = '/api/v1/namespaces/shop/pods'
    cluster.set(`${pods}/a`, pod('a', 'node-a'))
    cluster.set(`${pods}/b`, pod('b', 'node-b'))
    const report = await expand({ claim: shopClaim(cluster, { volumes: [given] }), to: '20Gi' })
    expect(asked).toBeGreaterThan(0)
    expect(provider.state('v1').size).toBe(20n * GiB)
    expect(cluster.get(claimAt)).toMatchObject({ status: { capacity: { storage: '20Gi' } } })
    const notes = report.findings.filter(({ code }) => code === 'backend-only').map(({ message }) => message)
    expect(notes).toEqual([expect.stringContaining('What the mounts of node-a, node-b show is not looked at')])
  })

  test('publishes what is there, in the unit that is exact', async () => {
    const { volumes } = backend('12884902400')
    const cluster = shop({ allowVolumeExpansion: false, volumeMode: 'Block' })
    await expand({ claim: shopClaim(cluster, { volumes }), to: 'fill' })
    expect(cluster.get(volumeAt)).toMatchObject({ spec: { capacity: { storage: '12884902400' } } })
  })

  test('a PersistentVolume that says more than there is stays as it is', async () => {
    const { volumes } = backend()
    const cluster = shop({ allowVolumeExpansion: false })
    cluster.change(volumeAt, { spec: { capacity: { storage: '50Gi' } } })
    const report = await expand({ claim: shopClaim(cluster, { volumes }), to: '20Gi' })
    expect(report.findings.map(({ code }) => code)).toContain('identity-mismatch')
    expect(cluster.get(volumeAt)).toMatchObject({ spec: { capacity: { storage: '50Gi' } } })
  })

  test.each([
    [
      { metadata: { annotations: { 'volume.kubernetes.io/storage-resizer': 'ebs.csi.aws.com' } } },
      'the resizer ebs.csi.aws.com',
    ],
    [{ status: { conditions: [{ type: 'Resizing', status: 'True' }] } }, 'the condition Resizing'],
    [{ status: { allocatedResources: { storage: '20Gi' } } }, 'resources are allocated'],
    [{ status: { allocatedResourceStatuses: { storage: 'NodeResizeInProgress' } } }, 'NodeResizeInProgress'],
  ])('is refused while a resizer serves the volume: %j', async (sign, shown) => {
    const { volumes, provider } = backend()
    const cluster = shop(sign)
    const error = await failureOf(expand({ claim: shopClaim(cluster, { volumes, driver: 'direct' }), to: '20Gi' }))
    expect(error).toMatchObject({ code: 'served-by-cluster', outcome: 'unchanged' })
    expect(error.message).toContain(shown)
    expect(provider.mutations).toEqual([])
  })

  test('a pod that is over is no user; two nodes are one too many', async () => {
    const { volumes } = backend()
    const cluster = shop({ allowVolumeExpansion: false })
    const pods = '/api/v1/namespaces/shop/pods'
    cluster.set(`${pods}/old`, { ...pod('old', 'node-c'), status: { phase: 'Succeeded' } })
    const idle = await plan({ claim: shopClaim(cluster, { volumes }), to: '20Gi' })
    expect(idle.findings.map(({ code }) => code)).toContain('pod-needed')
    cluster.set(`${pods}/a`, pod('a', 'node-a'))
    cluster.set(`${pods}/b`, pod('b', 'node-b'))
    const busy = await plan({ claim: shopClaim(cluster, { volumes }), to: '20Gi' })
    expect(busy.findings.find(({ severity }) => severity === 'blocker')).toMatchObject({
      code: 'in-use',
      message: expect.stringContaining('a on node-a, b on node-b'),
    })
  })

  test('a claim that two providers know is refused', async () => {
    const { volumes } = backend()
    const cluster = shop({ allowVolumeExpansion: false })
    const twice = [...volumes, ...volumes]
    expect(await failureOf(expand({ claim: shopClaim(cluster, { volumes: twice }), to: '20Gi' }))).toMatchObject({
      code: 'ambiguous',
      outcome: 'unchanged',
    })
  })

  test('a PersistentVolume that belongs to another claim is refused', async () => {
    const cluster = shop()
    cluster.change(volumeAt, { spec: { claimRef: { uid: 'another' } } })
    expect(await failureOf(expand({ claim: shopClaim(cluster), to: '20Gi' }))).toMatchObject({
      code: 'identity-mismatch',
      outcome: 'unchanged',
    })
  })
})
