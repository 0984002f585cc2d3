import type { Recognisers } from '../../layers/stack.ts'
import type { StackObservation, StorageObservation } from '../context.ts'
import { defineStep, type Step } from '../step.ts'

/**
 * How often a damaged superblock of a mounted filesystem is read again, and within how many milliseconds each time. While the kernel grows a filesystem, its checksum does not
 * fit for most of the time; and a damage that stays is worth two seconds.
 */
const tornReads = 40
const tornInterval = 100

/** Measures every layer between the device and the filesystem. Further layers and resizers can be given; they are asked first. */
export function observeLayers(
  own: Partial<Recognisers> = {},
): Step<object, { readonly storage: StorageObservation }, { readonly stack: StackObservation }> {
  return defineStep({
    name: 'observe layers',
    async observe({ storage }, services) {
      const measure = await measuring(own)
      let stack = measure(storage)
      for (let tries = 0; tries < tornReads && mayBeTorn(stack); tries += 1) {
        // Never in step with whoever writes it.
        await services.clock.sleep(services.random() * tornInterval, services.signal)
        const { lookAt } = await import('../storage.ts')
        stack = measure(await lookAt(storage.host, storage.target, services, storage.backend))
      }
      return { stack }
    },
    plan: ({ stack }) => ({ findings: stack.findings }),
  })
}

// What knows filesystems is the larger part of the library. It is loaded while nothing has been touched yet, and not by whoever grows a volume alone.
async function measuring(own: Partial<Recognisers>): Promise<(storage: StorageObservation) => StackObservation> {
  const [{ resizers }, { layers }, { stackOf }] = await Promise.all([
    import('../../filesystems/index.ts'),
    import('../../layers/index.ts'),
    import('../../layers/stack.ts'),
  ])
  const recognisers: Recognisers = {
    layers: [...(own.layers ?? []), ...layers],
    resizers: [...(own.resizers ?? []), ...resizers],
  }
  return (storage) => {
    const { snapshot, top, host, stuck } = storage
    return { ...stackOf(snapshot, top, host.id, recognisers, stuck), storage }
  }
}

function mayBeTorn({ findings, storage }: StackObservation): boolean {
  const device = storage.snapshot.devices.find(({ id }) => id === storage.top)
  return findings.some(({ code }) => code === 'filesystem-damaged') && (device?.mounts.length ?? 0) > 0
}
