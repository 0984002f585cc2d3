import { existsSync } from 'node:fs'
import { mkdtemp, open, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { hostCases } from '../../../src/conformance/hosts.ts'
import { VolumeExpansionError } from '../../../src/errors.ts'
import type { ProbedRange } from '../../../src/hosts/host.ts'
import { localHost } from '../../../src/hosts/local/index.ts'
import { type RemoteChannel, type RemoteTransport, remoteHost } from '../../../src/hosts/remote/host.ts'
import { superblockOf } from '../../filesystems/xfs/superblock-bytes.ts'
import { shellOptions, shellTransport, ways } from './shells.ts'

async function scratch(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'remote-host-'))
}

describe.each(ways)('a host behind $name', ({ shell, interpreter, keeps }) => {
  const setup = async () => {
    const directory = await scratch()
    const host = remoteHost(shellOptions(shellTransport(shell, keeps), interpreter))
    const dispose = async () => {
      await host.close?.()
      await rm(directory, { recursive: true, force: true })
    }
    return { host, directory, dispose }
  }
  for (const { name, run } of hostCases(setup)) test.concurrent(name, { timeout: 60_000 }, run)
})

describe('round trips', () => {
  test('a batch is one, whatever it holds', async () => {
    const directory = await scratch()
    const file = join(directory, 'file')
    await writeFile(file, 'x')
    const transport = shellTransport()
    const results = await remoteHost(shellOptions(transport)).batch([
      { read: 'tools', names: ['sh', 'flock'] },
      { expect: { read: 'file', path: file }, equals: 'x' },
      { exec: ['true'], detached: true, lock: [file] },
      { exec: ['true'] },
      { read: 'storage', at: { path: directory } },
      { read: 'storage', at: { image: file } },
    ])
    expect(results.map(({ ok }) => ok)).toEqual(results.map(() => true))
    expect(transport.opened).toBe(1)
    await rm(directory, { recursive: true })
  })

  test('what stands before a command is read before it', async () => {
    const directory = await scratch()
    const image = join(directory, 'image')
    await writeFile(image, 'x'.repeat(512))
    const host = remoteHost(shellOptions(shellTransport()))
    const [before, , after] = await host.batch([
      { read: 'storage', at: { image } },
      { exec: ['tee', image], stdin: new Uint8Array(1024) },
      { read: 'storage', at: { image } },
    ])
    expect(before.ok && before.value.devices[0]?.size).toBe(512n)
    expect(after.ok && after.value.devices[0]?.size).toBe(1024n)
    await rm(directory, { recursive: true })
  })
})

describe('the interpreter', () => {
  const programs = [
    'head',
    'dd',
    'od',
    'tr',
    'stat',
    'readlink',
    'cat',
    'tail',
    'rm',
    'sleep',
    'flock',
    'setsid',
    'gzip',
  ]

  /** A directory with the programs that the shell needs, and with `perl` as given. */
  async function placesWith(perl: string | undefined): Promise<string> {
    const directory = await scratch()
    for (const name of programs) {
      const found = ['/usr/bin', '/bin'].map((folder) => join(folder, name)).find((path) => existsSync(path))
      if (found !== undefined) await symlink(found, join(directory, name))
    }
    if (perl !== undefined) await writeFile(join(directory, 'perl'), perl, { mode: 0o755 })
    return directory
  }

  test.each([
    ['is not there', undefined],
    ['lacks its modules', '#!/bin/sh\nexec /usr/bin/perl -e \'@INC = (); my $code = shift; eval $code\' "$2" "$3"\n'],
    ['is too old', '#!/bin/sh\nexec /bin/sh -c "$3"\n'],
  ])('is the shell where perl %s', async (_, perl) => {
    const path = await placesWith(perl)
    const transport = shellTransport(undefined, 8, path)
    const host = remoteHost(shellOptions(transport, 'any'))
    const results = await host.batch([
      { read: 'storage', at: { path: '/proc' } },
      { exec: ['true'], detached: true },
    ])
    expect(results.map(({ ok }) => ok)).toEqual([true, true])
    // Its session has ended with the command, as only those of the shell do.
    expect((await host.exec(['true'])).ok).toBe(true)
    expect(transport.opened).toBeGreaterThan(1)
    await host.close?.()
    await rm(path, { recursive: true })
  })

  test('may have gone since: told once, and found out by the next call', async () => {
    const path = await placesWith('#!/bin/sh\nexec /usr/bin/perl "$@"\n')
    const host = remoteHost(shellOptions(shellTransport(undefined, undefined, path), 'any'))
    const read = { read: 'stat', path: '/' } as const
    expect((await host.batch([read]))[0].ok).toBe(true)
    await rm(join(path, 'perl'))
    await expect(host.batch([read])).rejects.toMatchObject({ layer: 'host', outcome: 'unchanged' })
    expect((await host.batch([read]))[0].ok).toBe(true)
    await rm(path, { recursive: true })
  })
})

describe('sessions that are kept', () => {
  test('serve one batch after the other, and several at a time are as many', async () => {
    const transport = shellTransport(undefined, 8)
    const host = remoteHost(shellOptions(transport, 'perl'))
    const read = { read: 'stat', path: '/' } as const
    for (let turn = 0; turn < 3; turn += 1) expect((await host.batch([read]))[0].ok).toBe(true)
    expect((await host.exec(['true'])).ok).toBe(true)
    expect((await host.exec(['true'])).ok).toBe(true)
    expect(transport.opened).toBe(1)
    await Promise.all([host.batch([read]), host.batch([read]), host.batch([read])])
    expect(transport.opened).toBe(3)
    await host.close?.()
  })

  test('can be begun before they are needed, and fail then for those who need them', async () => {
    const transport = shellTransport(undefined, 8)
    const host = remoteHost(shellOptions(transport, 'any'))
    host.reach?.()
    host.reach?.()
    expect((await host.batch([{ read: 'stat', path: '/' }]))[0].ok).toBe(true)
    host.reach?.()
    expect((await host.exec(['true'])).ok).toBe(true)
    expect(transport.opened).toBe(1)
    await host.close?.()
    let opened = 0
    const nowhere: RemoteTransport = {
      ...transport,
      open: async () => {
        opened += 1
        throw new VolumeExpansionError('host-unreachable', 'Nobody answers.', { layer: 'host', outcome: 'unchanged' })
      },
    }
    const silent = remoteHost(shellOptions(nowhere, 'any'))
    silent.reach?.()
    await expect(silent.exec(['true'])).rejects.toMatchObject({ code: 'host-unreachable', outcome: 'unchanged' })
    expect(opened).toBe(1)
    await expect(silent.exec(['true'])).rejects.toMatchObject({ code: 'host-unreachable' })
    expect(opened).toBe(2)
  })

  test('of a shell end with a command, which has watched their input', async () => {
    const transport = shellTransport(undefined, 8)
    const host = remoteHost(shellOptions(transport, 'shell'))
    await host.batch([{ read: 'stat', path: '/' }])
    await host.batch([{ read: 'stat', path: '/' }])
    expect((await host.exec(['true'])).ok).toBe(true)
    expect(transport.opened).toBe(1)
    expect((await host.exec(['true'])).ok).toBe(true)
    expect(transport.opened).toBe(2)
    await host.close?.()
  })

  test('are no more than there may be, and one that hangs holds up no other', async () => {
    const directory = await scratch()
    const pipe = join(directory, 'pipe')
    const transport = shellTransport(undefined, 2)
    const host = remoteHost(shellOptions(transport, 'perl'))
    await host.exec(['mkfifo', pipe])
    // Reading it waits for a writer, as reading a disk that does not answer does.
    const hanging = host.batch([{ read: 'range', path: pipe, offset: 0n, length: 1 }])
    const others = Array.from({ length: 5 }, () => host.batch([{ read: 'stat', path: '/' }]))
    for (const [result] of await Promise.all(others)) expect(result.ok).toBe(true)
    expect(transport.opened).toBe(2)
    await (await open(pipe, 'w')).close()
    expect((await hanging)[0].ok).toBe(false)
    await host.close?.()
    await rm(directory, { recursive: true })
  })

  test('that have rested are asked whether they are there before a change is given to them', async () => {
    const transport = shellTransport(undefined, 8)
    const broken = new Set<RemoteChannel>()
    const forgetful: RemoteTransport = {
      ...transport,
      async open(signal) {
        const channel = await transport.open(signal)
        let lose: (error: Error) => void = () => undefined
        const lost = new Promise<never>((_, reject) => {
          lose = reject
        })
        const stdin = new PassThrough()
        const own = { ...channel, stdin, ended: Promise.race([channel.ended, lost]) }
        stdin.on('data', (chunk: Uint8Array) => {
          if (broken.has(own)) lose(new Error('reset'))
          else channel.stdin.write(chunk)
        })
        stdin.on('end', () => channel.stdin.end())
        latest = own
        return own
      },
    }
    let latest: RemoteChannel | undefined
    const host = remoteHost(shellOptions(forgetful, 'perl'))
    await host.exec(['true'])
    await new Promise((resolve) => setTimeout(resolve, 1100))
    expect((await host.exec(['true'])).ok).toBe(true)
    expect(transport.opened).toBe(1)
    if (latest !== undefined) broken.add(latest)
    await new Promise((resolve) => setTimeout(resolve, 1100))
    expect((await host.exec(['true'])).ok).toBe(true)
    expect(transport.opened).toBe(2)
    await host.close?.()
    await transport.close()
  })
})

describe('the same snapshot as on the machine itself', () => {
  test.each(['perl', 'shell'] as const)('of a path, an image, and nothing: by %s', async (interpreter) => {
    const directory = await scratch()
    const image = join(directory, "an image $(x) 'y'\nz")
    await writeFile(image, 'y'.repeat(700_000))
    const transport = shellTransport()
    const [local, remote] = [localHost(), remoteHost(shellOptions(transport, interpreter))]
    const none = { 'device/pool': 'volumes', 'device/image_id': 'none' }
    const hints = [
      { serial: 'none' },
      { attributes: none },
      { attributes: none, byId: ['none'] },
      { image, attributes: none },
    ]
    const places = [{ image }, { path: '/proc' }, { path: `${directory}/absent` }]
    for (const at of [...places, ...hints.map((each) => ({ hints: each }))]) {
      const [own] = await local.batch([{ read: 'storage', at }])
      const [other] = await remote.batch([{ read: 'storage', at }])
      expect(other).toEqual(own)
    }
    await rm(directory, { recursive: true })
  })
})

describe.each(ways)('XFS behind $name', ({ shell, interpreter, keeps }) => {
  test('shows its backup superblocks as they are on the disk, in the same round trip', async () => {
    const directory = await scratch()
    const image = join(directory, 'image')
    await writeFile(image, superblockOf())
    const file = await open(image, 'r+')
    await file.write(superblockOf({ dataBlocks: 15_360n, groups: 3 }), 0, 4096, 20 * 2 ** 20)
    await file.truncate(80 * 2 ** 20)
    await file.sync()
    await file.close()
    const transport = shellTransport(shell, keeps)
    const item = { read: 'storage', at: { image } } as const
    const [own] = await localHost().batch([item])
    const host = remoteHost(shellOptions(transport, interpreter))
    const [other] = await host.batch([item])
    await host.close?.()
    expect(transport.opened).toBe(1)
    const backupsOf = (result: typeof own): readonly ProbedRange[] => {
      const probe = result.ok ? result.value.devices[0]?.probe : undefined
      return probe?.ok === true ? probe.value.filter(({ direct }) => direct === true) : []
    }
    expect(backupsOf(other).map(({ offset }) => offset)).toEqual([20n, 40n, 60n].map((offset) => offset * 2n ** 20n))
    // Not every dd can read past the cache, and not every filesystem lets it.
    const read = backupsOf(other).every(({ bytes }) => bytes.length > 0)
    const unread = (ranges: readonly ProbedRange[]): readonly ProbedRange[] =>
      ranges.map((range) => ({ ...range, bytes: new Uint8Array() }))
    expect(backupsOf(other)).toEqual(read ? backupsOf(own) : unread(backupsOf(own)))
    await rm(directory, { recursive: true })
  })
})

test('nothing stays behind, and no output of one command is seen by another', async () => {
  const host = remoteHost(shellOptions(shellTransport()))
  const results = await Promise.all(
    Array.from({ length: 8 }, (_, index) => host.exec(['sh', '-c', 'echo "$1"; sleep 0.1', 'sh', `${index}`])),
  )
  expect(results.map(({ stdout }) => stdout)).toEqual(results.map((_, index) => `${index}\n`))
  const left = (await readdir('/dev/shm')).filter((name) => name.startsWith('volume-expander-'))
  expect(left).toEqual([])
})

/** A machine that answers with these words. */
function answering(stdout: string, stderr: string, exitCode: number): RemoteTransport {
  return {
    async open() {
      const [input, output, errors] = [new PassThrough(), new PassThrough(), new PassThrough()]
      input.resume()
      output.end(stdout)
      errors.end(stderr)
      const ended = new Promise<{ exitCode: number }>((resolve) => setTimeout(() => resolve({ exitCode }), 20))
      return { stdin: input, stdout: output, stderr: errors, ended, close: () => undefined }
    },
    close: async () => undefined,
  }
}

/** A machine that answers a whole request as a function of it. */
function replying(words: (request: string) => string): RemoteTransport {
  return {
    async open() {
      const [input, output, errors] = [new PassThrough(), new PassThrough(), new PassThrough()]
      let request = ''
      input.on('data', (chunk: Buffer) => {
        request += chunk.toString('latin1')
        if (request.endsWith('#run\n')) output.end(words(request))
      })
      const ended = new Promise<{ exitCode: number }>((resolve) => output.once('end', () => resolve({ exitCode: 0 })))
      return { stdin: input, stdout: output, stderr: errors, ended, close: () => undefined }
    },
    close: async () => undefined,
  }
}

async function failure(transport: RemoteTransport, read = false): Promise<VolumeExpansionError> {
  const host = remoteHost(shellOptions(transport))
  const call = read ? host.batch([{ read: 'stat', path: '/' }]) : host.exec(['true'])
  const error: unknown = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (error instanceof VolumeExpansionError) return error
  throw new Error(`not the error of this library: ${error}`)
}

describe('a machine that does not run the script', () => {
  test.each([
    ['sudo: a password is required\n', 1, 'permission-denied'],
    ['Sorry, try again.\nsudo: no password was provided\nsudo: not accepted\n', 1, 'authentication-failed'],
    ['somebody is not in the sudoers file.\nsudo: not accepted\n', 1, 'permission-denied'],
    ['sudo: sorry, you must have a tty to run sudo\n', 1, 'permission-denied'],
    ['sudo: not found\n', 127, 'tool-missing'],
    ['env: ‘/bin/sh’: No such file or directory\n', 127, 'tool-missing'],
    ['bash: line 1: exec: env: not found\n', 127, 'tool-missing'],
    ['', 1, 'permission-denied'],
  ] as const)('%j with code %i is %s', async (words, exitCode, code) => {
    const error = await failure(answering('This account is currently not available.\n', words, exitCode))
    expect([error.code, error.layer, error.outcome]).toEqual([code, 'host', 'unchanged'])
    expect(error.remedy).toMatch(/\w/)
  })

  test('answers that are not as many as the questions are to none of them', async () => {
    const words = (request: string): string => {
      const mark = /\n#go\n\.([0-9a-f]{32})\n/.exec(request)?.[1] ?? ''
      return ['v', 's 0', 'i', 'v', 's 0', 'end'].map((line) => `\n${mark} ${line}\n`).join('')
    }
    const host = remoteHost(shellOptions(replying(words)))
    const read = { read: 'file', path: '/etc/hostname' } as const
    const unlike = { code: 'host-unreachable', layer: 'host', outcome: 'unchanged' }
    await expect(host.batch([read, read])).rejects.toMatchObject(unlike)
  })

  test('a command whose output was lost is not known to have ended', async () => {
    const words = (request: string): string => {
      const mark = /\n#go\n\.([0-9a-f]{32})\n/.exec(request)?.[1] ?? ''
      return ['i', 'b', 'r exited 0 -', 'e', 'end'].map((line) => `\n${mark} ${line}\n`).join('')
    }
    const result = await remoteHost(shellOptions(replying(words))).exec(['true'])
    expect(result).toMatchObject({ ended: 'running', ok: false })
  })

  test('a connection that is lost leaves unknown what was begun, and a read leaves nothing', async () => {
    const transport = answering('', '', 0)
    const lost: RemoteTransport = {
      ...transport,
      open: async (signal) => ({ ...(await transport.open(signal)), ended: Promise.reject(new Error('reset')) }),
    }
    expect(await failure(lost)).toMatchObject({ code: 'host-unreachable', outcome: 'unknown', retryable: true })
    expect(await failure(lost, true)).toMatchObject({ code: 'host-unreachable', outcome: 'unchanged', retryable: true })
  })

  test('what only looks is asked once more when its connection is lost, and a command never', async () => {
    let opened = 0
    const transport = shellTransport()
    const brittle: RemoteTransport = {
      ...transport,
      async open(signal) {
        opened += 1
        const channel = await transport.open(signal)
        return opened > 1 ? channel : { ...channel, ended: Promise.reject(new Error('reset')) }
      },
    }
    const host = remoteHost(shellOptions(brittle))
    expect(await host.batch([{ read: 'stat', path: '/' }])).toMatchObject([{ ok: true }])
    expect(opened).toBe(2)
    opened = 0
    await expect(host.exec(['true'])).rejects.toMatchObject({ code: 'host-unreachable', outcome: 'unknown' })
    expect(opened).toBe(1)
  })

  test('programs that are missing are named', async () => {
    const transport = shellTransport()
    const without: RemoteTransport = {
      ...transport,
      async open(signal) {
        const channel = await transport.open(signal)
        const stdin = new PassThrough()
        stdin.on('data', (chunk: Uint8Array) => {
          channel.stdin.write(Buffer.from(chunk).toString('utf8').replace('head dd od', 'head no-dd no-od'))
        })
        stdin.on('end', () => channel.stdin.end())
        return { ...channel, stdin }
      },
    }
    const error = await failure(without)
    expect(error).toMatchObject({ code: 'tool-missing', outcome: 'unchanged' })
    expect(error.message).toContain('no-dd, no-od')
  })

  test('without a writable tmpfs nothing is begun', async () => {
    const host = remoteHost({ ...shellOptions(shellTransport()), runtimeDirectories: ['/proc', '/no-such-place'] })
    await expect(host.exec(['true'])).rejects.toMatchObject({ code: 'permission-denied', outcome: 'unchanged' })
  })

  test('an abort while it is being reached begins nothing', async () => {
    const directory = await scratch()
    const transport = shellTransport()
    const controller = new AbortController()
    let reached: () => void = () => undefined
    const arrived = new Promise<void>((resolve) => {
      reached = resolve
    })
    const slow: RemoteTransport = {
      ...transport,
      async open(signal) {
        const channel = await transport.open(signal)
        controller.abort(new Error('stop'))
        setTimeout(reached, 200)
        return channel
      },
    }
    const run = remoteHost(shellOptions(slow)).exec(['tee', join(directory, 'mark')], { signal: controller.signal })
    await expect(run).rejects.toMatchObject({ code: 'aborted', outcome: 'unchanged' })
    await arrived
    expect(await readdir(directory)).toEqual([])
    await rm(directory, { recursive: true })
  })

  test('a request that was cut off runs nothing', async () => {
    const directory = await scratch()
    const transport = shellTransport()
    const cut: RemoteTransport = {
      ...transport,
      async open(signal) {
        const channel = await transport.open(signal)
        const stdin = new PassThrough()
        stdin.on('data', (chunk: Uint8Array) => {
          const text = Buffer.from(chunk).toString('utf8')
          channel.stdin.end(text.slice(0, text.indexOf('#run')))
        })
        return { ...channel, stdin }
      },
    }
    const host = remoteHost(shellOptions(cut))
    await expect(host.exec(['tee', join(directory, 'mark')])).rejects.toMatchObject({ code: 'permission-denied' })
    expect(await readdir(directory)).toEqual([])
    await rm(directory, { recursive: true })
  })
})
