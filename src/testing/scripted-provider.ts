import type { Clock } from '../clock.ts'
import { abortedError, type Outcome, VolumeExpansionError } from '../errors.ts'
import {
  type ExpandOptions,
  type Limit,
  type Pace,
  type ReadOptions,
  type ReadOutcome,
  type SnapshotState,
  type Volume,
  type VolumeExpander,
  type VolumeIdentity,
  type VolumePhase,
  type VolumeState,
  type VolumeUser,
  volumeOf,
} from '../expander.ts'
import type { DeviceHints } from '../hints.ts'
import { type Bytes, formatSize, GiB, parseSize, type SizeInput } from '../size.ts'

/** How one volume behaves. */
export interface ScriptedVolume {
  readonly size: SizeInput
  /** Milliseconds that a growth takes; 0: it is over when it is accepted. Left out: the provider's `growthTime`. */
  readonly growthTime?: number
  /** How many growths are accepted and then fail: the volume is `failed` at its old size. Left out: 0. */
  readonly failingGrowths?: number
  /** How many growths are accepted while the answer is lost on its way (`backend-unreachable`, outcome `unknown`). Left out: 0. */
  readonly lostAnswers?: number
  /** What the next reads of it are answered with, one each, before its state is told again. */
  readonly readFailures?: readonly Error[]
  /** What the next expands of it are answered with, one each, without anything being done. */
  readonly expandFailures?: readonly Error[]
  readonly limits?: readonly Limit[]
  readonly users?: readonly VolumeUser[]
  readonly onlineGrowth?: boolean
  /** Left out: `stable`. An `unusable` volume refuses to grow with `wrong-state`. */
  readonly phase?: 'stable' | 'unusable'
}

export interface ScriptedProviderOptions {
  readonly clock: Clock
  /** Sizes, or volumes with a behaviour, by their keys. */
  readonly volumes: Readonly<Record<string, SizeInput | ScriptedVolume>>
  /** Left out: `scripted`. */
  readonly name?: string
  /** Left out: one that no other scripted provider of this process has. */
  readonly scope?: string
  /** Left out: 1 GiB. */
  readonly granularity?: SizeInput
  /** Left out: 100. */
  readonly readBatch?: number
  /** Left out: true. */
  readonly hostsSeeGrowth?: boolean
  /** Whether states tell how far a growth is. Left out: true. */
  readonly progress?: boolean
  /** The pace that it declares, which need not be the one that it allows. Left out: none. */
  readonly pace?: { readonly read?: Pace; readonly expand?: Pace }
  /** The pace that it allows: whatever comes faster is answered with `throttled`. Left out: no limit. */
  readonly throttle?: { readonly read?: Pace; readonly expand?: Pace }
  /** Milliseconds that a throttled answer asks to wait. Left out: it does not say. */
  readonly retryAfter?: number
  /** Milliseconds that every request takes. Left out: 0. */
  readonly latency?: number
  /** Milliseconds that a growth takes. Left out: 0. */
  readonly growthTime?: number
  /** Its snapshots: how many milliseconds each takes, and whether they fail at the end of that. Left out: it makes none. */
  readonly snapshots?: { readonly time: number; readonly fail?: boolean }
}

/** A snapshot that was begun. */
export interface ScriptedSnapshot {
  readonly id: string
  /** Of the volume. */
  readonly key: string
  readonly name: string
  readonly requestId: string
  /** Bytes of the volume when it was begun. */
  readonly size: Bytes
  /** As `clock.now()` counts. */
  readonly at: number
}

/** A growth that was accepted, whether its answer arrived or not. */
export interface AcceptedMutation {
  readonly key: string
  readonly size: Bytes
  readonly requestId: string
  /** As `clock.now()` counts. */
  readonly at: number
}

/** What was asked of the provider. */
export interface ScriptedCalls {
  readonly read: number
  /** The refs of all reads together. */
  readonly refs: number
  readonly expand: number
  /** Those of them that were answered with `throttled`. */
  readonly throttled: number
  /** The most requests that were under way at once. */
  readonly atOnce: number
}

/** A provider without a backend: volumes in memory that behave as they are told to. For tests of programs that use this library. */
export interface ScriptedProvider extends VolumeExpander<string, undefined> {
  /** The volume of a key; one that does not exist is found missing only when it is read. */
  volume(key: string): Volume
  /** Makes a volume, or gives one another size behind everybody's back, as another tool would. */
  setVolume(key: string, volume: SizeInput | ScriptedVolume): void
  /** What `read` would find of a volume now, uncounted. @throws {VolumeExpansionError} `not-found` */
  state(key: string): VolumeState
  /** In the order in which they were accepted. */
  readonly mutations: readonly AcceptedMutation[]
  /** In the order in which they were begun. */
  readonly taken: readonly ScriptedSnapshot[]
  readonly calls: ScriptedCalls
}

interface Growth {
  readonly to: Bytes
  readonly begun: number
  readonly ends: number
  readonly fails: boolean
}

interface Live {
  readonly script: ScriptedVolume
  size: Bytes
  phase: VolumePhase
  growth: Growth | undefined
  failingGrowths: number
  lostAnswers: number
  readonly readFailures: Error[]
  readonly expandFailures: Error[]
}

let scopes = 0

/**
 * Makes a scripted provider. A ref is a key, with or without `<name>:` before it.
 *
 * @throws {VolumeExpansionError} `invalid-size` for a size that cannot be read
 */
export function scriptedProvider(options: ScriptedProviderOptions): ScriptedProvider {
  const { clock, name = 'scripted', latency = 0 } = options
  scopes += 1
  const scope = options.scope ?? `${name}-${scopes}`
  const granularity = parseSize(options.granularity ?? GiB)
  const readBatch = options.readBatch ?? 100
  const tellsProgress = options.progress ?? true
  const volumes = new Map<string, Live>()
  const mutations: AcceptedMutation[] = []
  const calls = { read: 0, refs: 0, expand: 0, throttled: 0, atOnce: 0 }
  const admit = {
    read: tokenBucket(options.throttle?.read, clock),
    expand: tokenBucket(options.throttle?.expand, clock),
  }
  let underWay = 0

  const failure = (
    code: FailureCode,
    message: string,
    details: { readonly outcome?: Outcome; readonly retryable?: boolean; readonly retryAfter?: number } = {},
  ): VolumeExpansionError =>
    new VolumeExpansionError(code, message, {
      layer: 'volume',
      provider: name,
      outcome: 'unchanged',
      remedy: remedies[code],
      ...details,
    })

  function normalize(ref: string): VolumeIdentity {
    const key = typeof ref === 'string' && ref.startsWith(`${name}:`) ? ref.slice(name.length + 1) : ref
    if (typeof key !== 'string' || !/^[\w.-]+$/.test(key)) {
      throw failure('invalid-reference', `${JSON.stringify(ref)} is not the key of a ${name} volume.`)
    }
    return { scope, key, label: `${name} ${key}` }
  }

  function setVolume(key: string, volume: SizeInput | ScriptedVolume): void {
    const script = typeof volume === 'object' ? volume : { size: volume }
    volumes.set(normalize(key).key, {
      script,
      size: parseSize(script.size),
      phase: script.phase ?? 'stable',
      growth: undefined,
      failingGrowths: script.failingGrowths ?? 0,
      lostAnswers: script.lostAnswers ?? 0,
      readFailures: [...(script.readFailures ?? [])],
      expandFailures: [...(script.expandFailures ?? [])],
    })
  }

  function find(ref: string): Live {
    const { key } = normalize(ref)
    const volume = volumes.get(key)
    if (volume === undefined) throw failure('not-found', `There is no ${name} volume ${key}.`)
    catchUp(volume, clock.now())
    return volume
  }

  function state(ref: string): VolumeState {
    const { script, size, phase, growth } = find(ref)
    const share = growth === undefined ? 0 : (clock.now() - growth.begun) / (growth.ends - growth.begun)
    return {
      key: normalize(ref).key,
      size,
      phase,
      native: natives[phase],
      ...(growth !== undefined && { growingTo: growth.to }),
      ...(growth !== undefined && tellsProgress && { progress: share }),
      ...(script.limits !== undefined && { limits: script.limits }),
      ...(script.users !== undefined && { users: script.users }),
      ...(script.onlineGrowth !== undefined && { onlineGrowth: script.onlineGrowth }),
    }
  }

  /** The way to the backend and back: counted, slow, throttled and abortable. */
  async function request<T>(kind: 'read' | 'expand', signal: AbortSignal | undefined, serve: () => T): Promise<T> {
    if (signal?.aborted === true) throw abortedError(signal, 'volume', 'unchanged')
    calls[kind] += 1
    underWay += 1
    calls.atOnce = Math.max(calls.atOnce, underWay)
    try {
      await travel(clock, latency / 2, signal, 'unchanged')
      if (!admit[kind]()) {
        calls.throttled += 1
        const { retryAfter } = options
        throw failure('throttled', 'Slow down.', { retryable: true, ...(retryAfter !== undefined && { retryAfter }) })
      }
      const answer = serve()
      await travel(clock, latency / 2, signal, kind === 'read' ? 'unchanged' : 'unknown')
      return answer
    } finally {
      underWay -= 1
    }
  }

  function serveRead(ref: string): ReadOutcome {
    try {
      return find(ref).readFailures.shift() ?? state(ref)
    } catch (error) {
      return error instanceof Error ? error : failure('contract-violated', String(error))
    }
  }

  /** Whether the answer finds its way back. */
  function serveExpand(ref: string, { size, requestId }: ExpandOptions<undefined>): boolean {
    const volume = find(ref)
    const scripted = volume.expandFailures.shift()
    if (scripted !== undefined) throw scripted
    if (size % granularity !== 0n) throw failure('invalid-size', `${size} bytes is not a multiple of ${granularity}.`)
    if (volume.growth === undefined && volume.size >= size) return true
    if (volume.growth !== undefined && volume.growth.to >= size) return true
    refuse(volume, size, failure)
    const now = clock.now()
    const time = volume.script.growthTime ?? options.growthTime ?? 0
    const fails = volume.failingGrowths > 0
    if (fails) volume.failingGrowths -= 1
    volume.growth = { to: size, begun: now, ends: now + time, fails }
    volume.phase = 'growing'
    mutations.push({ key: normalize(ref).key, size, requestId, at: now })
    catchUp(volume, now)
    if (volume.lostAnswers === 0) return true
    volume.lostAnswers -= 1
    return false
  }

  async function read(refs: readonly string[], { signal }: ReadOptions): Promise<readonly ReadOutcome[]> {
    if (refs.length > readBatch) {
      throw failure('contract-violated', `${refs.length} refs were read at once; ${readBatch} is the most.`)
    }
    return await request('read', signal, () => {
      calls.refs += refs.length
      return refs.map(serveRead)
    })
  }

  async function expand(ref: string, details: ExpandOptions<undefined>): Promise<void> {
    const answered = await request('expand', details.signal, () => serveExpand(ref, details))
    if (answered) return
    throw failure('backend-unreachable', 'The connection was lost before the answer came.', {
      outcome: 'unknown',
      retryable: true,
    })
  }

  const taken: ScriptedSnapshot[] = []

  async function createSnapshot(
    ref: string,
    { name: title, requestId, signal }: { name: string; requestId: string; signal?: AbortSignal },
  ): Promise<string> {
    return await request('expand', signal, () => {
      const { size } = find(ref)
      const { key } = normalize(ref)
      const begun = taken.find((one) => one.key === key && one.name === title && one.requestId === requestId)
      if (begun !== undefined) return begun.id
      const id = `snapshot-${taken.length + 1}`
      taken.push({ id, key, name: title, requestId, size, at: clock.now() })
      return id
    })
  }

  async function readSnapshot(ref: string, id: string, { signal }: ReadOptions): Promise<SnapshotState> {
    return await request('read', signal, () => {
      const { key } = normalize(ref)
      const snapshot = taken.find((one) => one.id === id && one.key === key)
      if (snapshot === undefined) throw failure('not-found', `There is no snapshot ${id} of the ${name} volume ${key}.`)
      const { time = 0, fail = false } = options.snapshots ?? {}
      const progress = time > 0 ? Math.min(1, (clock.now() - snapshot.at) / time) : 1
      if (progress < 1) return { id, phase: 'pending', native: 'creating', progress }
      return fail ? { id, phase: 'failed', native: 'error' } : { id, phase: 'usable', native: 'available' }
    })
  }

  for (const [key, volume] of Object.entries(options.volumes)) setVolume(key, volume)
  const provider: ScriptedProvider = {
    name,
    capabilities: {
      granularity,
      readBatch,
      progress: tellsProgress,
      hostsSeeGrowth: options.hostsSeeGrowth ?? true,
      ...(options.pace !== undefined && { pace: options.pace }),
    },
    normalize,
    read,
    expand,
    identify: (ref): DeviceHints => ({ serial: normalize(ref).key }),
    ...(options.snapshots !== undefined && { snapshots: { create: createSnapshot, read: readSnapshot } }),
    volume: (key) => volumeOf(provider, key),
    setVolume,
    state,
    mutations,
    taken,
    calls,
  }
  return provider
}

const natives: Readonly<Record<VolumePhase, string>> = {
  stable: 'available',
  growing: 'resizing',
  failed: 'resize-failed',
  unusable: 'error',
}

const remedies = {
  'invalid-reference': 'Give the key of a volume: letters, digits, and _ . - between them.',
  'not-found': 'Make the volume first, in the options or with setVolume.',
  'invalid-size': 'Ask for a multiple of the granularity.',
  throttled: 'Wait, and ask less often.',
  'contract-violated': 'Keep to the declared capabilities.',
  'backend-unreachable': 'Look at the volume before asking again: the growth may have been accepted.',
  'conflicting-change': 'Wait until that growth has ended.',
  'wrong-state': 'Give the volume another phase.',
  'limit-exceeded': 'Ask for less.',
} as const

type FailureCode = keyof typeof remedies

/** Ends a growth whose time is over. */
function catchUp(volume: Live, now: number): void {
  const { growth } = volume
  if (growth === undefined || now < growth.ends) return
  volume.growth = undefined
  volume.phase = growth.fails ? 'failed' : 'stable'
  if (!growth.fails && growth.to > volume.size) volume.size = growth.to
}

function refuse(
  volume: Live,
  size: Bytes,
  failure: (code: FailureCode, message: string) => VolumeExpansionError,
): void {
  if (volume.growth !== undefined) {
    throw failure('conflicting-change', `It is growing to ${formatSize(volume.growth.to)} already.`)
  }
  if (volume.phase === 'unusable') throw failure('wrong-state', 'It is in a state in which it cannot grow.')
  const limit = volume.script.limits?.find(({ most }) => size > most)
  if (limit !== undefined) {
    throw failure('limit-exceeded', `${formatSize(size)} is more than ${formatSize(limit.most)} (${limit.source}).`)
  }
}

async function travel(
  clock: Clock,
  milliseconds: number,
  signal: AbortSignal | undefined,
  outcome: Outcome,
): Promise<void> {
  try {
    await clock.sleep(milliseconds, signal)
  } catch (thrown) {
    if (signal?.aborted === true) throw abortedError(signal, 'volume', outcome)
    throw thrown
  }
}

function tokenBucket(pace: Pace | undefined, clock: Clock): () => boolean {
  if (pace === undefined) return () => true
  let tokens = pace.burst
  let at = clock.now()
  return () => {
    const now = clock.now()
    tokens = Math.min(pace.burst, tokens + ((now - at) / 1000) * pace.perSecond)
    at = now
    if (tokens < 1) return false
    tokens -= 1
    return true
  }
}
