import { batchCases } from './host-cases/batches.ts'
import { commandCases } from './host-cases/commands.ts'
import { lastingCases } from './host-cases/lasting.ts'
import type { HostSetup } from './host-cases/setup.ts'
import type { ConformanceCase } from './suite.ts'

/**
 * What every host has to do, whoever wrote it and whichever way its commands go: its results, its batches, its locks, its deadlines. The host needs the
 * programs of a minimal system (`sh`, `printf`, `cat`, `tee`, `sleep`, `true`, `false`, `head`, `grep`) and util-linux' flock.
 */
export function hostCases(setup: () => Promise<HostSetup>): readonly ConformanceCase[] {
  return Object.entries({ ...commandCases, ...lastingCases, ...batchCases }).map(([name, body]) => ({
    name,
    async run() {
      const made = await setup()
      try {
        await body(made)
      } finally {
        await made.dispose()
      }
    },
  }))
}
