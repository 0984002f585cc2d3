import { createHash } from 'node:crypto'
import { type IncomingMessage, request as plainRequest } from 'node:http'
import { Agent, request as secureRequest } from 'node:https'
import { onAbort } from '../abort.ts'
import { abortedError, VolumeExpansionError } from '../errors.ts'
import { largestAnswer, textOf } from '../services/response.ts'
import type { KubernetesAnswer, KubernetesClient, KubernetesRequest, KubernetesWatchEvent } from './client.ts'
import { type LoadableConfig, loadClientNode, readKubeconfig } from './config.ts'

interface KubernetesModule {
  readonly KubeConfig: new () => KubeConfig
}

interface KubeConfig extends LoadableConfig {
  applyToHTTPSOptions(options: Record<string, unknown>): Promise<void>
}

/** Where the kubeconfig is; left out: where kubectl finds it, or the service account of the pod that this runs in. */
export interface KubeconfigSource {
  readonly kubeconfig?: string | undefined
}

const requestTimeout = 30_000
/** How many plain requests one process has under way at a server: far below what priority and fairness gives to one user. */
const mostSockets = 16

const clients = new Map<string, Promise<KubernetesClient>>()

/**
 * The client of a kubeconfig: the same one for every call in this process, so that connections, watches and pace are shared. Authentication is that of
 * @kubernetes/client-node: certificates, tokens, exec plug-ins, OIDC.
 *
 * @throws {VolumeExpansionError} `invalid-request` when the package is missing, or the kubeconfig cannot be read
 */
export function kubeconfigClient({ kubeconfig }: KubeconfigSource): Promise<KubernetesClient> {
  const key = kubeconfig ?? ''
  const known = clients.get(key)
  if (known !== undefined) return known
  const made = connect(kubeconfig)
  clients.set(key, made)
  made.catch(() => clients.delete(key))
  return made
}

async function connect(kubeconfig: string | undefined): Promise<KubernetesClient> {
  const { KubeConfig } = await loadClientNode<KubernetesModule>('A kubeconfig', 'claim')
  const config = new KubeConfig()
  return new ConfiguredClient(config, readKubeconfig(config, { file: kubeconfig }, unusable))
}

function unusable(message: string, cause?: unknown): VolumeExpansionError {
  return new VolumeExpansionError('invalid-request', message, {
    ...{ layer: 'claim', outcome: 'unchanged', ...(cause === undefined ? {} : { cause }) },
    remedy: 'Check it with: kubectl config view --minify',
  })
}

class ConfiguredClient implements KubernetesClient {
  readonly server: string
  readonly #config: KubeConfig
  // A connection is never shared between two identities, which tokens and certificates that expire make of one user.
  #agents = new Map<string, { readonly plain: Agent; readonly watching: Agent }>()

  constructor(config: KubeConfig, server: string) {
    this.#config = config
    this.server = server
  }

  async send(given: KubernetesRequest): Promise<KubernetesAnswer> {
    const timer = AbortSignal.timeout(requestTimeout)
    const response = await this.#open(given, false, timer)
    const text = await textOf(response)
    return { status: response.statusCode ?? 0, headers: response.headers, body: parsed(text) }
  }

  async watch(
    given: Omit<KubernetesRequest, 'method' | 'body' | 'contentType'>,
  ): Promise<KubernetesAnswer & { readonly events: AsyncIterable<KubernetesWatchEvent> }> {
    const begun = new AbortController()
    const timer = setTimeout(() => begun.abort(new Error('the watch was not accepted in time')), requestTimeout)
    try {
      const query = { ...given.query, watch: 'true' }
      const response = await this.#open({ ...given, method: 'GET', query }, true, begun.signal)
      const status = response.statusCode ?? 0
      if (status === 200) return { status, headers: response.headers, body: undefined, events: linesOf(response) }
      const body = parsed(await textOf(response))
      return { status, headers: response.headers, body, events: nothing() }
    } finally {
      clearTimeout(timer)
    }
  }

  async #open(given: KubernetesRequest, watching: boolean, begun: AbortSignal): Promise<IncomingMessage> {
    const { method, path, query = {}, body, contentType = 'application/json', signal } = given
    if (signal?.aborted === true) throw abortedError(signal, 'claim', 'unchanged')
    const url = new URL(`${this.server}${path}`)
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)
    const applied: Record<string, unknown> = {}
    await this.#config.applyToHTTPSOptions(applied)
    const text = body === undefined ? undefined : JSON.stringify(body)
    const headers = {
      accept: 'application/json',
      ...(text === undefined ? {} : { 'content-type': contentType, 'content-length': Buffer.byteLength(text) }),
      ...(applied['headers'] as Record<string, string> | undefined),
    }
    const send = url.protocol === 'https:' ? secureRequest : plainRequest
    const agent = url.protocol === 'https:' ? this.#agentFor(applied, watching) : undefined
    return new Promise((resolve, reject) => {
      const auth = typeof applied['auth'] === 'string' ? { auth: applied['auth'] } : {}
      const sent = send(url, { method, headers, ...auth, ...(agent === undefined ? {} : { agent }) }, resolve)
      sent.on('error', reject)
      const forget = [signal, begun].map((each) => onAbort(each, () => sent.destroy(new Error('given up'))))
      sent.on('close', () => {
        for (const each of forget) each()
      })
      if (watching) sent.setSocketKeepAlive(true, 30_000)
      sent.end(text)
    })
  }

  #agentFor(applied: Readonly<Record<string, unknown>>, watching: boolean): Agent {
    // The one that client-node has made knows the proxy.
    if (this.#config.getCurrentCluster()?.proxyUrl !== undefined) return applied['agent'] as Agent
    const names = ['ca', 'cert', 'key', 'pfx', 'passphrase', 'rejectUnauthorized', 'servername'] as const
    const tls = Object.fromEntries(
      names.flatMap((name) => (applied[name] === undefined ? [] : [[name, applied[name]]])),
    )
    const identity = createHash('sha256')
      .update(JSON.stringify(Object.values(tls).map(String)))
      .digest('hex')
    const known = this.#agents.get(identity)
    const agents = known ?? {
      plain: new Agent({ keepAlive: true, maxSockets: mostSockets, ...tls }),
      watching: new Agent({ ...tls }),
    }
    if (known === undefined) this.#agents = new Map([[identity, agents]])
    return watching ? agents.watching : agents.plain
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    // Said by something in between; what it says may help a person.
    return { message: text.slice(0, 500) }
  }
}

async function* linesOf(response: IncomingMessage): AsyncGenerator<KubernetesWatchEvent, void, undefined> {
  let rest = ''
  response.setEncoding('utf8')
  try {
    for await (const chunk of response as AsyncIterable<string>) {
      const lines = `${rest}${chunk}`.split('\n')
      rest = lines.pop() ?? ''
      if (rest.length > largestAnswer) return
      for (const line of lines) if (line !== '') yield JSON.parse(line) as KubernetesWatchEvent
    }
  } finally {
    response.destroy()
  }
}

async function* nothing(): AsyncGenerator<KubernetesWatchEvent, void, undefined> {}
