import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { cinder } from '../../../../providers/cinder/index.ts'
import { rbd } from '../../../../providers/rbd/index.ts'
import { expand, type Host, type Provider } from '../../../../src/index.ts'
import { claim } from '../../../../src/kubernetes/index.ts'
import type { CephLab } from '../../../lab/ceph/ceph.ts'
import type { NovaReceiver } from '../../../lab/cinder/nova.ts'
import type { OpenStack } from '../../../lab/cinder/openstack.ts'
import type { ApiObject } from '../../../lab/kubernetes/api.ts'
import { inTreeExpander, usualControllers } from '../../../lab/kubernetes/cluster.ts'
import { Guest } from '../../../lab/node/guest.ts'
import { FilesystemInUse } from '../../node/support/growth.ts'
import { hostAt } from '../../node/support/host.ts'
import { Node } from '../../node/support/node.ts'
import { patient } from '../../node/support/requests.ts'
import { gib, optionsOf } from '../cinder/support/cloud.ts'
import { realCluster } from '../kubernetes/support.ts'
import { makeImage, sizeOf } from '../rbd/images.ts'
import { sharedCeph } from '../support/ceph.ts'
import { sharedCinder } from '../support/cinder.ts'
import { bring, map, unmap } from './krbd.ts'
import { dfOf, passOn, serverWith, sizesOf } from './story.ts'

// With the controller that would grow in-tree volumes: it must find nothing to do.
const real = realCluster({ controllers: [...usualControllers, inTreeExpander] })
const nodeName = 'node-a'

let ceph: CephLab
let user: OpenStack
let nova: NovaReceiver
let guest: Guest

beforeAll(async () => {
  ceph = await sharedCeph()
  const lab = await sharedCinder()
  user = await lab.project()
  nova = await lab.nova()
  guest = await Guest.start()
})

afterAll(async () => {
  await guest?.stop()
  await nova?.stop()
})

function hosts(node: string): Host {
  expect(node).toBe(nodeName)
  const made = hostAt(guest.address)
  onTestFinished(async () => void (await made.close?.()))
  return made
}

/** Grows a claim of 1 GiB that a pod has to 2 GiB, by one call, and sees that the API server, df and the writer agree. */
async function growClaim(source: ApiObject, volumes: readonly Provider[], filesystem: FilesystemInUse, node: Node) {
  const name = await real.fresh()
  // The way of clusters that cannot do it themselves: the class forbids it.
  await real.objects.boundClaim(name, { storageClass: 'fixed', source })
  await real.objects.pod(name.namespace, 'shop-0', [name.name], nodeName)
  const target = claim({ ...name, kubeconfig: real.cluster.kubeconfig, volumes, hosts })
  const writing = filesystem.confirmed
  const request = { claim: target, to: '2Gi', timeouts: patient } as const
  const report = await expand(request)
  expect(report.layers.map(({ kind, before, after }) => [kind, before, after])).toEqual(
    ['volume', 'device', 'filesystem', 'claim', 'claim'].map((kind) => [kind, gib(1), gib(2)]),
  )
  expect(await real.objects.sizes(name)).toEqual({ request: '1Gi', capacity: '2Gi', volume: '2Gi' })
  const df = await dfOf(node, filesystem.mountPoint)
  expect(Number(df)).toBeGreaterThan(0.9 * Number(gib(2)))
  expect(df).toBeLessThan(gib(2))
  expect((await expand(request)).changed).toBe(false)
  // The same process has written all the time.
  expect(filesystem.confirmed).toBeGreaterThan(writing)
  await filesystem.expectIntact()
}

test('a claim over an RBD image that the node has mapped: df, PV and PVC agree, and its writer was never restarted', async () => {
  const node = await Node.forTest(guest)
  await bring(ceph, guest.address)
  const spec = await makeImage(ceph, { size: 1024 })
  const device = await map(ceph, node.shell, spec)
  onTestFinished(() => unmap(node.shell, device))
  const filesystem = await FilesystemInUse.on(node, device, ['mkfs.xfs', '-q'])
  const [pool, image] = spec.split('/')
  const source = { rbd: { monitors: [`127.0.0.1:${ceph.monitor.v1}`], pool, image } }
  await growClaim(source, [rbd({ cluster: { conf: ceph.conf, user: 'cinder' } })], filesystem, node)
  expect(await sizeOf(ceph, spec)).toBe(gib(2))
})

test('a claim over a Cinder volume on Ceph that a server uses by its emulator', async () => {
  const server = await serverWith(guest, ceph, user)
  nova.onVolumeExtended = async () => void (await passOn(server, user))
  const source = { csi: { driver: 'cinder.csi.openstack.org', volumeHandle: server.id } }
  await growClaim(source, [cinder(optionsOf(user))], server.filesystem, server.node)
  expect(await sizesOf(server, ceph, user)).toMatchObject({ cinder: gib(2), ceph: gib(2), device: gib(2) })
})
