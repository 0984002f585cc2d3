import { spawn } from 'node:child_process'
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Machine, Spawn } from '../../../src/hosts/local/execute.ts'
import { hostOn } from '../../../src/hosts/local/host.ts'
import { localHost } from '../../../src/hosts/local/index.ts'
import { ScratchFiles } from '../../../src/hosts/local/scratch.ts'
import { findTool } from '../../../src/hosts/local/tools.ts'

let directory = ''
beforeAll(() => {
  directory = fs.mkdtempSync(join(tmpdir(), 'local-host-'))
})
afterAll(() => fs.rmSync(directory, { recursive: true, force: true }))

function counting(find: Machine['find'] = findTool) {
  const commands: string[] = []
  const counted: Spawn = (command, args, options) => {
    commands.push(command)
    return spawn(command, args, options)
  }
  return { commands, host: hostOn({ spawn: counted, scratch: new ScratchFiles(), find }) }
}

function newFile(name: string): string {
  const path = join(directory, name)
  fs.writeFileSync(path, '')
  return path
}

async function until(check: () => boolean): Promise<void> {
  const end = performance.now() + 8_000
  while (!check()) {
    if (performance.now() > end) throw new Error('it did not happen')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

describe('processes', () => {
  test('reads and expectations start none', async () => {
    const { commands, host } = counting()
    const file = newFile('read')
    const results = await host.batch([
      { read: 'file', path: '/proc/self/mountinfo' },
      { read: 'file', path: file },
      { read: 'range', path: file, offset: 0n, length: 1 },
      { read: 'stat', path: file },
      { read: 'statfs', path: file },
      { read: 'tools', names: ['sh', 'flock', 'no-such-program-anywhere'] },
      { read: 'storage', at: { path: directory } },
      { read: 'storage', at: { image: file } },
      { read: 'storage', at: { hints: { serial: 'no such serial' } } },
      { expect: { read: 'file', path: file }, equals: '' },
    ])
    expect(results.map(({ ok }) => ok)).toEqual(results.map(() => true))
    expect(commands).toEqual([])
  })

  test('a detached command with two locks is one, and has become the tool when it runs', async () => {
    const { commands, host } = counting()
    const lock = [newFile('one'), newFile('two')]
    const script = 'read -r name < /proc/$$/comm; echo "$name"; cat "/proc/$$/task/$$/children"'
    const result = await host.exec(['sh', '-c', script], { detached: true, lock })
    expect(commands).toHaveLength(1)
    expect(result).toMatchObject({ ended: 'exited', stderr: '' })
    expect(result.stdout.split('\n')[0]).toBe('sh')
  })

  test('a missing program starts none', async () => {
    const { commands, host } = counting()
    await host.exec(['no-such-program-anywhere'], { detached: true, lock: [newFile('unused')] })
    expect(commands).toEqual([])
  })

  test('a detached command has a session of its own and no input, and leaves no file behind', async () => {
    const result = await localHost().exec(
      ['sh', '-c', 'cut -d" " -f1,6 "/proc/$$/stat"; readlink "/proc/$$/fd/0" "/proc/$$/fd/1"'],
      {
        detached: true,
      },
    )
    const [numbers = '', stdin, stdout] = result.stdout.split('\n')
    const [pid, session] = numbers.split(' ')
    expect(session).toBe(pid)
    expect(stdin).toBe('/dev/null')
    expect(stdout).toMatch(/\(deleted\)$/)
  })

  test('a machine that cannot start processes is a failure of the host', async () => {
    const host = hostOn({
      spawn: () => {
        throw Object.assign(new Error('spawn ENOMEM'), { code: 'ENOMEM' })
      },
      scratch: new ScratchFiles(),
      find: findTool,
    })
    await expect(host.exec(['true'])).rejects.toMatchObject({ code: 'host-unreachable', outcome: 'unchanged' })
  })

  test('a script without its interpreter is missing, with a lock and without', async () => {
    const path = join(directory, 'script')
    fs.writeFileSync(path, '#!/no/such/interpreter\n', { mode: 0o755 })
    const lock = [newFile('lock-of-script')]
    expect((await localHost().exec([path])).ended).toBe('missing')
    expect((await localHost().exec([path], { detached: true, lock })).ended).toBe('missing')
  })

  test('a child that keeps the output open does not keep the result back', async () => {
    const started = performance.now()
    const result = await localHost().exec(['sh', '-c', 'sleep 3 & echo done'])
    expect(result).toMatchObject({ ended: 'exited', stdout: 'done\n' })
    expect(performance.now() - started).toBeLessThan(2_500)
  })

  test('an abort ends a command that is not detached', async () => {
    const controller = new AbortController()
    const pidFile = join(directory, 'pid')
    const run = localHost().exec(['sh', '-c', 'echo $$ > "$1"; exec sleep 30', 'sh', pidFile], {
      signal: controller.signal,
    })
    const outcome = expect(run).rejects.toMatchObject({ code: 'aborted', outcome: 'unknown' })
    await until(() => fs.existsSync(pidFile) && fs.readFileSync(pidFile, 'utf8').endsWith('\n'))
    controller.abort()
    await outcome
    await until(() => !fs.existsSync(`/proc/${fs.readFileSync(pidFile, 'utf8').trim()}`))
  })
})

describe('locks', () => {
  test('one inode by two names is locked once', async () => {
    const file = newFile('file')
    const link = join(directory, 'link')
    fs.symlinkSync(file, link)
    const result = await localHost().exec(['true'], { detached: true, lock: [file, link] })
    expect(result.ended).toBe('exited')
  })

  test('without flock nothing begins, and the result says what is missing', async () => {
    const { commands, host } = counting((name) => findTool(name === 'flock' ? 'no-such-program-anywhere' : name))
    const result = await host.exec(['true'], { detached: true, lock: [newFile('lock-without-flock')] })
    expect(result).toMatchObject({ ended: 'missing', ok: false, argv: ['flock'] })
    expect(commands).toEqual([])
  })

  test('what cannot be locked is refused with its errno, and the tool does not begin', async () => {
    const { commands, host } = counting()
    const result = await host.exec(['true'], { lock: [join(directory, 'absent')] })
    expect(result).toMatchObject({ ended: 'refused', argv: ['true'] })
    expect(result.stderr).toContain('ENOENT')
    expect(commands).toEqual([])
  })
})

describe('a caller that dies', () => {
  test('leaves the tool to go on with its lock until its end', { timeout: 30_000 }, async () => {
    const [lock, begun, done] = [newFile('lock'), join(directory, 'begun'), join(directory, 'done')]
    const tool = [
      'sh',
      '-c',
      'echo $$ > "$1"; sleep 2; echo output; echo error >&2; echo yes > "$2"',
      'sh',
      begun,
      done,
    ]
    const script = fileURLToPath(new URL('./fixtures/caller.ts', import.meta.url))
    const caller = spawn(process.execPath, ['--import', 'tsx', script, lock, ...tool], { stdio: 'ignore' })
    const ended = new Promise((resolve) => caller.once('exit', (_, signal) => resolve(signal)))
    await until(() => fs.existsSync(begun) && fs.readFileSync(begun, 'utf8').endsWith('\n'))
    caller.kill('SIGKILL')
    expect(await ended).toBe('SIGKILL')

    const pid = Number(fs.readFileSync(begun, 'utf8'))
    expect(fs.existsSync(`/proc/${pid}`)).toBe(true)
    const { commands, host } = counting()
    const [storage] = await host.batch([{ read: 'storage', at: { image: lock } }])
    expect(storage.ok && storage.value.devices[0]?.locks).toEqual([{ pid, command: 'sh' }])
    expect(commands).toEqual([])
    expect((await host.exec(['true'], { detached: true, lock: [lock] })).ended).toBe('locked')

    await until(() => fs.existsSync(done))
    expect(fs.readFileSync(done, 'utf8')).toBe('yes\n')
    await until(() => !fs.existsSync(`/proc/${pid}`))
    expect((await host.exec(['true'], { detached: true, lock: [lock] })).ended).toBe('exited')
  })
})

describe('scratch files', () => {
  test('are refused outside of a tmpfs, before anything begins', async () => {
    const host = localHost({ runtimeDirectory: '/proc' })
    const mark = join(directory, 'mark')
    await expect(host.exec(['tee', mark], { detached: true })).rejects.toMatchObject({
      ...{ code: 'permission-denied', layer: 'host', outcome: 'unchanged' },
      message: expect.stringContaining('/proc: it is not on a tmpfs'),
    })
    expect(fs.existsSync(mark)).toBe(false)
  })

  test('are made where they are wanted', async () => {
    const place = fs.mkdtempSync('/dev/shm/local-host-')
    try {
      const result = await localHost({ runtimeDirectory: place }).exec(['readlink', '/proc/self/fd/1'], {
        detached: true,
      })
      expect(result.stdout.startsWith(place)).toBe(true)
      expect(fs.readdirSync(place)).toEqual([])
    } finally {
      fs.rmdirSync(place)
    }
  })

  test('a directory has to be absolute', () => {
    expect(() => localHost({ runtimeDirectory: 'relative' })).toThrow(TypeError)
  })
})
