import { VolumeExpansionError } from '../errors.ts'
import type { Finding } from '../findings.ts'
import { type Bytes, formatSize, parseIncrement, parseSize, roundDown, roundUp } from '../size.ts'
import type { LayerKind } from '../where.ts'
import type { RunOptions } from './plan.ts'
import type { PlanDraft } from './step.ts'

type Container = { readonly current: Bytes; readonly granularity: Bytes; readonly layer: LayerKind }

/** The draft that the engine fills while it asks one step after the other for its part of the plan. */
export interface Draft extends PlanDraft {
  predict(layerId: string, size: Bytes): void
  /** What resolving the target found: a target below what is there. */
  readonly findings: readonly Finding[]
  /** The target, once a step has resolved it. */
  readonly resolved: Bytes | 'fill' | undefined
}

/** Begins a plan. A target that was approved before is absolute already. */
export function draftFor(options: RunOptions, approvedTarget: Bytes | 'fill' | undefined): Draft {
  const predictions = new Map<string, Bytes>()
  const findings: Finding[] = []
  let resolved: Bytes | 'fill' | undefined = approvedTarget
  return {
    options,
    findings,
    get resolved() {
      return resolved
    },
    predict: (layerId, size) => void predictions.set(layerId, size),
    predicted: (layerId) => predictions.get(layerId),
    target(container) {
      if (approvedTarget !== undefined && resolved === approvedTarget) return approvedTarget
      if (resolved === undefined) {
        resolved = resolveTarget(options, container)
        if (resolved !== 'fill' && resolved < container.current) findings.push(wouldShrink(resolved, container))
      }
      return resolved
    },
  }
}

function resolveTarget(options: RunOptions, { current, granularity, layer }: Container): Bytes | 'fill' {
  const most = options.max === undefined ? undefined : parseSize(options.max)
  if (options.by !== undefined) {
    const wanted = roundUp((current + parseIncrement(options.by, current)) as Bytes, granularity)
    if (most === undefined || wanted <= most) return wanted
    const capped = roundDown(most, granularity)
    // At or above `max` already: nothing is added, and nothing is taken away either.
    return capped > current ? capped : current
  }
  if (options.to === 'fill' || options.to === undefined) return 'fill'
  const asked = parseSize(options.to)
  const rounded = roundUp(asked, granularity)
  // What is there may be no whole number of units, and enough.
  const wanted = asked <= current && current < rounded ? current : rounded
  if (most !== undefined && wanted > most) {
    throw new VolumeExpansionError(
      'invalid-request',
      `The target of ${formatSize(wanted)} is above max, ${formatSize(most)}.`,
      {
        layer,
        outcome: 'unchanged',
        remedy: 'Raise `max`, or ask for less.',
      },
    )
  }
  return wanted
}

function wouldShrink(target: Bytes, { current, layer }: Container): Finding {
  return {
    code: 'would-shrink',
    severity: 'blocker',
    layer,
    message: `The target of ${formatSize(target)} is below the ${formatSize(current)} that is there.`,
    remedy: "Ask for more than there is, or for to: 'fill' to let what is above use what is there.",
  }
}
