import { abortedError, VolumeExpansionError } from '../../../src/errors.ts'
import type { Capabilities, ReadOutcome, VolumeExpander, VolumeIdentity, VolumeState } from '../../../src/expander.ts'
import type { Finding } from '../../../src/findings.ts'
import type { DeviceHints } from '../../../src/hints.ts'
import { KeyedLock } from '../../../src/services/lock.ts'
import { type Bytes, bytes, formatSize, GiB } from '../../../src/size.ts'
import { failure, invalidReference, providerName } from '../errors.ts'
import { nameOf } from '../persistent-volume.ts'
import type { HeketiClient, HeketiKind, HeketiVolume } from './client.ts'

/** A growth that was asked for and has not been seen to end. */
interface Pending {
  /** GiB. */
  readonly to: number
  /** Where its one answer will be; left out: whether Heketi took the request is not known. */
  readonly queue?: string
}

/** What became of a growth: still under way, or ended, with the reason when it did not succeed. */
type Settled = { readonly pending: Pending } | { readonly failed?: string }

// Of two growths of one volume at a time Heketi loses one, so they go one after the other, however often the factory was called.
const turns = new KeyedLock()
const pendings = new Map<string, Pending>()

/** The provider of Heketi's volumes of one kind. */
export function heketiExpander(client: HeketiClient, kind: HeketiKind): VolumeExpander<string> {
  const { scope } = client
  const isFile = kind === 'volumes'
  const capabilities: Capabilities = {
    ...{ granularity: GiB, readBatch: 8, progress: false, hostsSeeGrowth: isFile },
    ...(isFile ? { seenAs: 'mount' } : {}),
  }
  const keyOf = (id: string): string => `${scope}/${kind}/${id}`
  const seen = new WeakMap<VolumeState, HeketiVolume>()

  async function inTurn<T>(id: string, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    const turn = await turns.acquire(keyOf(id), { signal, layer: 'volume' }).catch((error: unknown) => {
      throw error instanceof VolumeExpansionError ? error.with({ provider: providerName }) : error
    })
    try {
      return await work()
    } finally {
      turn.release()
    }
  }

  /** Looks what has become of a growth that was asked for. An answer that was lost is made up for by the volume's own size. */
  async function settle(id: string, signal: AbortSignal | undefined): Promise<Settled> {
    const pending = pendings.get(keyOf(id))
    if (pending === undefined) return {}
    const ended = await endOf(pending, id, signal)
    if (ended === undefined) return { pending }
    const { size } = await client.volume(kind, id, signal)
    pendings.delete(keyOf(id))
    return size >= pending.to ? {} : { failed: `${ended} It has ${size} GiB, and ${pending.to} GiB were asked for.` }
  }

  /** Why the growth is over; undefined while it is not. */
  async function endOf(
    { queue, to }: Pending,
    id: string,
    signal: AbortSignal | undefined,
  ): Promise<string | undefined> {
    if (queue !== undefined) {
      const answer = await client.queue(queue, signal)
      if (answer.status === 'pending') return undefined
      if (answer.status === 'failed') return `Heketi says: ${answer.reason}.`
      return answer.status === 'done'
        ? 'Heketi says that it is done; another client has grown the volume at the same time.'
        : 'The answer of Heketi’s queue was lost.'
    }
    if ((await client.volume(kind, id, signal)).size >= to) return 'It is done.'
    return (await client.inFlight(signal)) === 0 ? 'The request was lost on its way.' : undefined
  }

  async function stateOf(id: string, signal: AbortSignal | undefined): Promise<VolumeState> {
    const settled = await settle(id, signal)
    const volume = await client.volume(kind, id, signal)
    const base = { key: id, size: inBytes(volume.size), onlineGrowth: true }
    const findings = fileLimit(volume, isFile)
    const state = ((): VolumeState => {
      if ('pending' in settled) {
        return { ...base, findings, phase: 'growing', native: 'expanding', growingTo: inBytes(settled.pending.to) }
      }
      if (settled.failed === undefined) return { ...base, findings, phase: 'stable', native: 'online' }
      // Told once: the next look sees a volume that can be grown.
      return {
        ...base,
        phase: 'failed',
        // It is the last growth that failed, and not the volume.
        repeatable: true,
        native: 'expand failed',
        findings: [...findings, failedFinding(settled.failed)],
      }
    })()
    seen.set(state, volume)
    return state
  }

  /** How many operations run that this process has not asked for, as far as Heketi tells. */
  async function strangers(signal: AbortSignal | undefined): Promise<number> {
    const own = [...pendings].filter(([key, { queue }]) => key.startsWith(`${scope}/`) && queue !== undefined)
    return ((await client.inFlight(signal)) ?? 0) - own.length
  }

  async function grow(id: string, size: Bytes, signal: AbortSignal | undefined): Promise<void> {
    const to = Number(size / GiB)
    const settled = await settle(id, signal)
    if ('pending' in settled) {
      if (settled.pending.to >= to) return
      throw failure('conflicting-change', `Heketi is growing ${id} to ${settled.pending.to} GiB.`, 'unchanged', {
        ...{ remedy: 'Wait until that has ended.', retryable: true, retryAfter: 1000 },
      })
    }
    const { size: from } = await client.volume(kind, id, signal)
    if (from >= to) return
    if (isFile && (await strangers(signal)) > 0) throw busy(id)
    if (signal?.aborted) throw abortedError(signal, 'volume', 'unchanged').with({ provider: providerName })
    try {
      pendings.set(keyOf(id), { to, queue: await client.expand(kind, id, from, to, signal) })
    } catch (error) {
      // What was perhaps accepted must not be asked for again: it would be added twice.
      if (!(error instanceof VolumeExpansionError) || error.outcome !== 'unchanged') pendings.set(keyOf(id), { to })
      throw error
    }
  }

  return {
    name: providerName,
    capabilities,
    normalize(ref): VolumeIdentity {
      const id = idOf(ref)
      return { scope: `${scope}/${kind}`, key: id, label: id }
    },
    async read(refs, { signal }) {
      if (signal?.aborted) throw abortedError(signal, 'volume', 'unchanged')
      return Promise.all(
        refs.map(async (ref): Promise<ReadOutcome> => {
          try {
            const id = idOf(ref)
            return await inTurn(id, signal, () => stateOf(id, signal))
          } catch (error) {
            // What concerns this volume alone is its own entry; everything else is a failure of the whole.
            if (error instanceof VolumeExpansionError && entries.has(error.code)) return error
            throw error
          }
        }),
      )
    },
    async expand(ref, { size, signal }) {
      const id = idOf(ref)
      await inTurn(id, signal, () => grow(id, size, signal))
    },
    identify: (_ref, state) => (isFile ? mountHints(state, seen.get(state)) : deviceHints(state, seen.get(state))),
    fromPersistentVolume: (persistentVolume) => (isFile ? idIn(persistentVolume) : undefined),
  }
}

/**
 * A file volume is told what to add, and shows its old size until that is done: what a process has asked for that died since would be added once more. Heketi tells how many
 * operations run, and not of which volumes.
 */
function busy(id: string): VolumeExpansionError {
  const message = `Heketi has operations under way, one of which may be a growth of ${id} that was asked for before.`
  return failure('conflicting-change', message, 'unchanged', {
    ...{ retryable: true, retryAfter: 10_000 },
    remedy: 'Wait until they have ended (heketi-cli server operations info), and run this again.',
  })
}

const entries: ReadonlySet<string> = new Set(['not-found', 'invalid-reference'])

function inBytes(size: number): Bytes {
  return bytes(BigInt(size) * GiB)
}

function idOf(ref: unknown): string {
  const remedy = 'Give the id that `heketi-cli volume list` shows.'
  if (typeof ref !== 'string') throw invalidReference(ref, 'an id is a string', remedy)
  if (!/^[0-9a-f]{32}$/.test(ref)) throw invalidReference(ref, 'an id has 32 hexadecimal digits', remedy)
  return ref
}

function failedFinding(reason: string): Finding {
  return {
    ...{ code: 'half-done', severity: 'warning', layer: 'volume', message: reason },
    remedy: 'Run it again: it observes first, and asks for what is missing.',
  }
}

function fileLimit({ largestBrick, size }: HeketiVolume, isFile: boolean): readonly Finding[] {
  if (!isFile || largestBrick === undefined || largestBrick >= size) return []
  return [
    {
      ...{ code: 'file-size-limit', severity: 'note', layer: 'volume' },
      message: `One file can have ${formatSize(BigInt(Math.floor(largestBrick * 1024)) * 1024n * 1024n)} at the most: the volume is spread over several bricks.`,
      remedy: 'For larger files make a new volume with larger bricks.',
    },
  ]
}

function mountHints({ key }: VolumeState, volume: HeketiVolume | undefined): DeviceHints {
  // Heketi calls its volumes by their ids unless it is told a name; both are unique, so that no further proof is needed.
  return { mount: { type: 'fuse.glusterfs', export: volume?.name ?? `vol_${key}` } }
}

/** gluster-block names the target by the UUID that the device has as its serial number. */
function deviceHints({ key }: VolumeState, volume: HeketiVolume | undefined): DeviceHints {
  return { serial: /:([0-9a-f-]{36})$/.exec(volume?.iqn ?? '')?.[1] ?? key }
}

const annotation = 'gluster.kubernetes.io/heketi-volume-id'

/** The id in a PersistentVolume of Kubernetes' own GlusterFS plug-in: its annotation, or the volume's name. */
function idIn(persistentVolume: object): string | undefined {
  const name = nameOf(persistentVolume)
  if (name === undefined) return undefined
  const { metadata } = persistentVolume as {
    readonly metadata?: { readonly annotations?: Readonly<Record<string, unknown>> | null } | null
  }
  const annotated = metadata?.annotations?.[annotation]
  const id = typeof annotated === 'string' ? annotated : /^vol_([0-9a-f]{32})$/.exec(name)?.[1]
  return id !== undefined && /^[0-9a-f]{32}$/.test(id) ? id : undefined
}
