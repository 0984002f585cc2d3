import { spawnSync } from 'node:child_process'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { remoteHost } from '../../../src/hosts/remote/host.ts'
import { quote } from '../../../src/hosts/remote/quote.ts'
import { encodeParameter } from '../../../src/hosts/remote/request.ts'
import { shellOptions, shells, shellTransport } from './shells.ts'

const nasty = fc.constantFrom(
  ...[
    '',
    ' ',
    '\n',
    '\t',
    "'",
    '"',
    '\\',
    '\\\\',
    '$(echo x)',
    '`echo x`',
    `$\{HOME}`,
    '$HOME',
    '*',
    '?',
    '[a-z]',
    '~',
  ],
  ...['!', '!!', '#', ';', '&', '|', '<', '>', '(', ')', '{a,b}', '-', '--', '-n', '-e', '\\n', '\\0101', '\\c', '%s'],
  ...[
    'ä',
    '容',
    '🦊',
    '\u0001',
    '\u007f',
    '\r',
    '\ufeff',
    "'\\''",
    '"$(x)"',
    '\n\n',
    '#run',
    '#go',
    '=',
    'a=b',
    '.',
    '-x',
  ],
)
const argument = fc
  .array(
    fc.oneof(
      nasty,
      fc.string({ unit: 'binary', maxLength: 6 }).map((text) => text.replaceAll('\0', '')),
    ),
    { maxLength: 5 },
  )
  .map((parts) => parts.join(''))
  // A lone surrogate is no text: it has no bytes that could arrive.
  .filter((text) => Buffer.from(text).toString() === text)
const argv = fc.array(argument, { minLength: 1, maxLength: 40 })

describe.each(shells.map((shell) => [shell.join(' '), shell] as const))('%s', (_, shell) => {
  const [program = '', ...args] = shell

  test('reads a quoted word as the argument that it was', () => {
    const property = fc.property(argv, (words) => {
      const { stdout } = spawnSync(program, [...args, '-c', `printf '%s\\0' ${words.map(quote).join(' ')}`], {
        env: { LC_ALL: 'C', PATH: process.env['PATH'], HOME: '/somewhere' },
      })
      expect(stdout.toString('utf8').split('\0').slice(0, -1)).toEqual(words)
    })
    fc.assert(property, { numRuns: 100 })
  }, 60_000)

  test('reads an encoded parameter as the text that it was', () => {
    const read = `while IFS= read -r line; do v=$(printf '%bx' "\${line#.}"); printf '%s\\0' "\${v%x}"; done`
    const property = fc.property(argv, (words) => {
      const input = words.map((word) => `${encodeParameter(word)}\n`).join('')
      const { stdout } = spawnSync(program, [...args, '-c', read], {
        input,
        env: { LC_ALL: 'C', PATH: process.env['PATH'] },
      })
      expect(stdout.toString('utf8').split('\0').slice(0, -1)).toEqual(words)
    })
    fc.assert(property, { numRuns: 30 })
  }, 60_000)

  test('passes encoded bytes through a pipe, whatever they are', () => {
    const property = fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
      const script = `IFS= read -r line; printf '%b' "\${line#-}" | cat`
      const { stdout } = spawnSync(program, [...args, '-c', script], { input: `${encodeParameter(bytes)}\n` })
      expect([...stdout]).toEqual([...bytes])
    })
    fc.assert(property, { numRuns: 100 })
  }, 60_000)

  test('runs a command with the arguments that it was given', async () => {
    const host = remoteHost(shellOptions(shellTransport(shell)))
    const property = fc.asyncProperty(argv, async (words) => {
      const { stdout } = await host.exec(['printf', '%s\\0', ...words])
      expect(stdout.split('\0').slice(0, -1)).toEqual(words)
    })
    await fc.assert(property, { numRuns: 40 })
  }, 60_000)
})

test('perl runs a command with the arguments that it was given', async () => {
  const host = remoteHost(shellOptions(shellTransport(undefined, 1), 'perl'))
  const property = fc.asyncProperty(argv, async (words) => {
    const { stdout } = await host.exec(['printf', '%s\\0', ...words])
    expect(stdout.split('\0').slice(0, -1)).toEqual(words)
  })
  await fc.assert(property, { numRuns: 100 })
  await host.close?.()
}, 60_000)

test('a word without anything special stays as it is, and NUL is refused', () => {
  expect(['/dev/sda1', 'a=b', '--size', '12GiB'].map(quote)).toEqual(['/dev/sda1', 'a=b', '--size', '12GiB'])
  expect(() => quote('a\0b')).toThrow(TypeError)
})
