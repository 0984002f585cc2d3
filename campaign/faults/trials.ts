import { execute, type Trial } from './execute.ts'
import { judge, type Verdict } from './judge.ts'
import { deniedFromTheStart, enumerated, random, type Scenario } from './scenario.ts'
import type { Exchange } from './wire.ts'
import type { Subject } from './world.ts'

/** A trial whose promises did not hold. */
export interface Failure {
  readonly subject: string
  readonly key: string
  readonly broken: readonly string[]
}

/** What the trials of one provider came to. */
export interface Tally {
  readonly subject: string
  /** Requests of the run without faults. */
  readonly requests: number
  enumerated: number
  random: number
  /** Runs of the library, the reruns among them. */
  runs: number
  exchanges: number
  /** Faults that really happened. */
  faults: number
  /** By what they were, the runs with faults only. */
  readonly ends: Map<string, number>
  deceived: number
  cautious: number
  tooLate: number
  wronglyRefused: number
  readonly failures: Failure[]
  /** Keys of trials that were too late or wrongly refused. */
  readonly notable: string[]
}

/** The exchanges of a run without faults. */
async function cleanRun(subject: Subject): Promise<readonly Exchange[]> {
  await subject.prepare?.()
  const trial = await execute(subject, clean(subject))
  const { broken } = judge(trial, subject)
  if (broken.length > 0) throw new Error(`Without faults ${subject.name} breaks a promise: ${broken.join('; ')}`)
  return trial.exchanges.filter(({ run }) => run === 1)
}

function clean({ targets }: Subject): Scenario {
  const runs = [{ process: 0, to: targets[0], at: 0 }]
  return { key: 'clean', hits: [], runs, incidents: [], rerun: { process: 0, atOnce: true } }
}

export interface Choice {
  readonly seed: number
  /** How many trials of chance. */
  readonly runs: number
  /** Leaves out all but every so many of the enumerated ones. Left out: 1, all of them. */
  readonly every?: number
  /** Minutes after which no further trial of chance begins. Left out: none. */
  readonly minutes?: number
}

export async function trials(
  subject: Subject,
  { seed, runs, every = 1, minutes = Number.POSITIVE_INFINITY }: Choice,
  report: (tally: Tally, done: number, all: number) => void = () => undefined,
): Promise<Tally> {
  const end = performance.now() + minutes * 60_000
  const exchanges = await cleanRun(subject)
  const tally = emptyTally(subject, exchanges.length)
  const systematic = [...enumerated(subject, exchanges), ...deniedFromTheStart(subject, exchanges)]
  const chosen = systematic.filter((_, index) => index % every === 0)
  const all = chosen.length + runs
  for (const scenario of chosen) {
    add(tally, await execute(subject, scenario), subject)
    tally.enumerated += 1
    report(tally, tally.enumerated, all)
  }
  for (let number = 0; number < runs && performance.now() < end; number += 1) {
    add(tally, await execute(subject, random(subject, seed, number, exchanges.length)), subject)
    tally.random += 1
    report(tally, tally.enumerated + tally.random, all)
  }
  return tally
}

/** The one trial of that key. @throws {TypeError} when there is none */
export async function only(subject: Subject, seed: number, key: string): Promise<{ trial: Trial; verdict: Verdict }> {
  const exchanges = await cleanRun(subject)
  const number = /^random\/(\d+)$/.exec(key)?.[1]
  const scenario =
    number === undefined
      ? [clean(subject), ...enumerated(subject, exchanges), ...deniedFromTheStart(subject, exchanges)].find(
          (each) => each.key === key,
        )
      : random(subject, seed, Number(number), exchanges.length)
  if (scenario === undefined) throw new TypeError(`${subject.name} has no trial ${key}.`)
  const trial = await execute(subject, scenario)
  return { trial, verdict: judge(trial, subject) }
}

function emptyTally({ name: subject }: Subject, requests: number): Tally {
  return {
    ...{ subject, requests, enumerated: 0, random: 0, runs: 0, exchanges: 0, faults: 0 },
    ...{ deceived: 0, cautious: 0, tooLate: 0, wronglyRefused: 0, ends: new Map(), failures: [], notable: [] },
  }
}

function add(tally: Tally, trial: Trial, subject: Subject): void {
  const verdict = judge(trial, subject)
  tally.runs += trial.ends.length + 1
  tally.exchanges += trial.exchanges.length
  tally.faults += trial.exchanges.filter(({ fault }) => fault !== undefined).length
  for (const end of verdict.ends) tally.ends.set(end, (tally.ends.get(end) ?? 0) + 1)
  tally.deceived += verdict.deceived
  tally.cautious += verdict.cautious
  tally.tooLate += verdict.tooLate
  tally.wronglyRefused += verdict.wronglyRefused
  const { key } = trial.scenario
  if (verdict.tooLate > 0) tally.notable.push(`too late: ${key}`)
  if (verdict.wronglyRefused > 0) tally.notable.push(`wrongly refused: ${key}`)
  if (verdict.broken.length > 0) tally.failures.push({ subject: tally.subject, key, broken: verdict.broken })
}
