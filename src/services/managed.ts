import type { Clock, Random } from '../clock.ts'
import { asExpansionError, type Outcome, VolumeExpansionError } from '../errors.ts'
import type { SnapshotState, VolumeExpander, VolumeHandle, VolumeState } from '../expander.ts'
import type { Bytes } from '../size.ts'
import type { PollSchedule } from '../wait.ts'
import { orAborted, refuseAborted } from './abortable.ts'
import { defaultPause } from './pacing.ts'
import { retrying } from './retry.ts'
import { withScope } from './scope.ts'

/** One volume with the core's services around its provider: batching, pacing, retries. */
export interface ManagedVolume {
  /** The state now, by a request that it may share with other volumes of its scope. */
  read(signal?: AbortSignal): Promise<VolumeState>
  /** Calls `watch` with the way to look at a growth under way, whose looks are shared with all others that are followed meanwhile. */
  follow<T>(watch: (looks: Looks) => Promise<T>): Promise<T>
  /** Asks for at least `size` bytes; paced and repeated by error class, with one request id for every try. */
  expand(size: Bytes, signal?: AbortSignal): Promise<void>
  /** Left out: its provider makes none. */
  readonly snapshots?: ManagedSnapshots
}

export interface ManagedSnapshots {
  /** Begins one, paced like a growth and repeated by error class, with one request id for every try. @returns its id */
  create(name: string, signal?: AbortSignal): Promise<string>
  read(id: string, signal?: AbortSignal): Promise<SnapshotState>
}

/** How a growth is looked at until it is over. */
export interface Looks {
  /** The state now, or in the next round that many share. */
  read(signal?: AbortSignal): Promise<VolumeState>
  /** Whether the next look waits for such a round. */
  readonly paced: () => boolean
  /** Milliseconds before the first look. */
  readonly delay: number
  readonly schedule: PollSchedule
}

export interface ManagedDependencies {
  readonly clock: Clock
  readonly random: Random
}

/**
 * Puts the core's services around a volume's provider. Batches and rate limits are shared by every volume of the same provider, scope and clock in this
 * process, however often its factory was called; locks and waiting are the caller's.
 */
export function manage(handle: VolumeHandle, dependencies: ManagedDependencies): ManagedVolume {
  const { clock, random } = dependencies
  const { expander, ref, identity } = handle
  const layer = 'volume'
  // Kept when a call fails: a caller that asks for the same size again means the same growth, and the backend may have accepted it.
  let intended: { readonly size: Bytes; readonly requestId: string } | undefined

  async function read(signal?: AbortSignal): Promise<VolumeState> {
    return await withScope(clock, expander.name, identity.scope, expander.capabilities, ({ batcher }) =>
      retrying(() => batcher.read(expander, identity.key, ref, signal), { clock, random, signal, layer }),
    )
  }

  async function follow<T>(watch: (looks: Looks) => Promise<T>): Promise<T> {
    const { poll } = expander.capabilities
    return await withScope(clock, expander.name, identity.scope, expander.capabilities, async ({ batcher }) => {
      const leave = batcher.enter()
      try {
        return await watch({
          read: (signal) =>
            retrying(() => batcher.follow(expander, identity.key, ref, signal), { clock, random, signal, layer }),
          paced: () => batcher.sharesRounds,
          delay: poll?.first ?? 0,
          schedule: poll === undefined ? {} : { first: poll.first, cap: poll.cap },
        })
      } finally {
        leave()
      }
    })
  }

  async function expand(size: Bytes, signal?: AbortSignal): Promise<void> {
    refuseAborted(signal, { layer, outcome: 'unchanged' })
    refuseUnaligned(expander, size)
    const growth = intended?.size === size ? intended : { size, requestId: crypto.randomUUID() }
    intended = growth
    const request = { size, options: handle.options, requestId: growth.requestId, ...(signal && { signal }) }
    // Whoever waits for its turn is looked at along with those that grow.
    await paced(() => expander.expand(ref, request), signal, true)
    if (intended === growth) intended = undefined
  }

  async function paced<Result>(
    mutation: () => Promise<Result>,
    signal: AbortSignal | undefined,
    rides = false,
  ): Promise<Result> {
    return await withScope(
      clock,
      expander.name,
      identity.scope,
      expander.capabilities,
      async ({ batcher, expandPacer }) => {
        let epoch = 0
        return await retrying(
          async () => {
            const leave = rides ? batcher.ride(expander, identity.key, ref) : undefined
            epoch = await expandPacer.take(signal).finally(leave)
            return await orAborted(asked(expander, mutation), signal, { layer, outcome: 'unknown' })
          },
          {
            ...{ clock, random, signal, layer },
            onThrottled: (error) => expandPacer.slowDown(error.retryAfter ?? defaultPause, epoch),
          },
        )
      },
    )
  }

  const { snapshots } = expander
  if (snapshots === undefined) return { read, follow, expand }
  return {
    ...{ read, follow, expand },
    snapshots: {
      async create(name, signal) {
        refuseAborted(signal, { layer, outcome: 'unchanged' })
        const requestId = crypto.randomUUID()
        return await paced(() => snapshots.create(ref, { name, requestId, ...(signal && { signal }) }), signal)
      },
      async read(id, signal) {
        const look = (): Promise<SnapshotState> => snapshots.read(ref, id, signal === undefined ? {} : { signal })
        return await orAborted(asked(expander, look), signal, { layer, outcome: 'unchanged' })
      },
    },
  }
}

type Expander = VolumeExpander<unknown, unknown>

async function asked<Result>(expander: Expander, call: () => Promise<Result>): Promise<Result> {
  try {
    return await call()
  } catch (thrown) {
    // What a foreign error leaves behind is not known, and it is never repeated.
    const outcome: Outcome = thrown instanceof VolumeExpansionError ? thrown.outcome : 'unknown'
    const remedy = 'Look at the volume before asking again, and report this to whoever made the provider.'
    const error = asExpansionError(thrown, { layer: 'volume', provider: expander.name, outcome, remedy })
    throw error.provider === undefined ? error.with({ provider: expander.name }) : error
  }
}

function refuseUnaligned(expander: Expander, size: Bytes): void {
  const { granularity } = expander.capabilities
  if (size > 0n && size % granularity === 0n) return
  throw new VolumeExpansionError(
    'invalid-size',
    `${size} bytes is not a multiple of ${granularity} bytes, the unit in which ${expander.name} grows volumes.`,
    {
      layer: 'volume',
      provider: expander.name,
      outcome: 'unchanged',
      remedy: 'Round the size up to that unit before asking for it.',
    },
  )
}
