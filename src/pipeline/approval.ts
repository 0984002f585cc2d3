import { VolumeExpansionError } from '../errors.ts'
import { type Bytes, bytes, formatSize } from '../size.ts'
import type { Plan, PlanJson } from './plan.ts'
import { notAPlan } from './seal.ts'

/** What of a plan has to fit the world again. */
interface ApprovedLayer {
  readonly id: string
  readonly label: string
  readonly size: Bytes
  readonly most: Bytes
  readonly identity: Readonly<Record<string, string>>
}

/**
 * Refuses when the world no longer fits the plan: each layer has to be the same one, at a size between the one before and the one planned (a run that died in the
 * middle leaves such sizes, and is resumed by the same plan). Blockers and side effects that the approved plan did not show are refused as well.
 */
export function requireFresh(approved: Plan | PlanJson, now: Plan): void {
  const then = approvedLayers(approved)
  const accepted = new Set(approved.findings.map((finding) => record(finding)['code']))
  const changes: string[] = []
  for (const layer of then) {
    const present = now.layers.find(({ id }) => id === layer.id)
    if (present === undefined) changes.push(`${layer.label} is not there any more`)
    else if (Object.entries(layer.identity).some(([key, value]) => present.identity[key] !== value)) {
      changes.push(`${layer.label} is another one now`)
    } else if (present.size < layer.size || present.size > layer.most) {
      changes.push(`${layer.label} has ${formatSize(present.size)}, not ${formatSize(layer.size)}`)
    }
  }
  for (const { id, label } of now.layers) {
    if (!then.some((layer) => layer.id === id)) changes.push(`${label} was not there`)
  }
  for (const { code, severity, message } of now.findings) {
    if (severity !== 'note' && !accepted.has(code)) changes.push(`a new finding: ${message}`)
  }
  if (changes.length === 0) return
  throw new VolumeExpansionError('stale-plan', `The plan no longer fits: ${changes.join('; ')}.`, {
    layer: 'pipeline',
    outcome: 'unchanged',
    remedy: 'Make a new plan, look at it, and approve that one.',
  })
}

function approvedLayers({ layers }: Plan | PlanJson): readonly ApprovedLayer[] {
  return layers.map((entry) => {
    const { id, label, size, after, identity } = record(entry)
    if (typeof id !== 'string' || typeof label !== 'string') throw notAPlan()
    return { id, label, size: sizeOf(size), most: sizeOf(after), identity: textsOf(identity) }
  })
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) throw notAPlan()
  return value as Readonly<Record<string, unknown>>
}

function textsOf(value: unknown): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(record(value)).map(([key, text]) => [key, String(text)]))
}

function sizeOf(value: unknown): Bytes {
  if (typeof value === 'bigint') return bytes(value)
  if (typeof value === 'string' && /^\d+$/.test(value)) return bytes(BigInt(value))
  throw notAPlan()
}
