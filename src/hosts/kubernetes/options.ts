import { checkPath } from '../command.ts'
import { duration } from '../remote/options.ts'

/**
 * How to reach a cluster: what is used of a `KubeConfig` of @kubernetes/client-node, which may be given as it is. The one way to bring credentials of one's own.
 */
export interface KubernetesConfig {
  getCurrentCluster(): { readonly name: string; readonly server: string } | null
  /** Puts the credentials, the authorities and the agent into the options of a request. */
  applyToHTTPSOptions(options: object): Promise<void>
}

/** Which kubeconfig, and what of it. */
export interface KubeconfigFile {
  /** Absolute path. Left out: what `$KUBECONFIG` names, `~/.kube/config`, or the service account of the pod that this process runs in. */
  readonly file?: string
  /** Left out: the current context of the file. */
  readonly context?: string
}

export interface PodConnectionOptions {
  readonly namespace: string
  /** The container to run in. Left out: the only one of the pod that is privileged. */
  readonly container?: string
  /** Left out: the usual kubeconfig, or the service account of the pod that this process runs in. `in-cluster`: only the latter. */
  readonly config?: 'in-cluster' | KubeconfigFile | KubernetesConfig
  /**
   * What the cluster is called in the id of the host. Two contexts or addresses may lead to one cluster, which nothing in them shows: give the same name for both.
   * Left out: the context that is given, the cluster's name in a {@link KubernetesConfig}, `in-cluster`, or `default`.
   */
  readonly cluster?: string
  /**
   * The command that enters the node from the container, and runs the command after it there. Left out: nsenter into the namespaces of process 1, which an image
   * without nsenter, or a node that is itself a container, may need another way for.
   */
  readonly entry?: readonly string[]
  /** Absolute path of a directory on a tmpfs of the node, for the output of commands while they run. Left out: the first writable one of `/run`, `/run/user/*`, `/dev/shm`. */
  readonly runtimeDirectory?: string
  /** Milliseconds until the API server has to have answered, and the stream has to be open. Left out: 20 000. */
  readonly connectTimeout?: number
  /** Milliseconds between the questions whether the other side is still there; three without an answer end the stream. Left out: 15 000. */
  readonly keepAlive?: number
}

/** A pod by its name. */
export interface NamedPodOptions extends PodConnectionOptions {
  readonly pod: string
  /** The node on which it has to run; it names the host. Left out: wherever it runs, and the host is named after the pod. */
  readonly node?: string
  readonly selector?: never
}

/** The one pod on a node that fits, such as the one of a DaemonSet. */
export interface SelectedPodOptions extends PodConnectionOptions {
  readonly node: string
  /** Labels, or a selector as `kubectl get --selector` takes it. */
  readonly selector: string | Readonly<Record<string, string>>
  readonly pod?: never
}

export type PodHostOptions = NamedPodOptions | SelectedPodOptions

/** Which pod, complete. */
export interface Target {
  /** How the host is named; free of secrets. */
  readonly id: string
  readonly namespace: string
  readonly pod: string | undefined
  readonly node: string | undefined
  readonly selector: string | undefined
  readonly container: string | undefined
  readonly entry: readonly string[]
  readonly config: 'in-cluster' | KubeconfigFile | KubernetesConfig
  readonly connectTimeout: number
  readonly keepAlive: number
}

// The mount namespace brings the node's devices, tools and filesystems, the PID namespace its processes in /proc. As storage drivers do it.
const usualEntry: readonly string[] = [
  ...['nsenter', '--target', '1', '--mount', '--uts', '--ipc', '--net', '--pid', '--'],
]

/** @throws {TypeError} when something is malformed */
export function targetOf(options: PodHostOptions): Target {
  const { namespace, pod, node, selector, container, config = {}, entry = usualEntry } = options
  checkName('namespace', namespace)
  if (pod !== undefined) checkName('pod', pod)
  if (node !== undefined) checkName('node', node)
  if (container !== undefined) checkName('container', container)
  if ((pod === undefined) === (selector === undefined)) throw new TypeError('Give either pod, or node and selector.')
  if (pod === undefined && node === undefined) throw new TypeError('A selector needs the node beside it.')
  if (!Array.isArray(entry) || entry.some((word) => typeof word !== 'string' || /^$|\0/.test(word))) {
    throw new TypeError('entry is a list of non-empty strings.')
  }
  if (isFile(config) && config.file !== undefined) checkPath(config.file, 'config.file')
  if (options.cluster === '') throw new TypeError('cluster is a name.')
  const cluster = encodeURIComponent(options.cluster ?? clusterName(config))
  const about = node === undefined ? `namespaces/${namespace}/pods/${pod}` : `nodes/${node}`
  return {
    ...{ id: `kubernetes://${cluster}/${about}`, namespace, pod, node, container, entry, config },
    selector: selector === undefined ? undefined : selectorText(selector),
    connectTimeout: duration('connectTimeout', options.connectTimeout, 20_000),
    keepAlive: duration('keepAlive', options.keepAlive, 15_000),
  }
}

export function isFile(config: Target['config']): config is KubeconfigFile {
  return typeof config === 'object' && !('applyToHTTPSOptions' in config)
}

function clusterName(config: Target['config']): string {
  if (config === 'in-cluster') return config
  return (isFile(config) ? config.context : config.getCurrentCluster()?.name) ?? 'default'
}

// Names become parts of addresses: what Kubernetes allows in a name of a pod or node, a DNS subdomain (RFC 1123), holds nothing that would mean something there.
function checkName(what: string, name: unknown): void {
  if (typeof name === 'string' && name.length <= 253 && /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(name)) return
  throw new TypeError(`${what} is a name of lower-case letters, digits, '-' and '.'.`)
}

function selectorText(selector: string | Readonly<Record<string, string>>): string {
  const text =
    typeof selector === 'string'
      ? selector
      : Object.entries(selector)
          .map(([key, value]) => `${key}=${value}`)
          .join(',')
  if (text.trim() === '') throw new TypeError('selector holds at least one label.')
  return text
}
