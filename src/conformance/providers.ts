import { describingCases } from './provider-cases/describing.ts'
import { expandingCases } from './provider-cases/expanding.ts'
import { namingCases } from './provider-cases/naming.ts'
import { Probe } from './provider-cases/probe.ts'
import { readingCases } from './provider-cases/reading.ts'
import type { AnySetup, ProviderSetup } from './provider-cases/setup.ts'
import { snapshotCases } from './provider-cases/snapshots.ts'
import type { ConformanceCase } from './suite.ts'

/**
 * The cases that every `VolumeExpander` has to pass. Each makes the volumes that it needs, so they may run in any order. What does not apply is decided by
 * what the provider declares and has, and by nothing else.
 */
export function providerCases<Ref, Options>(setup: ProviderSetup<Ref, Options>): readonly ConformanceCase[] {
  // Sound: refs and options of this setup only ever go back to its own expander.
  const erased = setup as AnySetup
  return [...namingCases, ...readingCases, ...expandingCases, ...describingCases, ...snapshotCases].map(
    ({ name, run, skip }) => {
      const reason = skip?.(erased)
      return {
        name,
        run: async () => run(new Probe(erased)),
        ...(reason === undefined ? {} : { skip: reason }),
      }
    },
  )
}
