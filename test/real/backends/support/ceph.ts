import { inject } from 'vitest'
import { CephLab } from '../../../lab/ceph/ceph.ts'

/** The cluster that all tests of one run share: the first one that asks starts it. Whoever freezes a part of it, or fills it, puts that right again. */
export async function sharedCeph(): Promise<CephLab> {
  const owner = inject('labOwner')
  const [running] = await CephLab.find(owner)
  return running ?? CephLab.start({ lasting: true, owner })
}
