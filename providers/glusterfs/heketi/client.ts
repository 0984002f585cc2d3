import { createHash, createHmac } from 'node:crypto'
import { type Outcome, VolumeExpansionError } from '../../../src/errors.ts'
import { type HttpAnswer, type HttpClient, httpClient, retryAfterOf } from '../../../src/services/http.ts'
import { GiB, maxSize } from '../../../src/size.ts'
import { failure, providerName } from '../errors.ts'
import { heketiError } from './errors.ts'

export interface HeketiOptions {
  /** Such as `https://heketi.storage:8080`. */
  readonly url: string
  /** `admin`, who alone may expand; `user` may hardly do anything. Left out: `admin`. */
  readonly user?: string
  /** The user's key, or a function that gives it when it is needed. Never leaves this process. */
  readonly key: string | (() => string | Promise<string>)
  /** Certificates (PEM) of authorities to trust instead of the well-known ones. */
  readonly ca?: string
  /** A client of one's own. */
  readonly http?: HttpClient
}

/** Heketi keeps file volumes and block volumes apart. */
export type HeketiKind = 'volumes' | 'blockvolumes'

/** What Heketi knows of a volume. Sizes are GiB. */
export interface HeketiVolume {
  readonly id: string
  readonly name: string
  readonly size: number
  /** GiB of the largest brick; undefined where there are none. */
  readonly largestBrick?: number
  /** For block volumes: the name of the iSCSI target. */
  readonly iqn?: string
}

/** An entry of Heketi's queue. `gone`: there is none: its one answer was given already. */
export type QueueAnswer =
  | { readonly status: 'pending' | 'done' | 'gone' }
  | { readonly status: 'failed'; readonly reason: string }

export interface HeketiClient {
  readonly scope: string
  volume(kind: HeketiKind, id: string, signal: AbortSignal | undefined): Promise<HeketiVolume>
  /**
   * Asks for the growth of a volume that has `from` GiB to `to`. @returns the path of the queue's entry
   * @throws {VolumeExpansionError} with outcome `unknown` when the answer was lost
   */
  expand(kind: HeketiKind, id: string, from: number, to: number, signal: AbortSignal | undefined): Promise<string>
  queue(path: string, signal: AbortSignal | undefined): Promise<QueueAnswer>
  /** How many operations run; undefined when Heketi does not tell. */
  inFlight(signal: AbortSignal | undefined): Promise<number | undefined>
}

/** Seconds for which a token holds. Each request has one of its own, so that only the way to the server has to fit. */
const tokenLife = 120

export function heketiClient(options: HeketiOptions): HeketiClient {
  const { url, user = 'admin', key, ca } = options
  const base = baseOf(url)
  const prefix = base.pathname.replace(/\/+$/, '')
  const http = options.http ?? httpClient({ provider: providerName, ca })

  async function send(
    method: 'GET' | 'POST',
    path: string,
    signal: AbortSignal | undefined,
    body?: unknown,
  ): Promise<HttpAnswer> {
    const target = new URL(`${prefix}${path}`, base)
    const token = await signed(method, target.pathname)
    return http.send({
      ...{ method, url: target, signal, headers: { authorization: `bearer ${token}` } },
      ...(body === undefined ? {} : { body }),
    })
  }

  async function signed(method: string, path: string): Promise<string> {
    const secret = await secretOf(key)
    const now = Math.floor(Date.now() / 1000)
    // The token holds for one method and one path (Heketi's API, "Authentication Model").
    const qsh = createHash('sha256').update(`${method}&${path}`).digest('hex')
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
    const content = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ iss: user, iat: now, exp: now + tokenLife, qsh })}`
    return `${content}.${createHmac('sha256', secret).update(content).digest('base64url')}`
  }

  async function entry(path: string, signal: AbortSignal | undefined): Promise<QueueAnswer> {
    const answer = await send('GET', path, signal)
    // Where the redirect leads is read with a token of its own, so it is not followed here.
    if (answer.status === 303 || answer.status === 204) return { status: 'done' }
    if (answer.status === 200 && answer.headers['x-pending'] === 'true') return { status: 'pending' }
    if (answer.status === 404) return { status: 'gone' }
    if (answer.status === 500) return { status: 'failed', reason: answer.text.trim() }
    // Without the mark of its queue, 200 is not Heketi's.
    if (answer.status === 200) throw heketiError(503, answer.text, 'unchanged', undefined)
    throw refusal(answer, 'unchanged')
  }

  return {
    scope: `${base.origin}${prefix}#${user}`,
    async volume(kind, id, signal) {
      const answer = await send('GET', `/${kind}/${id}`, signal)
      if (answer.status !== 200) throw refusal(answer, 'unchanged')
      return volumeIn(answer.json(), id)
    },
    async expand(kind, id, from, to, signal) {
      // File volumes take what is to be added, block volumes the whole.
      const body = kind === 'volumes' ? { expand_size: to - from } : { new_size: to }
      const answer = await send('POST', `/${kind}/${id}/expand`, signal, body)
      const location = answer.headers.location
      if (answer.status === 202 && location !== undefined && URL.canParse(location, base.href)) {
        const { pathname } = new URL(location, base)
        // Only the path is used: the token is never sent to another server.
        if (/^\/(?:[\w.-]+\/)*queue\/[\w-]+$/.test(pathname)) return pathname.slice(prefix.length)
      }
      // A page of something in between may say 200 to what Heketi has accepted.
      const isRefusal = /^Failed to allocate/.test(answer.text) || (answer.status >= 400 && answer.status < 500)
      throw refusal(answer, isRefusal ? 'unchanged' : 'unknown')
    },
    async queue(path, signal) {
      const first = await entry(path, signal)
      if (first.status !== 'failed') return first
      // Heketi gives an answer once. Who says the same again is something in between, which knows nothing of the operation.
      const again = await entry(path, signal)
      if (again.status === 'gone') return first
      if (again.status !== 'failed') return again
      throw heketiError(503, again.reason, 'unchanged', undefined)
    },
    async inFlight(signal) {
      const answer = await send('GET', '/operations', signal)
      if (answer.status !== 200) return undefined
      const { in_flight: count } = record(answer.json())
      return typeof count === 'number' ? count : undefined
    },
  }
}

function refusal(answer: HttpAnswer, outcome: Outcome): VolumeExpansionError {
  return heketiError(answer.status, answer.text, outcome, retryAfterOf(answer.headers))
}

function baseOf(url: string): URL {
  const base = URL.canParse(url) ? new URL(url) : undefined
  if (base === undefined || !/^https?:$/.test(base.protocol) || base.username !== '' || base.password !== '') {
    throw new TypeError('`heketi.url` is an http or https URL without credentials, such as https://heketi:8080.')
  }
  return base
}

async function secretOf(key: HeketiOptions['key']): Promise<string> {
  try {
    const secret = typeof key === 'function' ? await key() : key
    if (typeof secret === 'string' && secret !== '') return secret
  } catch {
    // What a function of somebody else says may hold the key.
  }
  throw failure('authentication-failed', 'There is no key for Heketi.', 'unchanged', {
    remedy: 'Give `heketi.key`, or a function that returns it.',
  })
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {}
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

/** GiB that can be told in bytes below 2^63. */
function isSize(value: unknown): value is number {
  return isCount(value) && BigInt(value) <= maxSize / GiB
}

function volumeIn(value: unknown, asked: string): HeketiVolume {
  const { id, name, size, usablesize, bricks, blockvolume } = record(value)
  // Written by some versions only, and 0 where it is not known.
  const usable = (usablesize ?? 0) === 0 ? size : usablesize
  if (id !== asked || typeof name !== 'string' || !isSize(usable)) {
    throw new VolumeExpansionError(
      'backend-unreachable',
      'Heketi described a volume in a way that is not understood.',
      {
        ...{ layer: 'volume', provider: providerName, outcome: 'unchanged' },
        remedy: 'See whether the address is that of Heketi.',
      },
    )
  }
  // Bricks are counted in KiB.
  const sizes = (Array.isArray(bricks) ? bricks : []).map((brick) => record(brick)['size'])
  const { iqn } = record(blockvolume)
  return {
    ...{ id, name, size: usable },
    ...(sizes.length > 0 && sizes.every(isCount) ? { largestBrick: Math.max(...sizes) / 2 ** 20 } : {}),
    ...(typeof iqn === 'string' ? { iqn } : {}),
  }
}
