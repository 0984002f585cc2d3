import { describe, expect, test } from 'vitest'
import { expand, plan } from '../../../../src/index.ts'
import { claim } from '../../../../src/kubernetes/index.ts'
import { GiB } from '../../../../src/size.ts'
import { playResizer } from '../../../lab/kubernetes/resizer.ts'
import { Disk } from '../../support/disk.ts'
import { directRole, nativeRole } from './roles.ts'
import { failure, fileSource, files, realCluster } from './support.ts'

const real = realCluster()

describe('the rights of examples/kubernetes/role-native.yaml', () => {
  test('are enough', async () => {
    const name = await real.fresh()
    await real.objects.boundClaim(name)
    const user = `native-${name.namespace}`
    await real.objects.apply(nativeRole({ user, namespace: name.namespace }))
    const kubeconfig = await real.cluster.user({ name: user })
    const resizer = playResizer(real.objects, name)
    const report = await expand({ claim: claim({ ...name, kubeconfig }), to: '2Gi' })
    await resizer
    expect(report.layers[0]?.after).toBe(2n * GiB)
  })

  test.each([
    ['get persistentvolumeclaims', 'get'],
    ['patch persistentvolumeclaims', 'patch'],
    ['watch persistentvolumeclaims', 'watch'],
  ])('without %s, nothing is asked for and the verb is named', async (without, verb) => {
    const name = await real.fresh()
    await real.objects.boundClaim(name)
    const user = `less-${name.namespace}`
    await real.objects.apply(nativeRole({ user, namespace: name.namespace, without }))
    const kubeconfig = await real.cluster.user({ name: user })
    const error = await failure(expand({ claim: claim({ ...name, kubeconfig }), to: '2Gi' }))
    expect(error).toMatchObject({ code: 'permission-denied', outcome: 'unchanged' })
    expect(error.message).toContain(`cannot ${verb} resource "persistentvolumeclaims"`)
    expect(error.remedy).toContain(`resources: ["persistentvolumeclaims"], verbs: ["${verb}"]`)
    expect((await real.objects.sizes(name)).request).toBe('1Gi')
    if (verb === 'get') return
    // A plan names it too, without asking for anything.
    const { findings } = await plan({ claim: claim({ ...name, kubeconfig }), to: '2Gi' })
    expect(findings.find(({ code }) => code === 'permission-denied')?.message).toContain(
      `may not ${verb} persistentvolumeclaims`,
    )
  })
})

describe('the rights of examples/kubernetes/role-direct.yaml', () => {
  test('are enough', async () => {
    const name = await real.fresh()
    const disk = new Disk(GiB)
    await real.objects.boundClaim(name, { storageClass: 'fixed', source: fileSource(disk.image) })
    const user = `direct-${name.namespace}`
    await real.objects.apply(directRole({ user, namespace: name.namespace }))
    const kubeconfig = await real.cluster.user({ name: user })
    await expand({ claim: claim({ ...name, kubeconfig, volumes: [files] }), to: '2Gi' })
    expect((await real.objects.sizes(name)).volume).toBe('2Gi')
  })

  test.each([
    ['patch persistentvolumes', 'persistentvolumes', 'the ClusterRole'],
    ['patch persistentvolumeclaims/status', 'persistentvolumeclaims/status', 'the Role'],
    ['patch persistentvolumeclaims', 'persistentvolumeclaims', 'the Role'],
    ['list pods', 'pods', 'the Role'],
    ['list volumeattachments', 'volumeattachments', 'the ClusterRole'],
    ['list resourcequotas', 'resourcequotas', 'the Role'],
    ['get persistentvolumes', 'persistentvolumes', 'the ClusterRole'],
  ])('without %s, nothing is grown and it is named', async (without, resource, place) => {
    const name = await real.fresh()
    const disk = new Disk(GiB)
    await real.objects.boundClaim(name, { storageClass: 'fixed', source: fileSource(disk.image) })
    const user = `less-${name.namespace}`
    await real.objects.apply(directRole({ user, namespace: name.namespace, without }))
    const kubeconfig = await real.cluster.user({ name: user })
    const target = claim({ ...name, kubeconfig, volumes: [files], driver: 'direct' })
    const error = await failure(expand({ claim: target, to: '2Gi' }))
    expect(error).toMatchObject({ code: 'permission-denied', outcome: 'unchanged' })
    expect(error.remedy).toContain(place)
    expect(error.remedy).toContain(resource)
    expect(disk.size).toBe(GiB)
  })
})
