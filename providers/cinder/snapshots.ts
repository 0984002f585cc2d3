import { abortedError } from '../../src/errors.ts'
import type { SnapshotPhase, Snapshots } from '../../src/expander.ts'
import type { CinderApi } from './client.ts'
import { failure } from './errors.ts'
import { fieldsOf, textOf } from './json.ts'
import type { CinderRef } from './options.ts'

/** Metadata by which a later try finds what an earlier one has begun. */
const mark = 'volume-expander-request'

/** Snapshots of Cinder: crash-consistent for a volume in use. */
export function snapshotsOf(api: CinderApi, idOf: (ref: CinderRef) => string): Snapshots<CinderRef> {
  return {
    async create(ref, { name, requestId, signal }) {
      if (signal?.aborted) throw abortedError(signal, 'volume', 'unchanged')
      const volume = idOf(ref)
      const known = await api.snapshots(volume, name, signal)
      const begun = known.find(({ metadata }) => fieldsOf(metadata)[mark] === requestId)
      const snapshot =
        begun ?? (await api.createSnapshot({ volume_id: volume, name, metadata: { [mark]: requestId } }, signal))
      const id = textOf(snapshot['id'])
      if (id !== undefined) return id
      throw failure(`Cinder accepted a snapshot of ${volume}, and did not say which.`, {
        code: 'contract-violated',
        outcome: 'unknown',
        remedy: 'Look at the snapshots of the volume before asking again.',
      })
    },
    async read(_ref, id, { signal }) {
      if (signal?.aborted) throw abortedError(signal, 'volume', 'unchanged')
      const snapshot = await api.snapshot(id, signal)
      const native = textOf(snapshot['status']) ?? 'unknown'
      const percent = /^(\d{1,3})%$/.exec(textOf(snapshot['os-extended-snapshot-attributes:progress']) ?? '')?.[1]
      const phase = phaseOf(native)
      return {
        ...{ id, phase, native },
        ...(phase === 'pending' && percent !== undefined ? { progress: Math.min(1, Number(percent) / 100) } : {}),
      }
    },
  }
}

function phaseOf(status: string): SnapshotPhase {
  switch (status) {
    case 'creating':
      return 'pending'
    case 'available':
    case 'backing-up':
    case 'restoring':
      return 'usable'
    default:
      return 'failed'
  }
}
