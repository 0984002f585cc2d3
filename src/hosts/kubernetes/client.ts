import { readFile } from 'node:fs/promises'
import { VolumeExpansionError } from '../../errors.ts'
import { configError } from './errors.ts'
import { isFile, type KubernetesConfig, type Target } from './options.ts'

/** What is used of the package @kubernetes/client-node, in own words: it is an optional peer, and no declaration may name it. */
export interface KubernetesModule {
  readonly KubeConfig: new () => LoadableConfig
  readonly Exec: new (config: KubernetesConfig) => { readonly handler: WebSocketHandler }
}

interface LoadableConfig extends KubernetesConfig {
  loadFromDefault(): void
  loadFromFile(file: string): void
  loadFromCluster(): void
  setCurrentContext(name: string): void
  getContextObject(name: string): object | null
}

export interface WebSocketHandler {
  /** Resolves once the connection is upgraded. The handlers return whether it should stay open. */
  connect(
    path: string,
    text: (text: string) => boolean,
    binary: (channel: number, bytes: Uint8Array) => boolean,
  ): Promise<WebSocketLike>
}

/** The WebSocket of the package ws, as @kubernetes/client-node makes it under Node. */
export interface WebSocketLike {
  readonly protocol: string
  readonly readyState: number
  send(data: Uint8Array, sent: (error?: Error) => void): void
  ping(): void
  close(): void
  terminate(): void
  on(event: 'close', listener: (code: number, reason: Uint8Array) => void): this
  on(event: 'pong', listener: () => void): this
  on(event: 'error', listener: (error: Error) => void): this
  once(event: 'unexpected-response', listener: (request: object, response: HttpAnswer) => void): this
}

/** An answer of a server that did not upgrade the connection. */
export interface HttpAnswer extends AsyncIterable<Uint8Array> {
  readonly statusCode?: number
}

/** The way to one cluster. */
export interface Cluster {
  readonly module: KubernetesModule
  readonly config: KubernetesConfig
  readonly server: string
}

let loading: Promise<KubernetesModule> | undefined

/** @throws {VolumeExpansionError} `invalid-request` when the package is not installed */
function loadKubernetes(): Promise<KubernetesModule> {
  loading ??= load()
  return loading
}

async function load(): Promise<KubernetesModule> {
  try {
    return (await import('@kubernetes/client-node')) as unknown as KubernetesModule
  } catch (cause) {
    loading = undefined
    throw new VolumeExpansionError(
      'invalid-request',
      'podHost() needs the package @kubernetes/client-node, which is not installed.',
      {
        ...{ layer: 'host', outcome: 'unchanged', cause },
        remedy: 'Install it beside this library: npm install @kubernetes/client-node',
      },
    )
  }
}

/** @throws {VolumeExpansionError} `invalid-request` when there is no such configuration */
export async function clusterOf({ config: given }: Target): Promise<Cluster> {
  const module = await loadKubernetes()
  const config = given === 'in-cluster' || isFile(given) ? await loadConfig(module, given) : given
  const server = config.getCurrentCluster()?.server
  if (server === undefined || !/^https?:\/\//.test(server)) {
    throw configError('The kubeconfig names no cluster with an address.')
  }
  return { module, config, server: server.replace(/\/+$/, '') }
}

const serviceAccount = '/var/run/secrets/kubernetes.io/serviceaccount/token'

async function loadConfig(
  module: KubernetesModule,
  given: Exclude<Target['config'], KubernetesConfig>,
): Promise<KubernetesConfig> {
  const config = new module.KubeConfig()
  if (given === 'in-cluster') {
    const token = await readFile(serviceAccount).catch(() => undefined)
    if (token === undefined || process.env['KUBERNETES_SERVICE_HOST'] === undefined) {
      throw configError('This process does not run in a pod with a service account.')
    }
    config.loadFromCluster()
    return config
  }
  try {
    if (given.file === undefined) config.loadFromDefault()
    else config.loadFromFile(given.file)
  } catch (cause) {
    throw configError('The kubeconfig cannot be read.', cause)
  }
  if (given.context !== undefined) {
    if (config.getContextObject(given.context) === null) {
      throw configError(`The kubeconfig has no context ${given.context}.`)
    }
    config.setCurrentContext(given.context)
  }
  // What the package falls back to when it finds no configuration at all: whatever listens there is not what was meant.
  const cluster = config.getCurrentCluster()
  if (given.file === undefined && cluster?.name === 'cluster' && cluster.server === 'http://localhost:8080') {
    throw configError('There is no kubeconfig: neither $KUBECONFIG, nor ~/.kube/config, nor a service account.')
  }
  return config
}
