import { isIP } from 'node:net'
import { userInfo } from 'node:os'
import { checkPath } from '../command.ts'
import { duration } from '../remote/options.ts'
import { knownName } from './known-hosts.ts'

/** A secret, or how to get it when it is needed. It is kept nowhere. */
export type Ask<Secret> = () => Secret | Promise<Secret>

export interface SshPrompt {
  readonly prompt: string
  /** Whether what is typed may be shown. */
  readonly echo: boolean
}

export interface KnownHostsOptions {
  /** Absolute paths of files in the format of sshd(8). Left out: `~/.ssh/known_hosts` and `/etc/ssh/ssh_known_hosts`. */
  readonly files?: readonly string[]
  /**
   * Which keys are accepted though no file has them: `new` for the first key of a host of which no key is known (it is remembered as long as this host object lives,
   * and written nowhere), or the fingerprints of the keys, such as `SHA256:…` as `ssh-keygen -lf` prints them. A key that differs from a known one is never `new`.
   */
  readonly accept?: 'new' | readonly string[]
}

/** How to reach one SSH server. */
export interface SshConnectionOptions {
  readonly host: string
  /** Left out: 22. */
  readonly port?: number
  /** Left out: the user of this process. */
  readonly username?: string
  /**
   * A private key in OpenSSH's, PEM or PuTTY's format. Without this, `password` and `answers`: the agent, and `~/.ssh/id_ed25519`, `id_ecdsa` and `id_rsa` as far as
   * they are there and not encrypted.
   */
  readonly privateKey?: string | Uint8Array | Ask<string | Uint8Array>
  /** The passphrase of an encrypted private key. */
  readonly passphrase?: Ask<string>
  /** Socket of an SSH agent, or false for none. Left out: `$SSH_AUTH_SOCK`. */
  readonly agent?: string | false
  readonly password?: Ask<string>
  /** Answers what the server asks in the method keyboard-interactive, one for each prompt. */
  readonly answers?: (prompts: readonly SshPrompt[]) => readonly string[] | Promise<readonly string[]>
  readonly knownHosts?: KnownHostsOptions
  /** Another SSH server through which this one is reached. */
  readonly jump?: SshConnectionOptions
  /** Milliseconds until a connection has to be there, authentication included. Left out: 20 000. */
  readonly connectTimeout?: number
  /** Milliseconds between the questions whether the server is still there, while something runs; three without an answer end the connection. Left out: 15 000. */
  readonly keepAlive?: number
  /** Milliseconds after which an unused connection is closed, with the sessions on it. It does not keep the process alive before. Left out: 60 000. */
  readonly idleTimeout?: number
}

export interface SshHostOptions extends SshConnectionOptions {
  /** Left out: commands run as the user who logs in. True: `sudo -n`, which asks for no password. A password is asked for with each session that is begun. */
  readonly sudo?: boolean | { readonly password: Ask<string> }
  /**
   * `script`: with sudo, a shell runs as root. `commands`: sudo is put before single commands, for sudoers that allow nothing but these; what needs no right is
   * done without it. Left out: `script`.
   *
   * The list for `commands` needs, with NOPASSWD: the growth tools, `flock` before them with the disk (`flock --verbose --exclusive --nonblock --no-fork
   * --conflict-exit-code 75 <disk> <tool> …`), and `dd` with `if=` the disks for a user who may not read them (or the group `disk`). Which processes use a device
   * cannot be seen that way, so that nothing is grown offline.
   */
  readonly mode?: 'script' | 'commands'
  /** Absolute path of a directory on a tmpfs there, for the output of commands while they run. Left out: the first writable one of `/run`, `/run/user/*`, `/dev/shm`. */
  readonly runtimeDirectory?: string
}

/** The options of one connection, complete. */
export interface Endpoint {
  readonly host: string
  readonly port: number
  readonly username: string
  readonly connectTimeout: number
  readonly keepAlive: number
  readonly idleTimeout: number
  readonly given: SshConnectionOptions
}

/** @throws {TypeError} when something is malformed */
export function endpointOf(given: SshConnectionOptions): Endpoint {
  const { host, port = 22, username = userInfo().username } = given
  if (typeof host !== 'string' || !/^[\w.:%-]+$/.test(host)) throw new TypeError('host is a name or an address.')
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new TypeError('port is an integer from 1 to 65535.')
  if (typeof username !== 'string' || username === '' || /[\s\0]/.test(username)) {
    throw new TypeError('username is a name without white space.')
  }
  for (const path of given.knownHosts?.files ?? []) checkPath(path, 'A file of known hosts')
  const accept = given.knownHosts?.accept
  if (accept !== undefined && accept !== 'new' && !accept.every((one) => /^SHA256:[A-Za-z0-9+/]{43}=?$/.test(one))) {
    throw new TypeError("knownHosts.accept is 'new' or a list of fingerprints such as 'SHA256:…'.")
  }
  return {
    ...{ host, port, username, given },
    connectTimeout: duration('connectTimeout', given.connectTimeout, 20_000),
    keepAlive: duration('keepAlive', given.keepAlive, 15_000),
    idleTimeout: duration('idleTimeout', given.idleTimeout, 60_000),
  }
}

/** How the endpoint is named in ids and messages; free of secrets. */
export function nameOf({ host, port, username }: Endpoint): string {
  return `ssh://${username}@${isIP(host) === 6 ? `[${host}]` : host}:${port}`
}

/** How files of known hosts name the endpoint. */
export function knownNameOf({ host, port }: Endpoint): string {
  return knownName(host, port)
}
