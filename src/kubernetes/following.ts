import { abortedError, VolumeExpansionError } from '../errors.ts'
import type { StepServices } from '../pipeline/step.ts'
import { type Bytes, formatSize } from '../size.ts'
import { type ClaimState, claimStateOf, volumeStateOf } from './claim-state.ts'
import type { ClusterAccess } from './cluster.ts'
import { listAt, textAt } from './fields.ts'
import type { RefusedClaim } from './refusals.ts'
import { labelOf, volumePath } from './sight.ts'
import { type ClaimUsers, describePods, podUsersOf } from './users.ts'
import type { Feed } from './watches.ts'

/** What to do when all that is left is for a node to do, and no pod uses the claim: an error, more waiting, or the end in success. */
export type WhenUnmounted = 'fail' | 'wait' | 'accept'

export interface Following {
  readonly access: ClusterAccess
  readonly name: RefusedClaim
  readonly goal: Bytes
  readonly feed: Feed
  readonly services: StepServices
  readonly unmounted: WhenUnmounted
}

/** Milliseconds without a change after which the reason is looked for in the events of the claim. */
const quiet = 30_000

/**
 * Follows a claim until the cluster says that it has what was asked for. Never asks again and again: everything is told by the watch; only when nothing changes for a
 * while, the events of the claim are read once.
 *
 * @throws {VolumeExpansionError} `infeasible-size`, `pod-needed`, `not-found`, `timeout` with what it waited for
 */
export async function followGrowth(first: ClaimState, following: Following): Promise<ClaimState> {
  const { feed, goal, services, name } = following
  const { clock, signal } = services
  const deadline = clock.now() + services.timeouts.backend
  let claim = first
  let reason = ''
  let trouble = ''
  let askedEvents = false
  let users: ClaimUsers | undefined
  let next = feed.next()
  next.catch(() => {})
  for (;;) {
    if ((claim.capacity ?? 0n) >= goal) return claim
    refuseInfeasible(claim, goal, name)
    if (awaitsNode(claim)) {
      users ??= await podUsersOf(following.access, name).catch(() => undefined)
      if (users?.pods.length === 0 && following.unmounted !== 'wait') {
        if (following.unmounted === 'accept') return claim
        throw podNeeded(claim, goal, name)
      }
    }
    const now = `${reasonOf(claim, users)}${trouble}`
    if (now !== reason) {
      reason = now
      services.waiting('claim', reason)
    }
    const left = deadline - clock.now()
    if (left <= 0) throw await late(claim, following, reason)
    const rest = new AbortController()
    const patience = clock.sleep(askedEvents ? left : Math.min(quiet, left), rest.signal).then(() => 'quiet' as const)
    patience.catch(() => {})
    const aborted = new Promise<never>((_resolve, reject) => {
      const stop = (): void => reject(abortedError(signal, 'claim', 'unknown'))
      if (signal.aborted) stop()
      signal.addEventListener('abort', stop, { once: true, signal: rest.signal })
    })
    aborted.catch(() => {})
    try {
      const object = await Promise.race([next.then((state) => ({ state })), patience, aborted])
      if (object === 'quiet') {
        if (!askedEvents) trouble = await eventOf(following)
        askedEvents = true
        continue
      }
      if (object.state === undefined) throw gone(name)
      const seen = claimStateOf(object.state)
      if (seen.uid !== claim.uid) throw gone(name)
      // What a watch that was begun before tells first may be older than the answer to our own request.
      if (seen.request === first.request || (seen.request ?? 0n) > (first.request ?? 0n)) claim = seen
      users = undefined
      next = feed.next()
      next.catch(() => {})
    } finally {
      rest.abort()
    }
  }
}

function awaitsNode({ conditions, resizeStatus }: ClaimState): boolean {
  return conditions.some(({ type }) => type === 'FileSystemResizePending') || resizeStatus === 'NodeResizePending'
}

const statusReasons: Readonly<Record<string, string>> = {
  ControllerResizeInProgress: 'the resizer is growing the volume',
  NodeResizeInProgress: 'the kubelet is growing the filesystem',
  NodeResizePending: 'the volume has grown; the kubelet has yet to grow the filesystem',
  // Kubernetes 1.23 to 1.27 had these words.
  ControllerExpansionInProgress: 'the resizer is growing the volume',
  NodeExpansionPending: 'the volume has grown; the kubelet has yet to grow the filesystem',
  NodeExpansionInProgress: 'the kubelet is growing the filesystem',
}

/** What it waits for, for people. Conditions and statuses that are not known are named as they are. */
function reasonOf(claim: ClaimState, users?: ClaimUsers): string {
  const failing = claim.conditions.filter(({ type }) => /Error$/.test(type))
  const said = failing.map(({ type, message = '' }) => `; ${type}: ${message}`).join('')
  if (awaitsNode(claim)) {
    const who =
      users === undefined
        ? 'a node'
        : users.pods.length === 0
          ? 'a pod that mounts it: none does now'
          : `the kubelet of ${describePods(users)}`
    return `the volume has grown; the filesystem waits for ${who}${said}`
  }
  if (claim.resizeStatus !== undefined) return `${statusReasons[claim.resizeStatus] ?? claim.resizeStatus}${said}`
  const resizing = claim.conditions.find(({ type }) => type === 'Resizing')
  if (resizing !== undefined) return `the resizer is growing the volume${said}`
  const others = claim.conditions.filter(({ type }) => !/Error$/.test(type)).map(({ type }) => type)
  if (others.length > 0) return `the cluster reports ${others.join(', ')}${said}`
  return `no resizer has taken it up yet${said}`
}

function refuseInfeasible(claim: ClaimState, goal: Bytes, name: RefusedClaim): void {
  // What is allocated says of which size the status speaks: after a request was lowered, it is still that of the one before for a while.
  if (!isInfeasible(claim) || (claim.allocated ?? claim.request) !== goal) return
  throw infeasible(claim, name)
}

export function isInfeasible({ resizeStatus = '' }: ClaimState): boolean {
  return /(Infeasible|ExpansionFailed|ResizeFailed)$/.test(resizeStatus)
}

export function infeasibleMessage(claim: ClaimState, name: RefusedClaim): string {
  const said = claim.conditions.find(({ type }) => /Error$/.test(type))?.message
  const why = said === undefined ? '' : `: ${said}`
  return `The cluster reports ${claim.resizeStatus ?? 'that it failed'} for ${labelOf(name)}${why}`
}

export function infeasibleRemedy({ capacity, request }: ClaimState): string {
  const least = capacity === undefined ? 'what it has' : formatSize(capacity)
  const asked = request === undefined ? 'what was asked for' : formatSize(request)
  return `Run it again with a smaller \`to\`, above ${least} and below ${asked}: the request is then lowered, which Kubernetes allows from 1.34 on (RecoverVolumeExpansionFailure). Nothing of the volume is made smaller.`
}

function infeasible(claim: ClaimState, name: RefusedClaim): VolumeExpansionError {
  return new VolumeExpansionError('infeasible-size', infeasibleMessage(claim, name), {
    ...{ layer: 'claim', outcome: 'changed', remedy: infeasibleRemedy(claim) },
  })
}

function podNeeded(claim: ClaimState, goal: Bytes, name: RefusedClaim): VolumeExpansionError {
  return new VolumeExpansionError(
    'pod-needed',
    `The volume of ${labelOf(name)} has grown towards ${formatSize(goal)}, but no pod mounts the claim, and only then a kubelet grows the filesystem: the claim still shows ${formatSize(claim.capacity ?? 0n)}.`,
    {
      ...{ layer: 'claim', outcome: 'changed', retryable: true },
      remedy: `Start a pod that mounts it, then run it again. It is done when this says nothing of FileSystemResizePending: kubectl -n ${name.namespace} get pvc ${name.name} -o jsonpath='{.status.conditions}'`,
    },
  )
}

function gone(name: RefusedClaim): VolumeExpansionError {
  return new VolumeExpansionError('not-found', `The claim ${labelOf(name)} was deleted meanwhile.`, {
    ...{ layer: 'claim', outcome: 'unknown', remedy: 'See what has become of its PersistentVolume: kubectl get pv' },
  })
}

async function late(claim: ClaimState, following: Following, reason: string): Promise<VolumeExpansionError> {
  const { name, access, goal, services } = following
  const [event, object] = await Promise.all([
    eventOf(following),
    access.look(volumePath(claim.volumeName ?? '')).catch(() => undefined),
  ])
  const { capacity } = volumeStateOf(object)
  const volume = capacity === undefined ? '' : ` Its PersistentVolume has ${formatSize(capacity)}.`
  const shown = reason.includes(event) ? '' : event
  return new VolumeExpansionError(
    'timeout',
    `Waited ${Math.round(services.timeouts.backend / 1000)} s for ${labelOf(name)} to have ${formatSize(goal)}; it has ${formatSize(claim.capacity ?? 0n)}: ${reason}${shown}.${volume}`,
    {
      ...{ layer: 'claim', outcome: 'unknown', retryable: true },
      remedy: awaitsNode(claim)
        ? 'Start a pod that mounts it, or restart the one that does when its driver cannot grow a mounted filesystem. Then run it again.'
        : `The request stays, and may still be met. See what serves it: kubectl -n ${name.namespace} describe pvc ${name.name}. Where nothing does, let this library do the work: driver: 'direct'.`,
    },
  )
}

/** The last warning among the events of the claim, as a part of a sentence; nothing where there is none or they may not be read. */
async function eventOf({ access, name }: Following): Promise<string> {
  const fieldSelector = `involvedObject.kind=PersistentVolumeClaim,involvedObject.name=${name.name}`
  const events = await access
    .look(`/api/v1/namespaces/${name.namespace}/events`, { fieldSelector })
    .catch(() => undefined)
  const warning = listAt(events, 'items')
    .filter((event) => textAt(event, 'type') === 'Warning')
    .at(-1)
  const message = textAt(warning, 'message')
  return message === undefined ? '' : `; ${textAt(warning, 'reason') ?? 'Warning'}: ${message}`
}
