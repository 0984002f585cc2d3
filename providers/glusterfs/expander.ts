import { abortedError, VolumeExpansionError } from '../../src/errors.ts'
import type {
  Capabilities,
  ExpandOptions,
  PartRequest,
  ReadOutcome,
  VolumeExpander,
  VolumeIdentity,
  VolumeState,
} from '../../src/expander.ts'
import type { Finding, FindingCode } from '../../src/findings.ts'
import type { MountHints } from '../../src/hints.ts'
import type { Host } from '../../src/hosts/host.ts'
import { KeyedLock } from '../../src/services/lock.ts'
import { type Bytes, bytes, formatSize } from '../../src/size.ts'
import { type GlusterAnswer, type GlusterClient, glusterClient } from './client.ts'
import { failure, glusterError, providerName } from './errors.ts'
import { type Brick, type BrickSet, brickSize, type Layout, largestFile, layoutOf, levels, sizeOf } from './layout.ts'
import { type Candidates, examine, tooLittle, unmark } from './new-bricks.ts'
import { type GlusterOptions, type GlusterRef, type GlusterVolumeRef, isVolumeName, volumeRef } from './options.ts'
import { type Rebalance, rebalanceOf } from './rebalance.ts'

const capabilities: Capabilities = {
  // The block of every filesystem that bricks are on.
  granularity: bytes(4096),
  readBatch: 8,
  progress: true,
  hostsSeeGrowth: true,
  seenAs: 'mount',
}

/** One volume as it was read, with what only this provider needs of it. */
interface Observed {
  readonly layout: Layout
  readonly size: Bytes
  readonly rebalance: Rebalance
  readonly peers: Peers
  readonly candidates?: Candidates
}

interface Peers {
  /** Id of the server that `host` is. */
  readonly own?: string
  /** The names by which the pool knows its servers; its own one is not among them. */
  readonly names: readonly string[]
  readonly away: readonly string[]
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

function peersOf(pool: GlusterAnswer | undefined): Peers {
  const peers = pool?.ok === true ? (pool.xml.at('peerStatus')?.all('peer') ?? []) : []
  const own = peers.find((peer) => peer.text('hostname') === 'localhost')?.text('uuid')
  const away = peers.filter((peer) => peer.text('connected') !== '1').map((peer) => peer.text('hostname') ?? '')
  const names = peers.flatMap((peer) => [
    ...(peer.at('hostnames')?.all('hostname') ?? []).map((name) => name.text() ?? ''),
    peer.text('hostname') ?? '',
  ])
  return { away, names, ...(own === undefined ? {} : { own }) }
}

function observedIn(answers: readonly GlusterAnswer[], peers: Peers, ref: GlusterVolumeRef): Observed | Error {
  const [info, detail, rebalance] = answers
  if (info === undefined || detail === undefined || rebalance === undefined)
    throw new TypeError('Each command has an answer.')
  if (!info.ok) return glusterError(info.message, 'unchanged')
  const volume = info.xml.at('volInfo', 'volumes', 'volume')
  // Without such a volume, some versions answer with an empty list.
  if (volume === undefined) return glusterError(`Volume ${ref.name} does not exist`, 'unchanged')
  const layout = layoutOf(volume, detail.ok ? detail.xml.at('volStatus', 'volumes', 'volume') : undefined)
  if (layout === undefined) {
    return failure(
      'backend-unreachable',
      `gluster described ${ref.name} in a way that is not understood.`,
      'unchanged',
      {
        remedy: 'See whether the answer was cut off: gluster --xml volume info.',
      },
    )
  }
  if (!layout.started) return glusterError(`Volume ${ref.name} is not started`, 'unchanged')
  if (!detail.ok) return glusterError(detail.message, 'unchanged')
  const size = sizeOf(layout)
  if (size === undefined) return unknownSize(layout, peers)
  return { layout, size, peers, rebalance: rebalanceOf(rebalance) }
}

/** A set of which no brick's size is known: its servers are away, or it was added and never came up. */
function unknownSize({ name, sets }: Layout, { away }: Peers): VolumeExpansionError {
  const silent = sets
    .filter(({ size }) => size === undefined)
    .flatMap(({ bricks }) => bricks.map((brick) => brick.name))
  const isAway = away.length > 0
  return failure(
    isAway ? 'wrong-state' : 'half-done',
    `The size of ${name} is not known: nobody tells the size of ${silent.join(', ')}${isAway ? `; not connected: ${away.join(', ')}` : ''}.`,
    'unchanged',
    {
      remedy: isAway
        ? 'Bring the servers back (gluster pool list), and run this again.'
        : `The bricks are listed and did not come up. Start what is missing (gluster volume start ${name} force), or, while nothing was written to them, take them out (gluster volume remove-brick … force).`,
    },
  )
}

function findingsOf({ layout }: Observed): readonly Finding[] {
  const findings: Finding[] = []
  const off = layout.sets.flatMap(({ bricks }) => bricks.filter(({ online }) => online !== true))
  if (off.length > 0) {
    findings.push({
      ...{ code: 'wrong-state', severity: 'warning', layer: 'volume' },
      message: `These bricks are not online: ${off.map(({ name }) => name).join(', ')}.`,
      remedy: `Start what is missing: gluster volume start ${layout.name} force.`,
    })
  }
  const largest = largestFile(layout)
  if (layout.sets.length > 1 && largest !== undefined) {
    findings.push({
      ...{ code: 'file-size-limit', severity: 'note', layer: 'volume' },
      message: `The largest new file can have ${formatSize(largest)} now: one file is in one of the ${layout.sets.length} sets of bricks.`,
      remedy: 'For larger files make the bricks larger instead of adding some, or use sharding.',
    })
  }
  return findings
}

function half(message: string): Finding {
  return {
    code: 'half-done',
    severity: 'warning',
    layer: 'volume',
    message,
    remedy: 'Read its log (…-rebalance.log), and start it again.',
  }
}

/** Limits of directories, which stay what they are however large the volume becomes. */
async function quotasOf(
  { name, options }: Layout,
  client: GlusterClient,
  signal: AbortSignal | undefined,
): Promise<readonly Finding[]> {
  if (options.get('features.quota') !== 'on') return []
  const [answer] = await client.query([['volume', 'quota', name, 'list']], signal)
  const limits = answer?.ok === true ? (answer.xml.at('volQuota')?.all('limit') ?? []) : []
  const shown = limits.map((limit) => `${limit.text('path') ?? '?'} ${sizeText(limit.text('hard_limit'))}`)
  const message =
    shown.length === 0
      ? `Quotas are on for ${name}, and gluster lists none: ${answer?.message || 'an empty list'}.`
      : `Quotas of ${name} stay as they are: ${shown.join(', ')}.`
  return [
    {
      ...{ code: 'quota-remains', severity: shown.length === 0 ? 'note' : 'warning', layer: 'volume', message },
      remedy: `Raise them as well: gluster volume quota ${name} limit-usage DIRECTORY SIZE.`,
    },
  ]
}

function sizeText(text: string | undefined): string {
  return text !== undefined && /^\d+$/.test(text) ? formatSize(BigInt(text)) : (text ?? '')
}

/** What stands against a growth, told before anything is done. */
function obstacles(entry: Observed, ref: GlusterVolumeRef, hostOf: HostOf): readonly Finding[] {
  if (ref.bricks !== undefined)
    return [...peerFindings(entry), ...(entry.candidates?.findings ?? []), ...nothingLeft(entry)]
  const { sets } = entry.layout
  const lacking = sets.map((set) => holding(set).filter(({ server, peer }) => hostOf(server, peer) === undefined))
  const growable = sets.filter((_, index) => lacking[index]?.length === 0)
  const torn = lacking.flatMap((bricks, index) => (bricks.length < holding(sets[index]).length ? bricks : []))
  const block = (code: FindingCode, message: string): Finding => ({
    ...{ code, severity: 'blocker', layer: 'volume', message },
    remedy: 'Give the servers of all bricks in `hosts`, or new `bricks`.',
  })
  if (torn.length > 0) {
    return [
      block(
        'invalid-request',
        `A set of bricks is as large as the smallest of them, and the servers of these were not given: ${torn.map(({ name }) => name).join(', ')}.`,
      ),
    ]
  }
  return growable.length > 0 ? [] : [block('invalid-request', `Nothing was given by which ${ref.name} could grow.`)]
}

type HostOf = (server: string, peer?: string) => Host | undefined

function holding(set: BrickSet | undefined): readonly Brick[] {
  return (set?.bricks ?? []).filter(({ isArbiter }) => !isArbiter)
}

/** glusterd refuses to change a volume while a server with a brick of it is away. */
function peerFindings({ peers, layout }: Observed): readonly Finding[] {
  if (peers.away.length === 0) return []
  return [
    {
      ...{ code: 'wrong-state', severity: 'blocker', layer: 'volume' },
      message: `No bricks can be added to ${layout.name} while servers of the pool are not connected: ${peers.away.join(', ')}.`,
      remedy: 'Bring them back (gluster pool list), and run this again.',
    },
  ]
}

function nothingLeft({ candidates, layout }: Observed): readonly Finding[] {
  if (candidates === undefined || candidates.missing.length > 0) return []
  return [
    {
      ...{ code: 'invalid-request', severity: 'blocker', layer: 'volume' },
      message: `All bricks that were given are in ${layout.name} already.`,
      remedy: 'Give further bricks.',
    },
  ]
}

function shortage({ brings }: Candidates, add: Bytes): readonly Finding[] {
  return brings === undefined || brings >= add ? [] : [tooLittle(brings, add)]
}

function refuse(findings: readonly Finding[]): void {
  const [first] = findings
  if (first === undefined) return
  throw failure(first.code, first.message, 'unchanged', { remedy: first.remedy ?? 'Give other bricks.' })
}

function needOf(
  { layout }: Observed,
  add: Bytes,
): Parameters<Extract<GlusterVolumeRef['bricks'], (...args: never[]) => unknown>>[0] {
  const { name, kind, bricksPerSet, arbiters, redundancy } = layout
  const data = BigInt(kind === 'disperse' ? bricksPerSet - redundancy : 1)
  return { volume: name, kind, add, bricksPerSet, arbiters, brickSize: bytes((add + data - 1n) / data) }
}

function notByItself({ name }: GlusterVolumeRef, { size: now }: Observed, size: Bytes): VolumeExpansionError {
  return failure(
    'device-too-small',
    `${name} has ${formatSize(now)} and not ${formatSize(size)}: its bricks do not bring more.`,
    'unchanged',
    {
      remedy: 'Grow the devices below its bricks by giving `hosts`, or give new `bricks`.',
    },
  )
}

function nothingNew({ name }: GlusterVolumeRef, { size: now }: Observed, size: Bytes): VolumeExpansionError {
  return failure(
    'invalid-request',
    `All bricks that were given are in ${name} already, which has ${formatSize(now)} and not ${formatSize(size)}.`,
    'unchanged',
    {
      remedy: 'Give further bricks.',
    },
  )
}

function lost(error: unknown, answer: GlusterAnswer): never {
  if (error instanceof VolumeExpansionError && error.code === 'half-done') throw error.with({ outcome: 'changed' })
  throw glusterError(answer.message, 'unknown')
}

/** Whatever keeps the files from being spread, the bricks were added. */
function halfWay(error: unknown, before?: Observed, after?: Observed): never {
  const outcome = before !== undefined && after !== undefined && after.size > before.size ? 'changed' : 'unknown'
  throw error instanceof VolumeExpansionError && error.outcome !== 'changed' ? error.with({ outcome }) : error
}

/** What a refused add-brick left behind is looked at, not believed: a failed commit lists the bricks all the same. */
function refuseAdded(answer: GlusterAnswer, after: Observed | undefined, { missing }: Candidates): never {
  const listed = (after?.layout.sets ?? []).flatMap(({ bricks }) => bricks.map(({ name }) => name))
  const added = missing.filter(({ name }) => listed.includes(name))
  if (added.length === 0) throw glusterError(answer.message, 'unchanged')
  throw failure(
    'half-done',
    `gluster says: ${answer.message}. It lists these bricks all the same: ${added.map(({ name }) => name).join(', ')}.`,
    'changed',
    {
      remedy:
        'See that their servers are in the pool and up, then start what is missing (gluster volume start NAME force); or, while nothing was written to them, take them out (gluster volume remove-brick … force).',
    },
  )
}

function short({ name }: GlusterVolumeRef, { size: now }: Observed, size: Bytes): VolumeExpansionError {
  return failure(
    'backend-failed',
    `The new bricks are in ${name}, and it has ${formatSize(now)}, not ${formatSize(size)}.`,
    'changed',
    {
      remedy:
        'The bricks are smaller than needed, or not all of them are online: gluster volume status. Run it again with further bricks.',
    },
  )
}

function mountHints(name: string, layout: Layout | undefined): MountHints {
  const base = { type: 'fuse.glusterfs', export: name, exact: true } as const
  if (layout === undefined) return base
  // The connections of a client to the bricks tell the volume's id, or at the least which brick they go to (the meta translator). Which numbers they have depends on
  // the volume's past; the first set stays, whatever is added.
  const files = Array.from({ length: 16 }, (_, index) => {
    const options = `.meta/graphs/active/${name}-client-${index}/options`
    return [[`${options}/volume-id`], [`${options}/remote-host`, `${options}/remote-subvolume`]]
  }).flat()
  const bricks = layout.sets[0]?.bricks.map((brick) => brick.name) ?? []
  return { ...base, proof: { files, equals: [layout.id, ...bricks] } }
}

/** The filesystems of all bricks that have to grow: one request for each, whatever number of bricks is on it. */
function partsOf(layout: Layout, { brickVolumes = {} }: GlusterVolumeRef, hostOf: HostOf): readonly PartRequest[] {
  const canGrow = (set: BrickSet): boolean =>
    holding(set).every(({ server, peer }) => hostOf(server, peer) !== undefined)
  const requests = new Map<string, PartRequest>()
  for (const set of layout.sets.filter(canGrow)) {
    for (const brick of holding(set)) {
      const place = `${brick.peer}:${brick.device ?? brick.path}`
      const partHost = hostOf(brick.server, brick.peer)
      if (partHost === undefined) continue
      const earlier = requests.get(place)
      const volume = (Object.hasOwn(brickVolumes, brick.name) ? brickVolumes[brick.name] : undefined) ?? earlier?.volume
      requests.set(place, {
        label: earlier?.label ?? brick.name,
        host: partHost,
        path: earlier?.path ?? brick.path,
        to: (size) =>
          largestOf(brickSize(levels(layout.sets, canGrow, size).get(set) ?? 0n, set, brick), earlier?.to?.(size)),
        ...(volume === undefined ? {} : { volume }),
      })
    }
  }
  return [...requests.values()]
}

function largestOf(one: Bytes, other: Bytes | undefined): Bytes {
  return other !== undefined && other > one ? other : one
}

/** The volume's name in a PersistentVolume of Kubernetes' own GlusterFS plug-in: `path`, which may name a directory within it. */
export function nameOf(persistentVolume: object): string | undefined {
  const path = fieldOf(fieldOf(fieldOf(persistentVolume, 'spec'), 'glusterfs'), 'path')
  const name = typeof path === 'string' ? path.replace(/^\//, '').split('/')[0] : undefined
  return isVolumeName(name) ? name : undefined
}

/** An own member of something that may not even be an object. */
function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? Reflect.get(value, name)
    : undefined
}
