import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { runProgram } from './programs.ts'

const cwd = fileURLToPath(new URL('../../', import.meta.url))

test('a provider of one’s own passes the suite, of which only what it does not have is left out', async () => {
  const { code, output } = await runProgram('examples/own-provider.ts', { cwd })
  expect(code, output).toBe(0)
  expect(output).toContain('The provider passes.')
  expect(output.match(/^ok /gm)?.length).toBeGreaterThan(25)
  const reasons = [...output.matchAll(/^left out .*: (.+)$/gm)].map(([, reason]) => reason)
  expect(new Set(reasons)).toEqual(
    new Set([
      'the setup cannot lose an answer',
      'the setup has no host',
      'the provider was given no secrets',
      'the provider has no parts',
      'the provider has no PersistentVolumes',
      'the provider has no snapshots',
    ]),
  )
})
