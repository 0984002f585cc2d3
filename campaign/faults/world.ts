import type { Clock } from '../../src/clock.ts'
import type { Volume } from '../../src/index.ts'
import type { Kinds } from './fault.ts'
import type { Backend, Wire } from './wire.ts'

/** One backend with one volume on it, in memory, behind a wire. */
export interface World extends Backend {
  /** The sizes in bytes of the growths that came over the wire and were accepted, in order. */
  readonly growths: readonly bigint[]
  /** The volume as one process has it: processes share nothing but the world. */
  volume(process: number): Volume
  /** Another tool makes it as large, at once. */
  grow(to: bigint): void
  /** Another tool asks for that, and the world takes its time. Left out: growths of this world are over when they are accepted. */
  ask?(to: bigint): void
}

/** What one process sees as time. */
export interface Times {
  /** The world's. */
  readonly world: Clock
  /** The process's, which may jump. */
  readonly own: Clock
}

/** A provider and the world that it is tried on. */
export interface Subject {
  readonly name: string
  readonly kinds: Kinds
  /** Bytes in the beginning, and the sizes that are asked for, the larger one last. */
  readonly first: bigint
  readonly targets: readonly [bigint, bigint]
  /** Whether a change that is delivered twice, or late, does no harm at this backend. */
  readonly absolute: boolean
  /** Whether growths by several processes, or by another tool, at the same time are safe at this backend; where they are not, no client can make them so. */
  readonly shared: boolean
  /** Milliseconds after which the backend surely takes the next growth. */
  readonly rest: number
  /** Loads what the provider loads lazily. */
  readonly prepare?: () => Promise<unknown>
  make(wire: Wire, times: Times): World
}
