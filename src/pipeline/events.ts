import type { VolumeExpansionError } from '../errors.ts'
import type { Finding } from '../findings.ts'
import type { LayerState } from '../layers/layer.ts'
import type { Bytes } from '../size.ts'
import type { Where } from '../where.ts'
import type { Action, Plan } from './plan.ts'
import type { Report } from './report.ts'

/** What happens in a run, in order; the last one is `succeeded` or `failed`. */
export type ExpansionEvent = { /** Milliseconds since the call. */ readonly elapsed: number } & (
  | { readonly type: 'observed'; readonly layers: readonly LayerState[] }
  | { readonly type: 'planned'; readonly plan: Plan }
  | { readonly type: 'warning'; readonly finding: Finding }
  | { readonly type: 'waiting'; readonly layer: Where; readonly reason: string }
  | { readonly type: 'action-started'; readonly action: Action }
  | {
      readonly type: 'progress'
      readonly action: Action
      /** 0 to 1, where it is known. */
      readonly fraction?: number
      /** Bytes that the layer had when it was last measured. */
      readonly size?: Bytes
      /** The backend's or tool's own word for what it is doing. */
      readonly native?: string
    }
  | { readonly type: 'action-finished'; readonly action: Action; readonly size?: Bytes; readonly milliseconds: number }
  | { readonly type: 'succeeded'; readonly report: Report }
  | { readonly type: 'failed'; readonly error: VolumeExpansionError }
)

/** An event before the run has stamped it with the time. */
export type NewEvent = ExpansionEvent extends infer Event
  ? Event extends ExpansionEvent
    ? Omit<Event, 'elapsed'>
    : never
  : never
