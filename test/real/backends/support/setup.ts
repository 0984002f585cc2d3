import type { TestProject } from 'vitest/node'
import { CephLab } from '../../../lab/ceph/ceph.ts'
import { CinderLab } from '../../../lab/cinder/cinder.ts'
import { startTicksOf } from '../../../lab/register.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** Names this run of the tests: the backends that they share are its own, and end with it. */
    readonly labOwner: string
  }
}

/** Backends are started by the first test that needs one, see `sharedCeph`; here they end. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const owner = `${process.pid} ${await startTicksOf(process.pid)}`
  project.provide('labOwner', owner)
  // What a run that was killed has left behind.
  for (const lab of [...(await CinderLab.find()), ...(await CephLab.find())])
    if (lab.owner !== undefined && !(await isLivingOwner(lab.owner))) await lab.stop()
  return async () => {
    for (const lab of [...(await CinderLab.find(owner)), ...(await CephLab.find(owner))]) await lab.stop()
  }
}

async function isLivingOwner(owner: string): Promise<boolean> {
  const [pid, ticks] = owner.split(' ')
  return (await startTicksOf(Number(pid))) === ticks
}
