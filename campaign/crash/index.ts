import { copyFile, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { runInUml } from '../../test/lab/uml.ts'
import type { Campaign } from '../campaign.ts'
import { buildPrograms } from './bundle.ts'
import { reportOf } from './report.ts'
import type { Results, Spec } from './spec.ts'
import { subjects } from './subjects.ts'

const usage = `Crashes the library, the power and the disk while a filesystem in use grows, on a kernel of its own (User-Mode Linux).

  npm run campaign -- crash [options]
      --quick           what can be done in some minutes
      --kills N         before each call that the library makes, and twice as many at random moments; 20 unless said, 0 for none
      --states N        that power cuts leave, replayed in all at the least; 600 unless said, 0 for none
      --errors N        runs with each fault of the disk; 5 unless said, 0 for none
      --seed N          1 unless said
      --on NAMES        of ${subjects.map(({ name }) => name).join(',')}; all unless said. Each has seeds of its own: what one does depends on no other
      --results FILE    writes the figures there as JSON
`
const whole = { kills: 20, states: 600, errors: 5 }
const quick = { kills: 2, states: 80, errors: 1 }
/** Milliseconds. */
const longest = 6 * 3_600_000

export const campaign: Campaign = async (argv) => {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      quick: { type: 'boolean', default: false },
      kills: { type: 'string' },
      states: { type: 'string' },
      errors: { type: 'string' },
      seed: { type: 'string', default: '1' },
      on: { type: 'string', default: subjects.map(({ name }) => name).join(',') },
      results: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    console.log(usage)
    return true
  }
  const given = values.on.split(',')
  const chosen = subjects.flatMap(({ name }) => (given.includes(name) ? [name] : []))
  if (chosen.length !== given.length) throw new Error(`There is no such thing to crash: ${values.on}\n\n${usage}`)
  const usual = values.quick ? quick : whole
  const count = (name: keyof typeof usual): number => counted(name, values[name] ?? `${usual[name]}`)
  const settings = {
    seed: counted('seed', values.seed),
    subjects: chosen,
    kills: count('kills'),
    states: Math.ceil(count('states') / chosen.length),
    errors: count('errors'),
  }
  const results = await inGuest(settings)
  console.log(`\n${reportOf(results.figures)}`)
  if (values.results !== undefined) await copyFile(results.path, values.results)
  await rm(results.directory, { recursive: true })
  const { kills, power, errors } = results.figures
  return results.exitCode === 0 && [...kills, ...power, ...errors].every(({ failures }) => failures.length === 0)
}

async function inGuest(settings: Omit<Spec, 'grow' | 'output'>): Promise<{
  readonly figures: Results
  readonly path: string
  readonly directory: string
  readonly exitCode: number
}> {
  const interruption = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => interruption.abort(new Error(`Ended by ${signal}.`)))
  }
  const directory = await mkdtemp(join(tmpdir(), 'crash-campaign-'))
  try {
    const { guest, grow } = await buildPrograms(directory)
    const spec: Spec = { ...settings, grow, output: join(directory, 'results.json') }
    const { exitCode } = await runInUml({
      argv: [process.execPath, guest, JSON.stringify(spec)],
      cwd: directory,
      writable: [directory],
      timeout: longest,
      stdout: process.stdout,
      stderr: process.stderr,
      signal: interruption.signal,
    })
    const figures: Results = JSON.parse(await readFile(spec.output, 'utf8'))
    return { figures, path: spec.output, directory, exitCode }
  } catch (error) {
    await rm(directory, { recursive: true })
    throw error
  }
}

function counted(name: string, text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new Error(`--${name} takes a whole number, not "${text}".`)
  return Number(text)
}
