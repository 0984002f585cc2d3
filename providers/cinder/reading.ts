import { VolumeExpansionError } from '../../src/errors.ts'
import { GiB } from '../../src/size.ts'
import { type CinderApi, described, type GrowthMessage, messageCodes, microversions, newestAbout } from './client.ts'
import { type Fields, textOf } from './json.ts'
import { type Asked, isSettled, sizeOf, statusOf } from './state.ts'

/** Up to so many volumes are asked for one by one, and so many at a time. */
const few = 8
/** As many as a server gives at the most, unless it was set up otherwise (osapi_max_limit). */
const pageSize = 1000
/** Milliseconds by which the clocks of Cinder's machines may differ before a volume is asked for by its id after all. */
const skew = 5_000

/** What one process remembers of a project. It decides how volumes are asked for, and never what they are. */
export class Memory {
  readonly #asked = new Map<string, Asked>()
  /** How many pages the volumes of the project filled when they were last listed. */
  pages = 1

  asked(id: string): Asked | undefined {
    return this.#asked.get(id)
  }

  remember(id: string, asked: Asked): void {
    this.#asked.delete(id)
    this.#asked.set(id, asked)
    // Whoever asks and never looks again must not fill the memory.
    const [oldest] = this.#asked.keys()
    if (this.#asked.size > 10_000 && oldest !== undefined) this.#asked.delete(oldest)
  }

  forget(id: string): void {
    this.#asked.delete(id)
  }
}

/** The volumes as they are now, or the error that one of them alone has. */
export type Found = ReadonlyMap<string, Fields | VolumeExpansionError>

/**
 * Reads volumes with few calls. The API has no filter by ids: a few are asked for one by one, many are picked from the list of the project. Volumes whose growth was
 * asked for are picked from the list of those that have changed since, which they are part of, as long as the server can tell.
 */
export async function readVolumes(
  api: CinderApi,
  memory: Memory,
  ids: readonly string[],
  signal: AbortSignal | undefined,
): Promise<Found> {
  const found = new Map<string, Fields | VolumeExpansionError>()
  const missing = (): readonly string[] => ids.filter((id) => !found.has(id))
  const since = ids.length > 1 ? changedSince(ids, memory) : undefined
  if (since !== undefined && (await api.version(signal)) >= microversions.timeFilters) {
    await list(api, ids, found, since, signal)
  }
  if (missing().length > few * memory.pages) memory.pages = await list(api, missing(), found, undefined, signal)
  const rest = [...missing()]
  const worker = async (): Promise<void> => {
    for (let id = rest.shift(); id !== undefined; id = rest.shift()) found.set(id, await readOne(api, id, signal))
  }
  await Promise.all(Array.from({ length: Math.min(few, rest.length) }, worker))
  return found
}

/** When the first of the growths was accepted; undefined unless all of the volumes are growing by this process. */
function changedSince(ids: readonly string[], memory: Memory): number | undefined {
  const times = ids.map((id) => memory.asked(id)?.at)
  return times.every((time) => time !== undefined) ? Math.min(...times) - skew : undefined
}

/** Picks volumes from a list, until all are found or it ends; returns how many pages it has as far as it was read. */
async function list(
  api: CinderApi,
  ids: readonly string[],
  found: Map<string, Fields | VolumeExpansionError>,
  since: number | undefined,
  signal: AbortSignal | undefined,
): Promise<number> {
  const wanted = new Set(ids)
  let marker: string | undefined
  for (let pages = 1; ; pages += 1) {
    const page = await api.volumes(
      { limit: pageSize, ...(marker && { marker }), ...(since !== undefined && { changedSince: since }) },
      signal,
    )
    for (const volume of page.volumes) {
      const id = textOf(volume['id'])
      if (id !== undefined && wanted.delete(id)) found.set(id, orRefusal(id, volume))
    }
    const last = textOf(page.volumes.at(-1)?.['id'])
    if (wanted.size === 0 || !page.more || last === undefined || last === marker) return pages
    marker = last
  }
}

function orRefusal(id: string, volume: Fields): Fields | VolumeExpansionError {
  try {
    return described(id, volume)
  } catch (error) {
    if (error instanceof VolumeExpansionError) return error
    throw error
  }
}

async function readOne(
  api: CinderApi,
  id: string,
  signal: AbortSignal | undefined,
): Promise<Fields | VolumeExpansionError> {
  try {
    return await api.volume(id, signal)
  } catch (error) {
    if (error instanceof VolumeExpansionError && error.code === 'not-found') return error
    throw error
  }
}

/** What is worth a further call for a volume in its state. */
function needsMessages(volume: Fields, asked: Asked | undefined): boolean {
  if (statusOf(volume) === 'error_extending') return true
  if (!isSettled(volume)) return false
  // Either dropped after it was accepted, or ended without Nova having been told.
  return isShort(volume, asked) || statusOf(volume) === 'in-use'
}

function isShort(volume: Fields, asked: Asked | undefined): boolean {
  return asked !== undefined && isSettled(volume) && sizeOf(volume) < BigInt(asked.gibibytes) * GiB
}

/** The newest message about the growth of each of the volumes that has one. */
export async function readMessages(
  api: CinderApi,
  memory: Memory,
  volumes: ReadonlyMap<string, Fields>,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, GrowthMessage>> {
  const needed = [...volumes].filter(([id, volume]) => needsMessages(volume, memory.asked(id)))
  const failed = needed.filter(([id, volume]) => statusOf(volume) !== 'in-use' || isShort(volume, memory.asked(id)))
  const filters =
    needed.length <= 2
      ? needed.map(([id]) => ({ resource_uuid: id }))
      : [
          ...(failed.length > 0 ? [{ resource_type: 'VOLUME' }] : []),
          ...(failed.length < needed.length ? [{ event_id: messageCodes.notPassedOn }] : []),
        ]
  const lists = await Promise.all(filters.map((filter) => api.messages(filter, signal)))
  const messages = lists.flatMap((list) => list ?? [])
  return new Map(
    needed.flatMap(([id]): [string, GrowthMessage][] => {
      const message = newestAbout(id, messages)
      return message === undefined ? [] : [[id, message]]
    }),
  )
}
