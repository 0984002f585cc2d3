import { inspect } from 'node:util'
import type { ExecOptions } from '../../hosts/host.ts'
import { jsonSafe } from '../../json.ts'
import { secretIn } from '../secrets.ts'
import { holds, rejection } from '../suite.ts'
import { bytesOf, contents, same, touch } from './help.ts'
import type { Body } from './setup.ts'

// What a shell, a glob, an option parser or a careless join would change.
const awkward: readonly string[] = [
  'a b',
  '  two  spaces  ',
  '',
  "it's",
  '"quoted"',
  'new\nline',
  'tab\there',
  '$(touch pwned)',
  '`touch pwned`',
  '$HOME',
  '*',
  '?[a-z]*',
  '~',
  '-n',
  '--help',
  'a;b|c&d>e<f',
  'back\\slash\\',
  '!history',
  '{a,b}',
  '#comment',
  'größe 容量',
  '%s%n',
]

/** What becomes of one command: its arguments, its input and output, how it ended. */
export const commandCases: Readonly<Record<string, Body>> = {
  'exec: a command that succeeds gives its output and its code': async ({ host }) => {
    const result = await host.exec(['printf', '%s', 'hello'])
    same(result.argv, ['printf', '%s', 'hello'], 'argv is the command as it was given')
    same(result.ended, 'exited', 'how a command that exits has ended')
    same(result.exitCode, 0, 'the exit code of a command that succeeds')
    same([result.stdout, result.stderr], ['hello', ''], 'the output of a command')
    holds(result.ok, 'exit code 0 is ok')
    holds(result.milliseconds >= 0, 'milliseconds is a duration')
  },

  'exec: a command that fails is a result, not a rejection': async ({ host }) => {
    const result = await host.exec(['sh', '-c', 'echo why >&2; exit 7'])
    same([result.ended, result.exitCode, result.ok], ['exited', 7, false], 'a command that exits with 7')
    same(result.stderr, 'why\n', 'the error output of a command that fails')
  },

  'exec: accepted codes are ok': async ({ host }) => {
    const result = await host.exec(['sh', '-c', 'exit 1'], { accept: [0, 1] })
    same([result.exitCode, result.ok], [1, true], 'a command that exits with an accepted code')
    const other = await host.exec(['true'], { accept: [1] })
    same([other.exitCode, other.ok], [0, false], 'a command that exits with 0 where only 1 is accepted')
  },

  'exec: a command that is ended by a signal says by which': async ({ host }) => {
    const result = await host.exec(['sh', '-c', 'kill -9 $$'])
    same([result.ended, result.signal, result.ok], ['signalled', 'SIGKILL', false], 'a command that killed itself')
  },

  'exec: arguments arrive as they are': async ({ host, directory }) => {
    for (const argument of awkward) {
      const result = await host.exec(['printf', '[%s]', argument, argument])
      same(result.stdout, `[${argument}][${argument}]`, `the argument ${JSON.stringify(argument)}`)
    }
    const all = await host.exec(['printf', '[%s]', ...awkward])
    same(all.stdout, awkward.map((argument) => `[${argument}]`).join(''), 'all of the arguments at once')
    const written = await host.exec(['tee', `${directory}/$(echo x) 'y'\n*`], { stdin: bytesOf('z') })
    holds(written.ok, 'a file with an awkward name can be written')
    const found = await host.batch([{ read: 'file', path: `${directory}/$(echo x) 'y'\n*` }])
    same(found[0], { ok: true, value: 'z' }, 'the file with the awkward name')
  },

  'exec: arguments arrive as they are in a detached command that holds a lock': async ({ host, directory }) => {
    const lock = [await touch(host, `${directory}/lock with $(space)\nand 'quotes'`)]
    const result = await host.exec(['printf', '[%s]', ...awkward], { detached: true, lock })
    same(result.stdout, awkward.map((argument) => `[${argument}]`).join(''), 'the arguments below flock')
    same(result.stderr, '', 'the error output of a command below flock is its own')
  },

  'exec: standard input is passed on, and is empty when there is none': async ({ host }) => {
    const bytes = Uint8Array.from({ length: 70_000 }, (_, index) => 32 + (index % 90))
    const text = Buffer.from(bytes).toString('latin1')
    for (const detached of [false, true]) {
      const given = await host.exec(['head', '-c', '60000'], { stdin: bytes.subarray(0, 60_000), detached })
      same(given.stdout, text.slice(0, 60_000), `standard input${detached ? ' of a detached command' : ''}`)
      const none = await host.exec(['cat'], { detached })
      same([none.ended, none.stdout], ['exited', ''], 'a command that reads an input that was not given')
    }
    const unread = await host.exec(['true'], { stdin: bytes })
    same(unread.ended, 'exited', 'a command that does not read its input')
  },

  'exec: the last 64 KiB of each output are kept': async ({ host }) => {
    const script = 'i=0; while [ $i -lt 9000 ]; do echo "line $i of the output"; i=$((i+1)); done; echo last >&2'
    for (const detached of [false, true]) {
      const result = await host.exec(['sh', '-c', script], { detached })
      holds(result.stdout.length <= 65_536, 'at most 64 KiB of output are kept')
      holds(result.stdout.length > 60_000, 'most of 64 KiB are kept')
      holds(result.stdout.endsWith('line 8999 of the output\n'), 'it is the last part of the output that is kept')
      same(result.stderr, 'last\n', 'the two outputs are apart')
    }
  },

  'exec: the environment holds nothing of the caller': async ({ host }) => {
    const result = await host.exec(['sh', '-c', 'echo "$LC_ALL:$HOME:$NODE_OPTIONS:$SSH_AUTH_SOCK"'])
    same(result.stdout, 'C:::\n', 'the environment of a command')
  },

  'exec: a program that does not exist is missing': async ({ host, directory }) => {
    const lock = [await touch(host, `${directory}/lock`)]
    for (const options of [{}, { detached: true }, { detached: true, lock }] as const) {
      for (const name of ['no-such-program-anywhere', `${directory}/no-such-program`]) {
        const result = await host.exec([name, 'argument'], options)
        same([result.ended, result.ok], ['missing', false], `a program that does not exist, ${JSON.stringify(options)}`)
        same(result.argv, [name, 'argument'], 'the command that is missing')
      }
    }
  },

  'exec: a file that may not be executed is refused': async ({ host, directory }) => {
    const file = await touch(host, `${directory}/plain-file`)
    const lock = [await touch(host, `${directory}/lock`)]
    for (const options of [{}, { detached: true }, { detached: true, lock }] as const) {
      const result = await host.exec([file], options)
      same([result.ended, result.ok], ['refused', false], `a file without the right, ${JSON.stringify(options)}`)
    }
  },

  'exec: a command runs once, however it is run': async ({ host, directory }) => {
    const lock = [await touch(host, `${directory}/lock`)]
    const file = await touch(host, `${directory}/runs`)
    const argv = ['sh', '-c', 'echo x >> "$1"; exit "$2"', 'sh', file]
    let runs = 0
    const counted = async (what: string): Promise<void> => {
      runs += 1
      same(await contents(host, file), 'x\n'.repeat(runs), `what ${what} wrote, run for the time ${runs}`)
    }
    for (const options of [{}, { detached: true }, { detached: true, lock }] as const) {
      for (const code of ['0', '1', '75']) {
        await host.exec([...argv, code], options)
        await counted(`a command that exits with ${code}, ${JSON.stringify(options)},`)
        await host.batch([{ exec: [...argv, code], ...options }])
        await counted(`a command of a batch that exits with ${code}, ${JSON.stringify(options)},`)
      }
    }
  },

  'secrets: neither standard input nor what the host was given shows': async ({ host, secrets = [] }) => {
    const mark = crypto.randomUUID()
    const stdin = bytesOf(`canary-${mark}`)
    // The expression does not fit itself, only the text that it is about.
    const script = `cat > /dev/null; grep -la "canary[-]${mark}" /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2> /dev/null`
    const shown: unknown[] = [host, host.id]
    for (const detached of [false, true]) {
      const result = await host.exec(['sh', '-c', script], { stdin, detached })
      same(result.stdout, '', 'arguments and environments of processes that show standard input')
      shown.push(result, await host.exec(['no-such-program-anywhere'], { stdin, detached }))
    }
    for (const [argv, options] of [
      [['true'], { stdin, signal: AbortSignal.abort(new Error('stop')) }],
      [['a\0b'], { stdin }],
    ] as const) {
      shown.push(await rejection((async () => host.exec(argv, options))(), 'such a call has to be refused'))
    }
    for (const each of shown) {
      const text = `${inspect(each, { depth: 20, showHidden: true, maxStringLength: null })} ${JSON.stringify(jsonSafe(each))}`
      holds(
        secretIn(text, [`canary-${mark}`, ...secrets]) === undefined,
        'a secret shows in the host, a result or an error',
      )
    }
  },

  'exec: a malformed command is a TypeError': async ({ host }) => {
    const wrong: readonly [readonly string[], ExecOptions?][] = [
      [[]],
      [['']],
      [['printf', 'a\0b']],
      [['true'], { deadline: 0 }],
      [['true'], { deadline: Number.NaN }],
      [['true'], { lock: ['relative'] }],
      [['true'], { accept: [256] }],
    ]
    for (const [argv, options] of wrong) {
      const error = await rejection(
        (async () => host.exec(argv, options))(),
        `${JSON.stringify([argv, options])} has to be refused`,
      )
      holds(error instanceof TypeError, `${JSON.stringify([argv, options])} is a TypeError`)
    }
  },

  'close: can be called again and again': async ({ host }) => {
    await host.close?.()
    await host.close?.()
  },
}
