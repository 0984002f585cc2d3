// The campaign, inside the kernel that it works on. Argument: a Spec as JSON.
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { attempt } from '../../test/real/support/commands.ts'
import { type KillResult, kills } from './kills.ts'
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

const results: { kills: KillResult[]; power: PowerResult[] } & Omit<Results, 'kills' | 'power'> = {
  kernel: release(),
  tools: [attempt('e2fsck', '-V').said.split('\n')[0] ?? '', attempt('xfs_repair', '-V').said],
  kills: [],
  power: [],
}
const save = (): void => writeFileSync(spec.output, JSON.stringify(results))
for (const subject of chosen) {
  if (spec.kills > 0) {
    results.kills.push(
      await kills({
        ...{ subject, say, program: spec.grow, seed: spec.seed + subjects.indexOf(subject) },
        ...{ perBoundary: spec.kills, atRandom: spec.kills, directory: place(`kills-${subject.name}`) },
      }),
    )
    save()
  }
}
for (const subject of chosen) {
  if (spec.states > 0) {
    results.power.push(
      await powerCuts({
        ...{ subject, say, seed: spec.seed + subjects.indexOf(subject) },
        ...{ states: spec.states, directory: place(`power-${subject.name}`) },
      }),
    )
    save()
  }
}
save()
