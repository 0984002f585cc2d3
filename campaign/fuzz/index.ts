import { parseArgs } from 'node:util'
import type { Campaign } from '../campaign.ts'
import { fullRun, type Ran, runTargets } from './run.ts'
import { targets } from './targets/index.ts'
import { Watchdog } from './watchdog.ts'

const usage = `npm run campaign -- fuzz [--cases N] [--seed N] [--target NAME]… [--case NUMBER]

Random and mutated inputs to everything that takes words from elsewhere. Left out: every target with all of its cases, seed 1.
  --cases N      cases in all, shared among the targets as in a full run (${fullRun(targets)})
  --seed N       the same seed makes the same cases, on every machine
  --target NAME  only this one; may be given several times
  --case NUMBER  one case alone, as a failure names it`

/** Attacks every parser and every name with inputs that nobody would write. */
export const campaign: Campaign = async (argv) => {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      cases: { type: 'string' },
      seed: { type: 'string', default: '1' },
      target: { type: 'string', multiple: true },
      case: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  const chosen = values.target === undefined ? targets : targets.filter(({ name }) => values.target?.includes(name))
  const plan = {
    seed: wholeOf(values.seed),
    cases: values.cases === undefined ? fullRun(chosen) : wholeOf(values.cases),
    only: values.case === undefined ? undefined : wholeOf(values.case),
  }
  const unknown = values.target?.find((name) => targets.every((target) => target.name !== name))
  if (values.help || unknown !== undefined || Object.values(plan).some(Number.isNaN)) {
    console.log(
      `${usage}\n\nTargets:\n${targets.map(({ name, promise }) => `  ${name.padEnd(18)} ${promise}`).join('\n')}`,
    )
    return values.help
  }
  const watchdog = new Watchdog()
  const start = performance.now()
  const all: Ran[] = []
  for await (const ran of runTargets(chosen, plan, (target, number) => watchdog.feed(target, number))) {
    all.push(ran)
    console.log(lineOf(ran))
    if (ran.broken === undefined) continue
    const { target, number, reason, input } = ran.broken
    console.log(`  BROKEN: ${reason}\n  with ${input}`)
    console.log(`  again: npm run campaign -- fuzz --seed ${plan.seed} --target ${target} --case ${number}`)
  }
  await watchdog.stop()
  const cases = all.reduce((sum, ran) => sum + ran.cases, 0)
  const broken = all.filter((ran) => ran.broken !== undefined).length
  const { user, system } = process.cpuUsage()
  const seconds = (milliseconds: number): string => (milliseconds / 1000).toFixed(1)
  console.log(
    `${cases} cases of ${all.length} targets with seed ${plan.seed} in ${seconds(performance.now() - start)} s (${seconds((user + system) / 1000)} s of CPU in this process): ${broken === 0 ? 'every promise held' : `${broken} targets broke their promise`}.`,
  )
  return broken === 0
}

function lineOf({ target, cases, seconds, tally }: Ran): string {
  if (target.lacking !== undefined) return `${target.name.padEnd(18)} not run: ${target.lacking}`
  const verdicts = [...tally].sort(([a], [b]) => (a < b ? -1 : 1)).map(([verdict, count]) => `${verdict} ${count}`)
  return `${target.name.padEnd(18)} ${`${cases}`.padStart(7)} cases ${seconds.toFixed(1).padStart(6)} s   ${verdicts.join(', ')}`
}

function wholeOf(text: string): number {
  return /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
}
