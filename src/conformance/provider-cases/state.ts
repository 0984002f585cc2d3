import type { Limit, VolumeState } from '../../expander.ts'
import { findingCodes } from '../../findings.ts'
import { jsonSafe } from '../../json.ts'
import { holds } from '../suite.ts'

const phases: ReadonlySet<string> = new Set(['stable', 'growing', 'failed', 'unusable'])
const userKinds: ReadonlySet<string> = new Set(['attachment', 'watcher', 'loop', 'process'])

/** Fails the case unless the state is one that the core can rely on. */
export function wellFormed(state: VolumeState): void {
  const { key, size, phase, native, progress, growingTo, nextChangeAt, overhead, backed } = state
  holds(typeof key === 'string' && key !== '', 'A state has a key.')
  holds(typeof size === 'bigint' && size > 0n, 'A size is a bigint of bytes, and more than nothing.')
  holds(phases.has(phase), `${phase} is not a phase.`)
  holds(typeof native === 'string' && native !== '', "A state has the backend's own word for it.")
  holds(progress === undefined || (progress >= 0 && progress <= 1), 'A progress is from 0 to 1.')
  holds(growingTo === undefined || growingTo >= size, 'growingTo is below the size.')
  holds(nextChangeAt === undefined || !Number.isNaN(nextChangeAt.getTime()), 'nextChangeAt is not a date.')
  for (const amount of [overhead, backed]) holds(amount === undefined || amount >= 0n, 'Bytes are never negative.')
  for (const limit of state.limits ?? []) soundLimit(limit)
  for (const { kind, description } of state.users ?? []) {
    holds(userKinds.has(kind) && description !== '', 'A user has a kind and a description.')
  }
  for (const { code, message } of [...(state.findings ?? []), ...(state.growthFindings ?? [])]) {
    holds(code in findingCodes && message !== '', `${code} is not a finding's code, or has no message.`)
  }
  JSON.stringify(jsonSafe(state))
}

function soundLimit({ what, most, source, asOf }: Limit): void {
  holds(['size', 'quota', 'pool'].includes(what), `${what} is not a kind of limit.`)
  holds(typeof most === 'bigint' && most > 0n, 'A limit is a bigint of bytes, and more than nothing.')
  holds(source !== '', 'A limit without a source cannot be argued with.')
  holds(asOf === undefined || /^\d{4}-\d{2}-\d{2}/.test(asOf), 'asOf is an ISO date.')
}
