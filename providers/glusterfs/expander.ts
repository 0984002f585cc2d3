import { abortedError, VolumeExpansionError } from '../../src/errors.ts'
import type {
  Capabilities,
  ExpandOptions,
  ReadOutcome,
  VolumeExpander,
  VolumeIdentity,
  VolumeState,
} from '../../src/expander.ts'
import type { Host } from '../../src/hosts/host.ts'
import { KeyedLock } from '../../src/services/lock.ts'
import { type Bytes, bytes } from '../../src/size.ts'
import { type GlusterClient, glusterClient } from './client.ts'
import { glusterError, providerName } from './errors.ts'
import { findingsOf, half, obstacles, peerFindings, quotasOf, shortage } from './findings.ts'
import { mountHints } from './mount.ts'
import { examine, unmark } from './new-bricks.ts'
import { type Observed, observedIn, type Peers, peersOf } from './observed.ts'
import { type GlusterOptions, type GlusterRef, type GlusterVolumeRef, volumeRef } from './options.ts'
import { partsOf } from './parts.ts'
import { nameOf } from './persistent-volume.ts'
import { halfWay, lost, notByItself, nothingNew, refuse, refuseAdded, short } from './refusals.ts'

const capabilities: Capabilities = {
  // The block of every filesystem that bricks are on.
  granularity: bytes(4096),
  readBatch: 8,
  progress: true,
  hostsSeeGrowth: true,
  seenAs: 'mount',
}

// One add-brick after the other, however often the factory was called.
const turns = new KeyedLock()
/** Volumes whose rebalance this process has started and not yet seen to end. */
const watched = new Set<string>()

/** Requests of growths whose bricks this process has tried to add, and whose end it has not seen. */
const tried = new Set<string>()

function remember(requestId: string): void {
  tried.add(requestId)
  const [oldest] = tried
  if (tried.size > 1000 && oldest !== undefined) tried.delete(oldest)
}

/** The provider of GlusterFS volumes, through `gluster` on a server of the pool. */
export function glusterExpander(
  options: GlusterOptions,
  client: GlusterClient = glusterClient(options),
): VolumeExpander<GlusterRef> {
  const { host, hosts = {}, socket } = options
  const scope = `${host.id}${socket === undefined ? '' : `#${socket}`}`
  const seen = new WeakMap<VolumeState, Observed>()
  const keyOf = (ref: GlusterVolumeRef): string => `${scope}/${ref.name}`
  const hostsFor =
    ({ own }: Peers) =>
    (server: string, peer?: string): Host | undefined =>
      Object.hasOwn(hosts, server) ? hosts[server] : peer !== undefined && peer === own ? host : undefined

  async function observe(
    refs: readonly GlusterVolumeRef[],
    signal: AbortSignal | undefined,
  ): Promise<(Observed | Error)[]> {
    const questions = refs.flatMap(({ name }) => [
      ['volume', 'info', name],
      ['volume', 'status', name, 'detail'],
      ['volume', 'rebalance', name, 'status'],
    ])
    const [pool, ...answers] = await client.query([['pool', 'list'], ...questions], signal)
    const peers = peersOf(pool)
    const entries = refs.map((ref, index) => observedIn(answers.slice(index * 3, index * 3 + 3), peers, ref))
    return Promise.all(
      entries.map(async (entry, index) => {
        const names = refs[index]?.bricks
        if (entry instanceof Error || !Array.isArray(names)) return entry
        return { ...entry, candidates: await examine(names, entry.layout, hostsFor(peers), peers.names, signal) }
      }),
    )
  }

  async function stateOf(
    entry: Observed | Error,
    ref: GlusterVolumeRef,
    signal: AbortSignal | undefined,
  ): Promise<ReadOutcome> {
    if (entry instanceof Error) return entry
    const { layout, size, rebalance } = entry
    const waits = (ref.rebalance ?? 'wait') === 'wait' && rebalance.phase === 'running'
    const broken = watched.has(keyOf(ref)) && (rebalance.phase === 'failed' || rebalance.phase === 'stopped')
    if (rebalance.phase !== 'running') watched.delete(keyOf(ref))
    const findings = [...findingsOf(entry), ...(await quotasOf(layout, client, signal))]
    const phase = broken ? 'failed' : waits ? 'growing' : 'stable'
    const state: VolumeState = {
      ...{ key: ref.name, size, phase },
      native: rebalance.phase === 'never' || rebalance.phase === 'completed' ? layout.status : rebalance.words,
      ...(waits ? { growingTo: size, progress: rebalance.progress } : {}),
      onlineGrowth: true,
      findings: broken ? [...findings, half(`The bricks were added, and the ${rebalance.words}.`)] : findings,
      growthFindings: obstacles(entry, ref, hostsFor(entry.peers)),
    }
    seen.set(state, entry)
    return state
  }

  async function only(ref: GlusterVolumeRef, signal: AbortSignal | undefined): Promise<Observed> {
    const [entry] = await observe([ref], signal)
    if (entry === undefined || entry instanceof Error) throw entry
    return entry
  }

  async function grow(ref: GlusterVolumeRef, { size, signal, requestId }: ExpandOptions<undefined>): Promise<void> {
    const before = await only(ref, signal)
    if (before.size >= size) {
      // Bricks that an earlier try has added, with an answer that was lost, have not been filled yet.
      if (tried.delete(requestId) && ref.rebalance !== 'none' && before.rebalance.phase !== 'running')
        await spread(ref, signal).catch((error: unknown) => halfWay(error))
      return
    }
    if (before.rebalance.phase === 'running')
      throw glusterError(`${ref.name}: ${before.rebalance.words}; rebalance is in progress`, 'unchanged')
    const { bricks } = ref
    if (bricks === undefined) throw notByItself(ref, before, size)
    const missing = bytes(size - before.size)
    const names = typeof bricks === 'function' ? await bricks(needOf(before, missing)) : bricks
    const candidates = await examine(names, before.layout, hostsFor(before.peers), before.peers.names, signal)
    refuse([...peerFindings(before), ...candidates.findings, ...shortage(candidates, missing)])
    if (candidates.missing.length === 0) throw nothingNew(ref, before, size)
    await unmark(candidates.leftovers, signal)
    if (signal?.aborted) throw abortedError(signal, 'volume', 'unchanged')
    const force = ref.force === true ? ['force'] : []
    const command = ['volume', 'add-brick', ref.name, ...candidates.missing.map(({ name }) => name), ...force]
    remember(requestId)
    const answer = await client.change(command, signal)
    const after = await only(ref, signal).catch((error: unknown) => (answer.ok ? undefined : lost(error, answer)))
    if (!answer.ok) refuseAdded(answer, after, candidates)
    if (ref.rebalance !== 'none') await spread(ref, signal).catch((error: unknown) => halfWay(error, before, after))
    tried.delete(requestId)
    if (after !== undefined && after.size < size) throw short(ref, after, size)
  }

  async function spread(ref: GlusterVolumeRef, signal: AbortSignal | undefined): Promise<void> {
    const answer = await client.change(['volume', 'rebalance', ref.name, 'start'], signal)
    if (answer.ok || /already started|in progress/i.test(answer.message)) watched.add(keyOf(ref))
    else throw glusterError(answer.message, 'changed')
  }

  return {
    name: providerName,
    capabilities,
    normalize(ref): VolumeIdentity {
      const { name } = volumeRef(ref)
      return { scope, key: name, label: name }
    },
    async read(refs, { signal }) {
      if (signal?.aborted) throw abortedError(signal, 'volume', 'unchanged')
      const parsed = refs.map(parsedRef)
      const valid = [...new Set(parsed)].filter((ref) => !(ref instanceof Error))
      const entries = valid.length === 0 ? [] : await observe(valid, signal)
      return Promise.all(
        parsed.map(async (ref): Promise<ReadOutcome> => {
          if (ref instanceof Error) return ref
          const entry = entries[valid.indexOf(ref)]
          if (entry === undefined) throw new TypeError('Every ref was read.')
          return stateOf(entry, ref, signal)
        }),
      )
    },
    async expand(given, request) {
      const ref = volumeRef(given)
      const turn = await turns.acquire(keyOf(ref), { signal: request.signal, layer: 'volume' }).catch(named)
      try {
        await grow(ref, request)
      } finally {
        turn.release()
      }
    },
    identify(ref, state) {
      const { name } = volumeRef(ref)
      return { mount: mountHints(name, seen.get(state)?.layout) }
    },
    async parts(given, state) {
      const ref = volumeRef(given)
      if (ref.bricks !== undefined) return []
      const { layout, peers } = seen.get(state) ?? (await only(ref, undefined))
      return partsOf(layout, ref, hostsFor(peers))
    },
    fromPersistentVolume: nameOf,
  }
}

function parsedRef(ref: unknown): GlusterVolumeRef | VolumeExpansionError {
  try {
    return volumeRef(ref)
  } catch (error) {
    if (error instanceof VolumeExpansionError) return error
    throw error
  }
}

function named(error: unknown): never {
  throw error instanceof VolumeExpansionError ? error.with({ provider: providerName }) : error
}

function needOf(
  { layout }: Observed,
  add: Bytes,
): Parameters<Extract<GlusterVolumeRef['bricks'], (...args: never[]) => unknown>>[0] {
  const { name, kind, bricksPerSet, arbiters, redundancy } = layout
  const data = BigInt(kind === 'disperse' ? bricksPerSet - redundancy : 1)
  return { volume: name, kind, add, bricksPerSet, arbiters, brickSize: bytes((add + data - 1n) / data) }
}
