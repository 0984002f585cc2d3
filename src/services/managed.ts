import type { Clock, Random } from '../clock.ts'
import { asExpansionError, type Outcome, VolumeExpansionError } from '../errors.ts'
import type { SnapshotState, VolumeExpander, VolumeHandle, VolumeState } from '../expander.ts'
import type { Bytes } from '../size.ts'
import type { PollSchedule, Rounds, RoundWatcher } from '../wait.ts'
import { orAborted, refuseAborted } from './abortable.ts'
import { defaultPause } from './pacing.ts'
import { type RetryOptions, retrying } from './retry.ts'
import { enterScope, exitScope, type ScopeServices, withScope } from './scope.ts'

/** One volume with the core's services around its provider: batching, pacing, retries. */
export interface ManagedVolume {
  /** The state now, by a request that it may share with other volumes of its scope. */
  read(signal?: AbortSignal): Promise<VolumeState>
  /** The way to look at a growth under way, whose looks are shared with all others that are followed meanwhile, until {@link Looks.end}. */
  follow(): Looks
  /** Asks for at least `size` bytes; paced and repeated by error class, with one request id for every try. */
  expand(size: Bytes, signal?: AbortSignal): Promise<void>
  /** Undefined: its provider makes none. */
  readonly snapshots: ManagedSnapshots | undefined
}

export interface ManagedSnapshots {
  /** Begins one, paced like a growth and repeated by error class, with one request id for every try. @returns its id */
  create(name: string, signal?: AbortSignal): Promise<string>
  read(id: string, signal?: AbortSignal): Promise<SnapshotState>
}

/** How a growth is looked at until it is over: in rounds with all others that are followed meanwhile. */
export interface Looks extends Rounds<VolumeState> {
  /** Milliseconds before the first look. */
  readonly delay: number
  readonly schedule: PollSchedule
  /** It is over: to be called once. */
  end(): void
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
  return new Managed(handle, dependencies)
}

const layer = 'volume'

/** One for each volume that is grown: its methods are shared, since ten thousand may be grown at once. */
class Managed implements ManagedVolume {
  readonly #handle: VolumeHandle
  readonly #dependencies: ManagedDependencies
  // Kept when a call fails: a caller that asks for the same size again means the same growth, and the backend may have accepted it.
  #intended: { readonly size: Bytes; readonly requestId: string } | undefined

  constructor(handle: VolumeHandle, dependencies: ManagedDependencies) {
    this.#handle = handle
    this.#dependencies = dependencies
  }

  async read(signal?: AbortSignal): Promise<VolumeState> {
    const { expander, ref, identity } = this.#handle
    return await this.#within(({ batcher }) =>
      retrying(() => batcher.read(expander, identity.key, ref, signal), this.#how(signal)),
    )
  }

  follow(): Looks {
    const { expander, identity } = this.#handle
    return new Followed(
      this.#handle,
      enterScope(this.#dependencies.clock, expander.name, identity.scope, expander.capabilities),
    )
  }

  async expand(size: Bytes, signal?: AbortSignal): Promise<void> {
    const { expander, ref, options } = this.#handle
    refuseAborted(signal, { layer, outcome: 'unchanged' })
    refuseUnaligned(expander, size)
    const growth = this.#intended?.size === size ? this.#intended : { size, requestId: crypto.randomUUID() }
    this.#intended = growth
    const request = { size, options, requestId: growth.requestId, ...(signal && { signal }) }
    // Whoever waits for its turn is looked at along with those that grow.
    await this.#paced(() => expander.expand(ref, request), signal, true)
    if (this.#intended === growth) this.#intended = undefined
  }

  get snapshots(): ManagedSnapshots | undefined {
    const { expander, ref } = this.#handle
    const { snapshots } = expander
    if (snapshots === undefined) return undefined
    return {
      create: async (name, signal) => {
        refuseAborted(signal, { layer, outcome: 'unchanged' })
        const requestId = crypto.randomUUID()
        return await this.#paced(() => snapshots.create(ref, { name, requestId, ...(signal && { signal }) }), signal)
      },
      read: async (id, signal) => {
        const look = (): Promise<SnapshotState> => snapshots.read(ref, id, signal === undefined ? {} : { signal })
        return await orAborted(asked(expander, look), signal, { layer, outcome: 'unchanged' })
      },
    }
  }

  async #paced<Result>(
    mutation: () => Promise<Result>,
    signal: AbortSignal | undefined,
    rides = false,
  ): Promise<Result> {
    const { expander, ref, identity } = this.#handle
    return await this.#within(async ({ batcher, expandPacer }) => {
      let epoch = 0
      return await retrying(
        async () => {
          const leave = rides ? batcher.ride(expander, identity.key, ref) : undefined
          epoch = await expandPacer.take(signal).finally(leave)
          return await orAborted(asked(expander, mutation), signal, { layer, outcome: 'unknown' })
        },
        {
          ...this.#how(signal),
          onThrottled: (error) => expandPacer.slowDown(error.retryAfter ?? defaultPause, epoch),
        },
      )
    })
  }

  #within<T>(use: (services: ScopeServices) => Promise<T>): Promise<T> {
    const { expander, identity } = this.#handle
    return withScope(this.#dependencies.clock, expander.name, identity.scope, expander.capabilities, use)
  }

  #how(signal: AbortSignal | undefined): RetryOptions {
    const { clock, random } = this.#dependencies
    return { clock, random, signal, layer }
  }
}

/** The rounds of a scope, as far as one volume is concerned. */
class Followed implements Looks {
  readonly #handle: VolumeHandle
  readonly #services: ScopeServices

  constructor(handle: VolumeHandle, services: ScopeServices) {
    this.#handle = handle
    this.#services = services
    services.batcher.enter()
  }

  get delay(): number {
    return this.#handle.expander.capabilities.poll?.first ?? 0
  }

  get schedule(): PollSchedule {
    return this.#handle.expander.capabilities.poll ?? {}
  }

  isOn(): boolean {
    return this.#services.batcher.sharesRounds
  }

  join(watcher: RoundWatcher<VolumeState>): void {
    const { expander, ref, identity } = this.#handle
    this.#services.batcher.watch(expander, identity.key, ref, watcher)
  }

  leave(watcher: RoundWatcher<VolumeState>): void {
    this.#services.batcher.leave(watcher)
  }

  end(): void {
    this.#services.batcher.exit()
    exitScope(this.#services)
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
