import { type ErrorCode, type Outcome, VolumeExpansionError } from '../errors.ts'
import type { Finding, FindingCode } from '../findings.ts'
import type { KubernetesAnswer } from './client.ts'
import { textAt } from './fields.ts'

/** What the API server means by a refusal. */
export interface Refusal {
  readonly code: FindingCode
  /** The server's own words. */
  readonly said: string
  readonly remedy: string
}

export interface RefusedClaim {
  readonly namespace: string
  readonly name: string
  readonly storageClass?: string | undefined
}

/** How to let a class allow growth; what is there already grows by it too. */
export function allowExpansionCommand(storageClass: string): string {
  return `kubectl patch storageclass ${storageClass} -p '{"allowVolumeExpansion": true}'`
}

/** The switches of a cluster in which claims cannot grow, and where they are. */
export const gateRemedy: string =
  "Start kube-apiserver and kube-controller-manager (and every kubelet) with --feature-gates=ExpandPersistentVolumes=true, which takes a restart of each; it is on by itself from Kubernetes 1.11 on. Or let this library do the work: driver: 'direct'."
export const plugInRemedy: string =
  'Add PersistentVolumeClaimResize to --enable-admission-plugins of kube-apiserver (or take it out of --disable-admission-plugins), and restart it.'

/**
 * Which of its meanings a refusal of a growth has. Status 403 has four (RBAC, storage class, ResourceQuota, LimitRange), told apart by the server's message, which is
 * that of its admission plug-ins and has been the same since Kubernetes 1.8. Undefined: another one.
 */
export function refusalOf({ status, body }: KubernetesAnswer, claim: RefusedClaim): Refusal | undefined {
  const said = messageOf(body)
  const { namespace, name, storageClass } = claim
  if (status === 422 && /is immutable after creation/.test(said)) {
    // The same words for both: with the gate on, only claims that are not bound are immutable, and whoever asks has looked at that.
    return { code: 'cluster-feature-off', said, remedy: gateRemedy }
  }
  if (status === 422 && /metadata\.uid: /.test(said)) {
    // Of a uid that does not fit, the server says that it cannot be changed (seen on 1.20.2).
    const remedy = `Look at it, and run this again if it is the one that is meant: kubectl -n ${namespace} get pvc ${name}`
    return { code: 'identity-mismatch', said: 'it is another one now: it was deleted and made anew', remedy }
  }
  if (status === 422 && /can not be less than/.test(said)) {
    return { code: 'would-shrink', said, remedy: `See what it has: kubectl -n ${namespace} get pvc ${name}` }
  }
  if (status !== 403) return undefined
  if (/exceeded quota/.test(said)) {
    const quota = /exceeded quota: ([^,]+),/.exec(said)?.[1] ?? ''
    return {
      ...{ code: 'quota-exceeded', said },
      remedy: `Ask for less, or have the quota raised: kubectl -n ${namespace} edit resourcequota ${quota}`.trim(),
    }
  }
  if (/maximum storage usage per PersistentVolumeClaim|minimum storage usage per/.test(said)) {
    return {
      ...{ code: 'limit-exceeded', said },
      remedy: `Ask for less, or have the limit raised: kubectl -n ${namespace} edit limitrange`,
    }
  }
  if (/only dynamically provisioned pvc can be resized/.test(said)) {
    return {
      ...{ code: 'expansion-not-allowed', said },
      remedy:
        storageClass === undefined
          ? "The claim has no storage class: let this library grow it by its provider (driver: 'direct'), or give it a class that allows growth."
          : `If its provisioner can grow volumes: ${allowExpansionCommand(storageClass)}. Or let this library do the work: driver: 'direct'.`,
    }
  }
  if (/ cannot | is not allowed|no RBAC policy/i.test(said)) {
    return { code: 'permission-denied', said, remedy: rightRemedy(said, namespace) }
  }
  return {
    code: 'permission-denied',
    said,
    remedy: 'An admission webhook or policy of the cluster refused it: ask who runs it.',
  }
}

/** What of a quota's or LimitRange's message names the missing right: `User "x" cannot patch resource "y" in API group "z"`. */
function rightRemedy(said: string, namespace: string): string {
  const match = /cannot (\w+) resource "([^"]+)"(?: in API group "([^"]*)")?/.exec(said)
  if (match === null) return 'Have the missing right granted.'
  const [, verb = '', resource = '', group = ''] = match
  return grantRemedy({ verb, resource, group }, /at the cluster scope/.test(said) ? undefined : namespace)
}

export interface Right {
  readonly verb: string
  /** With its subresource: `persistentvolumeclaims/status`. */
  readonly resource: string
  /** Empty: the core group. */
  readonly group?: string
}

/** A rule that can be pasted into the Role, or without a namespace into the ClusterRole. */
export function grantRemedy({ verb, resource, group = '' }: Right, namespace: string | undefined): string {
  const where = namespace === undefined ? 'the ClusterRole' : `the Role in ${namespace}`
  return `Add to ${where} of this user: {apiGroups: ["${group}"], resources: ["${resource}"], verbs: ["${verb}"]}`
}

function messageOf(body: unknown): string {
  // Some refusals go on with a comparison of the whole object.
  return textAt(body, 'message')?.split('\n')[0] ?? 'without a reason'
}

export function refusalFinding(refusal: Refusal, target: string): Finding {
  const { code, said, remedy } = refusal
  return { code, severity: 'blocker', layer: 'claim', target, message: `The API server refuses: ${said}`, remedy }
}

/** A failing answer as the library's error. */
export function answerError(
  answer: KubernetesAnswer,
  what: string,
  outcome: Outcome,
  claim: RefusedClaim,
): VolumeExpansionError {
  const { status, body, headers = {} } = answer
  const said = messageOf(body)
  const refusal = refusalOf(answer, claim)
  const { code, retryable, remedy } =
    refusal === undefined ? meaningOf(status) : { code: refusal.code, retryable: false, remedy: refusal.remedy }
  const seconds = Number(headers['retry-after'])
  return new VolumeExpansionError(code, `${what}: ${said} (${status})`, {
    ...{ layer: 'claim', outcome, retryable, remedy },
    ...(Number.isFinite(seconds) && seconds > 0 ? { retryAfter: seconds * 1000 } : {}),
  })
}

function meaningOf(status: number): { readonly code: ErrorCode; readonly retryable: boolean; readonly remedy: string } {
  if (status === 401) {
    return {
      ...{ code: 'authentication-failed', retryable: false },
      remedy: 'The credentials of the kubeconfig are wrong or have expired. Try: kubectl auth can-i get pvc',
    }
  }
  if (status === 404) {
    return {
      ...{ code: 'not-found', retryable: false },
      remedy: 'Check the namespace, the name, and the context of the kubeconfig.',
    }
  }
  if (status === 409) {
    return { code: 'conflicting-change', retryable: true, remedy: 'Somebody else changed the object. Run it again.' }
  }
  if (status === 429)
    return { code: 'throttled', retryable: true, remedy: 'Run it again when the API server has less to do.' }
  if (status >= 500) {
    return {
      code: 'backend-unreachable',
      retryable: true,
      remedy: 'See whether the API server is healthy, and run it again.',
    }
  }
  return {
    code: 'invalid-request',
    retryable: false,
    remedy: 'The API server does not take this change; its reason is above.',
  }
}
