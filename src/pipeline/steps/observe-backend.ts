import { handleOf, type Volume, type VolumeHandle } from '../../expander.ts'
import { volumeLayerId } from '../../layers/volume.ts'
import type { BackendObservation } from '../context.ts'
import { defineStep, type Step } from '../step.ts'

/** What shares, paces and repeats calls: whoever has no volume does without. */
let managing: typeof import('../../services/managed.ts') | undefined

/** Reads the volume from its backend, after everybody else in this process has finished with it. */
export function observeBackend(): Step<{ readonly volume: Volume }, object, { readonly backend: BackendObservation }> {
  return defineStep({
    name: 'observe backend',
    async observe({ volume }, services) {
      const handle = handleOf(volume)
      if (!services.planning) await services.exclusive(volumeKey(handle), 'volume')
      managing ??= await import('../../services/managed.ts')
      const managed = managing.manage(handle, services)
      const state = await managed.read(services.signal)
      return { backend: { handle, managed, state, id: volumeLayerId(handle) } }
    },
  })
}

/** What keeps other runs of this process out of a volume. */
export function volumeKey({ expander, identity }: VolumeHandle): string {
  return ['volume', expander.name, identity.scope, identity.key].join(':')
}
