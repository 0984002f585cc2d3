import { type ErrorCode, type ErrorDetails, VolumeExpansionError } from '../../errors.ts'
import type { SshError } from './client.ts'
import type { KeyJudgement } from './known-hosts.ts'
import { type Endpoint, knownNameOf, nameOf } from './options.ts'

/** A server that says nothing. */
export function silentError(): Error {
  return Object.assign(new Error('it did not answer in time'), { code: 'ETIMEDOUT' })
}

/** Why a connection could not be made. Nothing was begun. @param beyond the server behind it that could not be reached from there */
export function connectionError(endpoint: Endpoint, error: SshError, beyond?: string): VolumeExpansionError {
  const name = nameOf(endpoint)
  const make = (code: ErrorCode, message: string, remedy: string, retryable: boolean): VolumeExpansionError => {
    const details: ErrorDetails = { layer: 'host', outcome: 'unchanged', cause: error, remedy, retryable }
    return new VolumeExpansionError(code, message, details)
  }
  if (beyond !== undefined) {
    return make(
      'host-unreachable',
      `${beyond} cannot be reached from ${name}: ${error.message}`,
      'Check that it runs, and that the server in between may forward connections to it (AllowTcpForwarding).',
      true,
    )
  }
  if (error.level === 'client-authentication') {
    return make(
      'authentication-failed',
      `${name} did not accept the login.`,
      'Check the user name, and that the key, agent or password is the one that the server knows.',
      false,
    )
  }
  switch (error.code) {
    case 'ENOTFOUND':
    case 'EAI_NONAME':
      return make('host-unreachable', `There is no address for ${endpoint.host}.`, 'Check the name of the host.', false)
    case 'EAI_AGAIN':
      return make('host-unreachable', `The name ${endpoint.host} could not be resolved.`, 'Check the DNS.', true)
    case 'ECONNREFUSED':
      return make(
        'host-unreachable',
        `${name} refuses connections.`,
        'Check that the SSH server runs there, and its port.',
        true,
      )
    case 'ETIMEDOUT':
      return make('host-unreachable', `${name} does not answer.`, 'Check that the host is up, and the firewalls.', true)
    default:
      break
  }
  if (error.level === 'client-timeout') {
    return make('host-unreachable', `${name} does not answer.`, 'Check that the host is up and not overloaded.', true)
  }
  if (/no matching/i.test(error.message)) {
    return make(
      'host-unreachable',
      `${name} has no algorithm in common with this client: ${error.message}`,
      'Update the SSH server; keys with SHA-1 alone are not accepted.',
      false,
    )
  }
  return make(
    'host-unreachable',
    `The connection to ${name} could not be made: ${error.message}`,
    'Check that an SSH server answers there, and look into its log.',
    true,
  )
}

/** A server whose key is not, or no longer, the one that is known. Nothing was sent to it. */
export function hostKeyError(
  endpoint: Endpoint,
  judgement: Exclude<KeyJudgement, 'known'>,
  fingerprint: string,
): VolumeExpansionError {
  const name = nameOf(endpoint)
  const details = { layer: 'host', outcome: 'unchanged' } as const
  switch (judgement) {
    case 'unknown':
      return new VolumeExpansionError(
        'authentication-failed',
        `${name} shows the key ${fingerprint}, and no key of it is known: nothing proves that it is this host.`,
        {
          ...details,
          remedy: `Compare the fingerprint on the host itself (ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub), then connect once with ssh, or give it as knownHosts.accept. It is looked for as ${knownNameOf(endpoint)}.`,
        },
      )
    case 'changed':
      return new VolumeExpansionError(
        'identity-mismatch',
        `${name} shows the key ${fingerprint}, which is not the one that is known: it may be another machine.`,
        {
          ...details,
          remedy: `Find out why the key changed. If the host was set up anew: ssh-keygen -R '${knownNameOf(endpoint)}', and compare the new fingerprint.`,
        },
      )
    case 'revoked':
      return new VolumeExpansionError(
        'identity-mismatch',
        `${name} shows the key ${fingerprint}, which is marked as revoked.`,
        { ...details, remedy: 'Do not connect to it before the host has a new key.' },
      )
    default:
      return judgement satisfies never
  }
}
