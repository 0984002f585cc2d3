import { VolumeExpansionError } from '../../src/errors.ts'
import type { Capabilities, ReadOutcome, VolumeExpander } from '../../src/expander.ts'
import { GiB } from '../../src/size.ts'
import { PlaceApi } from './api.ts'
import type { ComputeClient } from './client.ts'
import { hintsOf } from './device.ts'
import { providerName, refuseAborted } from './errors.ts'
import { grow } from './growing.ts'
import { memoryOf, type ScopeMemory } from './memory.ts'
import { checkOptions, type GcePdOptions } from './performance.ts'
import { statesOf } from './reading.ts'
import { type DiskName, diskNameOf, type GceDiskRef, identityOf, refOfPersistentVolume, scopeOf } from './refs.ts'
import { createSnapshot, readSnapshot } from './snapshots.ts'

const capabilities: Capabilities = {
  // What the API calls GB are units of 2^30 bytes (https://cloud.google.com/compute/docs/disks).
  granularity: GiB,
  // So many names of up to 63 characters fit into the filter of one list without the URL becoming too long.
  readBatch: 100,
  // An operation's progress "should not be used to guess when the operation will be complete" (API reference of Operation).
  progress: false,
  // A disk of the SCSI layer keeps its size until it is asked again (gcp-compute-persistent-disk-csi-driver#2179).
  hostsSeeGrowth: false,
  // Well below the default of 1,500 requests per minute for each group of methods (https://cloud.google.com/compute/api-quota), which others share. A read of a
  // hundred disks is two requests at the most but for the first look, and waiting for its turn makes it larger.
  pace: { read: { burst: 10, perSecond: 3 }, expand: { burst: 20, perSecond: 15 } },
}

/** The provider of persistent disks and Hyperdisks, for one client and a project to begin with. */
export function gcePdExpander(client: ComputeClient, project: string): VolumeExpander<GceDiskRef, GcePdOptions> {
  const inside = (name: DiskName): { readonly api: PlaceApi; readonly memory: ScopeMemory } => ({
    api: new PlaceApi(client, name.project, name.place),
    memory: memoryOf(client, scopeOf(name, client.id)),
  })
  return {
    name: providerName,
    capabilities,
    normalize: (ref) => identityOf(diskNameOf(ref, project), client.id),
    async read(refs, { signal }) {
      refuseAborted(signal)
      const names = refs.map((ref) => attempt(() => diskNameOf(ref, project)))
      const sound = names.filter((name): name is DiskName => !(name instanceof Error))
      const [first] = sound
      const states = first === undefined ? [] : await statesOf(sound, { ...inside(first), signal })
      refuseAborted(signal)
      const left = [...states]
      return names.map((name) => (name instanceof Error ? name : (left.shift() ?? unanswered())))
    },
    async expand(ref, { size, options, signal, requestId }) {
      refuseAborted(signal)
      checkOptions(options)
      const name = diskNameOf(ref, project)
      await grow(name, size, options, { ...inside(name), signal, requestId })
    },
    identify: (ref, state) => hintsOf(diskNameOf(ref, project), state),
    snapshots: {
      async create(ref, { name: wanted, requestId, signal }) {
        refuseAborted(signal)
        const name = diskNameOf(ref, project)
        return await createSnapshot(name, wanted, requestId, { ...inside(name), signal })
      },
      async read(ref, id, { signal }) {
        refuseAborted(signal)
        const name = diskNameOf(ref, project)
        return await readSnapshot(name, id, { ...inside(name), signal })
      },
    },
    fromPersistentVolume: refOfPersistentVolume,
  }
}

function attempt<T>(call: () => T): T | VolumeExpansionError {
  try {
    return call()
  } catch (thrown) {
    if (thrown instanceof VolumeExpansionError) return thrown
    throw thrown
  }
}

function unanswered(): ReadOutcome {
  return new VolumeExpansionError('contract-violated', 'A disk was asked for and not answered.', {
    layer: 'volume',
    provider: providerName,
  })
}
