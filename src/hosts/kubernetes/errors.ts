import { type ErrorCode, VolumeExpansionError } from '../../errors.ts'
import type { Ending } from '../remote/host.ts'

/** A failure before anything was begun. */
export function refusal(
  code: ErrorCode,
  message: string,
  remedy: string,
  more: { readonly retryable?: boolean; readonly cause?: unknown } = {},
): VolumeExpansionError {
  return new VolumeExpansionError(code, message, { layer: 'host', outcome: 'unchanged', remedy, ...more })
}

export function configError(message: string, cause?: unknown): VolumeExpansionError {
  return refusal('invalid-request', message, 'Check with kubectl that it works, and which context is meant.', {
    ...(cause === undefined ? {} : { cause: bare(cause) }),
  })
}

/** The name, code and message of an error, without the request that hangs on some of them, whose headers hold credentials. */
export function bare(thrown: unknown): Error {
  const { message, code } = (typeof thrown === 'object' && thrown !== null ? thrown : { message: thrown }) as {
    readonly message?: unknown
    readonly code?: unknown
  }
  return Object.assign(new Error(String(message ?? 'it failed')), typeof code === 'string' ? { code } : {})
}

/** What was asked of the API server: the words for a message, and the right that it takes. */
export interface Question {
  readonly what: string
  readonly right: string
}

/** An answer of the API server, or of what stands before it, other than the one that was asked for. */
export interface Refused {
  readonly status: number
  /** In the words of the server. */
  readonly message: string
}

/** The message of a Status object of the API, or the beginning of any other body. */
export function messageOf(body: string): string {
  let text = body
  try {
    const parsed: unknown = JSON.parse(body)
    if (typeof parsed === 'object' && parsed !== null && 'message' in parsed) text = String(parsed.message)
  } catch {
    // A gateway answers in its own way.
  }
  return text.replace(/\s+/g, ' ').trim().slice(0, 300)
}

/** Why the API server did not do what it was asked to. Nothing was begun. */
export function refusedError(
  id: string,
  { what, right }: Question,
  { status, message }: Refused,
): VolumeExpansionError {
  const said = message === '' ? `HTTP status ${status}` : message
  const unreachable = (text: string, remedy: string): VolumeExpansionError =>
    refusal('host-unreachable', `${text}: ${said}`, remedy, { retryable: true })
  if (status === 401) {
    return refusal(
      'authentication-failed',
      `The API server does not accept the credentials for ${id}: ${said}`,
      'Log in to the cluster anew, or check the token of the service account.',
    )
  }
  if (status === 403) {
    return refusal(
      'permission-denied',
      `The API server does not allow to ${what}: ${said}`,
      `Allow ${right} in the role of this user or service account; an admission policy may forbid it, too.`,
    )
  }
  if (/container .*not found|container not found/i.test(message)) {
    return unreachable(
      `The container of ${id} does not run`,
      'Look at why it ended: kubectl describe pod. Then run it again.',
    )
  }
  if (status === 404 || /is not valid for pod/.test(message)) {
    return refusal(
      'not-found',
      `There is nothing to ${what}: ${said}`,
      'Check the namespace, the pod and the container.',
    )
  }
  if (/error dialing backend|unable to upgrade connection/i.test(message)) {
    return unreachable(
      `The kubelet of ${id} cannot be reached`,
      'Check that the node is Ready, and what its kubelet logs.',
    )
  }
  if (status < 400 || /upgrade request required/i.test(message)) {
    return refusal(
      'host-unreachable',
      `What stands before the API server of ${id} does not pass a WebSocket on (HTTP status ${status}).`,
      'Let the proxy or gateway pass upgraded connections, or go to the API server directly.',
    )
  }
  if (status === 429 || status >= 500) {
    return unreachable(
      `The API server of ${id} is in trouble`,
      'Check that the control plane is healthy. Then run it again.',
    )
  }
  return refusal('host-unreachable', `The API server did not ${what}: ${said}`, 'Try the same with kubectl.')
}

const untrusted: ReadonlySet<string> = new Set([
  ...['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'UNABLE_TO_GET_ISSUER_CERT', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY'],
  ...['SELF_SIGNED_CERT_IN_CHAIN', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'ERR_TLS_CERT_ALTNAME_INVALID'],
  ...['CERT_HAS_EXPIRED', 'CERT_SIGNATURE_FAILURE', 'CERT_UNTRUSTED'],
])

/** Why the API server could not be reached. Nothing was begun. */
export function unreachableError(id: string, thrown: unknown): VolumeExpansionError {
  if (thrown instanceof VolumeExpansionError) return thrown
  const cause = bare(thrown)
  const { code = '' } = cause as { readonly code?: string }
  if (untrusted.has(code)) {
    return refusal(
      'authentication-failed',
      `The API server of ${id} does not prove who it is: ${cause.message}`,
      'Check certificate-authority and the address of the cluster in the kubeconfig.',
      { cause },
    )
  }
  return refusal(
    'host-unreachable',
    `The API server of ${id} cannot be reached: ${cause.message}`,
    'Check the address of the cluster in the kubeconfig, and that the API server runs.',
    { cause, retryable: !['ENOTFOUND', 'EAI_NONAME'].includes(code) },
  )
}

/** An API server that says nothing. */
export function silentError(): Error {
  return Object.assign(new Error('it did not answer in time'), { code: 'ETIMEDOUT' })
}

/** Why the command that was to enter the node ended without having done so. */
export function notEntered(id: string, words: string, { exitCode }: Ending): VolumeExpansionError | undefined {
  const said = words.replace(/\s+/g, ' ').trim().slice(-300)
  if (/nsenter: .*(?:failed to execute|can't execute)/i.test(words) || /\benv: .*No such file/.test(words)) {
    return refusal(
      'tool-missing',
      `The node of ${id} lacks env or a shell: ${said}`,
      'It takes a POSIX shell and coreutils (or busybox) on the node itself.',
    )
  }
  if (/Permission denied|Operation not permitted/i.test(words)) {
    return refusal(
      'permission-denied',
      `The container may not enter the node of ${id}: ${said}`,
      'It has to be privileged and in the PID namespace of the node (hostPID), and no profile of AppArmor, SELinux or seccomp may be in the way.',
    )
  }
  if (exitCode === 126 || exitCode === 127 || exitCode === 128) return noEntry(id, said)
  return undefined
}

export function noEntry(id: string, said: string): VolumeExpansionError {
  return refusal(
    'tool-missing',
    `The command that enters the node cannot be run in the container of ${id}: ${said}`,
    'Use an image with nsenter (util-linux or busybox), or give another entry.',
  )
}
