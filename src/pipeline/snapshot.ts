import { VolumeExpansionError } from '../errors.ts'
import type { SnapshotState } from '../expander.ts'
import { pollUntil } from '../wait.ts'
import type { BackendObservation } from './context.ts'
import type { StepServices } from './step.ts'

/** Begins a snapshot, and waits until it is usable or has failed. */
export async function takeSnapshot(
  prefix: string,
  backend: BackendObservation,
  services: StepServices,
): Promise<SnapshotState> {
  const name = nameOf(prefix, services.clock.date())
  const id = (await backend.managed.snapshots?.create(name, services.signal)) ?? ''
  services.made({ snapshot: id, name })
  return await usable(backend, id, services)
}

/** @throws {VolumeExpansionError} `backend-failed`: nothing was grown */
export function requireUsable({ handle }: BackendObservation, { id, phase, native }: SnapshotState): void {
  if (phase !== 'failed') return
  const provider = handle.expander.name
  throw new VolumeExpansionError(
    'backend-failed',
    `${provider} reports ${native} for the snapshot ${id} of ${handle.identity.label}.`,
    {
      ...{ layer: 'volume', provider, outcome: 'unchanged' },
      remedy: 'Nothing was grown. See why the snapshot failed, delete it, and run this again.',
    },
  )
}

function nameOf(prefix: string, date: Date): string {
  const moment = date.toISOString().slice(0, 19).replace(/[-:]/g, '').replace('T', '-')
  return `${prefix}-${moment}-${crypto.randomUUID().slice(0, 8)}`
}

function usable(backend: BackendObservation, id: string, services: StepServices): Promise<SnapshotState> {
  const { handle, managed } = backend
  const provider = handle.expander.name
  return pollUntil<SnapshotState>({
    what: `the snapshot ${id} of ${handle.identity.label} to be usable`,
    ...{ layer: 'volume', provider },
    read: async (signal) => (await managed.snapshots?.read(id, signal)) ?? { id, phase: 'failed', native: 'gone' },
    judge: ({ phase }) => (phase === 'pending' ? 'waiting' : 'done'),
    onState: ({ native, progress }) =>
      services.progress({ native, ...(progress === undefined ? {} : { fraction: progress }) }),
    describe: ({ native }) => native,
    deadline: services.clock.now() + services.timeouts.snapshot,
    ...services,
  })
}
