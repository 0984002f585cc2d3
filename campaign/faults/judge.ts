import { VolumeExpansionError } from '../../src/index.ts'
import type { Ended, Trial } from './execute.ts'
import { isLie, type Kinds } from './fault.ts'
import type { Exchange } from './wire.ts'
import type { Subject } from './world.ts'

/** What a trial showed. */
export interface Verdict {
  /** Promises that did not hold. */
  readonly broken: readonly string[]
  /** How each run ended, the rerun apart: `success`, or code and outcome. */
  readonly ends: readonly string[]
  /** Ends that repeated what a backend had said and not kept: it refused, and did it all the same. */
  readonly deceived: number
  /** Ends as "unknown" of runs that were aborted while a growth was being asked for, before the request was sent. */
  readonly cautious: number
  /** Runs that failed after the first growth was accepted, for a right that they did not have from the beginning (trials of denial only). */
  readonly tooLate: number
  /** Refusals of runs that nothing went wrong with and that nobody else was in the way of. */
  readonly wronglyRefused: number
}

/** Holds a trial against what the library promises, by the world's own log. */
export function judge(trial: Trial, { kinds, absolute }: Subject): Verdict {
  const { scenario, ends, rerun, exchanges } = trial
  const broken: string[] = [...trial.shrunk.map((what) => `a layer became smaller: ${what}`), ...trial.leaks]
  let deceived = 0
  let wronglyRefused = 0
  let tooLate = 0
  let cautious = 0
  const isAlone = scenario.runs.length === 1 && scenario.incidents.length === 0
  for (const end of ends) {
    const own = exchanges.filter(({ run }) => run === end.run)
    const found = judgeEnd(end, own, kinds, isAlone)
    broken.push(...found.broken.map((what) => `run ${end.run}: ${what}`))
    if (found.deceived) deceived += 1
    if (found.cautious) cautious += 1
    const untroubled = own.every(({ fault }) => fault === undefined) && !end.aborted && isAlone
    if (end.error !== undefined && untroubled) wronglyRefused += 1
    if (end.error !== undefined && scenario.key.startsWith('denied/') && own.some(({ accepted }) => accepted > 0))
      tooLate += 1
  }
  broken.push(
    ...judgeRerun(
      rerun,
      exchanges.filter(({ run }) => run === rerun.run),
    ).map((what) => `rerun: ${what}`),
  )
  const repeated = judgeGrowths(trial)
  // Where growths are relative, one that was refused and done all the same, or that no answer shows, is done once more by whoever believes that.
  const believed = exchanges.some(
    ({ fault, accepted }) => fault?.name === 'stale' || (accepted > 0 && fault !== undefined && isLie(kinds, fault)),
  )
  if (repeated.length > 0 && believed && !absolute) deceived += 1
  else broken.push(...repeated)
  return { broken, deceived, cautious, wronglyRefused, tooLate, ends: ends.map(showEnd) }
}

export function showEnd({ report, error, settled }: Ended): string {
  if (!settled) return 'never ended'
  if (report !== undefined) return report.changed ? 'success' : 'success, nothing to do'
  return error instanceof VolumeExpansionError ? `${error.code}, ${error.outcome}` : `not ours: ${error}`
}

function judgeEnd(
  end: Ended,
  own: readonly Exchange[],
  kinds: Kinds,
  isAlone: boolean,
): Pick<Verdict, 'broken'> & { readonly deceived: boolean; readonly cautious: boolean } {
  const broken: string[] = [...end.claims]
  const { report, error, sizeBefore, sizeAfter, to } = end
  if (!end.settled) return { ...honest, broken: ['it never ended'] }
  const accepted = own.filter((exchange) => exchange.accepted > 0)
  const grew = sizeAfter > sizeBefore || accepted.length > 0
  const sawOld = own.some(({ fault }) => fault?.name === 'stale')
  const claimed = (given: typeof report): void => {
    for (const { label, after } of given?.layers ?? []) {
      if (after > sizeAfter) broken.push(`the report gives ${label} ${after}, and there are ${sizeAfter}`)
    }
    if (given?.changed === true && !grew && !sawOld)
      broken.push('the report says that it changed something, and nothing did')
  }
  if (report !== undefined) {
    claimed(report)
    if (sizeAfter < to) broken.push(`success with ${sizeAfter}, and ${to} was asked for`)
    if (!report.changed && accepted.length > 0) broken.push('the report says that nothing was changed, and it was')
    return { ...honest, broken }
  }
  if (!(error instanceof VolumeExpansionError)) return { ...honest, broken: [`it ended with ${error}`] }
  claimed(error.report as typeof report)
  // A provider that throws what is not the library's is only met where a trial makes one do so.
  const isForeign = own.some(({ fault }) => fault?.name === 'foreign')
  if (error.code === 'contract-violated' && !isForeign) broken.push(`contract-violated: ${error.message}`)
  if (error.remedy === undefined) broken.push(`${error.code} without a remedy`)
  const deceived =
    error.outcome === 'unchanged' &&
    accepted.length > 0 &&
    (accepted.every(({ fault }) => fault !== undefined && isLie(kinds, fault)) || wasBlind(own))
  if (error.outcome === 'unchanged' && accepted.length > 0 && !deceived) {
    broken.push(`${error.code}: "unchanged", and a growth was accepted (exchange ${accepted[0]?.number})`)
  }
  if (error.outcome === 'changed' && !grew) broken.push(`${error.code}: "changed", and nothing was`)
  const nothingAsked = own.every(({ mutates }) => !mutates) && sizeAfter === sizeBefore && isAlone
  const cautious = error.outcome === 'unknown' && nothingAsked && error.code === 'aborted'
  if (error.outcome === 'unknown' && nothingAsked && !cautious) {
    broken.push(`${error.code}: "unknown", and nothing was asked for`)
  }
  const untroubled = own.every(({ fault }) => fault === undefined) && !end.aborted && isAlone
  if (error.outcome === 'unknown' && untroubled) broken.push(`${error.code}: "unknown", and nothing went wrong`)
  return { broken, deceived, cautious }
}

const honest = { deceived: false, cautious: false }

/** Whether every answer since the growth was accepted was one of before it: then nothing can show it. */
function wasBlind(own: readonly Exchange[]): boolean {
  const last = own.findLastIndex(({ accepted }) => accepted > 0)
  const later = own.slice(last + 1).filter(({ fault }) => fault?.name === 'stale')
  return later.length > 0
}

function judgeRerun(end: Ended, own: readonly Exchange[]): readonly string[] {
  const { report, to, sizeAfter, settled } = end
  if (!settled) return ['it never ended']
  if (report === undefined)
    return [`it failed: ${showEnd(end)}: ${end.error instanceof Error ? end.error.message : end.error}`]
  const broken = [...end.claims]
  if (sizeAfter < to) broken.push(`success with ${sizeAfter}, and ${to} was asked for`)
  for (const { label, after } of report.layers) {
    if (after !== sizeAfter) broken.push(`the report gives ${label} ${after}, and there are ${sizeAfter}`)
  }
  if (!report.changed && own.some(({ accepted }) => accepted > 0)) broken.push('it says that nothing was changed')
  return broken
}

/** At most one accepted growth for each size that was asked for, and never more than the largest of them. */
function judgeGrowths({ scenario, growths, sizeAtEnd, rerun, exchanges }: Trial): readonly string[] {
  const broken: string[] = []
  const wanted = new Set(scenario.runs.map(({ to }) => to))
  for (const to of new Set(growths)) {
    // What was delivered when everybody had long given up asks once more for what is there, at backends where that does no harm.
    const late = exchanges.filter(({ fault, accepted }) => fault?.name === 'late' && accepted > 0).length
    const times = growths.filter((size) => size === to).length
    if (times - late > 1) broken.push(`the growth to ${to} was accepted ${times} times`)
    if (!wanted.has(to) && to !== rerun.to) broken.push(`a growth to ${to} was accepted, which nobody had asked for`)
  }
  const others = scenario.incidents.flatMap((incident) => (incident.kind === 'jump' ? [] : [incident.to]))
  const most = [...wanted, ...others].reduce((all, size) => (size > all ? size : all), 0n)
  if (sizeAtEnd > most) broken.push(`it has ${sizeAtEnd} in the end, and nobody asked for more than ${most}`)
  return broken
}
