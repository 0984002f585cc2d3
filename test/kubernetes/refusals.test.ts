import { expect, test } from 'vitest'
import { grantRemedy, refusalOf } from '../../src/kubernetes/refusals.ts'

const claim = { namespace: 'shop', name: 'data', storageClass: 'fixed' }

// As the API server of Kubernetes 1.20.2 says them; newer ones have the same words.
test.each([
  [
    403,
    'persistentvolumeclaims "data" is forbidden: only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize',
    'expansion-not-allowed',
    /kubectl patch storageclass fixed/,
  ],
  [
    403,
    'persistentvolumeclaims "data" is forbidden: exceeded quota: gold, requested: requests.storage=45Gi, used: requests.storage=5Gi, limited: requests.storage=10Gi',
    'quota-exceeded',
    /edit resourcequota gold$/,
  ],
  [
    403,
    'persistentvolumeclaims "data" is forbidden: maximum storage usage per PersistentVolumeClaim is 8Gi, but request is 9Gi',
    'limit-exceeded',
    /edit limitrange/,
  ],
  [
    403,
    'persistentvolumeclaims "data" is forbidden: User "eve" cannot patch resource "persistentvolumeclaims" in API group "" in the namespace "shop"',
    'permission-denied',
    /the Role in shop.*verbs: \["patch"\]/,
  ],
  [
    403,
    'persistentvolumes "pv" is forbidden: User "eve" cannot get resource "persistentvolumes" in API group "" at the cluster scope',
    'permission-denied',
    /the ClusterRole/,
  ],
  [
    403,
    'admission webhook "policy.acme.example" denied the request: no growth on Fridays',
    'permission-denied',
    /webhook/,
  ],
  [
    422,
    'PersistentVolumeClaim "data" is invalid: spec: Forbidden: field is immutable after creation\n  core.PersistentVolumeClaimSpec{',
    'cluster-feature-off',
    /ExpandPersistentVolumes=true/,
  ],
  [
    422,
    'PersistentVolumeClaim "data" is invalid: spec.resources.requests.storage: Forbidden: field can not be less than previous value',
    'would-shrink',
    /kubectl -n shop get pvc data/,
  ],
])('%i %s', (status, message, code, remedy) => {
  const refusal = refusalOf({ status, body: { message } }, claim)
  expect(refusal?.code).toBe(code)
  expect(refusal?.remedy).toMatch(remedy)
  expect(refusal?.said).not.toContain('\n')
})

test.each([200, 404, 409, 429, 500])('%i is no refusal', (status) => {
  expect(refusalOf({ status, body: { message: 'exceeded quota' } }, claim)).toBeUndefined()
})

test('a rule can be pasted', () => {
  expect(grantRemedy({ verb: 'watch', resource: 'persistentvolumeclaims' }, 'shop')).toBe(
    'Add to the Role in shop of this user: {apiGroups: [""], resources: ["persistentvolumeclaims"], verbs: ["watch"]}',
  )
})
