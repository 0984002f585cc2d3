import { handleOf, type Volume, type VolumeHandle } from '../../expander.ts'
import { volumeLayerId } from '../../layers/volume.ts'
import { manage } from '../../services/managed.ts'
import type { BackendObservation } from '../context.ts'
import { defineStep, type Step } from '../step.ts'

/** Reads the volume from its backend, after everybody else in this process has finished with it. */
export function observeBackend(): Step<{ readonly volume: Volume }, object, { readonly backend: BackendObservation }> {
  return defineStep({
    name: 'observe backend',
    async observe({ volume }, services) {
      const handle = handleOf(volume)
      if (!services.planning) await services.exclusive(volumeKey(handle), 'volume')
      const managed = manage(handle, services)
      const state = await managed.read(services.signal)
      return { backend: { handle, managed, state, id: volumeLayerId(handle) } }
    },
  })
}

/** What keeps other runs of this process out of a volume. */
export function volumeKey({ expander, identity }: VolumeHandle): string {
  return ['volume', expander.name, identity.scope, identity.key].join(':')
}
