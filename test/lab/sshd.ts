import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { logOf, type PartContext, startPart, stopPart } from './part.ts'

/** An OpenSSH server on 127.0.0.1, with keys and configuration of its own. */
export interface SshServer {
  readonly port: number
  readonly pid: number
  /** The client's private key, in OpenSSH's format; every user of the server accepts it. */
  readonly privateKey: string
  /** Path of a file of known hosts that has the server's keys. */
  readonly knownHosts: string
  /** Readable by everybody; removed when it is stopped. */
  readonly directory: string
  log(): string
  stop(): Promise<void>
}

/** A user that exists for sessions of the server only. */
export interface SshUser {
  readonly name: string
  /** Left out: /bin/bash. */
  readonly shell?: string
  readonly password?: string
  /** Lines of sudoers. */
  readonly sudoers?: readonly string[]
}

export interface SshServerOptions {
  /**
   * Users beside root. The server then has a mount namespace of its own, in which the files that name users are others: nothing of this machine is changed.
   */
  readonly users?: readonly SshUser[]
  /** Further lines of its configuration. */
  readonly config?: readonly string[]
}

const firstUid = 64_901

/** Needs root, and the Debian package openssh-server. */
export async function startSshd(options: SshServerOptions = {}): Promise<SshServer> {
  const directory = fs.mkdtempSync(join(tmpdir(), 'sshd-'))
  fs.chmodSync(directory, 0o755)
  const prepare = async ({ ports }: PartContext) => {
    const config = writeServer(directory, ports['ssh'] ?? 0, options)
    // Where sshd locks its unprivileged half in; the service makes it when it starts.
    fs.mkdirSync('/run/sshd', { recursive: true, mode: 0o755 })
    const server = ['/usr/sbin/sshd', '-D', '-e', '-f', config] as const
    if (options.users === undefined) return { argv: server, env: { PATH: process.env['PATH'] } }
    const binds = writeUsers(directory, options.users)
    const script = 'while [ "$1" != -- ]; do mount --bind "$1" "$2" || exit; shift 2; done; shift; exec "$@"'
    const inside = ['sh', '-c', script, 'sh', ...binds.flat(), '--', ...server]
    return {
      argv: ['unshare', '--mount', '--propagation', 'slave', ...inside] as const,
      env: { PATH: process.env['PATH'] },
    }
  }
  const running = await startPart({ name: 'sshd', ports: ['ssh'], prepare })
  const port = running.part.ports['ssh'] ?? 0
  const stop = async (): Promise<void> => {
    await stopPart(running.part)
    fs.rmSync(directory, { recursive: true, force: true })
  }
  try {
    await listening(port)
  } catch (cause) {
    const log = fs.readFileSync(logOf(running.part.directory), 'utf8')
    await stop()
    throw new Error(`sshd did not start:\n${log}`, { cause })
  }
  return {
    ...{ port, pid: running.part.pid, directory, stop },
    privateKey: fs.readFileSync(join(directory, 'client'), 'utf8'),
    knownHosts: join(directory, 'known_hosts'),
    log: () => fs.readFileSync(logOf(running.part.directory), 'utf8'),
  }
}

function writeServer(directory: string, port: number, options: SshServerOptions): string {
  const key = (name: string, ...type: readonly string[]): string => {
    const path = join(directory, name)
    execFileSync('ssh-keygen', ['-q', '-N', '', '-C', '', '-t', ...type, '-f', path])
    return path
  }
  const hostKeys = [key('host_ed25519', 'ed25519'), key('host_ecdsa', 'ecdsa'), key('host_rsa', 'rsa', '-b', '2048')]
  const client = key('client', 'ed25519')
  fs.copyFileSync(`${client}.pub`, join(directory, 'authorized_keys'))
  const known = hostKeys.map((path) => `[127.0.0.1]:${port} ${fs.readFileSync(`${path}.pub`, 'utf8')}`)
  fs.writeFileSync(join(directory, 'known_hosts'), known.join(''))
  const config = join(directory, 'sshd_config')
  const lines = [
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    ...hostKeys.map((path) => `HostKey ${path}`),
    `PidFile ${join(directory, 'pid')}`,
    `AuthorizedKeysFile ${join(directory, 'authorized_keys')}`,
    'PermitRootLogin yes',
    'StrictModes no',
    'UsePAM no',
    'KbdInteractiveAuthentication no',
    'PrintLastLog no',
    'MaxStartups 100',
    ...(options.config ?? []),
  ]
  fs.writeFileSync(config, `${lines.join('\n')}\n`)
  return config
}

/** Writes what names the users, and says over what each file has to be mounted. */
function writeUsers(directory: string, users: readonly SshUser[]): readonly (readonly [string, string])[] {
  const write = (name: string, text: string, mode: number): string => {
    const path = join(directory, name)
    fs.writeFileSync(path, text, { mode })
    return path
  }
  const passwd = users.map(({ name, shell = '/bin/bash' }, index) => {
    const home = join(directory, `home-${name}`)
    fs.mkdirSync(home)
    fs.chownSync(home, firstUid + index, firstUid + index)
    return `${name}:x:${firstUid + index}:${firstUid + index}::${home}:${shell}\n`
  })
  const groups = users.map(({ name }, index) => `${name}:x:${firstUid + index}:\n`)
  const shadow = users.map(({ name, password }) => `${name}:${hashed(password)}:19000:0:99999:7:::\n`)
  const sudoers = ['root ALL=(ALL:ALL) ALL', ...users.flatMap((user) => user.sudoers ?? [])]
  const own = (file: string): string => fs.readFileSync(file, 'utf8')
  return [
    [write('passwd', own('/etc/passwd') + passwd.join(''), 0o644), '/etc/passwd'],
    [write('group', own('/etc/group') + groups.join(''), 0o644), '/etc/group'],
    [write('shadow', own('/etc/shadow') + shadow.join(''), 0o640), '/etc/shadow'],
    ...(fs.existsSync('/etc/sudoers')
      ? ([[write('sudoers', `${sudoers.join('\n')}\n`, 0o440), '/etc/sudoers']] as const)
      : []),
  ]
}

function hashed(password: string | undefined): string {
  if (password === undefined) return '*'
  const script = 'my $password = <STDIN>; print crypt($password, q($6$volumeexpander$))'
  return execFileSync('perl', ['-e', script], { input: password, encoding: 'utf8' })
}

async function listening(port: number): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    try {
      await new Promise<void>((resolve, reject) => {
        const socket = connect({ host: '127.0.0.1', port }, () => {
          socket.destroy()
          resolve()
        })
        socket.once('error', reject)
      })
      return
    } catch (error) {
      if (tries >= 100) throw error
      await sleep(50)
    }
  }
}
