import { readFile } from 'node:fs/promises'
import { addressOf, type LoadableConfig, loadClientNode, readKubeconfig } from '../../kubernetes/config.ts'
import { configError } from './errors.ts'
import { isFile, type KubernetesConfig, type Target } from './options.ts'

/** What is used of the package @kubernetes/client-node, in own words: it is an optional peer, and no declaration may name it. */
export interface KubernetesModule {
  readonly KubeConfig: new () => KubernetesConfig & LoadableConfig
  readonly Exec: new (config: KubernetesConfig) => { readonly handler: WebSocketHandler }
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

const serviceAccount = '/var/run/secrets/kubernetes.io/serviceaccount/token'

/** @throws {VolumeExpansionError} `invalid-request` when there is no such configuration */
export async function clusterOf({ config: given }: Target): Promise<Cluster> {
  const module = await loadClientNode<KubernetesModule>('podHost()', 'host')
  if (given !== 'in-cluster' && isFile(given)) {
    const config = new module.KubeConfig()
    return { module, config, server: readKubeconfig(config, given, configError) }
  }
  const config = given === 'in-cluster' ? await loadInCluster(module) : given
  const server = addressOf(config)
  if (server === undefined) throw configError('The kubeconfig names no cluster with an address.')
  return { module, config, server }
}

async function loadInCluster(module: KubernetesModule): Promise<KubernetesConfig> {
  const token = await readFile(serviceAccount).catch(() => undefined)
  if (token === undefined || process.env['KUBERNETES_SERVICE_HOST'] === undefined) {
    throw configError('This process does not run in a pod with a service account.')
  }
  const config = new module.KubeConfig()
  config.loadFromCluster()
  return config
}
