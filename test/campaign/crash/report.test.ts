import { expect, test } from 'vitest'
import { reportOf } from '../../../campaign/crash/report.ts'
import type { Results } from '../../../campaign/crash/spec.ts'

const results: Results = {
  kernel: '6.1.0',
  tools: ['e2fsck 1.47.0', 'xfs_repair version 6.1.0'],
  kills: [
    {
      ...{ subject: 'ext4', seed: 2, alone: 5, withTools: 4, tools: { resize2fs: 3 }, failures: [], seconds: 60 },
      left: { all: 7, part: 8, nothing: 9 },
      boundaries: [
        { at: 'before look', kills: 20 },
        { at: 'after resize2fs', kills: 19 },
      ],
    },
  ],
  power: [
    {
      ...{
        subject: 'xfs',
        seed: 3,
        recordings: 2,
        entries: 300,
        oldAfterReport: 0,
        backupsBehind: { told: 5, overgrown: 2 },
        failures: ['xfs: lost'],
        seconds: 9,
      },
      states: { flush: 10, prefix: 9, reordered: 8 },
      sizes: { old: 20, between: 1, new: 6 },
    },
  ],
  errors: [
    {
      ...{ subject: 'ext3', seed: 1, failures: [], seconds: 7 },
      ended: { 'writes fail: io-error (changed)': 2, 'writes fail: done': 1 },
      next: { 'nothing to do': 3 },
      needed: { nothing: 3, mount: 0, repair: 0 },
    },
  ],
}

test('the report has the sums, the least at one boundary, and every failure', () => {
  const report = reportOf(results)
  expect(report).toContain('Kernel 6.1.0; e2fsck 1.47.0; xfs_repair version 6.1.0.')
  expect(report).toContain('| ext4 | 2 | 39 | 19 | 9 | 4 | 7 / 8 / 9 | 0 | 2 | 60 |')
  expect(report).toContain('| xfs | 2 | 300 | 27 | 10 | 9 | 8 | 20 / 1 / 6 | 5 / 2 | 1 | 3 | 9 |')
  expect(report).toContain('writes fail: io-error (changed) 2×, writes fail: done 1×')
  expect(report).toContain('- xfs: lost')
  expect(report).not.toContain('Everything held.')
})

test('what was left out has no table, and nothing that failed is said to have held', () => {
  const report = reportOf({ ...results, power: [], errors: [] })
  expect(report).not.toContain('power cuts')
  expect(report).toContain('Everything held.')
})
