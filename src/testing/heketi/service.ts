import { type Clock, systemClock } from '../../clock.ts'
import { objectionTo } from './tokens.ts'

/** A volume of the emulator. Its id has 32 hexadecimal digits. */
export interface EmulatedHeketiVolume {
  /** GiB. */
  readonly size: number
  /** Left out: `vol_` and the id, as Heketi names it by itself. */
  readonly name?: string
  readonly block?: boolean
}

export interface HeketiEmulatorOptions {
  readonly adminKey: string
  readonly userKey?: string
  readonly volumes?: Readonly<Record<string, EmulatedHeketiVolume>>
  /** Left out: the system's. */
  readonly clock?: Clock
  /** Milliseconds that an operation takes. Left out: 0. */
  readonly operationTime?: number
  /** Operations at once, above which it is busy. Left out: 8, as Heketi has it. */
  readonly inFlight?: number
  /** GiB that are left on its devices. Left out: no end. */
  readonly free?: number
  /** Bricks that a file volume may have; each expansion adds three. Left out: no end. */
  readonly mostBricks?: number
  /** Milliseconds by which its clock is ahead. */
  readonly ahead?: number
}

/** A growth that it has accepted; `to` is what it will be if nothing else interferes. */
export interface HeketiMutation {
  readonly id: string
  readonly from: number
  readonly to: number
}

/** A request as it arrives. */
export interface HeketiRequest {
  readonly method: string
  /** With the query. */
  readonly path: string
  /** The header of that name. */
  readonly authorization: string | undefined
  readonly body: string
}

export interface HeketiAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly text: string
}

/** Heketi without a server. */
export interface HeketiService {
  /** What a request is answered with; undefined: the connection breaks. */
  answer(request: HeketiRequest): HeketiAnswer | undefined
  /** Every growth that it accepted, in order; those that failed later among them. */
  readonly mutations: readonly HeketiMutation[]
  /** Every request, with the status that was answered; 0 when the answer was lost. */
  readonly requests: readonly { readonly method: string; readonly path: string; readonly status: number }[]
  /** Every `Authorization` header that came. */
  readonly tokens: readonly string[]
  add(id: string, volume: EmulatedHeketiVolume): void
  /** GiB. */
  size(id: string): number
  /** Makes a volume larger as another client would. */
  grow(id: string, size: number): void
  /** The next operation fails on its executor, with this reason in the queue's answer. */
  failNext(reason: string): void
  /**
   * Loses one connection: `request`: the next POST before it is looked at; `accepted`: the answer to the next POST that is accepted; `answer`: the next answer of the queue that ends an operation, which
   * is given up all the same.
   */
  lose(what: 'request' | 'accepted' | 'answer'): void
  /** Answers the next requests that change something with this status and text. */
  answerNext(status: number, text: string, times?: number): void
  /** Milliseconds by which its clock is ahead from now on. */
  setAhead(milliseconds: number): void
}

interface Live {
  readonly id: string
  readonly name: string
  readonly block: boolean
  size: number
  bricks: number
}

interface Operation {
  readonly ends: number
  readonly apply: () => string | undefined
  readonly location: string
  /** Undefined while it runs. */
  answer: { readonly reason?: string } | undefined
}

/**
 * Heketi's REST API for volumes that exist, in memory: tokens, the asynchronous queue that gives each answer once, and its faults: of two growths of one
 * volume at a time, one is lost. It follows Heketi 10 (server/rest/asynchttp.go, middleware/jwt.go, apps/glusterfs).
 */
export function heketiService(options: HeketiEmulatorOptions): HeketiService {
  const { adminKey, userKey, clock = systemClock, operationTime = 0, inFlight = 8, mostBricks } = options
  const keys = { admin: adminKey, ...(userKey === undefined ? {} : { user: userKey }) }
  const volumes = new Map<string, Live>()
  const operations = new Map<string, Operation>()
  const mutations: HeketiMutation[] = []
  const requests: { method: string; path: string; status: number }[] = []
  const tokens: string[] = []
  const failures: string[] = []
  const losses = new Set<'request' | 'accepted' | 'answer'>()
  const scripted: { status: number; text: string }[] = []
  let free = options.free ?? Number.POSITIVE_INFINITY
  let ahead = options.ahead ?? 0
  let count = 0

  function add(id: string, { size, name = `vol_${id}`, block = false }: EmulatedHeketiVolume): void {
    if (!/^[0-9a-f]{32}$/.test(id)) throw new TypeError('An id has 32 hexadecimal digits.')
    volumes.set(id, { id, name, block, size, bricks: 3 })
  }

  function live(id: string): Live {
    const volume = volumes.get(id)
    if (volume === undefined) throw new TypeError(`There is no volume ${id}.`)
    return volume
  }

  /** Ends the operations whose time is over, in the order in which they end. */
  function catchUp(): void {
    const due = [...operations.values()].filter(({ answer, ends }) => answer === undefined && ends <= clock.now())
    for (const operation of due.sort((a, b) => a.ends - b.ends)) {
      const reason = operation.apply()
      operation.answer = reason === undefined ? {} : { reason }
    }
  }

  const running = (): number => [...operations.values()].filter(({ answer }) => answer === undefined).length

  function expand(volume: Live, to: number): Reply {
    const from = volume.size
    if (mostBricks !== undefined && !volume.block && volume.bricks + 3 > mostBricks) {
      return { status: 500, text: 'Failed to allocate volume expansion: Maximum number of bricks reached.' }
    }
    if (to - from > free) return { status: 500, text: 'Failed to allocate volume expansion: No space' }
    free -= to - from
    count += 1
    const id = count.toString(16).padStart(32, '0')
    const failure = failures.shift()
    operations.set(id, {
      ends: clock.now() + operationTime,
      // It writes back what it read at its beginning: what was added meanwhile is forgotten.
      apply: () => {
        if (failure !== undefined) {
          free += to - from
          return failure
        }
        volume.size = to
        volume.bricks += 3
        return undefined
      },
      location: `/${volume.block ? 'blockvolumes' : 'volumes'}/${volume.id}`,
      answer: undefined,
    })
    mutations.push({ id: volume.id, from, to })
    return { status: 202, headers: { location: `/queue/${id}` } }
  }

  function post(path: string, body: string): Reply {
    const next = scripted.shift()
    if (next !== undefined) return next
    if (running() >= inFlight) return { status: 429, text: 'Server busy. Retry operation later.' }
    const [, kind, id] = /^\/(volumes|blockvolumes)\/([0-9a-f]+)\/expand$/.exec(path) ?? []
    const volume = id === undefined ? undefined : volumes.get(id)
    if (volume === undefined || volume.block !== (kind === 'blockvolumes')) return { status: 404, text: 'Id not found' }
    const size = numberIn(body, volume.block ? 'new_size' : 'expand_size')
    if (size === undefined) return { status: 400, text: 'validation failed: size: cannot be blank.' }
    if (volume.block && size <= volume.size) {
      return { status: 400, text: `Requested new-size: ${size} must be greater than current size: ${volume.size}` }
    }
    return expand(volume, volume.block ? size : volume.size + size)
  }

  function queue(id: string): Reply {
    const operation = operations.get(id)
    if (operation === undefined) return { status: 404, text: 'Id not found' }
    if (operation.answer === undefined) return { status: 200, headers: { 'x-pending': 'true' } }
    operations.delete(id)
    const { reason } = operation.answer
    if (losses.delete('answer')) return 'lost'
    return reason === undefined
      ? { status: 303, headers: { location: operation.location } }
      : { status: 500, text: reason }
  }

  function get(path: string): Reply {
    if (path === '/operations') return json({ total: running(), in_flight: running() })
    const [, kind, id = ''] = /^\/(volumes|blockvolumes|queue)\/([0-9a-f]+)$/.exec(path) ?? []
    if (kind === 'queue') return queue(id)
    const volume = volumes.get(id)
    if (volume === undefined || volume.block !== (kind === 'blockvolumes')) return { status: 404, text: 'Id not found' }
    return json(described(volume))
  }

  function replyTo({ method, path: url, authorization, body }: HeketiRequest): Reply {
    const path = new URL(url, 'http://heketi').pathname
    if (authorization !== undefined) tokens.push(authorization)
    if (method === 'POST' && losses.delete('request')) return 'lost'
    const objection = objectionTo(authorization, { method, path }, keys, Math.floor((Date.now() + ahead) / 1000))
    if (objection !== undefined) return objection
    catchUp()
    if (method === 'GET') return get(path)
    if (method !== 'POST') return { status: 404, text: '404 page not found' }
    const reply = post(path, body)
    return reply !== 'lost' && reply.status === 202 && losses.delete('accepted') ? 'lost' : reply
  }

  for (const [id, volume] of Object.entries(options.volumes ?? {})) add(id, volume)
  return {
    ...{ mutations, requests, tokens, add },
    answer(request) {
      const reply = replyTo(request)
      requests.push({ method: request.method, path: request.path, status: reply === 'lost' ? 0 : reply.status })
      return reply === 'lost' ? undefined : answerOf(reply)
    },
    size: (id) => {
      catchUp()
      return live(id).size
    },
    grow: (id, size) => {
      live(id).size = size
    },
    failNext: (reason) => void failures.push(reason),
    lose: (what) => void losses.add(what),
    answerNext: (status, text, times = 1) => {
      for (let time = 0; time < times; time += 1) scripted.push({ status, text })
    },
    setAhead: (milliseconds) => {
      ahead = milliseconds
    },
  }
}

type Reply =
  | 'lost'
  | {
      readonly status: number
      readonly text?: string
      readonly headers?: Readonly<Record<string, string>>
    }

function json(value: object): Reply {
  return { status: 200, text: JSON.stringify(value), headers: { 'content-type': 'application/json; charset=UTF-8' } }
}

function described({ id, name, size, block, bricks }: Live): object {
  if (block) {
    const target = `${id.slice(0, 8)}-${id.slice(8, 12)}-${id.slice(12, 16)}-${id.slice(16, 20)}-${id.slice(20)}`
    return {
      ...{ id, name, size, usablesize: size },
      blockvolume: { hosts: ['127.0.0.1'], iqn: `iqn.2016-12.org.gluster-block:${target}`, lun: 0 },
    }
  }
  const each = Math.floor((size * 2 ** 20 * 3) / bricks)
  return {
    ...{ id, name, size, durability: { type: 'replicate', replicate: { replica: 3 } } },
    mount: { glusterfs: { hosts: ['127.0.0.1'], device: `127.0.0.1:${name}`, options: {} } },
    bricks: Array.from({ length: bricks }, (_, index) => ({ id: `${index}`.padStart(32, '0'), size: each })),
  }
}

function answerOf({ status, text, headers }: Exclude<Reply, 'lost'>): HeketiAnswer {
  const shown = text === undefined || headers !== undefined ? (text ?? '') : `${text}\n`
  return { status, headers: { 'content-type': 'text/plain; charset=utf-8', ...headers }, text: shown }
}

function numberIn(body: string, field: string): number | undefined {
  try {
    const value: unknown = JSON.parse(body)
    const size = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[field] : undefined
    return typeof size === 'number' && Number.isInteger(size) && size >= 1 ? size : undefined
  } catch {
    return undefined
  }
}
