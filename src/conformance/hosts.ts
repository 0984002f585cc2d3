import { inspect, isDeepStrictEqual } from 'node:util'
import { VolumeExpansionError } from '../errors.ts'
import type { ExecOptions, ExecResult, Host } from '../hosts/host.ts'
import { jsonSafe } from '../json.ts'
import { secretIn } from './secrets.ts'
import { type ConformanceCase, holds, rejection } from './suite.ts'

/** What a case runs on: made anew for each one. */
export interface HostSetup {
  readonly host: Host
  /** Absolute path of an empty directory on that host, which its commands may write to. */
  readonly directory: string
  /** Passwords, keys and tokens that the host was given: none of them may show. Left out: it was given none. */
  readonly secrets?: readonly string[]
  /** Removes the directory, and whatever else was made. */
  dispose(): Promise<void>
}

type Body = (setup: HostSetup) => Promise<void>

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

/**
 * What every host has to do, whoever wrote it and whichever way its commands go: its results, its batches, its locks, its deadlines. The host needs the
 * programs of a minimal system (`sh`, `printf`, `cat`, `tee`, `sleep`, `true`, `false`, `head`, `grep`) and util-linux' flock.
 */
export function hostCases(setup: () => Promise<HostSetup>): readonly ConformanceCase[] {
  return Object.entries(bodies).map(([name, body]) => ({
    name,
    async run() {
      const made = await setup()
      try {
        await body(made)
      } finally {
        await made.dispose()
      }
    },
  }))
}

const bodies: Readonly<Record<string, Body>> = {
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

  'exec: a command is killed at its deadline': async ({ host }) => {
    const started = performance.now()
    const result = await host.exec(['sleep', '30'], { deadline: 200 })
    same([result.ended, result.ok], ['killed', false], 'a command that passes its deadline')
    holds(performance.now() - started < 10_000, 'the deadline is kept')
    const stubborn = await host.exec(['sh', '-c', "trap '' TERM; while :; do sleep 0.1; done"], { deadline: 200 })
    same(stubborn.ended, 'killed', 'a command that ignores SIGTERM')
  },

  'exec: a detached command runs on after its deadline': async ({ host, directory }) => {
    const [go, done] = [`${directory}/go`, `${directory}/done`]
    const script = `echo begun; ${untilThere}; echo yes > "$2"`
    const result = await host.exec(['sh', '-c', script, 'sh', go, done], { detached: true, deadline: 1000 })
    same([result.ended, result.ok], ['running', false], 'a detached command at its deadline')
    same(result.stdout, 'begun\n', 'what it had written by then')
    await touch(host, go)
    await eventually(async () => (await contents(host, done)) === 'yes\n', 'it has to run to its end')
  },

  'exec: a lock that is held keeps a second command from beginning': async ({ host, directory }) => {
    const lock = [await touch(host, `${directory}/lock`)]
    const [go, mark] = [`${directory}/go`, `${directory}/mark`]
    const script = `echo 1 > "$2"; ${untilThere}`
    const first = host.exec(['sh', '-c', script, 'sh', go, mark], { detached: true, lock })
    await eventually(async () => (await contents(host, mark)) === '1\n', 'the first command has to begin')
    const second = await host.exec(['sh', '-c', 'echo 2 > "$1"', 'sh', mark], { detached: true, lock })
    same([second.ended, second.ok], ['locked', false], 'a command whose lock is held')
    same(await contents(host, mark), '1\n', 'what the second command would have written')
    await touch(host, go)
    same((await first).ended, 'exited', 'the first command')
    const third = await host.exec(['true'], { detached: true, lock })
    same(third.ended, 'exited', 'a command after the lock was given back')
  },

  'exec: one of several locks is enough to keep a command from beginning': async ({ host, directory }) => {
    const [a, b] = [await touch(host, `${directory}/a`), await touch(host, `${directory}/b`)]
    const [go, mark] = [`${directory}/go`, `${directory}/mark`]
    const script = `echo 1 > "$2"; ${untilThere}`
    const first = host.exec(['sh', '-c', script, 'sh', go, mark], { detached: true, lock: [b] })
    await eventually(async () => (await contents(host, mark)) === '1\n', 'the first command has to begin')
    const second = await host.exec(['true'], { detached: true, lock: [b, a, a] })
    same(second.ended, 'locked', 'a command of whose locks one is held')
    await touch(host, go)
    await first
    const third = await host.exec(['true'], { detached: true, lock: [b, a, a] })
    same(third.ended, 'exited', 'a command that locks one file twice')
  },

  'exec: a command that exits with the code of a conflict is not locked': async ({ host, directory }) => {
    const lock = [await touch(host, `${directory}/lock`)]
    for (const code of [1, 66, 69, 75]) {
      const result = await host.exec(['sh', '-c', 'exit "$1"', 'sh', `${code}`], { detached: true, lock })
      same([result.ended, result.exitCode], ['exited', code], `a command that holds its lock and exits with ${code}`)
    }
  },

  'exec: a lock on what is not there is refused, and creates nothing': async ({ host, directory }) => {
    const result = await host.exec(['true'], { detached: true, lock: [`${directory}/absent`] })
    same([result.ended, result.ok], ['refused', false], 'a command whose lock cannot be had')
    const [found] = await host.batch([{ read: 'stat', path: `${directory}/absent` }])
    holds(!found.ok && found.errno === 'ENOENT', 'a lock must not create the file that it is for')
  },

  'exec: an aborted signal begins nothing': async ({ host, directory }) => {
    const mark = `${directory}/mark`
    const signal = AbortSignal.abort(new Error('stop'))
    await aborted(host.exec(['tee', mark], { signal }), 'unchanged')
    await aborted(host.batch([{ exec: ['tee', mark] }], { signal }), 'unchanged')
    const [found] = await host.batch([{ read: 'stat', path: mark }])
    holds(!found.ok && found.errno === 'ENOENT', 'an aborted command must not have run')
  },

  'exec: an abort leaves a detached command to go on with its lock': async ({ host, directory }) => {
    const lock = [await touch(host, `${directory}/lock`)]
    const [go, begun, done] = [`${directory}/go`, `${directory}/begun`, `${directory}/done`]
    const controller = new AbortController()
    const script = `echo yes > "$2"; ${untilThere}; echo yes > "$3"`
    const run = host.exec(['sh', '-c', script, 'sh', go, begun, done], {
      ...{ detached: true, lock, signal: controller.signal },
    })
    const refused = aborted(run, 'unknown')
    await eventually(async () => (await contents(host, begun)) === 'yes\n', 'the command has to begin')
    controller.abort(new Error('stop'))
    await refused
    same((await host.exec(['true'], { detached: true, lock })).ended, 'locked', 'a second command meanwhile')
    await touch(host, go)
    await eventually(async () => (await contents(host, done)) === 'yes\n', 'the first command has to go on')
  },

  'batch: gives each item its own result, in order': async ({ host, directory }) => {
    const file = await touch(host, `${directory}/file`, 'one\n')
    const [before, write, after, size] = await host.batch([
      { read: 'file', path: file },
      { exec: ['tee', file], stdin: bytesOf('two\n') },
      { read: 'file', path: file },
      { read: 'stat', path: file },
    ])
    same(before, { ok: true, value: 'one\n' }, 'a read before a command')
    same([write.ended, write.stdout], ['exited', 'two\n'], 'the command')
    same(after, { ok: true, value: 'two\n' }, 'a read after a command')
    holds(size.ok && size.value.size === 4n, 'the last read')
    same(await host.batch([]), [], 'an empty batch')
  },

  'batch: a command that fails skips the commands after it, and no read': async ({ host, directory }) => {
    const file = await touch(host, `${directory}/file`, 'x')
    const mark = `${directory}/mark`
    const [failed, skipped, read, expected, again] = await host.batch([
      { exec: ['false'] },
      { exec: ['tee', mark] },
      { read: 'file', path: file },
      { expect: { read: 'file', path: file }, equals: 'x' },
      { exec: ['tee', mark] },
    ])
    same([failed.ended, failed.ok], ['exited', false], 'the command that fails')
    same([skipped.ended, skipped.ok], ['skipped', false], 'the command after it')
    same(read, { ok: true, value: 'x' }, 'a read after a command that fails')
    holds(expected.ok, 'an expectation after a command that fails')
    same(again.ended, 'skipped', 'a later command, also behind an expectation that holds')
    const [found] = await host.batch([{ read: 'stat', path: mark }])
    holds(!found.ok, 'a skipped command must not have run')
  },

  'batch: a command with an accepted code skips nothing': async ({ host }) => {
    const [first, second] = await host.batch([
      { exec: ['sh', '-c', 'exit 1'], accept: [0, 1] },
      { exec: ['printf', 'x'] },
    ])
    same([first.exitCode, first.ok], [1, true], 'a command that exits with an accepted code')
    same(second.stdout, 'x', 'the command after it')
  },

  'batch: a missing program skips the commands after it': async ({ host }) => {
    const [first, second] = await host.batch([{ exec: ['no-such-program-anywhere'] }, { exec: ['true'] }])
    same([first.ended, second.ended], ['missing', 'skipped'], 'a missing program, and the command after it')
  },

  'batch: an expectation that fails skips the commands after it, and says what was found': async ({
    host,
    directory,
  }) => {
    const file = await touch(host, `${directory}/file`, 'found\n')
    const [wrong, skipped, absent] = await host.batch([
      { expect: { read: 'file', path: file }, equals: 'wanted' },
      { exec: ['true'] },
      { expect: { read: 'file', path: `${directory}/absent` }, equals: '' },
    ])
    same(wrong, { ok: false, found: 'found' }, 'an expectation that fails')
    same(skipped.ended, 'skipped', 'the command after it')
    same(absent, { ok: false }, 'an expectation of a file that is not there')
  },

  'batch: expectations compare files trimmed, ranges in hexadecimal, stats by their numbers': async ({
    host,
    directory,
  }) => {
    const file = await touch(host, `${directory}/file`, '  AZ\n')
    const [stat] = await host.batch([{ read: 'stat', path: file }])
    holds(stat.ok, 'the file can be looked at')
    const { dev, ino, rdev } = stat.value
    const results = await host.batch([
      { expect: { read: 'file', path: file }, equals: 'AZ' },
      { expect: { read: 'range', path: file, offset: 2n, length: 3 }, equals: '415a0a' },
      { expect: { read: 'stat', path: file }, equals: `${dev}:${ino}:${rdev}` },
      { expect: { read: 'range', path: file, offset: 2n, length: 3 }, equals: '415A0A' },
      { exec: ['true'] },
    ])
    same(
      results.slice(0, 3).map((result) => result.ok),
      [true, true, true],
      'expectations that hold',
    )
    same(results[3], { ok: false, found: '415a0a' }, 'hexadecimal is in lower case')
    same(results[4].ended, 'skipped', 'a command after an expectation that fails')
  },

  'batch: reads give what is there': async ({ host, directory }) => {
    const file = await touch(host, `${directory}/file`, 'abcdef')
    const [text, range, end, beyond, stat, folder, statfs, tools] = await host.batch([
      { read: 'file', path: file },
      { read: 'range', path: file, offset: 2n, length: 3 },
      { read: 'range', path: file, offset: 4n, length: 100 },
      { read: 'range', path: file, offset: 1n << 40n, length: 4 },
      { read: 'stat', path: file },
      { read: 'stat', path: directory },
      { read: 'statfs', path: directory },
      { read: 'tools', names: ['sh', 'no-such-program-anywhere'] },
    ])
    same(text, { ok: true, value: 'abcdef' }, 'the text of a file')
    for (const [result, expected] of [
      [range, 'cde'],
      [end, 'ef'],
      [beyond, ''],
    ] as const) {
      holds(result.ok && Buffer.from(result.value).toString('latin1') === expected, `the range ${expected}`)
    }
    holds(stat.ok && stat.value.type === 'file' && stat.value.size === 6n, 'the type and size of a file')
    holds(/^\d+:\d+$/.test(stat.value.dev) && stat.value.ino > 0n, 'the identity of a file')
    holds(stat.value.realpath.endsWith('/file'), 'the real path of a file')
    holds(folder.ok && folder.value.type === 'directory', 'the type of a directory')
    holds(statfs.ok && statfs.value.blocks > 0n && statfs.value.blockSize > 0n, 'the sizes of a filesystem')
    holds(tools.ok && tools.value['sh']?.startsWith('/') === true, 'the path of a program that exists')
    same(tools.value['no-such-program-anywhere'], undefined, 'a program that does not exist')
  },

  'batch: a read that fails says why by the name of its errno': async ({ host, directory }) => {
    const file = await touch(host, `${directory}/file`, 'x')
    const results = await host.batch([
      { read: 'file', path: `${directory}/absent` },
      { read: 'range', path: `${directory}/absent`, offset: 0n, length: 1 },
      { read: 'stat', path: `${directory}/absent` },
      { read: 'statfs', path: `${directory}/absent` },
      { read: 'file', path: `${file}/below` },
      { read: 'file', path: directory },
    ])
    const names = results.map((result) => (result.ok ? 'ok' : result.errno))
    same(names, ['ENOENT', 'ENOENT', 'ENOENT', 'ENOENT', 'ENOTDIR', 'EISDIR'], 'the names of the failures')
  },

  'batch: a storage read finds the mount of a path, and nothing where nothing is': async ({ host, directory }) => {
    const [there, absent, odd] = await host.batch([
      { read: 'storage', at: { path: directory } },
      { read: 'storage', at: { path: `${directory}/absent` } },
      { read: 'storage', at: { device: directory } },
    ])
    holds(there.ok && there.value.mount?.mountPoint.startsWith('/') === true, 'the mount that the directory is on')
    holds(there.value.system.kernel !== '' && there.value.system.pageSize >= 4096, 'what the host runs on')
    holds(absent.ok && absent.value.found.length === 0, 'a path that does not exist is not found')
    holds(odd.ok && odd.value.found.length === 0, 'a directory is not a device')
  },

  'batch: a storage read shows an image, its bytes and who holds a lock on it': async ({ host, directory }) => {
    const image = await touch(host, `${directory}/image`, `head${'.'.repeat(1020)}`)
    const go = `${directory}/go`
    const run = host.exec(['sh', '-c', untilThere, 'sh', go], { detached: true, lock: [image] })
    const read = async () => {
      const [result] = await host.batch([{ read: 'storage', at: { image } }])
      holds(result.ok && result.value.found.length === 1, 'the image is found')
      const device = result.value.devices.find(({ id }) => id === result.value.found[0])
      holds(device !== undefined && device.kind === 'image', 'the image is a device of its own kind')
      return device
    }
    await eventually(async () => (await read()).locks.length > 0, 'a lock that is held has to be seen')
    const device = await read()
    same(device.size, 1024n, 'the size of the image')
    const start = device.probe.ok ? device.probe.value.find(({ offset }) => offset === 0n) : undefined
    same(Buffer.from(start?.bytes.subarray(0, 4) ?? []).toString('latin1'), 'head', 'the first bytes of the image')
    holds((device.locks[0]?.pid ?? 0) > 0, 'the process that holds the lock')
    await touch(host, go)
    await run
    same((await read()).locks, [], 'the locks after the command has ended')
  },

  'batch: a malformed item is a TypeError before anything is done': async ({ host, directory }) => {
    const mark = `${directory}/mark`
    const wrong = [
      { read: 'file', path: 'relative' },
      { read: 'range', path: '/x', offset: -1n, length: 1 },
      { read: 'range', path: '/x', offset: 0n, length: -1 },
      { exec: [] },
    ] as const
    for (const item of wrong) {
      const error = await rejection(
        (async () => host.batch([{ exec: ['tee', mark] }, item]))(),
        `the item ${Object.keys(item).join()} has to be refused`,
      )
      holds(error instanceof TypeError, 'a malformed item is a TypeError')
    }
    const [found] = await host.batch([{ read: 'stat', path: mark }])
    holds(!found.ok, 'a batch with a malformed item must not have run')
  },

  'batch: an abort in the middle begins no further command': async ({ host, directory }) => {
    const [begun, mark] = [`${directory}/begun`, `${directory}/mark`]
    const controller = new AbortController()
    const script = 'echo yes > "$1"; sleep 0.7'
    const items = [{ exec: ['sh', '-c', script, 'sh', begun], detached: true }, { exec: ['tee', mark] }] as const
    const refused = aborted(host.batch(items, { signal: controller.signal }), 'unknown')
    await eventually(async () => (await contents(host, begun)) === 'yes\n', 'the first command has to begin')
    controller.abort(new Error('stop'))
    await refused
    await host.exec(['sleep', '1'])
    const [found] = await host.batch([{ read: 'stat', path: mark }])
    holds(!found.ok, 'the second command must not have run')
  },

  'close: can be called again and again': async ({ host }) => {
    await host.close?.()
    await host.close?.()
  },
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

/** Makes a file on the host, and returns its path. */
async function touch(host: Host, path: string, text = ''): Promise<string> {
  const result: ExecResult = await host.exec(['tee', path], { stdin: bytesOf(text) })
  holds(result.ok, `the file ${JSON.stringify(path)} can be written: ${result.stderr}`)
  return path
}

async function contents(host: Host, path: string): Promise<string | undefined> {
  const [result] = await host.batch([{ read: 'file', path }])
  return result.ok ? result.value : undefined
}

/** Part of a script: waits until the file that its first argument names is there, for a minute at the most. However slow the machine is, it ends when it is told to. */
const untilThere = 'n=0; while [ ! -e "$1" ] && [ $n -lt 600 ]; do n=$((n + 1)); sleep 0.1; done'

async function eventually(check: () => Promise<boolean>, message: string): Promise<void> {
  const end = performance.now() + 10_000
  while (!(await check())) {
    holds(performance.now() < end, message)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

function aborted(promise: Promise<unknown>, outcome: 'unchanged' | 'unknown'): Promise<void> {
  const judged = rejectsAsAborted(promise, outcome)
  // The case may fail before it comes to wait for this one.
  judged.catch(() => undefined)
  return judged
}

async function rejectsAsAborted(promise: Promise<unknown>, outcome: 'unchanged' | 'unknown'): Promise<void> {
  const error = await rejection(promise, 'an aborted call has to reject')
  holds(error instanceof VolumeExpansionError && error.code === 'aborted', 'an aborted call rejects with `aborted`')
  holds(error.cause instanceof Error && error.cause.message === 'stop', "the cause is the signal's reason")
  same(error.outcome, outcome, 'the outcome of an aborted call')
}

function same(found: unknown, expected: unknown, what: string): void {
  const show = (value: unknown): string => JSON.stringify(jsonSafe(value))
  holds(isDeepStrictEqual(found, expected), `${what}: expected ${show(expected)}, found ${show(found)}`)
}
