import { execFileSync, spawn } from 'node:child_process'
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isDeepStrictEqual } from 'node:util'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { hostCases } from '../../../src/conformance/hosts.ts'
import type { BatchItem, Host, ReadResult, StorageSnapshot, StorageTarget } from '../../../src/hosts/host.ts'
import { localHost } from '../../../src/hosts/local/index.ts'
import { type RemoteTransport, remoteHost } from '../../../src/hosts/remote/host.ts'
import { type SshHostOptions, sshHost } from '../../../src/hosts/ssh/index.ts'
import { fingerprintOf } from '../../../src/hosts/ssh/known-hosts.ts'
import { endpointOf } from '../../../src/hosts/ssh/options.ts'
import { sshTransport } from '../../../src/hosts/ssh/transport.ts'
import { expand } from '../../../src/index.ts'
import { type Link, startLink } from '../../lab/link.ts'
import { type SshServer, startSshd } from '../../lab/sshd.ts'

// An OpenSSH server on this machine: the same disks seen by localHost() and through sshHost(). As root.

const secret = "p4ss 'word' $(x) \\0141"
const byPassword: { readonly password: () => string } = { password: () => secret }
const byWrong: typeof byPassword = { password: () => 'wrong' }
const byNothing: typeof byPassword = { password: () => '' }
let server: SshServer
let people: SshServer
let cleanups: (() => unknown)[] = []
let directory = ''
let base = ''

beforeAll(async () => {
  // What is mounted below it is seen by the server that has mounts of its own, too.
  base = fs.mkdtempSync(join(tmpdir(), 'real-ssh-'))
  fs.chmodSync(base, 0o755)
  run('mount', '--bind', base, base)
  run('mount', '--make-shared', base)
  server = await startSshd()
  people = await startSshd({
    users: [
      { name: 've-free', sudoers: ['ve-free ALL=(ALL) NOPASSWD: ALL'] },
      { name: 've-asked', password: secret, sudoers: ['ve-asked ALL=(ALL) ALL'] },
      {
        name: 've-asked-always',
        password: secret,
        sudoers: ['ve-asked-always ALL=(ALL) ALL', 'Defaults:ve-asked-always timestamp_timeout=0'],
      },
      { name: 've-tty', sudoers: ['ve-tty ALL=(ALL) NOPASSWD: ALL', 'Defaults:ve-tty requiretty'] },
      { name: 've-nobody', password: secret },
      { name: 've-fish', shell: '/usr/bin/fish' },
      { name: 've-csh', shell: '/bin/tcsh' },
      { name: 've-dash', shell: '/usr/bin/dash' },
      { name: 've-nologin', shell: '/usr/sbin/nologin' },
      {
        name: 've-listed',
        sudoers: [
          've-listed ALL=(root) NOPASSWD: /usr/sbin/xfs_growfs *, /usr/bin/dd if=/dev/loop*, /usr/bin/flock --verbose --exclusive --nonblock --no-fork --conflict-exit-code 75 /dev/loop* /usr/sbin/xfs_growfs *',
        ],
      },
    ],
  })
})
afterAll(async () => {
  await server?.stop()
  await people?.stop()
  run('umount', base)
  fs.rmSync(base, { recursive: true, force: true })
})
beforeEach(() => {
  directory = fs.mkdtempSync(join(base, 'case-'))
  fs.chmodSync(directory, 0o755)
})
afterEach(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup()
  cleanups = []
  fs.rmSync(directory, { recursive: true, force: true })
})

function run(command: string, ...args: readonly string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim()
}

function optionsOf(to: SshServer, more: Partial<SshHostOptions> = {}): SshHostOptions {
  return {
    ...{ host: '127.0.0.1', port: to.port, username: 'root', agent: false, privateKey: to.privateKey },
    knownHosts: { files: [to.knownHosts] },
    ...more,
  }
}

function hostOf(to: SshServer, more: Partial<SshHostOptions> = {}): Host {
  const host = sshHost(optionsOf(to, more))
  cleanups.push(() => host.close?.())
  return host
}

function newImage(size = 320 * 2 ** 20): string {
  const image = join(directory, 'disk.img')
  fs.writeFileSync(image, '')
  fs.truncateSync(image, size)
  return image
}

/** Loop devices are few and shared: another program may have them all for a moment. */
async function attach(image: string): Promise<string> {
  for (let tries = 0; ; tries += 1) {
    try {
      const device = run('losetup', '--find', '--show', image)
      cleanups.push(() => run('losetup', '--detach', device))
      return device
    } catch (error) {
      if (tries > 100) throw error
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
  }
}

/** A mounted XFS that is smaller than its device. */
async function mountedXfs(): Promise<{ readonly device: string; readonly point: string; readonly image: string }> {
  const image = newImage()
  run('mkfs.xfs', '-q', image)
  fs.truncateSync(image, 640 * 2 ** 20)
  const device = await attach(image)
  const point = join(directory, 'mounted')
  fs.mkdirSync(point)
  run('mount', device, point)
  cleanups.push(() => run('umount', point))
  return { device, point, image }
}

async function failureOf(host: Host): Promise<Record<string, unknown>> {
  const error: unknown = await host.exec(['true']).then(
    (result) => new Error(`it succeeded: ${JSON.stringify(result)}`),
    (thrown: unknown) => thrown,
  )
  const text = `${JSON.stringify(error)} ${error}`
  expect(text).not.toContain(secret)
  expect(error).toMatchObject({ layer: 'host', outcome: 'unchanged', remedy: expect.stringMatching(/\w/) })
  return error as Record<string, unknown>
}

/** The cases, over one connection. @param except what this way of running commands declares not to keep */
function conformance(host: () => Host, except: readonly string[] = []): void {
  const setup = async () => {
    const own = fs.mkdtempSync(join(base, 'conformance-'))
    fs.chmodSync(own, 0o777)
    return { host: host(), directory: own, dispose: async () => fs.rmSync(own, { recursive: true, force: true }) }
  }
  for (const { name, run: body } of hostCases(setup)) if (!except.includes(name)) test(name, body)
}

describe('conformance', () => {
  describe('as root', () => {
    let host: Host
    beforeAll(() => {
      host = sshHost(optionsOf(server))
    })
    afterAll(() => host.close?.())
    conformance(() => host)
  })

  describe('as a user with sudo, by password', () => {
    let host: Host
    beforeAll(() => {
      host = sshHost(optionsOf(people, { username: 've-asked', sudo: { password: () => secret } }))
    })
    afterAll(() => host.close?.())
    conformance(() => host)
  })

  describe('command by command with sudo', () => {
    let host: Host
    beforeAll(() => {
      host = sshHost(optionsOf(people, { username: 've-free', sudo: true, mode: 'commands' }))
    })
    afterAll(() => host.close?.())
    // sudo sets variables of its own, and what it runs as root cannot be ended by the user who waits for it.
    conformance(
      () => host,
      ['exec: the environment holds nothing of the caller', 'exec: a command is killed at its deadline'],
    )
  })
})

/** Behind a shell nobody looks who has the file below a loop device, which is why such a device is never written to offline there. */
function withoutBacking(result: ReadResult<StorageSnapshot>): ReadResult<StorageSnapshot> {
  if (!result.ok) return result
  const devices = result.value.devices.map((device) => {
    if (device.kind !== 'block' || device.users === undefined) return device
    const { localBacking: _unseen, ...users } = device.users
    return { ...device, users: { ...users, loops: [] } }
  })
  return { ok: true, value: { ...result.value, devices } }
}

describe('the same snapshot as localHost() has', () => {
  const local = localHost()
  const compare = async (host: Host, at: StorageTarget): Promise<void> => {
    const own = withoutBacking((await local.batch([{ read: 'storage', at, locks: true }]))[0])
    const [other] = await host.batch([{ read: 'storage', at, locks: true }])
    // The comparison that shows differences takes seconds for so many bytes.
    if (!isDeepStrictEqual(other, own)) expect(other).toEqual(own)
    expect(own.ok && own.value.found.length).toBe(1)
  }

  test('of a mounted XFS, by every way to name it', async () => {
    const host = hostOf(server)
    const { device, point, image } = await mountedXfs()
    for (const at of [{ path: point }, { device }, { image }, { hints: { image } }, { hints: { path: device } }]) {
      await compare(host, at)
    }
  })

  test('of an unmounted device, blank and with ext4, and of an image', async () => {
    const host = hostOf(server)
    const image = newImage()
    await compare(host, { image })
    const device = await attach(image)
    await compare(host, { device })
    run('mkfs.ext4', '-q', '-O', 'mmp', device, '100M')
    await compare(host, { device })
  })

  test('of a device that a process has open and another one holds a lock on', async () => {
    const host = hostOf(server)
    const device = await attach(newImage())
    const holder = spawn('flock', [device, 'sh', '-c', 'exec 5<>"$1"; echo ready; read -r line', 'sh', device])
    await new Promise((resolve) => holder.stdout.once('data', resolve))
    await compare(host, { device })
    const [seen] = await host.batch([{ read: 'storage', at: { device } }])
    const [found] = seen.ok ? seen.value.devices : []
    expect(found?.users?.openers.map(({ writable }) => writable)).toContain(true)
    expect(found?.locks.length).toBeGreaterThan(0)
    holder.stdin.end()
    await new Promise((resolve) => holder.once('exit', resolve))
  })
})

function counting(options: SshHostOptions): { readonly host: Host; readonly sessions: () => number } {
  const transport = sshTransport(endpointOf(options))
  let sessions = 0
  const counted: RemoteTransport = {
    ...transport,
    open: (signal) => {
      sessions += 1
      return transport.open(signal)
    },
  }
  const host = remoteHost({
    ...{ id: 'ssh://counted', transport: counted, elevation: 'none', sudoCommands: false },
    runtimeDirectories: ['/run', '/dev/shm'],
  })
  cleanups.push(() => host.close?.())
  return { host, sessions: () => sessions }
}

describe('growth', () => {
  test('of an XFS while it is mounted takes two round trips', async () => {
    const { point } = await mountedXfs()
    const { host, sessions } = counting(optionsOf(server))
    const before = fs.statfsSync(point).blocks
    const batches: (readonly BatchItem[])[] = []
    const seen: Host = {
      ...host,
      batch: (items, options) => {
        batches.push(items)
        return host.batch(items, options)
      },
    }
    const report = await expand({ host: seen, path: point, to: 'fill' })
    expect(fs.statfsSync(point).blocks).toBeGreaterThan(before * 1.8)
    // On a busy machine the growth takes long enough for a look at its progress.
    expect(batches.filter((items) => items.length > 1)).toHaveLength(2)
    expect(batches.length).toBeLessThanOrEqual(3)
    // What looked is asked to grow as well; a look at the progress is a session of its own.
    if (batches.length === 2) expect(sessions()).toBe(1)
    expect(JSON.stringify(report)).not.toContain('PRIVATE KEY')
  })

  test('goes on when the connection is cut while the tool runs, and the next run finds it done', async () => {
    const { point } = await mountedXfs()
    const link = await linkTo(server)
    const options = optionsOf(server, { port: link.port, knownHosts: { accept: 'new', files: [] } })
    const host = hostOf(server, options)
    // The growth itself is over in a moment: a tool of the same kind that takes its time.
    const [begun, done] = [join(directory, 'begun'), join(directory, 'done')]
    const script = 'echo > "$1"; sleep 2; xfs_growfs "$3"; echo > "$2"'
    const lock = [run('findmnt', '-no', 'SOURCE', point)]
    const running = host.exec(['sh', '-c', script, 'sh', begun, done, point], { detached: true, lock })
    const refused = expect(running).rejects.toMatchObject({
      ...{ code: 'host-unreachable', outcome: 'unknown', retryable: true },
    })
    await until(() => fs.existsSync(begun))
    link.cut()
    await refused
    expect((await host.exec(['true'], { detached: true, lock })).ended).toBe('locked')
    await until(() => fs.existsSync(done))
    const report = await expand({ host, path: point, to: 'fill' })
    expect(report.changed).toBe(false)
    expect(fs.statfsSync(point).blocks * 4096).toBeGreaterThan(550 * 2 ** 20)
    expect(link.connections).toBe(2)
    expect((await host.exec(['true'], { detached: true, lock })).ended).toBe('exited')
  })

  test('cut off at any moment is completed by the next run', async () => {
    const { point } = await mountedXfs()
    const link = await linkTo(server)
    const host = hostOf(server, { port: link.port, knownHosts: { accept: 'new', files: [] } })
    await host.exec(['true'])
    for (const delay of [0, 60, 150, 300, 500]) {
      const attempt = expand({ host, path: point, to: 'fill' })
      const cut = new Promise((resolve) => setTimeout(resolve, delay)).then(() => link.cut())
      await attempt.catch((error: unknown) => expect(error).toMatchObject({ code: 'host-unreachable' }))
      await cut
    }
    await expand({ host, path: point, to: 'fill' })
    expect(fs.statfsSync(point).blocks * 4096).toBeGreaterThan(550 * 2 ** 20)
  })

  test('with an allow-list of sudo, command by command', async () => {
    const { point } = await mountedXfs()
    const host = hostOf(people, { username: 've-listed', sudo: true, mode: 'commands' })
    const before = fs.statfsSync(point).blocks
    await expand({ host, path: point, to: 'fill' })
    expect(fs.statfsSync(point).blocks).toBeGreaterThan(before * 1.8)
  })
})

async function linkTo(to: SshServer, latency = 0): Promise<Link> {
  const link = await startLink(to.port, latency)
  cleanups.push(() => link.close())
  return link
}

async function until(check: () => boolean): Promise<void> {
  const end = performance.now() + 15_000
  while (!check()) {
    if (performance.now() > end) throw new Error('it did not happen')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

describe('control groups', () => {
  const hierarchies = ['/sys/fs/cgroup/unified', '/sys/fs/cgroup/systemd', '/sys/fs/cgroup'].filter((root) =>
    fs.existsSync(`${root}/cgroup.procs`),
  )

  test.each(hierarchies)('a detached tool leaves the one of its session in %s, any other stays', async (root) => {
    const group = join(root, `volume-expander-ssh-${process.pid}`)
    fs.mkdirSync(group)
    const own = await startSshd()
    cleanups.push(async () => {
      await own.stop()
      await until(() => fs.readFileSync(`${group}/cgroup.procs`, 'utf8') === '')
      fs.rmdirSync(group)
    })
    fs.writeFileSync(`${group}/cgroup.procs`, `${own.pid}`)
    const host = hostOf(own)
    const look = ['sh', '-c', 'sh -c "cat /proc/self/cgroup; true"']
    const detached = await host.exec(look, { detached: true })
    expect(detached).toMatchObject({ ended: 'exited', ownControlGroup: true })
    expect(detached.stdout).not.toContain('volume-expander-ssh')
    expect((await host.exec(look)).stdout).toContain('volume-expander-ssh')
  })
})

describe('the connection', () => {
  test('is one for many runs at a time, more than the server has sessions', async () => {
    const link = await linkTo(server)
    const host = hostOf(server, { port: link.port, knownHosts: { accept: 'new', files: [] } })
    const results = await Promise.all(Array.from({ length: 24 }, (_, index) => host.exec(['echo', `${index}`])))
    expect(results.map(({ stdout }) => stdout)).toEqual(results.map((_, index) => `${index}\n`))
    expect(link.connections).toBe(1)
  })

  test('is made anew after it was lost, and after it was closed', async () => {
    const link = await linkTo(server)
    const host = hostOf(server, { port: link.port, knownHosts: { accept: 'new', files: [] } })
    await host.exec(['true'])
    link.cut()
    expect((await host.batch([{ read: 'stat', path: '/' }]))[0].ok).toBe(true)
    link.cut()
    // A change that is sent at this very moment is lost with it, and nobody knows.
    await new Promise((resolve) => setTimeout(resolve, 500))
    expect((await host.exec(['true'])).ok).toBe(true)
    await host.close?.()
    await host.close?.()
    expect((await host.exec(['true'])).ok).toBe(true)
    expect(link.connections).toBe(4)
  })

  test('that falls silent is given up', async () => {
    const link = await linkTo(server)
    const host = hostOf(server, { port: link.port, keepAlive: 200, knownHosts: { accept: 'new', files: [] } })
    await host.exec(['true'])
    const waiting = host.exec(['sleep', '30'])
    const refused = expect(waiting).rejects.toMatchObject({ code: 'host-unreachable', outcome: 'unknown' })
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    link.freeze()
    await refused
  })

  test('that nobody uses does not keep the process alive', async () => {
    const script = fileURLToPath(new URL('./fixtures/forgetful.ts', import.meta.url))
    const env = { PATH: process.env['PATH'], KEY: server.privateKey, PORT: `${server.port}`, KNOWN: server.knownHosts }
    const child = spawn(process.execPath, ['--import', 'tsx', script], { env, stdio: ['ignore', 'pipe', 'inherit'] })
    const said = await new Promise((resolve) => child.stdout.once('data', (chunk) => resolve(`${chunk}`.trim())))
    const answered = performance.now()
    const code = await new Promise((resolve) => child.once('exit', resolve))
    expect([said, code]).toEqual(['exited', 0])
    expect(performance.now() - answered).toBeLessThan(5_000)
  })

  test('goes through another server, with keys of its own', async () => {
    const host = hostOf(server, { jump: optionsOf(people, { username: 've-dash' }) })
    expect((await host.exec(['id', '-un'])).stdout).toBe('root\n')
    await host.close?.()
    expect(
      await failureOf(hostOf(server, { jump: optionsOf(people, { username: 've-dash', knownHosts: { files: [] } }) })),
    ).toMatchObject({
      code: 'authentication-failed',
    })
    const behind = hostOf(server, { port: 1, jump: optionsOf(people, { username: 've-dash' }) })
    expect(await failureOf(behind)).toMatchObject({ code: 'host-unreachable' })
  })
})

describe("the server's key", () => {
  test('has to be known', async () => {
    const error = await failureOf(hostOf(server, { knownHosts: { files: [] } }))
    expect(error).toMatchObject({ code: 'authentication-failed', message: expect.stringContaining('SHA256:') })
  })

  test.each(['ed25519', 'ecdsa', 'rsa'])('of type %s is asked for when it is the one that is known', async (type) => {
    const lines = fs.readFileSync(server.knownHosts, 'utf8').split('\n')
    const files = [join(directory, 'known_hosts')]
    fs.writeFileSync(files[0] ?? '', `${lines.find((line) => line.includes(type))}\n`)
    expect((await hostOf(server, { knownHosts: { files } }).exec(['true'])).ok).toBe(true)
    run('ssh-keygen', '-q', '-H', '-f', files[0] ?? '')
    expect(fs.readFileSync(files[0] ?? '', 'utf8')).toMatch(/^\|1\|/)
    expect((await hostOf(server, { knownHosts: { files } }).exec(['true'])).ok).toBe(true)
  })

  test('that has changed is refused, also where new ones are accepted', async () => {
    const files = [join(directory, 'known_hosts')]
    const [line = ''] = fs.readFileSync(people.knownHosts, 'utf8').split('\n')
    fs.writeFileSync(files[0] ?? '', `${line.replace(`:${people.port}`, `:${server.port}`)}\n`)
    for (const knownHosts of [{ files }, { files, accept: 'new' }] as const) {
      expect(await failureOf(hostOf(server, { knownHosts }))).toMatchObject({ code: 'identity-mismatch' })
    }
    const revoked = fs.readFileSync(server.knownHosts, 'utf8').replace(/^/gm, '@revoked ')
    fs.appendFileSync(files[0] ?? '', revoked)
    expect(await failureOf(hostOf(server, { knownHosts: { files } }))).toMatchObject({
      ...{ code: 'identity-mismatch', message: expect.stringContaining('revoked') },
    })
  })

  test('may be given by its fingerprint', async () => {
    const blobs = fs.readFileSync(server.knownHosts, 'utf8').match(/AAAA\S+/g) ?? []
    const accept = blobs.map((blob) => fingerprintOf(Buffer.from(blob, 'base64')))
    expect((await hostOf(server, { knownHosts: { files: [], accept } }).exec(['true'])).ok).toBe(true)
    const [shown = ''] = run('ssh-keygen', '-lf', join(server.directory, 'host_ed25519.pub')).match(/SHA256:\S+/) ?? []
    expect(accept).toContain(shown)
    const wrong = [`SHA256:${'A'.repeat(43)}`]
    expect(await failureOf(hostOf(server, { knownHosts: { files: [], accept: wrong } }))).toMatchObject({
      code: 'authentication-failed',
    })
  })
})

describe('the login', () => {
  const newKey = (name: string, passphrase: string): string => {
    const path = join(directory, name)
    run('ssh-keygen', '-q', '-t', 'ed25519', '-N', passphrase, '-f', path)
    return path
  }

  test('with a key that the server does not know is refused', async () => {
    const privateKey = fs.readFileSync(newKey('stranger', ''), 'utf8')
    expect(await failureOf(hostOf(server, { privateKey }))).toMatchObject({ code: 'authentication-failed' })
  })

  test('with an encrypted key needs its passphrase', async () => {
    const path = join(directory, 'locked')
    fs.writeFileSync(path, server.privateKey, { mode: 0o600 })
    run('ssh-keygen', '-q', '-p', '-P', '', '-N', secret, '-f', path)
    const privateKey = () => fs.promises.readFile(path)
    expect((await hostOf(server, { privateKey, passphrase: () => secret }).exec(['true'])).ok).toBe(true)
    for (const more of [{}, { passphrase: () => 'wrong' }]) {
      expect(await failureOf(hostOf(server, { privateKey, ...more }))).toMatchObject({ code: 'authentication-failed' })
    }
  })

  test('with an agent', async () => {
    const socket = join(directory, 'agent')
    const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' })
    cleanups.push(() => agent.kill())
    await until(() => fs.existsSync(socket))
    execFileSync('ssh-add', ['-q', join(server.directory, 'client')], {
      env: { ...process.env, SSH_AUTH_SOCK: socket },
      stdio: 'ignore',
    })
    const { privateKey: _, ...options } = optionsOf(server, { agent: socket })
    const host = sshHost(options)
    cleanups.push(() => host.close?.())
    expect((await host.exec(['true'])).ok).toBe(true)
  })

  test('with a password, which is asked for at its turn', async () => {
    const { privateKey: _, ...options } = optionsOf(people, { username: 've-nobody' })
    let asked = 0
    const host = sshHost({
      ...options,
      password: () => {
        asked += 1
        return secret
      },
    })
    cleanups.push(() => host.close?.())
    expect((await host.exec(['id', '-un'])).stdout).toBe('ve-nobody\n')
    expect(asked).toBe(1)
    expect(await failureOf(sshHost({ ...options, password: () => 'wrong' }))).toMatchObject({
      code: 'authentication-failed',
    })
  })
})

describe('sudo', () => {
  test.each([
    ['ve-free', true],
    ['ve-free', byPassword],
    ['ve-asked', byPassword],
    ['ve-asked-always', byPassword],
  ] as const)('of %s gives the rights of root', async (username, sudo) => {
    const host = hostOf(people, { username, sudo })
    for (let turn = 0; turn < 2; turn += 1) {
      const result = await host.exec(['sh', '-c', 'id -u; cat'], { stdin: Buffer.from('its own input\n') })
      expect(result.stdout).toBe('0\nits own input\n')
    }
  })

  test.each([
    ['ve-asked', true, 'permission-denied'],
    ['ve-asked', byWrong, 'authentication-failed'],
    ['ve-nobody', byPassword, 'permission-denied'],
    ['ve-nobody', true, 'permission-denied'],
    ['ve-tty', true, 'permission-denied'],
    ['ve-asked', byNothing, 'authentication-failed'],
  ] as const)('of %s that is refused says why (%j)', async (username, sudo, code) => {
    expect(await failureOf(hostOf(people, { username, sudo }))).toMatchObject({ code })
  })

  test('keeps the password out of every argument vector', async () => {
    const host = hostOf(people, { username: 've-asked', sudo: { password: () => secret } })
    const seen = await host.exec([
      'sh',
      '-c',
      'cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr "\\0" "\\n"',
    ])
    expect(seen.stdout.length).toBeGreaterThan(0)
    expect(seen.stdout).not.toContain(secret)
  })
})

describe('login shells', () => {
  test.each(['ve-fish', 've-csh', 've-dash'])('of %s carry the same commands', async (username) => {
    const host = hostOf(people, { username })
    const awkward = ['a b', "it's", '$HOME', '!!', 'new\nline', '\\', '*', '']
    const result = await host.exec(['printf', '[%s]', ...awkward])
    expect(result.stdout).toBe(awkward.map((word) => `[${word}]`).join(''))
  })

  test('that run nothing are named', async () => {
    expect(await failureOf(hostOf(people, { username: 've-nologin' }))).toMatchObject({ code: 'permission-denied' })
  })
})
