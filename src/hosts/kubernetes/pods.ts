import type { VolumeExpansionError } from '../../errors.ts'
import { refusal } from './errors.ts'
import type { Target } from './options.ts'

/** What matters of a pod. */
export interface Pod {
  readonly name: string
  readonly uid: string
  readonly node: string | undefined
  readonly phase: string
  readonly deleting: boolean
  readonly ready: boolean
  readonly hostPid: boolean
  readonly containers: readonly Container[]
}

interface Container {
  readonly name: string
  readonly privileged: boolean
  readonly running: boolean
  /** Why it does not run, as the kubelet says it. */
  readonly waiting: string | undefined
}

/** A pod in which commands may be run, and where. */
export interface Chosen {
  readonly name: string
  readonly uid: string
  readonly node: string
  readonly container: string
}

type Fields = Readonly<Record<string, unknown>>

/** A Pod object of the API; whatever it does not say counts as the worse. */
export function podOf(value: unknown): Pod {
  const { metadata, spec, status } = fields(value)
  const { name, uid, deletionTimestamp } = fields(metadata)
  const { nodeName, hostPID, containers } = fields(spec)
  const { phase, conditions, containerStatuses } = fields(status)
  const states = list(containerStatuses).map(fields)
  const ready = list(conditions)
    .map(fields)
    .find(({ type }) => type === 'Ready')
  return {
    name: String(name ?? ''),
    uid: String(uid ?? ''),
    node: typeof nodeName === 'string' ? nodeName : undefined,
    phase: typeof phase === 'string' ? phase : 'Unknown',
    deleting: deletionTimestamp !== undefined && deletionTimestamp !== null,
    ready: ready?.['status'] === 'True',
    hostPid: hostPID === true,
    containers: list(containers).map((container) => {
      const { name, securityContext } = fields(container)
      const state = fields(states.find((one) => one['name'] === name)?.['state'])
      const reason = fields(state['waiting'])['reason'] ?? fields(state['terminated'])['reason']
      return {
        name: String(name ?? ''),
        privileged: fields(securityContext)['privileged'] === true,
        running: typeof state['running'] === 'object' && state['running'] !== null,
        waiting: typeof reason === 'string' ? reason : undefined,
      }
    }),
  }
}

/** The items of a PodList object. */
export function podsOf(value: unknown): readonly Pod[] {
  return list(fields(value)['items']).map(podOf)
}

function fields(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {}
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

/**
 * The one pod of those that a selector found on a node.
 *
 * @throws {VolumeExpansionError} `not-found`, `ambiguous`, `host-unreachable` when the only ones do not run
 */
export function onlyPod(found: readonly Pod[], { id, namespace, selector, node }: Target): Pod {
  // The server has been asked for those of this node only; one that cannot select by fields would answer with all.
  const there = found.filter((pod) => pod.node === node)
  const [running, ...others] = there.filter(({ phase, deleting }) => phase === 'Running' && !deleting)
  if (running === undefined) {
    const [first] = there
    if (first !== undefined) throw notRunning(id, first)
    throw refusal(
      'not-found',
      `No pod in ${namespace} with ${selector} is on the node ${node}.`,
      'Check the name of the node (kubectl get nodes), the selector, and that the DaemonSet tolerates the taints of the node.',
    )
  }
  if (others.length > 0) {
    const names = [running, ...others].map(({ name }) => name).sort()
    throw refusal(
      'ambiguous',
      `Several pods in ${namespace} with ${selector} run on the node ${node}: ${names.join(', ')}.`,
      'Make the selector narrower, or name the pod.',
    )
  }
  return running
}

/**
 * A pod that has been judged to be able to act as the node, and its container.
 *
 * @throws {VolumeExpansionError} `identity-mismatch`, `permission-denied`, `not-found`, `ambiguous`, `host-unreachable`
 */
export function judged(pod: Pod, target: Target): Chosen {
  const { id } = target
  const { name, uid, node } = pod
  if (target.node !== undefined && node !== undefined && node !== target.node) {
    throw refusal(
      'identity-mismatch',
      `The pod ${name} is on the node ${node}, not on ${target.node}.`,
      'Name the pod that is on the node, or give a selector and let it be found.',
    )
  }
  if (!pod.hostPid) {
    throw refusal(
      'permission-denied',
      `The pod ${name} has process IDs of its own, so that it cannot enter the node.`,
      'Set hostPID: true in its spec.',
    )
  }
  const container = containerOf(pod, target)
  if (!container.privileged) {
    throw refusal(
      'permission-denied',
      `The container ${container.name} of the pod ${name} is not privileged, so that it cannot enter the node.`,
      'Set securityContext.privileged: true for it, or name another container.',
    )
  }
  if (pod.deleting || pod.phase !== 'Running' || node === undefined) throw notRunning(id, pod)
  if (!container.running || !pod.ready) {
    const why = container.running ? 'is not ready' : `does not run (${container.waiting ?? 'no reason given'})`
    throw refusal(
      'host-unreachable',
      `The container ${container.name} of the pod ${name} ${why}.`,
      `See kubectl describe pod ${name}. Run it again when it is ready.`,
      { retryable: true },
    )
  }
  return { name, uid, node, container: container.name }
}

function containerOf({ name, containers }: Pod, { container }: Target): Container {
  const names = containers.map((one) => one.name).join(', ')
  if (container !== undefined) {
    const found = containers.find((one) => one.name === container)
    if (found !== undefined) return found
    throw refusal('not-found', `The pod ${name} has no container ${container}, but ${names}.`, 'Name one of these.')
  }
  const [first, ...others] = containers.filter(({ privileged }) => privileged)
  if (first !== undefined && others.length === 0) return first
  if (first !== undefined) {
    throw refusal(
      'ambiguous',
      `Several containers of the pod ${name} are privileged: ${[first, ...others].map((one) => one.name).join(', ')}.`,
      'Name one of them as container.',
    )
  }
  throw refusal(
    'permission-denied',
    `No container of the pod ${name} is privileged (${names}).`,
    'Use a pod with securityContext.privileged: true and hostPID: true.',
  )
}

function notRunning(id: string, { name, phase, deleting }: Pod): VolumeExpansionError {
  if (deleting || phase === 'Succeeded' || phase === 'Failed') {
    return refusal(
      'host-unreachable',
      `The pod ${name} of ${id} ${deleting ? 'is being deleted' : `has ended (${phase})`}.`,
      'Name another pod, or give a selector so that its successor is found.',
    )
  }
  return refusal(
    'host-unreachable',
    `The pod ${name} of ${id} does not run (${phase}).`,
    `See kubectl describe pod ${name}. Run it again when it is ready.`,
    { retryable: true },
  )
}
