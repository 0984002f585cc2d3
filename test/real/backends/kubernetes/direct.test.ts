import { statSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { file } from '../../../../providers/file/index.ts'
import {
  expand,
  growBackend,
  growFilesystem,
  growLayers,
  localHost,
  locateDevice,
  observeBackend,
  observeLayers,
  pipeline,
  plan,
  publishClaim,
} from '../../../../src/index.ts'
import { claim } from '../../../../src/kubernetes/index.ts'
import { GiB, MiB } from '../../../../src/size.ts'
import { inTreeExpander, usualControllers } from '../../../lab/kubernetes/cluster.ts'
import { claimPath, volumePath } from '../../../lab/kubernetes/objects.ts'
import { until } from '../../support/commands.ts'
import { Disk } from '../../support/disk.ts'
import { intactRecords, startWriter } from '../../support/writer.ts'
import { countingClient, failure, fileSource, files, realCluster } from './support.ts'

// With the controller that would grow in-tree volumes: it must find nothing to do.
const real = realCluster({ controllers: [...usualControllers, inTreeExpander] })

async function mountedXfs(size: bigint): Promise<Disk> {
  const disk = new Disk(size)
  disk.mkfs(['mkfs.xfs', '-q', '-f'])
  await disk.mount()
  return disk
}

async function dfOf(path: string): Promise<bigint> {
  const { blocks, bsize } = await statfs(path, { bigint: true })
  return blocks * bsize
}

describe('growth by this library', () => {
  test('of a claim in use, under a writer: df, PV and PVC agree afterwards', async () => {
    const name = await real.fresh()
    const disk = await mountedXfs(GiB)
    await real.objects.boundClaim(name, { storageClass: 'fixed', source: fileSource(disk.image) })
    await real.objects.pod(name.namespace, 'shop-0', ['data'], 'node-a')
    const writer = await startWriter(join(disk.mountPoint, 'records'))
    const nodes: string[] = []
    const hosts = (node: string) => {
      nodes.push(node)
      return localHost()
    }
    const options = { ...name, kubeconfig: real.cluster.kubeconfig, volumes: [files], hosts }
    const report = await expand({ claim: claim(options), to: '3Gi' })
    const after = writer.confirmed()
    await until('a record after the growth', () => writer.confirmed() > after + 5)
    const confirmed = await writer.stop()
    expect(nodes).toEqual(['node-a'])
    expect(report.layers.map(({ kind, before, after: now }) => [kind, before, now])).toEqual([
      ['volume', GiB, 3n * GiB],
      ['device', GiB, 3n * GiB],
      ['filesystem', GiB, 3n * GiB],
      ['claim', GiB, 3n * GiB],
      ['claim', GiB, 3n * GiB],
    ])
    // The class forbids it, so the request stays.
    expect(await real.objects.sizes(name)).toEqual({ request: '1Gi', capacity: '3Gi', volume: '3Gi' })
    const shown = await dfOf(disk.mountPoint)
    expect(shown).toBeGreaterThan(3n * GiB - 80n * MiB)
    expect(shown).toBeLessThanOrEqual(3n * GiB)
    expect(intactRecords(join(disk.mountPoint, 'records'))).toBeGreaterThanOrEqual(confirmed)
    const again = await expand({ claim: claim(options), to: '3Gi' })
    expect(again.changed).toBe(false)
  })

  test('raises the request last where the class allows it, so that no resizer sees it unmet', async () => {
    const name = await real.fresh()
    const disk = await mountedXfs(GiB)
    await real.objects.boundClaim(name, { source: fileSource(disk.image) })
    await real.objects.pod(name.namespace, 'shop-0', ['data'], 'node-a')
    const client = await countingClient(real.cluster.kubeconfig)
    await expand({
      claim: claim({ ...name, client, volumes: [files], hosts: () => localHost(), driver: 'direct' }),
      to: '2Gi',
    })
    expect(await real.objects.sizes(name)).toEqual({ request: '2Gi', capacity: '2Gi', volume: '2Gi' })
    const patches = client.requests.filter((request) => request.startsWith('PATCH'))
    expect(patches).toEqual([
      `PATCH ${claimPath(name)}?dryRun=All`,
      `PATCH ${volumePath(`pv-${name.namespace}-data`)}`,
      `PATCH ${claimPath(name)}/status`,
      `PATCH ${claimPath(name)}`,
    ])
    expect((await real.objects.status(name))['conditions']).toBeUndefined()
  })

  test('of a claim that nobody mounts leaves the filesystem to the next mount, and says so', async () => {
    const name = await real.fresh()
    const disk = new Disk(GiB)
    disk.mkfs(['mkfs.xfs', '-q', '-f'])
    await real.objects.boundClaim(name, { storageClass: 'fixed', source: fileSource(disk.image) })
    const target = claim({ ...name, kubeconfig: real.cluster.kubeconfig, volumes: [files] })
    const report = await expand({ claim: target, to: '2Gi' })
    expect(report.findings.map(({ code }) => code)).toContain('pod-needed')
    expect(disk.size).toBe(2n * GiB)
    expect(await real.objects.sizes(name)).toEqual({ request: '1Gi', capacity: '1Gi', volume: '2Gi' })
    const { conditions } = (await real.objects.status(name)) as { readonly conditions: readonly { type: string }[] }
    expect(conditions.map(({ type }) => type)).toEqual(['FileSystemResizePending'])
    expect((await expand({ claim: target, to: '2Gi' })).changed).toBe(false)
  })

  test('goes on where a run died: what has grown is published', async () => {
    const name = await real.fresh()
    const disk = await mountedXfs(GiB)
    await real.objects.boundClaim(name, { storageClass: 'fixed', source: fileSource(disk.image) })
    await real.objects.pod(name.namespace, 'shop-0', ['data'], 'node-a')
    await expand({ volume: file().volume(disk.image), host: localHost(), to: '2Gi' })
    const options = { ...name, kubeconfig: real.cluster.kubeconfig, volumes: [files], hosts: () => localHost() }
    const report = await expand({ claim: claim(options), to: '2Gi' })
    expect(report.actions.map(({ layer }) => layer)).toEqual(['claim', 'claim'])
    expect(await real.objects.sizes(name)).toEqual({ request: '1Gi', capacity: '2Gi', volume: '2Gi' })
  })

  test('never lowers a PersistentVolume that somebody else has raised meanwhile', async () => {
    const name = await real.fresh()
    const disk = new Disk(GiB)
    const volume = await real.objects.boundClaim(name, { storageClass: 'fixed', source: fileSource(disk.image) })
    const client = await countingClient(real.cluster.kubeconfig)
    const meddled = {
      ...client,
      async send(request: Parameters<typeof client.send>[0]) {
        if (request.method === 'PATCH' && request.path === volumePath(volume)) {
          await real.objects.setVolumeCapacity(volume, '7Gi')
        }
        return client.send(request)
      },
    }
    await expand({ claim: claim({ ...name, client: meddled, volumes: [files] }), to: '2Gi' })
    expect((await real.objects.sizes(name)).volume).toBe('7Gi')
  })

  test('publishes in a pipeline of one’s own, and refuses the claim of another volume', async () => {
    const name = await real.fresh()
    const disk = await mountedXfs(GiB)
    await real.objects.boundClaim(name, { storageClass: 'fixed', source: fileSource(disk.image) })
    const grow = pipeline()
      .use(observeBackend())
      .use(locateDevice())
      .use(observeLayers())
      .use(growBackend())
      .use(growLayers())
      .use(growFilesystem())
      .when('claim', publishClaim())
    const options = { ...name, kubeconfig: real.cluster.kubeconfig, volumes: [files] }
    const host = localHost()
    await grow.run({ volume: file().volume(disk.image), host, claim: claim(options), to: '2Gi' })
    expect(await real.objects.sizes(name)).toEqual({ request: '1Gi', capacity: '2Gi', volume: '2Gi' })
    const other = await mountedXfs(GiB)
    const error = await failure(
      grow.run({ volume: file().volume(other.image), host, claim: claim(options), to: '2Gi' }),
    )
    expect(error).toMatchObject({ code: 'identity-mismatch', outcome: 'unchanged' })
    expect(other.size).toBe(GiB)
  })
})

describe('refusals before anything is grown', () => {
  test.each([
    ['a resizer has taken it up', { conditions: [{ type: 'Resizing', status: 'True' }] }, {}, 'served-by-cluster'],
    ['it was migrated', {}, { 'pv.kubernetes.io/migrated-to': 'ebs.csi.aws.com' }, 'served-by-cluster'],
  ])('%s', async (_why, status, volumeAnnotations, code) => {
    const name = await real.fresh()
    const disk = new Disk(GiB)
    await real.objects.boundClaim(name, { storageClass: 'fixed', source: fileSource(disk.image), volumeAnnotations })
    if (Object.keys(status).length > 0) await real.objects.setStatus(name, status)
    const options = { ...name, kubeconfig: real.cluster.kubeconfig, volumes: [files] }
    expect(await failure(expand({ claim: claim(options), to: '2Gi' }))).toMatchObject({ code, outcome: 'unchanged' })
    expect(disk.size).toBe(GiB)
  })

  test('two nodes have it', async () => {
    const name = await real.fresh()
    const disk = new Disk(GiB)
    const volume = await real.objects.boundClaim(name, { storageClass: 'fixed', source: fileSource(disk.image) })
    await real.objects.pod(name.namespace, 'shop-0', ['data'], 'node-a')
    await real.objects.attachment(`${name.namespace}-b`, volume, 'node-b')
    const options = { ...name, kubeconfig: real.cluster.kubeconfig, volumes: [files], hosts: () => localHost() }
    const error = await failure(expand({ claim: claim(options), to: '2Gi' }))
    expect(error).toMatchObject({ code: 'in-use', outcome: 'unchanged' })
    expect(error.message).toContain('node-a, node-b')
    expect(statSync(disk.image).size).toBe(Number(GiB))
  })

  test('the quota would be overrun by capacity that it does not count', async () => {
    const name = await real.fresh()
    const disk = new Disk(GiB)
    await real.objects.boundClaim(name, { storageClass: 'fixed', source: fileSource(disk.image) })
    await real.objects.quota(name.namespace, 'storage', '2Gi')
    const options = { ...name, kubeconfig: real.cluster.kubeconfig, volumes: [files] }
    const error = await failure(expand({ claim: claim(options), to: '3Gi' }))
    expect(error).toMatchObject({ code: 'quota-exceeded', outcome: 'unchanged' })
    expect(disk.size).toBe(GiB)
  })

  test('no provider knows the volume, or no host was given for its node', async () => {
    const name = await real.fresh()
    const disk = await mountedXfs(GiB)
    await real.objects.boundClaim(name, { storageClass: 'fixed', source: fileSource(disk.image) })
    await real.objects.pod(name.namespace, 'shop-0', ['data'], 'node-a')
    const options = { ...name, kubeconfig: real.cluster.kubeconfig }
    const unknown = await plan({ claim: claim({ ...options, driver: 'direct' }), to: '2Gi' })
    expect(unknown.findings.find(({ severity }) => severity === 'blocker')?.message).toContain('file.lab.example')
    const error = await failure(expand({ claim: claim({ ...options, volumes: [files] }), to: '2Gi' }))
    expect(error.message).toContain('node-a')
    expect(disk.size).toBe(GiB)
  })
})
