import type { SnapshotState, Snapshots } from '../../expander.ts'
import { ConformanceFailure, holds } from '../suite.ts'
import { type Probe, type ProviderCase, refused, type Subject } from './probe.ts'

const repetitions = 5
const skip: ProviderCase['skip'] = ({ expander }) =>
  expander.snapshots === undefined ? 'the provider has no snapshots' : undefined

/** What the snapshots of a provider promise, where it declares that it has them. */
export const snapshotCases: readonly ProviderCase[] = [
  {
    name: 'snapshots: one that can be used',
    skip,
    run: async (probe) => {
      const volume = await probe.subject()
      const id = await create(probe, volume, 'before-growth')
      await usable(probe, volume, id)
      await probe.unchanged(volume, 'making a snapshot of it')
    },
  },
  {
    name: 'snapshots: asked for again, the same one',
    skip,
    run: async (probe) => {
      const volume = await probe.subject()
      const requestId = probe.requestId()
      const first = await create(probe, volume, 'before-growth', requestId)
      for (let tries = 1; tries < repetitions; tries += 1) {
        const again = await create(probe, volume, 'before-growth', requestId)
        holds(again === first, `One request made the snapshots ${first} and ${again}.`)
      }
      await usable(probe, volume, first)
      const later = await create(probe, volume, 'before-growth', requestId)
      holds(later === first, `Once ${first} could be used, its request made ${later}.`)
    },
  },
  {
    name: 'snapshots: two intentions are two snapshots',
    skip,
    run: async (probe) => {
      const volume = await probe.subject()
      const ids = [await create(probe, volume, 'first'), await create(probe, volume, 'second')]
      holds(ids[0] !== ids[1], `Two snapshots were asked for, and both are ${ids[0]}.`)
      for (const id of ids) await usable(probe, volume, id)
    },
  },
  {
    name: 'snapshots: a missing one, and one of a missing volume',
    skip,
    run: async (probe) => {
      const { missing, missingSnapshot } = probe.setup
      if (missingSnapshot === undefined) throw new ConformanceFailure('The setup has no missing snapshot.')
      const { ref } = await probe.subject()
      const snapshots = snapshotsOf(probe)
      await refused(
        called(() => snapshots.read(ref, missingSnapshot, {})),
        'not-found',
        'reading a missing snapshot',
      )
      const options = { name: 'before-growth', requestId: probe.requestId() }
      await refused(
        called(() => snapshots.create(missing, options)),
        'not-found',
        'a snapshot of a missing volume',
      )
    },
  },
  {
    name: 'snapshots: refuse an aborted signal',
    skip,
    run: async (probe) => {
      const volume = await probe.subject()
      const reason = new Error('no longer wanted')
      const signal = AbortSignal.abort(reason)
      const snapshots = snapshotsOf(probe)
      const id = await create(probe, volume, 'before-growth')
      const options = { name: 'another', requestId: probe.requestId(), signal }
      for (const [what, call] of [
        ['making a snapshot with an aborted signal', () => snapshots.create(volume.ref, options)],
        ['reading a snapshot with an aborted signal', () => snapshots.read(volume.ref, id, { signal })],
      ] as const) {
        const error = await refused(called<unknown>(call), 'aborted', what)
        holds(error.cause === reason, "The cause is not the signal's reason.")
      }
    },
  },
]

function snapshotsOf({ expander }: Probe): Snapshots<unknown> {
  if (expander.snapshots === undefined) throw new ConformanceFailure('The provider has no snapshots.')
  return expander.snapshots
}

async function create(
  probe: Probe,
  { ref }: Subject,
  name: string,
  requestId: string = probe.requestId(),
): Promise<string> {
  const id: unknown = await snapshotsOf(probe).create(ref, { name: `${name}-${requestId}`, requestId })
  holds(typeof id === 'string' && id !== '', 'A snapshot has an id.')
  return id
}

async function usable(probe: Probe, { ref }: Subject, id: string): Promise<void> {
  const patience = probe.setup.patience ?? 200
  for (let pauses = 0; pauses <= patience; pauses += 1) {
    const state = await snapshotsOf(probe).read(ref, id, {})
    wellFormed(state, id)
    if (state.phase === 'usable') return
    await probe.pause()
  }
  throw new ConformanceFailure(`The snapshot ${id} could not be used within ${patience} pauses.`)
}

function wellFormed({ id, phase, native, progress }: SnapshotState, asked: string): void {
  holds(id === asked, `The snapshot ${asked} was asked for, and ${id} was answered.`)
  holds(phase === 'pending' || phase === 'usable', `The snapshot ${id} became ${phase} (${native}).`)
  holds(native !== '', "A snapshot has the backend's own word for its state.")
  holds(progress === undefined || (progress >= 0 && progress <= 1), 'A progress is from 0 to 1.')
}

async function called<Value>(call: () => Promise<Value>): Promise<Value> {
  return await call()
}
