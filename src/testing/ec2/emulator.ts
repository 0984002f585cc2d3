import { createHash } from 'node:crypto'
import { type Clock, systemClock } from '../../clock.ts'
import { type AcceptedEc2Mutation, Account } from './account.ts'
import { Ec2Fault } from './fault.ts'
import { Query } from './query.ts'
import { type Ec2Throttles, Throttle } from './throttle.ts'
import { type Ec2VolumeOptions, stateOf } from './volume.ts'
import { answerXml, errorXml } from './xml.ts'

export type Ec2Action =
  | 'DescribeVolumes'
  | 'DescribeVolumesModifications'
  | 'ModifyVolume'
  | 'CreateSnapshot'
  | 'DescribeSnapshots'

export interface Ec2Options {
  /** By id, such as `vol-0123456789abcdef0`. */
  readonly volumes?: Readonly<Record<string, Ec2VolumeOptions>>
  /** Left out: the system's. A virtual clock makes hours of `optimizing` pass at once. */
  readonly clock?: Clock
  /** Left out: eu-west-1. Requests that are signed for another region see that region's volumes: none, unless a volume names it. */
  readonly region?: string
  /** Milliseconds that a modification is `modifying`; "usually seconds", says the EBS User Guide. Left out: 2000. */
  readonly modifying?: number
  /** Milliseconds that it is `optimizing` then: minutes to more than a day. Left out: one hour. */
  readonly optimizing?: number
  /** Milliseconds that a snapshot is `pending`. Left out: 5000. */
  readonly snapshotTime?: number
  /** GiB that all volumes of one type in a region may have together (Amazon EBS User Guide, "Quotas"). Left out: not limited. */
  readonly quota?: number
  /** Left out: none. `{}`: what the Amazon EC2 Developer Guide documents. */
  readonly throttles?: Ec2Throttles
  /** Milliseconds by which reads lag behind ("Eventual consistency", Amazon EC2 Developer Guide). Left out: 0. */
  readonly staleBy?: number
  /** Milliseconds that a request takes. Left out: 0. */
  readonly latency?: number
}

/**
 * What goes wrong with a request. `lost`: it is carried out, and the connection breaks before the answer. `reset`: the connection breaks before anything is done. `slow`:
 * it waits for the milliseconds first. Else an error with a code of EC2's, before anything is done.
 */
export type Ec2Trouble =
  | 'lost'
  | 'reset'
  | { readonly slow: number }
  | { readonly code: string; readonly status?: number; readonly message?: string }

/** What was asked for with one access key. */
export interface Ec2Calls {
  /** All requests, whatever became of them. */
  readonly total: number
  readonly throttled: number
  readonly byAction: Readonly<Partial<Record<Ec2Action, number>>>
}

export interface Ec2Request {
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  /** Form-encoded. */
  readonly body: string
}

export interface Ec2Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** A volume as it is behind all delays of reads. */
export interface Ec2VolumeNow {
  /** GiB. */
  readonly size: number
  readonly iops: number | undefined
  readonly throughput: number | undefined
  readonly type: string
  /** Of the newest modification. */
  readonly modificationState: string | undefined
  /** Whether a client may have the size that it was last modified to, and since when, as the clock counts. */
  readonly readyAt: number | undefined
  readonly modifications: number
}

/** An EC2 without a network: requests in, answers out. */
export interface Ec2Emulator {
  /** The whole of one request. Undefined: the connection breaks. */
  handle(request: Ec2Request): Promise<Ec2Answer | undefined>
  /** A request handler for the official SDK (`new EC2Client({ requestHandler })`): no sockets, so that it works on a virtual clock. */
  readonly requestHandler: object
  /** Makes a volume, or replaces one. */
  setVolume(id: string, volume: Ec2VolumeOptions): void
  /** The volume as it really is now. @throws {TypeError} when there is none */
  volume(id: string): Ec2VolumeNow
  /** What another tool would do with ModifyVolume; not throttled, and not in the log of accepted mutations. */
  modifyElsewhere(
    id: string,
    change: { readonly size?: number; readonly iops?: number; readonly throughput?: number },
  ): void
  /** The next `times` requests of the action (left out: 1) are in trouble. */
  trouble(action: Ec2Action, what: Ec2Trouble, times?: number): void
  /** IAM denies the action from now on, or until it is allowed again. */
  deny(action: Ec2Action): void
  allow(action: Ec2Action): void
  /** The session of an access key has expired from now on. */
  expire(accessKeyId: string): void
  setStaleBy(milliseconds: number): void
  /** In the order in which they were accepted. */
  readonly accepted: readonly AcceptedEc2Mutation[]
  /** By access key; without one, of all together. */
  calls(accessKeyId?: string): Ec2Calls
}

const actions: readonly Ec2Action[] = [
  'DescribeVolumes',
  'DescribeVolumesModifications',
  'ModifyVolume',
  'CreateSnapshot',
  'DescribeSnapshots',
]

/**
 * The part of EC2 that volumes are grown through, after its documents: nothing of it was compared with the real EC2. In the order of the real one, a request is
 * throttled, authenticated, authorised, and only then looked at.
 */
export function ec2Emulator(options: Ec2Options = {}): Ec2Emulator {
  const { clock = systemClock, region = 'eu-west-1', latency = 0 } = options
  const account = new Account({
    clock,
    region,
    modifying: options.modifying ?? 2000,
    optimizing: options.optimizing ?? 3_600_000,
    snapshotTime: options.snapshotTime ?? 5000,
    quota: options.quota,
  })
  const throttle = options.throttles === undefined ? undefined : new Throttle(clock, options.throttles)
  const troubles = new Map<Ec2Action, Ec2Trouble[]>()
  const denied = new Set<Ec2Action>()
  const expired = new Set<string>()
  const counts = new Map<string, { total: number; throttled: number; byAction: Partial<Record<Ec2Action, number>> }>()
  let staleBy = options.staleBy ?? 0
  let served = 0
  for (const [id, volume] of Object.entries(options.volumes ?? {})) account.add(id, volume)

  async function handle({ headers, body }: Ec2Request): Promise<Ec2Answer | undefined> {
    served += 1
    const requestId = uuidOf(served)
    const query = new Query(body)
    const signature = signatureOf(headers)
    const action = actions.find((name) => name === query.text('Action'))
    const mine = counted(counts, signature.accessKeyId)
    mine.total += 1
    if (action !== undefined) mine.byAction[action] = (mine.byAction[action] ?? 0) + 1
    await clock.sleep(latency / 2)
    let trouble: Ec2Trouble | undefined
    try {
      if (action === undefined) {
        throw new Ec2Fault(
          'InvalidAction',
          `The action ${query.text('Action') ?? ''} is not valid for this web service.`,
        )
      }
      const isFiltered = query.text('MaxResults') !== undefined || query.text('Filter.1.Name') !== undefined
      if (throttle?.admit(action, isFiltered) === false) {
        mine.throttled += 1
        throw new Ec2Fault('RequestLimitExceeded', 'Request limit exceeded.', 503)
      }
      trouble = troubles.get(action)?.shift()
      if (trouble === 'reset') return undefined
      if (typeof trouble === 'object' && 'slow' in trouble) await clock.sleep(trouble.slow)
      if (typeof trouble === 'object' && 'code' in trouble) {
        throw new Ec2Fault(trouble.code, trouble.message ?? 'An error that was asked for.', trouble.status ?? 400)
      }
      authenticate(signature, expired)
      if (denied.has(action)) {
        throw new Ec2Fault(
          'UnauthorizedOperation',
          `You are not authorized to perform this operation. User: arn:aws:iam::123456789012:user/one is not authorized to perform: ec2:${action} because no identity-based policy allows the ec2:${action} action`,
          403,
        )
      }
      if (query.flag('DryRun')) {
        throw new Ec2Fault('DryRunOperation', 'Request would have succeeded, but DryRun flag is set.', 412)
      }
      const view = { ...signature, readAt: clock.now() - staleBy }
      const content = account.answer(action, query, view)
      if (trouble === 'lost') return undefined
      await clock.sleep(latency / 2)
      return answered(200, answerXml(action, requestId, content))
    } catch (thrown) {
      if (!(thrown instanceof Ec2Fault)) throw thrown
      await clock.sleep(latency / 2)
      return answered(thrown.status, errorXml(requestId, thrown.code, thrown.message))
    }
  }

  const find = (id: string): NonNullable<ReturnType<Account['volumes']['get']>> => {
    const volume = account.volumes.get(id)
    if (volume === undefined) throw new TypeError(`There is no volume ${id}.`)
    return volume
  }
  return {
    handle,
    requestHandler: handlerOf(handle),
    setVolume: (id, volume) => void account.add(id, volume),
    volume(id) {
      const volume = find(id)
      const now = clock.now()
      const newest = volume.modifications.at(-1)
      const { size, iops, throughput, type } = volume.shape(now)
      return {
        ...{ size, iops, throughput, type, modifications: volume.modifications.length },
        modificationState: newest && stateOf(newest, now),
        readyAt: newest?.optimizingAt,
      }
    },
    modifyElsewhere(id, { size, iops, throughput }) {
      const volume = find(id)
      const now = clock.now()
      const target = volume.judge({ type: undefined, size, iops, throughput }, now)
      volume.modify(target, now, { modifying: options.modifying ?? 2000, optimizing: options.optimizing ?? 3_600_000 })
    },
    trouble(action, what, times = 1) {
      const queue = troubles.get(action) ?? []
      troubles.set(action, [...queue, ...Array.from({ length: times }, () => what)])
    },
    deny: (action) => void denied.add(action),
    allow: (action) => void denied.delete(action),
    expire: (accessKeyId) => void expired.add(accessKeyId),
    setStaleBy(milliseconds) {
      staleBy = milliseconds
    },
    accepted: account.accepted,
    calls(accessKeyId) {
      const chosen = accessKeyId === undefined ? [...counts.values()] : [counted(counts, accessKeyId)]
      const byAction: Partial<Record<Ec2Action, number>> = {}
      for (const each of chosen) {
        for (const action of actions) {
          const more = each.byAction[action]
          if (more !== undefined) byAction[action] = (byAction[action] ?? 0) + more
        }
      }
      return {
        total: chosen.reduce((sum, { total }) => sum + total, 0),
        throttled: chosen.reduce((sum, { throttled }) => sum + throttled, 0),
        byAction,
      }
    },
  }
}

interface Signature {
  readonly accessKeyId: string
  readonly region: string
}

/** Who signed, and for which region (AWS Signature Version 4: `Credential=key/date/region/service/aws4_request`). The signature itself is not checked. */
function signatureOf(headers: Ec2Request['headers']): Signature {
  const header = Object.entries(headers).find(([name]) => name.toLowerCase() === 'authorization')?.[1]
  const [, accessKeyId = '', region = ''] = /Credential=([^/,\s]+)\/\d{8}\/([^/]+)\/ec2\//.exec(`${header ?? ''}`) ?? []
  return { accessKeyId, region }
}

function authenticate({ accessKeyId }: Signature, expired: ReadonlySet<string>): void {
  if (accessKeyId === '') {
    throw new Ec2Fault('AuthFailure', 'AWS was not able to validate the provided access credentials', 401)
  }
  if (expired.has(accessKeyId)) throw new Ec2Fault('RequestExpired', 'Request has expired.')
}

function counted<Value extends { total: number; throttled: number; byAction: object }>(
  counts: Map<string, Value>,
  accessKeyId: string,
): Value | { total: number; throttled: number; byAction: Partial<Record<Ec2Action, number>> } {
  const known = counts.get(accessKeyId)
  if (known !== undefined) return known
  const made = { total: 0, throttled: 0, byAction: {} } as Value
  counts.set(accessKeyId, made)
  return made
}

function uuidOf(count: number): string {
  const hex = createHash('sha256').update(`${count}`).digest('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join('-')
}

function answered(status: number, body: string): Ec2Answer {
  return { status, headers: { 'content-type': 'text/xml;charset=UTF-8' }, body }
}

/** What the SDK calls instead of a network. */
function handlerOf(handle: Ec2Emulator['handle']): object {
  return {
    async handle(
      { headers, body }: { headers: Record<string, string>; body?: unknown },
      { abortSignal }: { abortSignal?: AbortSignal } = {},
    ): Promise<object> {
      if (abortSignal?.aborted === true) throw abortError()
      const answer = await orAbort(handle({ headers, body: `${body ?? ''}` }), abortSignal)
      if (answer === undefined) {
        throw Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' })
      }
      return {
        response: { statusCode: answer.status, headers: answer.headers, body: new TextEncoder().encode(answer.body) },
      }
    },
    destroy: () => {},
    updateHttpClientConfig: () => {},
    httpHandlerConfigs: () => ({}),
  }
}

function abortError(): Error {
  return Object.assign(new Error('Request aborted'), { name: 'AbortError' })
}

async function orAbort<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await promise
  let stop = (): void => {}
  const stopped = new Promise<never>((_resolve, reject) => {
    stop = () => reject(abortError())
    signal.addEventListener('abort', stop, { once: true })
  })
  try {
    return await Promise.race([promise, stopped])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
