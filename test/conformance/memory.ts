import type { ProviderSetup } from '../../src/conformance/index.ts'
import { abortedError, VolumeExpansionError } from '../../src/errors.ts'
import type { Capabilities, Snapshots, VolumeExpander, VolumeIdentity, VolumeState } from '../../src/expander.ts'
import { type Bytes, bytes, MiB } from '../../src/size.ts'

export type MemoryRef = string | { readonly pool: string; readonly name: string }

interface Kept {
  size: bigint
  target: bigint | undefined
  /** Pauses until the target is reached. */
  left: number
  readonly number: number
}

interface KeptSnapshot {
  readonly id: string
  readonly key: string
  readonly name: string
  readonly requestId: string
  /** Pauses until it can be used. */
  left: number
}

/** What the backend is asked with, which nobody else has to see. */
export const password = 'canary/of+the memory'

/** A backend in memory that takes its time: a growth is accepted at once and there after some pauses. */
export class Memory {
  readonly volumes: Map<string, Kept> = new Map()
  readonly snapshots: KeptSnapshot[] = []
  /** Volumes for whose next growth the answer is lost. */
  readonly losing: Set<string> = new Set()
  /** Bytes that the host's device shows. */
  readonly seen: Map<string, bigint> = new Map()
  readonly duration = 4

  add(): string {
    const key = `fast/volume-${this.volumes.size + 1}`
    this.volumes.set(key, { size: 8n * MiB, target: undefined, left: 0, number: this.volumes.size + 1 })
    this.seen.set(key, 8n * MiB)
    return key
  }

  kept(key: string): Kept {
    const kept = this.volumes.get(key)
    if (kept === undefined) throw failure('not-found', `${key} does not exist.`)
    return kept
  }

  tick(): void {
    for (const snapshot of this.snapshots) snapshot.left -= 1
    for (const kept of this.volumes.values()) {
      if (kept.target === undefined) continue
      kept.left -= 1
      if (kept.left > 0) continue
      kept.size = kept.target
      kept.target = undefined
    }
  }
}

const capabilities: Capabilities = {
  granularity: MiB,
  readBatch: 7,
  progress: true,
  hostsSeeGrowth: false,
}

export function failure(code: 'not-found' | 'invalid-reference', message: string): VolumeExpansionError {
  return new VolumeExpansionError(code, message, {
    layer: 'volume',
    provider: 'memory',
    outcome: 'unchanged',
    remedy: 'Name a volume that exists.',
  })
}

export function lostAnswer(): VolumeExpansionError {
  return new VolumeExpansionError('backend-unreachable', 'The connection was lost before the answer came.', {
    layer: 'volume',
    provider: 'memory',
    outcome: 'unknown',
    retryable: true,
    remedy: 'Run it again.',
  })
}

export function identityOf(ref: MemoryRef): VolumeIdentity {
  const given: { readonly pool?: unknown; readonly name?: unknown } | string | null = ref
  const parts = typeof given === 'string' ? given.split('/') : [given?.pool, given?.name]
  const key = parts.every((part) => typeof part === 'string') ? parts.join('/') : ''
  if (!/^[a-z]+\/[a-z0-9-]+$/.test(key)) throw failure('invalid-reference', 'A ref is pool/name.')
  return { scope: 'memory', key, label: key }
}

/** The correct provider of {@link Memory}. */
export function memoryExpander(memory: Memory): VolumeExpander<MemoryRef> {
  const stateOf = (ref: MemoryRef): VolumeState => {
    const { key } = identityOf(ref)
    const { size, target, left } = memory.kept(key)
    if (target === undefined) return { key, size: bytes(size), phase: 'stable', native: 'available' }
    const progress = (memory.duration - left) / memory.duration
    return { key, size: bytes(size), phase: 'growing', native: 'extending', growingTo: bytes(target), progress }
  }
  return {
    name: 'memory',
    capabilities,
    normalize: identityOf,
    async read(refs, { signal }) {
      if (signal?.aborted) throw abortedError(signal, 'volume', 'unchanged')
      return refs.map((ref) => {
        try {
          return stateOf(ref)
        } catch (error) {
          return error as Error
        }
      })
    },
    async expand(ref, { size, signal }) {
      if (signal?.aborted) throw abortedError(signal, 'volume', 'unchanged')
      const { key } = identityOf(ref)
      const kept = memory.kept(key)
      if (size <= kept.size || (kept.target !== undefined && size <= kept.target)) return
      kept.target = size
      kept.left = memory.duration
      if (memory.losing.delete(key)) throw lostAnswer()
    },
    identify: (_ref, { key }) => ({ serial: `serial-${memory.kept(key).number}` }),
    parts: async () => [{ label: 'brick 1', host: { name: 'one' }, path: '/bricks/one' }],
    fromPersistentVolume: (persistentVolume) => handleIn(persistentVolume),
    snapshots: snapshotsOf(memory),
  }
}

function snapshotsOf(memory: Memory): Snapshots<MemoryRef> {
  return {
    async create(ref, { name, requestId, signal }) {
      if (signal?.aborted) throw abortedError(signal, 'volume', 'unchanged')
      const { key } = identityOf(ref)
      memory.kept(key)
      const begun = memory.snapshots.find((each) => each.key === key && each.requestId === requestId)
      if (begun !== undefined) return begun.id
      const id = `snapshot-${memory.snapshots.length + 1}`
      memory.snapshots.push({ id, key, name, requestId, left: memory.duration })
      return id
    },
    async read(ref, id, { signal }) {
      if (signal?.aborted) throw abortedError(signal, 'volume', 'unchanged')
      const { key } = identityOf(ref)
      const snapshot = memory.snapshots.find((each) => each.key === key && each.id === id)
      if (snapshot === undefined) throw failure('not-found', `${key} has no snapshot ${id}.`)
      const { left } = snapshot
      if (left <= 0) return { id, phase: 'usable', native: 'available' }
      return { id, phase: 'pending', native: 'creating', progress: (memory.duration - left) / memory.duration }
    },
  }
}

function handleIn(persistentVolume: object): string | undefined {
  const { spec } = persistentVolume as { spec?: { csi?: { driver?: string; volumeHandle?: string } | null } }
  return spec?.csi?.driver === 'memory.example.com' ? spec.csi.volumeHandle : undefined
}

export function memorySetup(expander: VolumeExpander<MemoryRef>, memory: Memory): ProviderSetup<MemoryRef> {
  const volume = async () => {
    const key = memory.add()
    const [pool = '', name = ''] = key.split('/')
    return {
      ref: key,
      spellings: [{ pool, name }],
      measure: async () => memory.kept(key).size,
      grow: async (size: Bytes) => {
        memory.kept(key).size = size
      },
      seen: async () => memory.seen.get(key) ?? 0n,
    }
  }
  return {
    expander,
    volume,
    attached: volume,
    missing: 'fast/nowhere',
    missingSnapshot: 'snapshot-0',
    loseAnswer: (ref) => void memory.losing.add(identityOf(ref).key),
    secrets: [password],
    malformed: ['', 'no-pool', 'fast/Not Allowed', 42, null, {}],
    pause: async () => memory.tick(),
    patience: 20,
    persistentVolumes: async () => {
      const ref = memory.add()
      return [{ persistentVolume: { spec: { csi: { driver: 'memory.example.com', volumeHandle: ref } } }, ref }]
    },
  }
}
