import { abortedError, type VolumeExpansionError } from '../../src/errors.ts'
import type { Capabilities, ReadOutcome, Snapshots, VolumeExpander } from '../../src/expander.ts'
import { KeyedLock } from '../../src/services/lock.ts'
import { type Bytes, formatSize, MiB } from '../../src/size.ts'
import type { RbdClient, SnapshotClient } from './client.ts'
import { providerName, rbdError } from './errors.ts'
import { fromPersistentVolume } from './persistent-volume.ts'
import { imageName, type RbdRef, specOf } from './ref.ts'
import { hintsOf, stateOf } from './state.ts'

const capabilities: Capabilities = {
  // The unit in which every version of the tools takes sizes; whole sectors, so that image and device always agree.
  granularity: MiB,
  readBatch: 50,
  progress: false,
  // krbd watches the header of an image that it has mapped, and takes a new size at once. That librbd in QEMU does not is found image by image.
  hostsSeeGrowth: true,
}

/**
 * One growth of an image at a time. That `rbd resize` never shrinks is not quite true: a client that opens an image reads its size before it listens for changes
 * of it, and compares with that size later on, under the lock. When another one grows the image in those milliseconds, the smaller of the two sizes stays, with a success
 * for both (Ceph 16.2: 3 of 104 images for which three sizes were asked at once on a busy machine).
 */
const growing = new KeyedLock()

/** The provider of RBD images, over either way to a cluster. */
export function rbdExpander(client: RbdClient): VolumeExpander<RbdRef> {
  return {
    name: providerName,
    capabilities,
    normalize(ref) {
      const spec = specOf(imageName(ref))
      return { scope: client.scope, key: spec, label: spec }
    },
    async read(refs, { signal }) {
      refuseAborted(signal)
      if (refs.length === 0) return []
      const names = refs.map((ref) => named(ref))
      const asked = names.flatMap((name) => (name instanceof Error ? [] : [name]))
      const { images, cluster } =
        asked.length === 0 ? { images: [], cluster: { pools: new Map() } } : await client.read(asked, { signal })
      refuseAborted(signal)
      const answers = images[Symbol.iterator]()
      return names.map((name): ReadOutcome => {
        if (name instanceof Error) return name
        const { value: facts } = answers.next()
        if (facts === undefined) return unanswered(specOf(name))
        return facts instanceof Error ? facts : stateOf(name, facts, cluster, client.refusal)
      })
    },
    async expand(ref, { size, signal }) {
      refuseAborted(signal)
      const name = imageName(ref)
      const spec = specOf(name)
      if (client.refusal !== undefined) {
        throw rbdError('permission-denied', `${spec}: ${client.refusal.message}`, {
          outcome: 'unchanged',
          remedy: client.refusal.remedy,
        })
      }
      if (size <= 0n || size % MiB !== 0n) {
        throw rbdError('invalid-size', `${size} bytes is not a multiple of 1 MiB, the unit in which images grow.`, {
          outcome: 'unchanged',
          remedy: 'Round the size up to that unit before asking for it.',
        })
      }
      const turn = await growing.acquire(`${client.scope} ${spec}`, { signal, layer: 'volume' })
      try {
        const measured = await client.grow(name, size, { signal })
        if (measured !== undefined && measured < size) throw overtaken(spec, size, measured)
      } finally {
        turn.release()
      }
    },
    identify: (ref, state) => hintsOf(imageName(ref), state),
    fromPersistentVolume,
    ...(client.snapshots === undefined ? {} : { snapshots: snapshotsOf(client.snapshots) }),
  }
}

function overtaken(spec: string, size: Bytes, measured: Bytes): VolumeExpansionError {
  return rbdError(
    'conflicting-change',
    `${spec} should have ${formatSize(size)} now, and has ${formatSize(measured)}: something else resizes it at the same time.`,
    {
      ...{ outcome: 'unknown', retryable: true },
      remedy: 'Find out what else resizes the image, and run this again.',
    },
  )
}

function snapshotsOf(client: SnapshotClient): Snapshots<RbdRef> {
  /** Tries that this process has begun: only then a snapshot that is there already can be the one that was asked for. */
  const begun = new Set<string>()
  return {
    async create(ref, { name: snapshot, requestId, signal }) {
      refuseAborted(signal)
      const name = imageName(ref)
      checkSnapshot(snapshot)
      const attempt = `${requestId} ${specOf(name)}@${snapshot}`
      const again = begun.has(attempt)
      begun.add(attempt)
      const made = await client.create(name, snapshot, { signal })
      if (made === 'made' || again) return snapshot
      begun.delete(attempt)
      throw rbdError('conflicting-change', `${specOf(name)} has a snapshot ${snapshot} already, from another time.`, {
        outcome: 'unchanged',
        remedy: 'Give the new snapshot a name of its own.',
      })
    },
    async read(ref, id, { signal }) {
      refuseAborted(signal)
      const name = imageName(ref)
      // A snapshot is there at once and as a whole, or not at all.
      if ((await client.list(name, { signal })).includes(id)) return { id, phase: 'usable', native: 'snapshot' }
      throw rbdError('not-found', `${specOf(name)} has no snapshot ${id}.`, {
        outcome: 'unchanged',
        remedy: 'Look at the snapshots that there are: rbd snap ls.',
      })
    },
  }
}

function checkSnapshot(name: string): void {
  if (name !== '' && !/[/@\p{Cc}]/u.test(name)) return
  throw rbdError('invalid-request', `${JSON.stringify(name)} cannot be the name of a snapshot of an image.`, {
    outcome: 'unchanged',
    remedy: 'Use letters, digits and hyphens.',
  })
}

function named(ref: unknown): ReturnType<typeof imageName> | Error {
  try {
    return imageName(ref)
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}

function unanswered(spec: string): Error {
  return rbdError('backend-unreachable', `Nothing was said about ${spec}.`, {
    outcome: 'unchanged',
    remedy: 'Run it again.',
    retryable: true,
  })
}

function refuseAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw abortedError(signal, 'volume', 'unchanged').with({ provider: providerName })
}
