import { inject } from 'vitest'
import { CinderLab, startCinder } from '../../../lab/cinder/cinder.ts'
import { sharedCeph } from './ceph.ts'

/** Cinder on files and on the shared Ceph, the same for all tests of one run: the first one that asks starts it. Whoever changes it puts that right again. */
export async function sharedCinder(): Promise<CinderLab> {
  const owner = inject('labOwner')
  const [running] = await CinderLab.find(owner)
  return running ?? startCinder({ lasting: true, owner, ceph: await sharedCeph() })
}
