import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { lvmReport } from '../../../src/layers/lvm/command.ts'
import { LvmReportError, readLvmReport } from '../../../src/layers/lvm/report.ts'
import { report } from './groups.ts'

test('reads what LVM says of a group', () => {
  const { groups, duplicates } = readLvmReport(report({ pv: [{}, { pv_minor: '16' }] }))
  expect(duplicates).toEqual([])
  expect(groups).toEqual([
    expect.objectContaining({
      uuid: '4waWyS4nnq720qk1qE1gTlyphy4BAsjs',
      name: 'data',
      extentSize: 4_194_304n,
      partial: false,
      shared: false,
      writable: true,
      physical: [
        expect.objectContaining({ name: '/dev/loop0', device: '7:0', start: 1_048_576n, extents: 15n, free: 12n }),
        expect.objectContaining({ name: '/dev/loop1', device: '7:16', free: 15n }),
      ],
      logical: [
        expect.objectContaining({
          name: 'w',
          size: 12_582_912n,
          segments: [{ type: 'linear', stripes: 1n, start: 0n, on: ['/dev/loop0'] }],
        }),
      ],
    }),
  ])
})

test('asks for every column that is read', () => {
  const asked = lvmReport.join(' ')
  const { report: blocks } = JSON.parse(report()) as { report: readonly Record<string, readonly object[]>[] }
  const columns = Object.values(blocks[0] ?? {}).flatMap((rows) => rows.flatMap((row) => Object.keys(row)))
  expect(columns.length).toBeGreaterThan(20)
  for (const column of columns) expect(asked).toContain(column)
})

test('finds copies of a disk in the log, whose JSON LVM leaves malformed', () => {
  const log = ['WARNING: Not using device /dev/loop2 for PV mGFhbR-eUmL-lOO9-yXNZ-t296-W9Cb-iTMAV7.']
  expect(() => JSON.parse(report({ log }))).toThrow(SyntaxError)
  expect(readLvmReport(report({ log })).duplicates).toEqual([
    { uuid: 'mGFhbReUmLlOO9yXNZt296W9CbiTMAV7', device: '/dev/loop2' },
  ])
  expect(readLvmReport(report({ log: [] })).duplicates).toEqual([])
})

describe('fails for', () => {
  test.each([
    ['nothing', ''],
    ['a report that was cut off', report().slice(100)],
    ['another shape', '{"report": {}}'],
    ['a column that is missing', report().replace('vg_extent_size', 'other')],
    ['a number that is none', report({ pv: [{ pv_pe_count: '15.0' }] })],
    ['extents of nothing', report({ vg: { vg_extent_size: '0' } })],
    ['more extents in use than there are', report({ pv: [{ pv_pe_alloc_count: '16' }] })],
    ['a name that LVM does not allow', report({ lv: { lv_name: '--yes /dev/sda' } })],
  ])('%s', (_, text) => {
    expect(() => readLvmReport(text)).toThrow(LvmReportError)
  })

  test('any other text, and with nothing else', () => {
    const whole = report({ log: ['x'] })
    fc.assert(
      fc.property(fc.nat(whole.length), fc.nat(200), fc.string({ maxLength: 3 }), (at, length, text) => {
        try {
          readLvmReport(whole.slice(0, at) + text + whole.slice(at + length))
        } catch (error) {
          expect(error).toBeInstanceOf(LvmReportError)
        }
      }),
    )
  })
})

test.each([
  ['a group', { vg: { vg_name: '-n' } }],
  ['a volume', { lv: { lv_name: '--help' } }],
  ['a device', { pv: [{ pv_name: '-y' }] }],
])('the name of %s that would be an option is none', (_, details) => {
  expect(() => readLvmReport(report(details))).toThrow(/holds no (?:name|device)/)
})
