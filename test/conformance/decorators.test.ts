import { describe, test } from 'vitest'
import { providerCases } from '../../src/conformance/index.ts'
import { VolumeExpansionError } from '../../src/errors.ts'
import type { VolumeExpander, VolumeHandle } from '../../src/expander.ts'
import { type ManagedVolume, manage } from '../../src/services/managed.ts'
import { seededRandom, virtualClock } from '../../src/testing/index.ts'
import { Memory, type MemoryRef, memoryExpander, memorySetup } from './memory.ts'

// Batches, paces and retries stand around every provider: what a provider promises has to be true through them as well.
const clock = virtualClock({ auto: true })

function managed(expander: VolumeExpander<MemoryRef>): VolumeExpander<MemoryRef> {
  const random = seededRandom(1)
  const volume = (ref: MemoryRef): ManagedVolume => {
    const handle: VolumeHandle = {
      ...{ expander: expander as VolumeExpander<unknown, unknown>, ref, options: undefined },
      identity: expander.normalize(ref),
    }
    return manage(handle, { clock, random })
  }
  const { snapshots: _, ...rest } = expander
  return {
    ...rest,
    read: (refs, { signal }) =>
      Promise.all(
        refs.map(async (ref) =>
          volume(ref)
            .read(signal)
            .catch((error: unknown) => {
              if (error instanceof VolumeExpansionError && error.code !== 'aborted') return error
              throw error
            }),
        ),
      ),
    expand: async (ref, { size, signal }) => volume(ref).expand(size, signal),
    snapshots: {
      create: async (ref, { name, signal }) => (await volume(ref).snapshots?.create(name, signal)) ?? '',
      read: async (ref, id, { signal }) => {
        const state = await volume(ref).snapshots?.read(id, signal)
        if (state === undefined) throw new TypeError('The managed volume has no snapshots.')
        return state
      },
    },
  }
}

describe('a provider with the services of the core around it', () => {
  const memory = new Memory()
  const cases = providerCases(memorySetup(managed(memoryExpander(memory)), memory))
  // The core gives each call a request id of its own: two calls are two snapshots.
  const ofTheProviderAlone = 'snapshots: asked for again, the same one'
  for (const { name, run } of cases.filter(({ name }) => name !== ofTheProviderAlone)) test(name, run)
})
