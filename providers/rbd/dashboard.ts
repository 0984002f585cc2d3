import { type Clock, systemClock } from '../../src/clock.ts'
import { VolumeExpansionError } from '../../src/errors.ts'
import { abortableSleep } from '../../src/services/abortable.ts'
import { type HttpAnswer, type HttpClient, httpClient } from '../../src/services/http.ts'
import { type Bytes, bytes, maxSize } from '../../src/size.ts'
import type { ClientOptions, ClusterFacts, ImageFacts, PoolFacts, RbdClient, Reading, Refusal } from './client.ts'
import { answerError } from './dashboard-errors.ts'
import { type Session, sessionOf } from './dashboard-session.ts'
import { providerName, rbdError } from './errors.ts'
import { items, member, text, whole } from './json.ts'
import { type ImageName, specOf } from './ref.ts'

/** The REST API of Ceph's manager. */
export interface RbdDashboard {
  /** Such as `https://mgr.example.com:8443`. */
  readonly url: string
  readonly username: string
  /** A function is called for each login, and may ask a store of secrets. */
  readonly password: string | (() => string | Promise<string>)
  /**
   * Allows to grow by an API that sets whatever size it is told, smaller ones included: when another tool grows the image between the look at it and the
   * request, that growth is taken back, with what was written there. Left out: images are read and never grown.
   */
  readonly allowUnguardedResize?: boolean
  /** Milliseconds for one request. Left out: 30 000. */
  readonly timeout?: number
  /** Certificates (PEM) of authorities to trust; the dashboard's own is often signed by itself. */
  readonly ca?: string
  /** The client to speak HTTP through; `ca` and `timeout` are its own then. */
  readonly client?: HttpClient
}

const unguarded: Refusal = {
  message:
    "the dashboard's API resizes to whatever it is told, so that a growth by another tool in the same moment would be taken back.",
  remedy: 'Give `cluster` instead, which is guarded; or set `allowUnguardedResize: true` where nothing else resizes.',
}

/** Features by their bits (include/rbd/features.h) that the API does not name. */
const migratingBit = 1n << 9n
const nonPrimaryBit = 1n << 10n
/** Requests under way at once: the manager works on few, and others need it too. */
const concurrency = 4
/** For how long an edit that the manager has put off is asked about; after that the size tells. */
const taskPatience = 60_000
const clusterMemory = 5_000

/** @throws {TypeError} for a URL that is none, a user name or password that is missing */
export function dashboardClient(dashboard: RbdDashboard, clock: Clock = systemClock): RbdClient {
  const { url, username, password, allowUnguardedResize = false, timeout, ca } = dashboard
  const base = baseOf(url)
  if (typeof username !== 'string' || username === '') throw new TypeError('`username` is missing.')
  if (typeof password !== 'function' && (typeof password !== 'string' || password === '')) {
    throw new TypeError('`password` is a string or a function that gives one.')
  }
  const http = dashboard.client ?? httpClient({ provider: providerName, timeout, ca })
  const session = sessionOf({ http, base, username, password })
  const remembered = new Map<string, { readonly at: number; readonly facts: PoolFacts | undefined }>()
  let fsid: string | undefined

  async function image(name: ImageName, signal: AbortSignal | undefined): Promise<ImageFacts> {
    const answer = await session.send({ method: 'GET', path: pathOf(name), signal })
    if (answer.status !== 200) throw answerError(answer, specOf(name), 'unchanged')
    return factsIn(answer, specOf(name))
  }

  async function pool(name: string, signal: AbortSignal | undefined): Promise<PoolFacts | undefined> {
    const known = remembered.get(name)
    if (known !== undefined && clock.now() - known.at < clusterMemory) return known.facts
    const answer = await session.send({
      ...{ method: 'GET', path: `/api/pool/${encodeURIComponent(name)}?stats=true`, signal },
    })
    // A role may see images and no pools: their room is then unknown.
    const facts = answer.status === 200 ? poolIn(answer.json(), name) : undefined
    remembered.set(name, { at: clock.now(), facts })
    return facts
  }

  async function cluster(names: readonly ImageName[], signal: AbortSignal | undefined): Promise<ClusterFacts> {
    const pools = new Map<string, PoolFacts>()
    for (const name of new Set(names.map((each) => each.pool))) {
      const facts = await pool(name, signal)
      if (facts !== undefined) pools.set(name, facts)
    }
    fsid ??= await fsidOf(session, signal)
    return { pools, ...(fsid === undefined ? {} : { fsid }) }
  }

  async function read(names: readonly ImageName[], { signal }: ClientOptions): Promise<Reading> {
    const images = await inTurns(names, concurrency, async (name) => {
      try {
        return await image(name, signal)
      } catch (error) {
        // What concerns this image alone is its entry; what concerns the API would fail for every other image too.
        if (error instanceof VolumeExpansionError && isAboutOne(error)) return error
        throw error
      }
    })
    return { images, cluster: await cluster(names, signal) }
  }

  // Between the look and the request nobody of this process comes in: the later one of two would take back what the earlier one has grown.
  const turns = new Map<string, Promise<unknown>>()
  function grow(name: ImageName, size: Bytes, options: ClientOptions): Promise<Bytes | undefined> {
    const spec = specOf(name)
    const turn = (turns.get(spec) ?? Promise.resolve()).then(() => growNow(name, size, options))
    const ended = turn
      .catch(() => undefined)
      .then(() => {
        if (turns.get(spec) === ended) turns.delete(spec)
      })
    turns.set(spec, ended)
    return turn
  }

  async function growNow(name: ImageName, size: Bytes, { signal }: ClientOptions): Promise<Bytes | undefined> {
    const spec = specOf(name)
    const before = await image(name, signal)
    if (before.size >= size) return before.size
    if (before.mirror === 'non-primary' || before.migration !== undefined) {
      throw rbdError('wrong-state', `${spec} is a mirror that is not the primary one, or is being migrated.`, {
        outcome: 'unchanged',
        remedy: 'Grow the primary image, or end the migration first.',
      })
    }
    // The API takes a JSON number; the parts of the size that it could not hold are far beyond any image.
    const answer = await session.send({ method: 'PUT', path: pathOf(name), body: { size: Number(size) }, signal })
    if (answer.status === 202) await task(spec, signal)
    else if (answer.status !== 200) throw answerError(answer, spec, 'unknown')
    return (await remeasured(name, signal)).size
  }

  async function remeasured(name: ImageName, signal: AbortSignal | undefined): Promise<ImageFacts> {
    try {
      return await image(name, signal)
    } catch (error) {
      throw error instanceof VolumeExpansionError ? error.with({ outcome: 'unknown' }) : error
    }
  }

  /** Waits for an edit that takes the manager longer than it lets a request wait. */
  async function task(spec: string, signal: AbortSignal | undefined): Promise<void> {
    const end = clock.now() + taskPatience
    while (clock.now() < end) {
      const answer = await session.send({ method: 'GET', path: '/api/task?name=rbd/edit', signal })
      const tasks = answer.status === 200 ? answer.json() : undefined
      const own = (kind: string): unknown =>
        items(member(tasks, kind)).find((each) => member(member(each, 'metadata'), 'image_spec') === spec)
      const [executing, finished] = [own('executing_tasks'), own('finished_tasks')]
      if (executing === undefined && finished !== undefined && member(finished, 'success') === false) {
        const detail = text(member(member(finished, 'exception'), 'detail')) ?? 'without a word'
        throw rbdError('backend-failed', `The dashboard could not resize ${spec}: ${detail}`, {
          outcome: 'unknown',
          remedy: 'Look at the health of the cluster (ceph -s), and run this again: it observes first.',
        })
      }
      if (executing === undefined) return
      await abortableSleep(clock, 500, signal, { layer: 'volume', outcome: 'unknown' })
    }
  }

  const scope = JSON.stringify(['dashboard', base, username, allowUnguardedResize])
  return { scope, read, grow, ...(allowUnguardedResize ? {} : { refusal: unguarded }) }
}

function baseOf(url: unknown): string {
  const parsed = typeof url === 'string' && URL.canParse(url) ? new URL(url) : undefined
  if (parsed === undefined || !/^https?:$/.test(parsed.protocol) || parsed.username !== '' || parsed.password !== '') {
    throw new TypeError(
      '`url` is the address of the dashboard, such as https://mgr.example.com:8443, without credentials.',
    )
  }
  return `${parsed.origin}${parsed.pathname.replace(/\/+$/, '')}`
}

function pathOf(name: ImageName): string {
  return `/api/block/image/${encodeURIComponent(specOf(name))}`
}

function isAboutOne({ code }: VolumeExpansionError): boolean {
  return code === 'not-found' || code === 'wrong-state'
}

function factsIn(answer: HttpAnswer, spec: string): ImageFacts {
  const seen = answer.json()
  const size = whole(member(seen, 'size'))
  // Without its features it is not known whether the image is a mirror.
  const bits = whole(member(seen, 'features'))
  if (size === undefined || size > maxSize || bits === undefined) {
    throw rbdError('backend-unreachable', `What the dashboard says of ${spec} cannot be read.`, {
      outcome: 'unchanged',
      remedy: 'See whether the address is that of the API of Ceph’s manager.',
    })
  }
  const id = text(member(seen, 'id'))
  const used = whole(member(seen, 'disk_usage'))
  return {
    size: bytes(size),
    features: items(member(seen, 'features_name')).filter((name) => typeof name === 'string'),
    objectSize: whole(member(seen, 'obj_size')) ?? 0n,
    ...(id === undefined ? {} : { id }),
    ...((bits & nonPrimaryBit) === 0n ? {} : { mirror: 'non-primary' as const }),
    ...((bits & migratingBit) === 0n ? {} : { migration: 'migrating' }),
    ...(used === undefined ? {} : { used: bounded(used) }),
  }
}

function poolIn(seen: unknown, name: string): PoolFacts | undefined {
  const latest = (stat: string): bigint | undefined => whole(member(member(member(seen, 'stats'), stat), 'latest'))
  const [free, stored] = [latest('max_avail'), latest('stored')]
  if (free === undefined || stored === undefined) return undefined
  const quota = whole(member(seen, 'quota_max_bytes')) ?? 0n
  const left = quota === 0n ? free : quota > stored ? quota - stored : 0n
  const flag = (text(member(seen, 'flags_names')) ?? '').split(',').find((each) => /^(?:near|backfill)?full/.test(each))
  return {
    available: bounded(left < free ? left : free),
    stored: bounded(stored),
    ...(flag === undefined ? {} : { trouble: `pool '${name}' has the flag ${flag}` }),
  }
}

function bounded(value: bigint): Bytes {
  return value < maxSize ? bytes(value) : maxSize
}

/** The id of the cluster, by which a host's device is recognised; a role may see images and no monitors. */
async function fsidOf(session: Session, signal: AbortSignal | undefined): Promise<string | undefined> {
  const answer = await session.send({ method: 'GET', path: '/api/monitor', signal })
  if (answer.status !== 200) return undefined
  return text(member(member(member(answer.json(), 'mon_status'), 'monmap'), 'fsid'))
}

/** All of them in their order, only so many at once. */
async function inTurns<From, To>(
  all: readonly From[],
  atOnce: number,
  each: (item: From) => Promise<To>,
): Promise<readonly To[]> {
  const results: To[] = []
  for (let start = 0; start < all.length; start += atOnce) {
    results.push(...(await Promise.all(all.slice(start, start + atOnce).map(each))))
  }
  return results
}
