import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { suites } from '../../test/conformance/mutants/index.ts'
import { failuresOf, generalName, isStumble, type Mutant, type Suite } from '../../test/conformance/mutants/mutant.ts'
import { killKey, pageOf } from '../../test/conformance/mutants/table.ts'
import type { Campaign } from '../campaign.ts'

const usage = `npm run campaign -- mutants [options]
Runs every conformance suite over implementations that are broken on purpose, and prints which case rejects which. A few minutes.
  --write               writes the table to docs/reliability/mutants.md
  --only SUITE          one of ${suites.map(({ name }) => name).join(', ')}; without --write
`
/** Mutants at once: they mostly wait. */
const atOnce = 4

export const campaign: Campaign = async (argv) => {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      write: { type: 'boolean', default: false },
      only: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help || (values.write && values.only !== undefined)) {
    console.log(usage)
    return values.help
  }
  const kills = new Map<string, readonly string[]>()
  let sound = true
  const complain = (what: string): void => {
    sound = false
    console.log(`FAILED  ${what}`)
  }
  for (const suite of suites.filter(({ name }) => values.only === undefined || name === values.only)) {
    console.log(`\n${suite.name}: ${suite.mutants.length} mutants`)
    for (const [name, error] of await failuresOf(suite.good()))
      complain(`the sound ${suite.name}, by ${name}: ${error}`)
    const rest = [...suite.mutants]
    const worker = async (): Promise<void> => {
      for (let mutant = rest.shift(); mutant !== undefined; mutant = rest.shift()) {
        kills.set(killKey(suite, mutant.does), await killersOf(suite, mutant, complain))
      }
    }
    await Promise.all(Array.from({ length: atOnce }, worker))
  }
  const path = fileURLToPath(new URL('../../docs/reliability/mutants.md', import.meta.url))
  const page = pageOf(suites, kills)
  if (values.write && sound) {
    await mkdir(new URL('../../docs/reliability/', import.meta.url), { recursive: true })
    await writeFile(path, page)
    console.log('\ndocs/reliability/mutants.md is written.')
  } else if (values.only === undefined && (await readFile(path, 'utf8')) !== page) {
    complain('docs/reliability/mutants.md does not say this; --write writes it')
  }
  return sound
}

async function killersOf(
  suite: Suite,
  { does, killedBy, cases }: Mutant,
  complain: (what: string) => void,
): Promise<readonly string[]> {
  const failures = await failuresOf(cases())
  const killers = [...new Set([...failures.keys()].map(generalName))]
  console.log(`  ${does}: ${killers.join('; ') || 'SURVIVES'}`)
  const missing = killedBy.filter((name) => !killers.includes(name))
  if (missing.length > 0) complain(`a ${suite.name} that ${does} is not rejected by: ${missing.join('; ')}`)
  for (const [name, error] of failures) {
    if (killedBy.includes(generalName(name)) && isStumble(error))
      complain(`${name} stumbles over a ${suite.name} that ${does}: ${error}`)
  }
  return killers
}
