import { describe, expect, test } from 'vitest'
import { flockArgv, judgeFlock, withoutFlockLines } from '../../src/hosts/flock.ts'

test('flockArgv nests one flock for each path before the command', () => {
  const argv = flockArgv('/usr/bin/flock', ['/dev/sda', '/dev/sdb'], ['tool', '-x'])
  const one = ['--verbose', '--exclusive', '--nonblock', '--no-fork', '--conflict-exit-code', '75']
  expect(argv).toEqual(['/usr/bin/flock', ...one, '/dev/sda', '/usr/bin/flock', ...one, '/dev/sdb', 'tool', '-x'])
})

describe('judgeFlock', () => {
  test.each([
    [75, 'flock: failed to get lock\n', 'locked'],
    [75, '', undefined],
    [75, 'something of the tool\n', undefined],
    [69, 'flock: failed to execute /x: No such file or directory\n', 'missing'],
    [69, 'flock: failed to execute /x: Permission denied\n', 'refused'],
    [66, 'flock: cannot open lock file /x: Permission denied\n', 'refused'],
    [66, 'of the tool\n', undefined],
    [0, 'flock: failed to get lock\n', undefined],
    [undefined, '', undefined],
  ] as const)('%s %j', (code, stderr, ended) => {
    expect(judgeFlock(code, stderr)).toBe(ended)
  })
})

test("withoutFlockLines takes off flock's own lines, and none of the tool's", () => {
  const own = 'flock: getting lock took 0.000001 seconds\nflock: executing /sbin/x\n'
  expect(withoutFlockLines(`${own}${own}output\nflock: executing y\n`)).toBe('output\nflock: executing y\n')
  expect(withoutFlockLines(`${own}flock: failed to get lock\n`)).toBe('flock: failed to get lock\n')
  expect(withoutFlockLines('output\n')).toBe('output\n')
})
