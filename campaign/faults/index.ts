import { parseArgs } from 'node:util'
import type { Campaign } from '../campaign.ts'
import { showEnd } from './judge.ts'
import { subjects } from './subjects.ts'
import { only, type Tally, trials } from './trials.ts'
import { showExchange } from './wire.ts'
import type { Subject } from './world.ts'

const usage = `npm run campaign -- faults [options]
  --provider NAME  one of ${subjects.map(({ name }) => name).join(', ')}; left out: all of them
  --runs N         trials of chance for each provider; left out: 10000
  --seed N         what chance follows from; left out: 1
  --only KEY       one trial alone, such as random/417, with the log of its requests; needs --provider
  --every N        only every so many of the enumerated trials; left out: 1
  --minutes N      no trial of chance begins for a provider after so many; left out: none`

/** Puts every fault into every request of every provider, and several of them at random. */
export const campaign: Campaign = async (argv) => {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      provider: { type: 'string' },
      runs: { type: 'string', default: '10000' },
      seed: { type: 'string', default: '1' },
      only: { type: 'string' },
      every: { type: 'string', default: '1' },
      minutes: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    console.log(usage)
    return true
  }
  const chosen = values.provider === undefined ? subjects : subjects.filter(({ name }) => name === values.provider)
  const [first] = chosen
  if (first === undefined || (values.only !== undefined && values.provider === undefined)) {
    console.error(usage)
    return false
  }
  const [seed, runs, every] = [values.seed, values.runs, values.every].map(Number)
  if (seed === undefined || runs === undefined || every === undefined) throw new TypeError(usage)
  const minutes = values.minutes === undefined ? undefined : Number(values.minutes)
  if (values.only !== undefined) return await replay(first, seed, values.only)
  console.log(`Seed ${seed}, ${runs} trials of chance for each provider.`)
  const tallies: Tally[] = []
  for (const subject of chosen) {
    const begun = performance.now()
    const tally = await trials(subject, { seed, runs, every, ...(minutes !== undefined && { minutes }) })
    tallies.push(tally)
    console.log(`\n${subject.name}: ${((performance.now() - begun) / 1000).toFixed(0)} s`)
    show(tally, seed)
  }
  console.log(`\n${table(tallies)}`)
  return tallies.every(({ failures }) => failures.length === 0)
}

async function replay(subject: Subject, seed: number, key: string): Promise<boolean> {
  const { trial, verdict } = await only(subject, seed, key)
  const { hits, runs, incidents, rerun } = trial.scenario
  const plain = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? `${value}` : value)
  console.log(JSON.stringify({ hits, runs, incidents, rerun }, plain, 1))
  for (const exchange of trial.exchanges) console.log(showExchange(exchange))
  for (const end of [...trial.ends, trial.rerun]) {
    console.log(`run ${end.run} to ${end.to}: ${showEnd(end)}; ${end.sizeBefore} -> ${end.sizeAfter}`)
    if (end.error instanceof Error) console.log(`  ${end.error.message}`)
  }
  for (const what of verdict.broken) console.log(`BROKEN ${what}`)
  return verdict.broken.length === 0
}

const shown = 25

function show({ failures, notable, ends }: Tally, seed: number): void {
  for (const [end, count] of [...ends].sort((one, other) => other[1] - one[1]))
    console.log(`  ${`${count}`.padStart(7)} ${end}`)
  const kinds = new Map<string, number>()
  for (const { broken } of failures) {
    for (const what of broken) kinds.set(what.replace(/\d+/g, 'N'), (kinds.get(what.replace(/\d+/g, 'N')) ?? 0) + 1)
  }
  for (const [what, count] of kinds) console.log(`  BROKEN ${count} x ${what}`)
  for (const { subject, key, broken } of failures.slice(0, shown)) {
    console.log(`  --provider ${subject} --seed ${seed} --only ${key}: ${broken.join('; ')}`)
  }
  for (const what of notable.slice(0, shown)) console.log(`  ${what}`)
}

function table(tallies: readonly Tally[]): string {
  const rows = tallies.map((tally) =>
    [
      ...[tally.subject, tally.requests, tally.enumerated, tally.random, tally.runs, tally.exchanges, tally.faults],
      ...[tally.failures.length, tally.deceived, tally.cautious, tally.tooLate, tally.wronglyRefused],
    ].join(' | '),
  )
  const head = [
    ...['provider', 'requests', 'enumerated', 'of chance', 'runs', 'requests in all', 'faults'],
    ...['broken', 'deceived', 'cautious', 'too late', 'wrongly refused'],
  ]
  return [head.join(' | '), head.map(() => '---').join(' | '), ...rows].map((row) => `| ${row} |`).join('\n')
}
