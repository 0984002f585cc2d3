import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { providerCases } from '../../src/conformance/index.ts'
import { Memory, memoryExpander, memorySetup } from './memory.ts'
import { suites } from './mutants/index.ts'
import { failuresOf, generalName, isStumble } from './mutants/mutant.ts'
import { caseNames, killKey, killsIn, pageOf } from './mutants/table.ts'

const page = readFileSync(new URL('../../docs/reliability/mutants.md', import.meta.url), 'utf8')
const recorded = killsIn(page, suites)

describe.each(suites)('the $name suite', (suite) => {
  const { mutants, isQuick } = suite

  // What is sound passes in a test of its own; here it shows that the mutants fail for what they do.
  if (isQuick) {
    test('passes what is sound', async () => {
      expect(await failuresOf(suite.good())).toEqual(new Map())
    })
  }

  test('has a name of its own for every mutant, and a mutant for every case', () => {
    expect(new Set(mutants.map(({ does }) => does)).size).toBe(mutants.length)
    const killers = new Set(mutants.flatMap(({ killedBy }) => killedBy))
    expect(caseNames(suite).filter((name) => !killers.has(name))).toEqual([])
  })

  test.concurrent.each(mutants)('rejects one that $does', { timeout: 60_000 }, async ({ does, killedBy, cases }) => {
    const failures = await failuresOf(cases(), isQuick ? undefined : killedBy)
    const killers = [...new Set([...failures.keys()].map(generalName))]
    expect(killers).toEqual(expect.arrayContaining([...killedBy]))
    // Rejected for what it does, and not because the suite itself stumbled.
    for (const [name, error] of failures) {
      if (killedBy.includes(generalName(name))) expect(isStumble(error), `${name}: ${error}`).toBe(false)
    }
    const known = recorded.get(killKey(suite, does)) ?? []
    if (isQuick) expect(known, 'npm run campaign -- mutants --write').toEqual(killers)
    else expect(known, 'npm run campaign -- mutants --write').toEqual(expect.arrayContaining(killers))
  })
})

test('the table of mutants is current', () => {
  expect(page, 'npm run campaign -- mutants --write').toBe(pageOf(suites, recorded))
})

test('the provider suite leaves out only what the provider and its setup do not have', () => {
  const memory = new Memory()
  const { parts: _parts, fromPersistentVolume: _from, snapshots: _snapshots, ...small } = memoryExpander(memory)
  const { attached: _attached, loseAnswer: _lose, secrets: _secrets, ...setup } = memorySetup(small, memory)
  const skipped = providerCases(setup).flatMap(({ skip }) => skip ?? [])
  expect([...new Set(skipped)]).toEqual([
    'the setup cannot lose an answer',
    'the setup has no host',
    'the provider was given no secrets',
    'the provider has no parts',
    'the provider has no PersistentVolumes',
    'the provider has no snapshots',
  ])
  expect(providerCases(memorySetup(memoryExpander(memory), memory)).filter(({ skip }) => skip !== undefined)).toEqual(
    [],
  )
})
