import { VolumeExpansionError } from '../../src/errors.ts'
import type { SnapshotPhase, SnapshotState } from '../../src/expander.ts'
import type { PlaceApi } from './api.ts'
import { fieldOf, operationError, providerName } from './errors.ts'
import type { ScopeMemory } from './memory.ts'
import { type DiskName, keyOf, whatIs } from './refs.ts'

interface Taking {
  readonly api: PlaceApi
  readonly memory: ScopeMemory
  readonly signal: AbortSignal | undefined
}

/**
 * Begins a snapshot and returns its name, which is its id within the project. The name that is asked for becomes one that the API takes. A snapshot of that name that is
 * of this very disk is the one that an earlier try has begun.
 */
export async function createSnapshot(
  name: DiskName,
  wanted: string,
  requestId: string,
  { api, memory, signal }: Taking,
): Promise<string> {
  const id = snapshotName(wanted)
  try {
    const operation = await api.createSnapshot(name.disk, id, requestId, signal)
    if (operation?.error !== undefined) throw failed(name, id, operation.error)
    if (operation !== undefined) memory.snapshots.set(id, operation.name)
    return id
  } catch (thrown) {
    if (!(thrown instanceof VolumeExpansionError) || thrown.code !== 'conflicting-change') throw thrown
    const source = fieldOf(await api.snapshot(id, signal), 'sourceDisk')
    if (typeof source === 'string' && source.endsWith(`/projects/${name.project}/${keyOf(name)}`)) return id
    throw new VolumeExpansionError('conflicting-change', `There is a snapshot ${id} of another disk already.`, {
      ...{ layer: 'volume', provider: providerName, outcome: 'unchanged', cause: thrown, remedy: 'Give another name.' },
    })
  }
}

const phases: Readonly<Record<string, SnapshotPhase>> = { READY: 'usable', FAILED: 'failed', DELETING: 'failed' }

export async function readSnapshot(
  name: DiskName,
  id: string,
  { api, memory, signal }: Taking,
): Promise<SnapshotState> {
  try {
    const native = fieldOf(await api.snapshot(id, signal), 'status')
    const word = typeof native === 'string' ? native : 'UNKNOWN'
    return { id, native: word, phase: phases[word] ?? 'pending' }
  } catch (thrown) {
    const begun = memory.snapshots.get(id)
    if (!(thrown instanceof VolumeExpansionError) || thrown.code !== 'not-found' || begun === undefined) throw thrown
    // Accepted, and the resource is not there yet, or never will be: its operation knows.
    const operation = await api.operation(begun, signal)
    if (operation?.error !== undefined) throw failed(name, id, operation.error)
    if (operation === undefined || operation.status === 'DONE') throw thrown
    return { id, native: operation.status, phase: 'pending' }
  }
}

/** RFC 1035: lower case letters, digits and hyphens, at most 63, beginning with a letter and not ending with a hyphen. */
function snapshotName(wanted: string): string {
  const plain = wanted
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+/, '')
  const name = (/^[a-z]/.test(plain) ? plain : `s-${plain}`).slice(0, 63).replace(/-+$/, '')
  if (name !== 's') return name
  throw new VolumeExpansionError('invalid-request', 'A snapshot needs a name with at least one letter or digit.', {
    ...{ layer: 'volume', provider: providerName, outcome: 'unchanged', remedy: 'Give another name.' },
  })
}

function failed(
  name: DiskName,
  id: string,
  { code, message }: { readonly code: string; readonly message: string },
): VolumeExpansionError {
  const context = {
    what: `snapshot ${id} of ${whatIs(name)}`,
    mutates: true,
    permission: 'compute.disks.createSnapshot',
  }
  return operationError(code, message, context)
}
