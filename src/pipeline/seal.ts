import { jsonSafe } from '../json.ts'
import { type Bytes, bytes } from '../size.ts'
import type { Plan, PlanJson } from './plan.ts'

/** Gives a plan its JSON. */
export function sealPlan({ target, layers, actions, findings, blocked, observedAt }: Omit<Plan, 'toJSON'>): Plan {
  return { target, layers, actions, findings, blocked, observedAt, toJSON }
}

// One for all plans, since a fleet holds one of each volume.
function toJSON(this: Plan): PlanJson {
  const { toJSON: _toJSON, ...parts } = this
  const json = jsonSafe({ ...parts, target: `${parts.target}` })
  return { volumeExpanderPlan: 1, ...(json as unknown as Omit<PlanJson, 'volumeExpanderPlan'>) }
}

/** @throws {TypeError} when it is neither a plan nor a plan's JSON */
export function approvedTarget(approved: Plan | PlanJson): Bytes | 'fill' {
  const { target } = approved
  if (target === 'fill') return target
  if (typeof target === 'bigint') return target
  if (typeof target === 'string' && /^\d+$/.test(target)) return bytes(BigInt(target))
  throw notAPlan()
}

export function notAPlan(): TypeError {
  return new TypeError('`approved` has to be a plan made by plan(), or the JSON of one.')
}
