import type { ComputeClient } from './client.ts'
import type { Attachment, NativeDisk } from './native.ts'

/** A growth that was accepted and whose end has not been seen. */
export interface Begun {
  readonly operation: string
  /** GiB. */
  readonly sizeGb: bigint
  /** The disk as it was before, which it is until the operation is DONE. */
  readonly before: NativeDisk
}

/** Who has a disk, as long as its users and the time of its last attachment are those. */
export interface KnownAttachments {
  readonly version: string
  readonly attachments: readonly Attachment[]
}

/** A map that forgets its oldest entries: what it holds saves a request, and nothing depends on it. */
export class Recent<Value> {
  readonly #entries = new Map<string, Value>()
  readonly #most: number

  constructor(most = 10_000) {
    this.#most = most
  }

  get(key: string): Value | undefined {
    return this.#entries.get(key)
  }

  set(key: string, value: Value): void {
    this.#entries.delete(key)
    this.#entries.set(key, value)
    if (this.#entries.size <= this.#most) return
    const [oldest] = this.#entries.keys()
    if (oldest !== undefined) this.#entries.delete(oldest)
  }

  delete(key: string): void {
    this.#entries.delete(key)
  }
}

/**
 * What the provider remembers of a scope between calls: names of operations that it has begun, and what was observed before them. Never a substitute for looking: when
 * it is lost, growths under way are found in the list of operations.
 */
export interface ScopeMemory {
  readonly begun: Map<string, Begun>
  readonly disks: Recent<NativeDisk>
  readonly attachments: Recent<KnownAttachments>
  /** GiB by disk type, and when it was read. */
  readonly types: Recent<{ readonly most: bigint | undefined; readonly at: number }>
  /** Request ids whose operation ended with an error, and how often: the next try needs another id, or it would be answered with that end again. */
  readonly spent: Recent<number>
  readonly snapshots: Recent<string>
  /** How many reads wait for an operation now. */
  waits: number
  /** Until when, as `performance.now()` counts, instances are not looked at because the caller may not. */
  deniedUntil: number
}

const memories = new WeakMap<ComputeClient, Map<string, ScopeMemory>>()

export function memoryOf(client: ComputeClient, scope: string): ScopeMemory {
  const scopes = memories.get(client) ?? new Map<string, ScopeMemory>()
  memories.set(client, scopes)
  const known = scopes.get(scope)
  if (known !== undefined) return known
  const memory: ScopeMemory = {
    begun: new Map(),
    disks: new Recent(),
    attachments: new Recent(),
    types: new Recent(100),
    spent: new Recent(1000),
    snapshots: new Recent(1000),
    waits: 0,
    deniedUntil: 0,
  }
  scopes.set(scope, memory)
  return memory
}
