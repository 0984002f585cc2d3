import type { TestProject } from 'vitest/node'
import { Guest } from '../../../lab/node/guest.ts'
import type { Part } from '../../../lab/register.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    readonly node: Part
  }
}

/** One node for all tests: a boot takes longer than most of them. Each test has disks of its own. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const guest = await Guest.start()
  project.provide('node', guest.part)
  return () => guest.stop()
}
