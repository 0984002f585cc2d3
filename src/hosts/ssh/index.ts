import type { Host } from '../host.ts'
import { remoteHost } from '../remote/host.ts'
import { runtimeDirectoriesOf } from '../remote/options.ts'
import type { Elevation } from '../remote/request.ts'
import { endpointOf, nameOf, type SshHostOptions } from './options.ts'
import { sshTransport } from './transport.ts'

export type { Host } from '../host.ts'
export type { Ask, KnownHostsOptions, SshConnectionOptions, SshHostOptions, SshPrompt } from './options.ts'

/**
 * A machine behind an SSH server. A batch costs one round trip; a growth goes on when the connection is lost. The connection is made at the first call, shared by all
 * runs with this object, and made anew after it was lost. Sessions are kept for further batches as long as the connection is, which is until it was unused for
 * `idleTimeout`.
 *
 * Nothing is installed there: it takes a POSIX shell, the growth tools, and either perl (5.10 or later, with its core modules), by which a look starts no process, or the
 * usual small programs (coreutils or busybox), and `setsid` and `flock` of util-linux for growth.
 *
 * The server's key has to be known. Secrets are asked for when they are needed, and are in no argument, event, error or log.
 *
 * Calls reject with `host-unreachable` (outcome `unknown` once a command may have begun), `authentication-failed` (the login, the password for sudo, a server whose key
 * is not known), `identity-mismatch` (a server whose key has changed or is revoked), `permission-denied` (sudo, no shell, no tmpfs), `tool-missing` (no shell or none
 * of the usual programs) and `aborted`. Needs the package ssh2.
 *
 * @throws {TypeError} when an option is malformed
 */
export function sshHost(options: SshHostOptions): Host {
  const endpoint = endpointOf(options)
  const { sudo = false, mode = 'script', runtimeDirectory } = options
  if (mode !== 'script' && mode !== 'commands') throw new TypeError("mode is 'script' or 'commands'.")
  const runtimeDirectories = runtimeDirectoriesOf(runtimeDirectory)
  const asked = typeof sudo === 'object' ? sudo.password : undefined
  if (mode === 'commands' && asked !== undefined) {
    throw new TypeError("mode 'commands' is for sudoers with NOPASSWD: sudo is true, or left out.")
  }
  return remoteHost({
    id: nameOf(endpoint),
    transport: sshTransport(endpoint),
    elevation: mode === 'commands' ? 'none' : elevationOf(sudo),
    password: asked,
    sudoCommands: mode === 'commands' && sudo !== false,
    runtimeDirectories,
  })
}

function elevationOf(sudo: NonNullable<SshHostOptions['sudo']>): Elevation {
  if (typeof sudo === 'object') return 'sudo-with-password'
  return sudo ? 'sudo' : 'none'
}
