// The campaign, inside the kernel that it works on. Argument: a Spec as JSON.
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { attempt } from '../../test/real/support/commands.ts'
import { type IoErrorResult, ioErrors } from './io-errors.ts'
import { type KillResult, killing } from './kills.ts'
import { type PowerResult, powerCuts } from './power.ts'
import type { Results, Spec } from './spec.ts'
import { subjects } from './subjects.ts'

const spec: Spec = JSON.parse(process.argv[2] ?? '')
const directory = mkdtempSync(join(tmpdir(), 'crash-'))
const say = (line: string): void => console.log(line)
const chosen = subjects.filter(({ name }) => spec.subjects.includes(name))

function place(name: string): string {
  const path = join(directory, name)
  mkdirSync(path)
  return path
}

const kills: KillResult[] = []
const power: PowerResult[] = []
const errors: IoErrorResult[] = []
const tools = [attempt('e2fsck', '-V').said.split('\n')[0] ?? '', attempt('xfs_repair', '-V').said]

function save(): void {
  const results: Results = { kernel: release(), tools, kills, power, errors }
  writeFileSync(spec.output, JSON.stringify(results))
}

save()
for (const subject of chosen) {
  // One filesystem's moments do not depend on which others were chosen.
  const common = { subject, say, seed: spec.seed + subjects.indexOf(subject) }
  if (spec.kills > 0) {
    const counts = { perBoundary: spec.kills, atRandom: spec.kills }
    kills.push(await killing({ ...common, ...counts, program: spec.grow, directory: place(`kills-${subject.name}`) }))
    save()
  }
  if (spec.states > 0) {
    // Two recordings at the least: how the writer, the journal and the growth meet differs.
    power.push(
      await powerCuts({
        ...common,
        states: spec.states,
        ofRecording: Math.ceil(spec.states / 2),
        directory: place(`power-${subject.name}`),
      }),
    )
    save()
  }
  // What fails is below all layers, and the filesystem is the one that notices.
  if (spec.errors > 0 && subject.name !== 'stack') {
    errors.push(await ioErrors({ ...common, runs: spec.errors, directory: place(`errors-${subject.name}`) }))
    save()
  }
}
