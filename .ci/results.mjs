import { readFileSync } from 'node:fs'
import { relative } from 'node:path'

/**
 * What a report of Vitest's JSON reporter says: how many tests passed and failed, and which were skipped. A file that broke before its first test is a
 * failure of its own, and a report without any test is one as well: nothing was checked.
 */
export function readReport(file, root) {
  const { testResults } = JSON.parse(readFileSync(file, 'utf8'))
  const tests = testResults.flatMap(({ name, assertionResults }) =>
    assertionResults.map(({ fullName, status }) => ({ file: relative(root, name), test: fullName, status })),
  )
  const broken = testResults.filter(
    ({ status, assertionResults }) =>
      status === 'failed' && !assertionResults.some((assertion) => assertion.status === 'failed'),
  )
  const problems = broken.map(({ name, message }) => `${relative(root, name)} could not be run: ${message}`)
  if (tests.length === 0 && broken.length === 0) problems.push('no test was run')
  return {
    passed: tests.filter(({ status }) => status === 'passed').length,
    failed: tests.filter(({ status }) => status === 'failed').length,
    skipped: tests.filter(({ status }) => status !== 'passed' && status !== 'failed'),
    problems,
  }
}

/** Those of the skipped tests that the list of allowed skips does not name. */
export function forbiddenSkips(skipped, allowed) {
  return skipped.filter((skip) => !allowed.some(({ file, test }) => file === skip.file && test === skip.test))
}
