import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Clock, systemClock } from '../../clock.ts'
import { type Answer, ApiFailure, failureAnswer, forbidden, notFound, unauthenticated } from './answers.ts'
import { type Fault, Faults } from './faults.ts'
import { handle, resourceOf } from './handler.ts'
import { type Call, callOf, type Method, type MethodGroup, methods } from './methods.ts'
import { Meter, type RateLimit } from './throttle.ts'
import {
  type ComputeMutation,
  type DiskStatus,
  type EmulatedAttachment,
  type EmulatedDisk,
  type EmulatedQuota,
  World,
} from './world.ts'

export type {
  ComputeMutation,
  DiskStatus,
  EmulatedAttachment,
  EmulatedDisk,
  EmulatedQuota,
  Fault,
  Faults,
  Method,
  MethodGroup,
  RateLimit,
}

export interface ComputeOptions {
  readonly disks?: readonly EmulatedDisk[]
  /** Left out: `test-project`. Requests for another project find nothing. */
  readonly project?: string
  /** What time is. Left out: the system's. With a virtual clock a test drives every delay. */
  readonly clock?: Clock
  /** Milliseconds from accepting a change to its operation being DONE. Left out: 0. */
  readonly operationTime?: number
  /** Milliseconds before every answer. Left out: 0. */
  readonly latency?: number
  /** Milliseconds after which `wait` returns whatever there is; 0: it returns at once. Left out: 120 000, as the reference of `zoneOperations.wait` says. */
  readonly waitTime?: number
  /** Rates by group of methods; more is answered with 403 and the reason `rateLimitExceeded`. Left out: no limit. */
  readonly rates?: Readonly<Partial<Record<MethodGroup, RateLimit>>>
  readonly quotas?: readonly EmulatedQuota[]
  /** Permissions that the caller does not have, such as `compute.disks.resize`. */
  readonly denied?: readonly string[]
  /** The bearer tokens that are accepted. Left out: whatever is sent, and no token at all. */
  readonly tokens?: readonly string[]
  /** Entries on a page of a list at the most. Left out: 500. */
  readonly pageSize?: number
  /** Left out: a free one of the loopback address. */
  readonly port?: number
}

/** What was asked of the emulator. */
export interface ComputeCalls {
  readonly total: number
  /** Those that were refused for their rate. */
  readonly throttled: number
  readonly byMethod: Readonly<Partial<Record<Method, number>>>
}

/** A running emulator of Compute Engine's disks. */
export interface ComputeEmulator {
  /** `http://127.0.0.1:PORT`, to be given as the endpoint. */
  readonly url: string
  readonly port: number
  readonly project: string
  /** Every change that was accepted, in order, whether its answer arrived or not. */
  readonly mutations: readonly ComputeMutation[]
  readonly calls: ComputeCalls
  readonly faults: Faults
  /** Requests that wait on the clock now: tests let time pass when nothing else is under way. */
  readonly waiting: number
  /** Makes a disk, or another one in its place. */
  setDisk(disk: EmulatedDisk): void
  /** The size in GB now. @param disk `zones/Z/disks/D` or `regions/R/disks/D` */
  sizeOf(disk: string): number
  /** As another tool would have grown it, and finished. */
  growDisk(disk: string, sizeGb: number): void
  setStatus(disk: string, status: DiskStatus): void
  removeDisk(disk: string): void
  /** From now on the caller does not have these permissions. */
  deny(...permissions: readonly string[]): void
  allow(...permissions: readonly string[]): void
  /** From now on only these tokens are accepted; undefined: whatever is sent. */
  setTokens(tokens: readonly string[] | undefined): void
  /** Ends the server and every connection. Idempotent. */
  stop(): Promise<void>
}

/**
 * Starts an emulator of the documented behaviour of Compute Engine's disks over HTTP on the loopback address: disks and regional disks (get, list, aggregated list,
 * resize, update, snapshots), disk types, instances as far as they have disks, and operations with their waiting. Changes take effect when their operation is
 * DONE. It was written from the API reference and the issues that its modules name, and never compared with the real service side by side.
 */
export async function startCompute(options: ComputeOptions = {}): Promise<ComputeEmulator> {
  const { clock = systemClock, project = 'test-project', latency = 0, port: wantedPort = 0 } = options
  const world = new World({ clock, project, operationTime: options.operationTime ?? 0, quotas: options.quotas ?? [] })
  for (const disk of options.disks ?? []) world.set(disk)
  const faults = new Faults()
  const denied = new Set<string>(options.denied)
  const meters = new Map(Object.entries(options.rates ?? {}).map(([group, rate]) => [group, new Meter(rate, clock)]))
  const byMethod: Partial<Record<Method, number>> = {}
  let tokens = options.tokens
  let waiting = 0
  let throttled = 0

  const sleep = async (milliseconds: number, signal?: AbortSignal): Promise<void> => {
    if (!(milliseconds > 0)) return
    waiting += 1
    await clock.sleep(milliseconds, signal).catch(() => undefined)
    waiting -= 1
  }

  function admit(call: Call, authorization: string | undefined): void {
    byMethod[call.method] = (byMethod[call.method] ?? 0) + 1
    const { permission, group } = methods[call.method]
    if (tokens !== undefined && !tokens.some((token) => authorization === `Bearer ${token}`)) throw unauthenticated()
    if (meters.get(group)?.take() === false) {
      throttled += 1
      throw new ApiFailure(
        403,
        'rateLimitExceeded',
        `Quota exceeded for quota group '${group}' and limit 'requests per minute per project' of service 'compute.googleapis.com'.`,
      )
    }
    if (denied.has(permission)) throw forbidden(permission, resourceOf(call))
    if (call.project !== project) throw notFound(`projects/${call.project}`)
  }

  /** Undefined: the connection breaks instead of an answer. */
  async function answer(call: Call, authorization: string | undefined, gone: AbortSignal): Promise<Answer | undefined> {
    await sleep(latency, gone)
    admit(call, authorization)
    const fault = faults.take(call.method)
    if (fault?.kind === 'reset') return undefined
    if (fault?.kind === 'status') {
      const {
        status,
        reason = 'backendError',
        message = `The emulator was told to answer ${status}.`,
        retryAfter,
      } = fault
      throw new ApiFailure(status, reason, message, retryAfter)
    }
    const error =
      fault?.kind === 'operation-error' ? { code: fault.code, message: fault.message ?? fault.code } : undefined
    const { waitTime = 120_000, pageSize = 500 } = options
    const body = await handle(call, world, { sleep: (time) => sleep(time, gone), waitTime, pageSize }, error)
    if (fault?.kind === 'late') await sleep(fault.milliseconds, gone)
    return fault?.kind === 'lost-answer' ? undefined : { status: 200, body }
  }

  async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController()
    response.once('close', () => gone.abort())
    const text = await textOf(request)
    const given = await answered(request, text, (call) => answer(call, request.headers.authorization, gone.signal))
    if (given === undefined) return void request.socket.destroy()
    response.writeHead(given.status, { 'content-type': 'application/json; charset=UTF-8', ...given.headers })
    response.end(JSON.stringify(given.body))
  }

  const server = createServer((request, response) => {
    respond(request, response).catch(() => request.socket.destroy())
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(wantedPort, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  // A kept connection that the server closes on its own in the middle of a test would be a fault that nobody asked for.
  server.keepAliveTimeout = 0
  server.unref()

  return {
    ...{ port, project, faults, mutations: world.mutations, url: `http://127.0.0.1:${port}` },
    get calls() {
      return {
        total: Object.values(byMethod).reduce((sum, count) => sum + count, 0),
        throttled,
        byMethod: { ...byMethod },
      }
    },
    get waiting() {
      return waiting
    },
    setDisk: (disk) => world.set(disk),
    sizeOf: (disk) => world.size(disk),
    growDisk: (disk, sizeGb) => world.grow(disk, sizeGb),
    setStatus: (disk, status) => world.setStatus(disk, status),
    removeDisk: (disk) => world.remove(disk),
    deny: (...permissions) => {
      for (const permission of permissions) denied.add(permission)
    },
    allow: (...permissions) => {
      for (const permission of permissions) denied.delete(permission)
    },
    setTokens: (accepted) => {
      tokens = accepted
    },
    async stop() {
      server.closeAllConnections()
      if (server.listening) await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function answered(
  request: IncomingMessage,
  text: string,
  answer: (call: Call) => Promise<Answer | undefined>,
): Promise<Answer | undefined> {
  try {
    const url = new URL(request.url ?? '/', 'http://127.0.0.1')
    const call = callOf(request.method ?? 'GET', url, text === '' ? undefined : parsed(text))
    if (call === undefined) throw new ApiFailure(404, 'notFound', `${request.method} ${url.pathname} is not emulated.`)
    return await answer(call)
  } catch (thrown) {
    if (thrown instanceof ApiFailure) return failureAnswer(thrown)
    throw thrown
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new ApiFailure(400, 'parseError', 'Parse Error')
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of request as AsyncIterable<Uint8Array>) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}
