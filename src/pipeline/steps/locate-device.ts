import type { Host, StorageTarget } from '../../hosts/host.ts'
import type { BackendObservation, StorageObservation } from '../context.ts'
import { defineStep, type Step } from '../step.ts'

/** Where on the host; with a volume both may be left out, without one exactly one is needed. */
export interface Place {
  /** An absolute path on the mounted filesystem. */
  readonly path?: string | undefined
  /** An absolute path of a block device or an image file. */
  readonly device?: string | undefined
}

/** Finds the one device of the volume on the host, and refuses when `path` or `device` names something that is not on it. */
export function locateDevice(): Step<
  { readonly host: Host } & Place,
  { readonly backend: BackendObservation },
  { readonly storage: StorageObservation }
> {
  return defineStep({
    name: 'locate device',
    async observe({ host, backend, ...place }, services) {
      const { lookAt } = await import('../storage.ts')
      const hints = backend.handle.expander.identify(backend.handle.ref, backend.state)
      return { storage: await lookAt(host, targetOf(place) ?? { hints }, services, backend) }
    },
  })
}

/** Finds what `path` or `device` names, for growth on a node without a volume. */
export function locatePath(): Step<{ readonly host: Host } & Place, object, { readonly storage: StorageObservation }> {
  return defineStep({
    name: 'locate path',
    async observe({ host, ...place }, services) {
      const { lookAt } = await import('../storage.ts')
      const target = targetOf(place)
      if (target === undefined) throw new TypeError('Without a volume, `path` or `device` has to say what to grow.')
      return { storage: await lookAt(host, target, services) }
    },
  })
}

function targetOf({ path, device }: Place): StorageTarget | undefined {
  if (path !== undefined) return { path }
  return device === undefined ? undefined : { device }
}
