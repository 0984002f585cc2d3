import { type Json, jsonSafe } from '../json.ts'
import type { Bytes } from '../size.ts'
import type { Action, Plan } from './plan.ts'
import type { ActionReport, LayerReport, Report } from './report.ts'

/** The report of a run that ended, in success or not: only what was planned, done and measured. */
export function reportOf(
  plan: Plan,
  actions: readonly ActionReport[],
  measured: ReadonlyMap<string, Bytes>,
  milliseconds: number,
): Report {
  const layers = plan.layers.map(
    ({ id, kind, label, size }): LayerReport => ({ id, kind, label, before: size, after: measured.get(id) ?? size }),
  )
  const notReached = plan.actions
    .slice(actions.length)
    .map(({ id, layer, summary }): ActionReport => ({ id, layer, summary, status: 'not-reached', milliseconds: 0 }))
  const parts = {
    changed: actions.some(({ status }, index) => status === 'done' && !onlyWaited(plan.actions[index], measured)),
    target: plan.target,
    layers,
    actions: [...actions, ...notReached],
    findings: plan.findings,
    milliseconds,
  }
  return { ...parts, toJSON: (): Json => jsonSafe(parts) }
}

/** Whether it only waited for what others had begun, after which nothing was larger, such as the end of a rebalance. */
function onlyWaited(action: Action | undefined, measured: ReadonlyMap<string, Bytes>): boolean {
  if (action?.before === undefined || action.calls.length + action.commands.length > 0) return false
  return measured.get(action.target ?? '') === action.before
}
