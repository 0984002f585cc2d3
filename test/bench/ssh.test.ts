import { describe, expect, test } from 'vitest'
import { withBenchPart, withSshPart } from '../../bench/readme.ts'
import { type SshSample, wayNames } from '../../bench/ssh/cases.ts'
import { slopeOf, summariseSsh } from '../../bench/ssh/results.ts'
import { sshReadme, sshRows } from '../../bench/ssh/tables.ts'
import { spreadOf } from '../../bench/statistics.ts'

function sample(milliseconds: number): SshSample {
  return { milliseconds, connections: 1, sessions: 2, sent: 3000, received: 4000 }
}

/** Each way waits for the wire as often as its place in the list says, and takes 50 ms besides. */
const summary = summariseSsh({
  ...{ kernel: '6.1', client: 'OpenSSH' },
  links: [0, 100].map((latency) => ({
    latency,
    samples: Object.fromEntries(
      wayNames.map((name, index) => [name, [0, 1, 2].map((noise) => sample(50 + noise + (index + 1) * latency))]),
    ) as never,
  })),
})

describe('growth over SSH', () => {
  test('says how often the wire was waited for', () => {
    expect(wayNames.map((name) => summary.ways[name].waits)).toEqual([1, 2, 3, 4, 5])
  })

  test('compares with the script, pair by pair', () => {
    expect(summary.ways.script.links.map(({ ratio }) => ratio.median)).toEqual([1, 1])
    expect(summary.ways.ours.links[1]?.ratio.median).toBeCloseTo(151 / 351)
  })

  test('tells nothing of latency from one link alone', () => {
    expect(() => slopeOf([{ latency: 20, milliseconds: spreadOf([1]) }])).toThrow(RangeError)
  })

  test('has a row for each way in every table', () => {
    expect(sshRows(summary)).toHaveLength(1 + wayNames.length)
    expect(sshReadme(summary).filter((line) => line.startsWith('| '))).toHaveLength(2 + wayNames.length)
  })
})

describe('withSshPart', () => {
  const text = withBenchPart('# A\n\n<!-- bench -->\n', ['growth'])

  test('adds it to the end of the bench, then replaces it, and leaves the rest as it is', () => {
    const once = withSshPart(text, ['first'])
    expect(once).toContain('growth\n\n<!-- bench over SSH -->\n\nfirst\n\n<!-- /bench over SSH -->\n\n<!-- /bench -->')
    const again = withSshPart(once, ['second'])
    expect(again).toBe(once.replace('first', 'second'))
  })

  test('refuses a text without a place for it', () => {
    expect(() => withSshPart('# A\n', ['new'])).toThrow('<!-- /bench -->')
  })
})
