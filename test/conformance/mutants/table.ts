import { generalName, type Suite } from './mutant.ts'

/** By suite and by what the mutant does: the general names of the cases that reject it, in the order of the suite. */
export type Kills = ReadonlyMap<string, readonly string[]>

export function killKey(suite: Suite, does: string): string {
  return `${suite.name} that ${does}`
}

/** General names of a suite's cases, in their order. */
export function caseNames(suite: Suite): readonly string[] {
  return [...new Set(suite.good().map(({ name }) => generalName(name)))]
}

const introduction = `# Mutants

What a conformance suite is worth shows in what it rejects. Each line below is an implementation that is broken on purpose in one way, with every case of its suite
that rejects it; the sound implementation that it was made of passes all of them. A mutant that survived would mean that a case is missing.

This page is written by \`npm run campaign -- mutants --write\`, which runs every suite over every mutant. \`npm test\` repeats that for providers and layers, runs the cases
that are there for each mutant of a host or resizer, and fails when this page does not fit. The mutants are in \`test/conformance/mutants\`.
`

/** The page with the table. */
export function pageOf(suites: readonly Suite[], kills: Kills): string {
  const count = suites.reduce((sum, { mutants }) => sum + mutants.length, 0)
  const sums = suites.map((suite) => `| ${suite.name} | ${suite.mutants.length} | ${caseNames(suite).length} |`)
  const parts = suites.flatMap((suite) => [
    ...['', `## A ${suite.name} that …`, '', '| does | is rejected by |', '|---|---|'],
    ...suite.mutants.map(({ does }) => `| ${does} | ${(kills.get(killKey(suite, does)) ?? []).join('; ')} |`),
  ])
  const head = [
    introduction,
    `${count} mutants, none of which survives:`,
    '',
    '| suite | mutants | cases |',
    '|---|---|---|',
  ]
  return `${[...head, ...sums, ...parts].join('\n')}\n`
}

/** What a page says. */
export function killsIn(page: string, suites: readonly Suite[]): Kills {
  const kills = new Map<string, readonly string[]>()
  let suite: Suite | undefined
  for (const line of page.split('\n')) {
    suite = suites.find(({ name }) => line === `## A ${name} that …`) ?? suite
    const [, does, cases] = /^\| (.+) \| (.+) \|$/.exec(line) ?? []
    if (suite !== undefined && does !== undefined && cases !== undefined)
      kills.set(killKey(suite, does), cases.split('; '))
  }
  return kills
}
