import type { Finding } from '../findings.ts'
import type { Json } from '../json.ts'
import type { Bytes } from '../size.ts'
import type { LayerKind, Where } from '../where.ts'

export interface LayerReport {
  readonly id: string
  readonly kind: LayerKind
  readonly label: string
  /** Bytes, measured before anything was done. */
  readonly before: Bytes
  /** Bytes, measured last; equal to `before` where nothing was seen to change. */
  readonly after: Bytes
}

export interface ActionReport {
  readonly id: string
  readonly layer: Where
  readonly summary: string
  /** `done`: acted and verified. `failed`: begun, and not verified. `not-reached`: the run ended before it. */
  readonly status: 'done' | 'failed' | 'not-reached'
  readonly milliseconds: number
  /** What the action made that is worth knowing afterwards, such as the id of a snapshot. */
  readonly details?: Readonly<Record<string, string>>
}

/** What a run did: only what was observed. */
export interface Report {
  /** Whether anything was changed; false when everything was large enough already. */
  readonly changed: boolean
  readonly target: Bytes | 'fill'
  readonly layers: readonly LayerReport[]
  readonly actions: readonly ActionReport[]
  readonly findings: readonly Finding[]
  /** The whole run. */
  readonly milliseconds: number
  toJSON(): Json
}
