import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { runProgram } from './programs.ts'

const cwd = fileURLToPath(new URL('../../', import.meta.url))

test('a claim grows in a cluster in memory', async () => {
  const { code, output } = await runProgram('examples/kubernetes-claim.ts', { cwd })
  expect(code, output).toBe(0)
  expect(output).toContain('The cluster grows shop/data (driver: native)')
  expect(output).toMatch(/^claim shop\/data: 10 GiB -> 20 GiB$/m)
})

test('a StatefulSet grows in a cluster in memory, and says what remains', async () => {
  const { code, output } = await runProgram('examples/grow-statefulset.ts', { cwd })
  expect(code, output).toBe(0)
  for (const ordinal of [0, 1, 2]) expect(output).toContain(`data-db-${ordinal}: succeeded 10 GiB -> 20 GiB`)
  expect(output).toContain('The template data says 10Gi (left).')
})
