import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { forbiddenSkips, type ReportSummary, readReport } from '../../.ci/results.mjs'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'results-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

interface FileResult {
  readonly status?: string
  readonly message?: string
  readonly tests: Readonly<Record<string, string>>
}

function summaryOf(...files: readonly FileResult[]): ReportSummary {
  const testResults = files.map(({ status = 'passed', message = '', tests }, index) => ({
    name: `/checkout/test/${index}.test.ts`,
    status,
    message,
    assertionResults: Object.entries(tests).map(([fullName, status]) => ({ fullName, status })),
  }))
  const file = join(directory, 'report.json')
  writeFileSync(file, JSON.stringify({ testResults }))
  return readReport(file, '/checkout')
}

test('tests are counted over all files', () => {
  const summary = summaryOf({ tests: { a: 'passed', b: 'failed' }, status: 'failed' }, { tests: { c: 'passed' } })
  expect(summary).toEqual({ passed: 2, failed: 1, skipped: [], problems: [] })
})

test('a file that broke before its first test is a problem', () => {
  const { problems } = summaryOf({ tests: { a: 'passed' } }, { tests: {}, status: 'failed', message: 'no such module' })
  expect(problems).toEqual(['test/1.test.ts could not be run: no such module'])
})

test('a report without any test is a problem', () => {
  expect(summaryOf().problems).toEqual(['no test was run'])
})

test.each(['skipped', 'pending', 'todo', 'disabled'])('%s is a skip, and only the listed one is allowed', (status) => {
  const { skipped } = summaryOf({ tests: { a: status, b: status, c: 'passed' } })
  expect(skipped.map(({ file, test }) => [file, test])).toEqual([
    ['test/0.test.ts', 'a'],
    ['test/0.test.ts', 'b'],
  ])
  const forbidden = forbiddenSkips(skipped, [
    { file: 'test/0.test.ts', test: 'a' },
    { file: 'test/other.test.ts', test: 'b' },
  ])
  expect(forbidden.map(({ test }) => test)).toEqual(['b'])
})
