import { describe, expect, test } from 'vitest'
import { expand } from '../../../../src/index.ts'
import { claim } from '../../../../src/kubernetes/index.ts'
import { failure, realCluster } from './support.ts'

describe('a cluster whose gate ExpandPersistentVolumes is off', () => {
  const real = realCluster({ gates: { ExpandPersistentVolumes: false } })

  test('is told apart from a class that forbids it: which flag, where, and that it takes a restart', async () => {
    const name = await real.fresh()
    await real.objects.boundClaim(name)
    const error = await failure(expand({ claim: claim({ ...name, kubeconfig: real.cluster.kubeconfig }), to: '2Gi' }))
    expect(error).toMatchObject({ code: 'cluster-feature-off', outcome: 'unchanged' })
    expect(error.message).toContain('field is immutable after creation')
    expect(error.remedy).toContain('--feature-gates=ExpandPersistentVolumes=true')
    expect(error.remedy).toMatch(/kube-apiserver and kube-controller-manager.*restart/)
    expect((await real.objects.sizes(name)).request).toBe('1Gi')
  })
})

describe('a cluster whose admission plug-in PersistentVolumeClaimResize is off', () => {
  const real = realCluster({ withoutAdmission: ['PersistentVolumeClaimResize'] })

  test('takes what the class forbids, and is not asked for it', async () => {
    const name = await real.fresh()
    await real.objects.boundClaim(name, { storageClass: 'fixed' })
    const error = await failure(expand({ claim: claim({ ...name, kubeconfig: real.cluster.kubeconfig }), to: '2Gi' }))
    expect(error).toMatchObject({ code: 'cluster-feature-off', outcome: 'unchanged' })
    expect(error.remedy).toContain('PersistentVolumeClaimResize to --enable-admission-plugins of kube-apiserver')
    expect(error.remedy).toContain('restart')
    expect((await real.objects.sizes(name)).request).toBe('1Gi')
    // That the server would really have taken it is what makes the refusal necessary.
    await real.objects.api.patch(`/api/v1/namespaces/${name.namespace}/persistentvolumeclaims/data`, {
      spec: { resources: { requests: { storage: '2Gi' } } },
    })
  })
})
