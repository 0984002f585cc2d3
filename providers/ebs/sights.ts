import { VolumeExpansionError } from '../../src/errors.ts'
import type { Ec2Calls, SdkModification, SdkVolume } from './client.ts'
import { type Ec2ActionName, ec2Error, nativeCode, providerName } from './errors.ts'
import { isUnderWay, newestOf, type Sight } from './state.ts'

/** The most ids that DescribeVolumes and DescribeVolumesModifications take. */
const mostIds = 500
/** The most values that a filter takes. */
const mostValues = 200
/** Milliseconds for which what was seen last may stand for what is there, when a modification is about to be asked for. */
const freshness = 30_000

interface Memory {
  seen?: Sight
  seenAt?: number
  /** When the modification began that this process asked for or joined, in milliseconds since 1970. */
  awaited?: number
}

export type Seen = Sight | VolumeExpansionError

/** What this process sees of the volumes of one scope, with as few calls as possible, and remembers for a short while. */
export class Sights {
  readonly calls: Ec2Calls
  readonly #now: () => number
  readonly #memory = new Map<string, Memory>()
  /** Whether the last look at modifications under way found some that had come further: the next one may as well. */
  #someAreReady = true
  #gathering: { readonly ids: Set<string>; readonly seen: Promise<ReadonlyMap<string, Seen>> } | undefined

  constructor(calls: Ec2Calls, now: () => number = () => performance.now()) {
    this.calls = calls
    this.#now = now
  }

  awaited(id: string): number | undefined {
    return this.#memory.get(id)?.awaited
  }

  /** Whether a modification of one of them was seen to be under way. */
  isFollowing(ids: readonly string[]): boolean {
    return ids.some((id) => isUnderWay(this.#memory.get(id)?.seen?.newest))
  }

  /** From now on the failure of this modification is the volume's. */
  await(id: string, modification: SdkModification | undefined): void {
    const memory = this.#of(id)
    if (modification?.startedAt !== undefined) memory.awaited = modification.startedAt
  }

  /** A modification was accepted just now. */
  accepted(id: string, modification: SdkModification | undefined): void {
    this.await(id, modification)
    const { seen } = this.#of(id)
    if (seen === undefined || modification === undefined) {
      this.forget(id)
      return
    }
    const { volume } = seen
    const starts = modification.startedAt === undefined ? seen.starts : seen.starts.concat(modification.startedAt)
    this.#remember(id, { volume, newest: modification, starts })
  }

  /** What was seen is no longer to be relied on. */
  forget(id: string): void {
    const memory = this.#memory.get(id)
    if (memory !== undefined) delete memory.seen
  }

  #remember(id: string, sight: Sight): void {
    const memory = this.#of(id)
    memory.seen = sight
    memory.seenAt = this.#now()
  }

  #of(id: string): Memory {
    const memory = this.#memory.get(id) ?? {}
    this.#memory.set(id, memory)
    return memory
  }

  /** What was seen a short while ago, or is there now; looks of the same moment are one. */
  async recent(id: string): Promise<Seen> {
    const { seen, seenAt = Number.NEGATIVE_INFINITY } = this.#memory.get(id) ?? {}
    if (seen !== undefined && this.#now() - seenAt <= freshness) return seen
    return await this.now(id)
  }

  /** What is there now; looks of the same moment are one. It has no signal, since others may wait for it too. */
  async now(id: string): Promise<Seen> {
    if (this.#gathering === undefined) {
      const ids = new Set<string>()
      const seen = new Promise((resolve) => setImmediate(resolve)).then(() => {
        this.#gathering = undefined
        this.#accompany(ids)
        return this.look([...ids])
      })
      this.#gathering = { ids, seen }
    }
    const { ids, seen } = this.#gathering
    ids.add(id)
    return (await seen).get(id) ?? missing(id)
  }

  /**
   * Adds the volumes that come next, as far as they fit into the same calls: where growths have to wait for their turn, each would be looked at again before it, by two calls
   * of its own. They come in the order in which they were first seen.
   */
  #accompany(ids: Set<string>): void {
    const now = this.#now()
    let isNext = false
    for (const [id, { seen, seenAt = now, awaited }] of this.#memory) {
      if (ids.size >= mostValues) return
      isNext ||= ids.has(id)
      const isStale = seen !== undefined && now - seenAt > freshness / 2
      if (isNext && isStale && awaited === undefined && !isUnderWay(seen.newest)) ids.add(id)
    }
  }

  /**
   * Looks at volumes. Of those whose modification is known to be under way only the modification is looked at, and the volume itself when that has come further: a
   * round of looks at many is one call until some are ready, and two then. Where some are expected to be, and one call holds all, both are made at once: the answer is there
   * sooner by one of them, so that the look may come later, and shows more.
   */
  async look(ids: readonly string[], signal?: AbortSignal): Promise<ReadonlyMap<string, Seen>> {
    const followed = ids.filter((id) => isUnderWay(this.#memory.get(id)?.seen?.newest))
    const known = new Set(followed)
    const others = ids.filter((id) => !known.has(id))
    const isAtOnce = followed.length === 0 || (followed.length > 1 && this.#someAreReady && ids.length <= mostValues)
    const looking = isAtOnce ? this.#volumes(ids, signal) : undefined
    looking?.catch(() => {})
    const modifications = await this.#modifications(followed, others, signal)
    const unchanged = new Set(followed.filter((id) => isUnderWay(newestOf(modifications.get(id) ?? []))))
    if (followed.length > 0) this.#someAreReady = unchanged.size < followed.length
    const volumes = await (looking ??
      this.#volumes(
        ids.filter((id) => !unchanged.has(id)),
        signal,
      ))
    return new Map(
      ids.map((id): [string, Seen] => {
        const volume = volumes.get(id) ?? (unchanged.has(id) ? this.#memory.get(id)?.seen?.volume : undefined)
        if (volume === undefined) {
          this.#memory.delete(id)
          return [id, missing(id)]
        }
        const history = modifications.get(id) ?? []
        if (!isDescribed(volume, newestOf(history))) {
          this.#memory.delete(id)
          return [id, undescribed(id)]
        }
        const starts = startsOf(history)
        const sight = { volume, newest: newestOf(history), starts }
        this.#remember(id, sight)
        return [id, sight]
      }),
    )
  }

  /** Ids cost the fewest calls; when one of them is missing, which fails such a call, a filter leaves it out. */
  async #volumes(ids: readonly string[], signal: AbortSignal | undefined): Promise<ReadonlyMap<string, SdkVolume>> {
    const some = async (part: readonly string[]): Promise<readonly SdkVolume[]> => {
      try {
        return await this.calls.volumesByIds(part, signal)
      } catch (thrown) {
        if (!nativeCode(thrown).startsWith('InvalidVolume')) throw thrown
        return await inParts(part, mostValues, (values) => this.calls.volumesByFilter(values, signal))
      }
    }
    const found = await named('DescribeVolumes', ids, signal, () => inParts(ids, mostIds, some))
    return new Map(found.flatMap((volume) => (volume.VolumeId === undefined ? [] : [[volume.VolumeId, volume]])))
  }

  /** One id that was never modified fails a call with ids; a filter leaves it out, and takes fewer. */
  async #modifications(
    followed: readonly string[],
    others: readonly string[],
    signal: AbortSignal | undefined,
  ): Promise<ReadonlyMap<string, readonly SdkModification[]>> {
    const filtered = (ids: readonly string[]): Promise<readonly SdkModification[]> =>
      inParts(ids, mostValues, (values) => this.calls.modificationsByFilter(values, signal))
    const some = async (part: readonly string[]): Promise<readonly SdkModification[]> => {
      try {
        return await this.calls.modificationsByIds(part, signal)
      } catch (thrown) {
        if (!nativeCode(thrown).startsWith('InvalidVolume')) throw thrown
        return await filtered(part)
      }
    }
    const all = [...followed, ...others]
    const found = await named('DescribeVolumesModifications', all, signal, async () => {
      if (all.length <= mostValues) return await filtered(all)
      return (await Promise.all([inParts(followed, mostIds, some), filtered(others)])).flat()
    })
    const byId = new Map<string, SdkModification[]>()
    for (const modification of found) {
      const { VolumeId: id = '' } = modification
      const list = byId.get(id) ?? []
      byId.set(id, list)
      list.push(modification)
    }
    return byId
  }
}

const noStarts: readonly number[] = []

function startsOf(history: readonly SdkModification[]): readonly number[] {
  // Hardly ever more than one; a list that was filtered, or pushed to, has room for more.
  const starts = history.map(({ startedAt }) => startedAt).filter((start) => start !== undefined)
  return starts.length === 0 ? noStarts : starts.slice()
}

async function inParts<Item>(
  ids: readonly string[],
  most: number,
  call: (part: readonly string[]) => Promise<readonly Item[]>,
): Promise<readonly Item[]> {
  const parts: (readonly string[])[] = []
  for (let start = 0; start < ids.length; start += most) parts.push(ids.slice(start, start + most))
  return (await Promise.all(parts.map(call))).flat()
}

async function named<Result>(
  action: Ec2ActionName,
  ids: readonly string[],
  signal: AbortSignal | undefined,
  call: () => Promise<Result>,
): Promise<Result> {
  const [first = 'no volume'] = ids
  const about = ids.length > 1 ? `${first} and ${ids.length - 1} more` : first
  try {
    return await call()
  } catch (thrown) {
    throw ec2Error(thrown, action, about, signal)
  }
}

/** Whether sizes are told: the volume's own, and of a modification under way the one that can still be used. */
function isDescribed({ Size }: SdkVolume, newest: SdkModification | undefined): boolean {
  return Size !== undefined && (!isUnderWay(newest) || newest?.OriginalSize !== undefined)
}

function undescribed(id: string): VolumeExpansionError {
  return new VolumeExpansionError('backend-unreachable', `EC2 described ${id} in a way that is not understood.`, {
    ...{ layer: 'volume', provider: providerName, outcome: 'unchanged', retryable: true },
    remedy: 'See whether the endpoint is that of EC2, and what stands between here and there.',
  })
}

function missing(id: string): VolumeExpansionError {
  return new VolumeExpansionError('not-found', `There is no EBS volume ${id} in this region.`, {
    ...{ layer: 'volume', provider: providerName, outcome: 'unchanged' },
    remedy: 'Check the id, the region and the account.',
  })
}
