import type { Recognisers } from '../../layers/stack.ts'
import type { StackObservation, StorageObservation } from '../context.ts'
import { patiently } from '../patience.ts'
import { defineStep, type Step, type StepServices } from '../step.ts'

/**
 * How often a damaged superblock of a mounted filesystem is read again, and within how many milliseconds each time. While the kernel grows a filesystem, its checksum does not
 * fit for most of the time; and a damage that stays is worth two seconds.
 */
const tornReads = 40
const tornInterval = 100

/** Layers and filesystems that a program knows besides those of this library. */
export type OwnRecognisers = Partial<Pick<Recognisers, 'layers' | 'resizers'>>

/**
 * Measures every layer between the device and the filesystem. Further layers and resizers can be given: they are asked first, and resizers also about what
 * this library does not know or not handle. Programs that they declare are looked for on the host.
 */
export function observeLayers(
  own: OwnRecognisers = {},
): Step<object, { readonly storage: StorageObservation }, { readonly stack: StackObservation }> {
  return defineStep({
    name: 'observe layers',
    async observe({ storage: seen }, services) {
      const measure = await measuring(own)
      const storage = await withPrograms(seen, own, services)
      let stack = measure(storage)
      for (let tries = 0; tries < tornReads && mayBeTorn(stack); tries += 1) {
        // Never in step with whoever writes it.
        await services.clock.sleep(services.random() * tornInterval, services.signal)
        const { lookAt } = await import('../storage.ts')
        const again = await lookAt(storage.host, storage.target, services, storage.backend)
        stack = measure({ ...again, tools: { ...storage.tools, ...again.tools } })
      }
      return { stack }
    },
    plan: ({ stack }) => ({ findings: stack.findings }),
  })
}

/** The same place, with the programs looked for that nobody but the caller's own layers and resizers needs. */
async function withPrograms(
  storage: StorageObservation,
  own: OwnRecognisers,
  services: StepServices,
): Promise<StorageObservation> {
  const names = [...(own.layers ?? []), ...(own.resizers ?? [])]
    .flatMap(({ programs = [] }) => programs)
    .filter((name) => storage.tools[name] === undefined)
  if (names.length === 0) return storage
  const { host } = storage
  const looking = host.batch([{ read: 'tools', names }] as const, { signal: services.signal })
  const [found] = await patiently(host, services, looking)
  return { ...storage, tools: { ...storage.tools, ...(found.ok ? found.value : {}) } }
}

// What knows filesystems is the larger part of the library. It is loaded while nothing has been touched yet, and not by whoever grows a volume alone.
async function measuring(own: OwnRecognisers): Promise<(storage: StorageObservation) => StackObservation> {
  const [{ resizers }, { layers }, { stackOf }] = await Promise.all([
    import('../../filesystems/index.ts'),
    import('../../layers/index.ts'),
    import('../../layers/stack.ts'),
  ])
  const recognisers: Recognisers = {
    layers: [...(own.layers ?? []), ...layers],
    resizers: [...(own.resizers ?? []), ...resizers],
    knowing: own.resizers ?? [],
  }
  const measure = (storage: StorageObservation): StackObservation => {
    const { snapshot, top, host, stuck } = storage
    return { ...stackOf(snapshot, top, host.id, recognisers, stuck), storage, measure }
  }
  return measure
}

function mayBeTorn({ findings, storage }: StackObservation): boolean {
  const device = storage.snapshot.devices.find(({ id }) => id === storage.top)
  return findings.some(({ code }) => code === 'filesystem-damaged') && (device?.mounts.length ?? 0) > 0
}
