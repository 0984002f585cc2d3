import { VolumeExpansionError } from '../errors.ts'
import type { Where } from '../where.ts'

/** What is used of a KubeConfig of @kubernetes/client-node, in own words: it is an optional peer, and no declaration may name it. */
export interface LoadableConfig {
  loadFromDefault(): void
  loadFromFile(file: string): void
  loadFromCluster(): void
  setCurrentContext(name: string): void
  getContextObject(name: string): object | null
  getCurrentCluster(): { readonly name?: string; readonly server: string; readonly proxyUrl?: string } | null
}

/** Where the kubeconfig is; left out: where kubectl finds it, or the service account of the pod that this runs in. */
export interface KubeconfigFile {
  readonly file?: string | undefined
  /** Left out: its current one. */
  readonly context?: string | undefined
}

/** @throws {VolumeExpansionError} `invalid-request` when the package is not installed */
export async function loadClientNode<Module>(who: string, layer: Where): Promise<Module> {
  try {
    return (await import('@kubernetes/client-node')) as unknown as Module
  } catch (cause) {
    throw new VolumeExpansionError(
      'invalid-request',
      `${who} needs the package @kubernetes/client-node, which is not installed or cannot be loaded.`,
      {
        ...{ layer, outcome: 'unchanged', cause },
        remedy: 'Install it beside this library: npm install @kubernetes/client-node@1.4.0',
      },
    )
  }
}

/**
 * Reads a kubeconfig, and says whose address it has: without a slash at its end.
 *
 * @param refuse makes the error of what cannot be used
 */
export function readKubeconfig(
  config: LoadableConfig,
  { file, context }: KubeconfigFile,
  refuse: (message: string, cause?: unknown) => Error,
): string {
  const named = `The kubeconfig ${file ?? 'of this user'}`
  try {
    if (file === undefined) config.loadFromDefault()
    else config.loadFromFile(file)
  } catch (cause) {
    throw refuse(`${named} cannot be read.`, cause)
  }
  if (context !== undefined) {
    if (config.getContextObject(context) === null) throw refuse(`${named} has no context ${context}.`)
    config.setCurrentContext(context)
  }
  const cluster = config.getCurrentCluster()
  // What the package falls back to when it finds no configuration at all: whatever listens there is not what was meant.
  if (file === undefined && cluster?.name === 'cluster' && cluster.server === 'http://localhost:8080') {
    throw refuse('There is no kubeconfig: neither $KUBECONFIG, nor ~/.kube/config, nor a service account.')
  }
  return addressOf(config) ?? fail(refuse(`${named} has no current context with the address of a cluster.`))
}

/** The address of the API server, without a slash at its end; undefined where there is none. */
export function addressOf(config: Pick<LoadableConfig, 'getCurrentCluster'>): string | undefined {
  const server = config.getCurrentCluster()?.server
  return server !== undefined && /^https?:\/\//.test(server) && URL.canParse(server)
    ? server.replace(/\/+$/, '')
    : undefined
}

function fail(error: Error): never {
  throw error
}
