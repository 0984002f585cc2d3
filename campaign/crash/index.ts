import { copyFile, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { runInUml } from '../../test/lab/uml.ts'
import type { Campaign } from '../campaign.ts'
import { buildPrograms } from './bundle.ts'
import type { Results, Spec } from './spec.ts'
import type { SubjectName } from './subjects.ts'

export const campaign: Campaign = async (argv) => {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      quick: { type: 'boolean', default: false },
      kills: { type: 'string' },
      states: { type: 'string' },
      seed: { type: 'string', default: '1' },
      results: { type: 'string' },
      on: { type: 'string', default: 'ext3,ext4,xfs,stack' },
    },
  })
  const interruption = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => interruption.abort(new Error(`Ended by ${signal}.`)))
  }
  const directory = await mkdtemp(join(tmpdir(), 'crash-campaign-'))
  try {
    const programs = await buildPrograms(directory)
    const spec: Spec = {
      seed: Number(values.seed),
      subjects: values.on.split(',') as SubjectName[],
      kills: Number(values.kills ?? 20),
      states: Number(values.states ?? 130),
      grow: programs.grow,
      output: join(directory, 'results.json'),
    }
    const { exitCode } = await runInUml({
      argv: [process.execPath, programs.guest, JSON.stringify(spec)],
      cwd: directory,
      writable: [directory],
      timeout: 4 * 3_600_000,
      stdout: process.stdout,
      stderr: process.stderr,
      signal: interruption.signal,
    })
    const results: Results = JSON.parse(await readFile(spec.output, 'utf8'))
    console.log(JSON.stringify(results, undefined, 1))
    if (values.results !== undefined) await copyFile(spec.output, values.results)
    return exitCode === 0 && [...results.kills, ...results.power].every(({ failures }) => failures.length === 0)
  } finally {
    await rm(directory, { recursive: true })
  }
}
