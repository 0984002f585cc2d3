import type { Clock, Random } from '../clock.ts'
import { abortedError, type Outcome, VolumeExpansionError } from '../errors.ts'
import { defaultPause, Pacer } from '../services/pacing.ts'
import { retrying } from '../services/retry.ts'
import type { KubernetesAnswer, KubernetesClient, KubernetesRequest } from './client.ts'
import { textAt } from './fields.ts'
import { answerError, type RefusedClaim } from './refusals.ts'

const mergePatch = 'application/merge-patch+json'
export const strategicPatch = 'application/strategic-merge-patch+json'

/**
 * What one process sends at the most. The server's priority and fairness gives a user that is nobody special some tens of requests at once and queues the rest;
 * at this pace, a fleet of hundreds of claims neither fills the queue nor starves others who share it.
 */
const pace = { burst: 50, perSecond: 50 }

const pacers = new WeakMap<Clock, Map<string, Pacer>>()

function pacerOf(clock: Clock, server: string): Pacer {
  const ofClock = pacers.get(clock) ?? new Map<string, Pacer>()
  pacers.set(clock, ofClock)
  const pacer = ofClock.get(server) ?? new Pacer(pace, clock)
  ofClock.set(server, pacer)
  return pacer
}

/** What the run brings. */
export interface ClusterServices {
  readonly clock: Clock
  readonly random: Random
  readonly signal: AbortSignal
}

export interface ServerVersion {
  readonly major: number
  readonly minor: number
  /** `v1.20.2`. */
  readonly text: string
}

/** What a server is known to do, remembered as long as its client is: a server does not lose abilities while it runs. */
const honoursDryRun = new WeakMap<KubernetesClient, Promise<boolean>>()
const versions = new WeakMap<KubernetesClient, Promise<ServerVersion>>()

/** One claim's way to the API server: paced with everybody else of this process, repeated by the kind of failure. */
export class ClusterAccess {
  readonly client: KubernetesClient
  readonly #services: ClusterServices
  readonly #claim: RefusedClaim
  readonly #pacer: Pacer

  constructor(client: KubernetesClient, services: ClusterServices, claim: RefusedClaim) {
    this.client = client
    this.#services = services
    this.#claim = claim
    this.#pacer = pacerOf(services.clock, client.server)
  }

  /** The same way with another signal. */
  with(services: ClusterServices): ClusterAccess {
    return new ClusterAccess(this.client, services, this.#claim)
  }

  /** @throws {VolumeExpansionError} for every status that is a failure, with outcome `unchanged` */
  async get(path: string, query?: Readonly<Record<string, string>>): Promise<unknown> {
    const answer = await this.answer({ method: 'GET', path, ...(query && { query }) })
    if (answer.status < 300) return answer.body
    throw answerError(answer, `GET ${path}`, 'unchanged', this.#claim)
  }

  /** The object; undefined when it may not be seen or is not there. */
  async look(path: string, query?: Readonly<Record<string, string>>): Promise<unknown> {
    const answer = await this.answer({ method: 'GET', path, ...(query && { query }) })
    if (answer.status < 300) return answer.body
    if (answer.status === 403 || answer.status === 404) return undefined
    throw answerError(answer, `GET ${path}`, 'unchanged', this.#claim)
  }

  /** Any answer but one that is worth another try. Mutations are repeated after a lost answer only when they are idempotent, which all of this library are. */
  async answer(request: KubernetesRequest): Promise<KubernetesAnswer> {
    const { clock, random, signal } = this.#services
    const isRead = request.method === 'GET' || request.query?.['dryRun'] !== undefined
    const lost: Outcome = isRead ? 'unchanged' : 'unknown'
    let epoch = 0
    return retrying(
      async () => {
        epoch = await this.#pacer.take(signal)
        const answer = await this.#send({ ...request, signal }, lost)
        this.#learn(answer)
        const { status } = answer
        if (status === 429 || status >= 500) {
          throw answerError(
            answer,
            `${request.method} ${request.path}`,
            status === 429 ? 'unchanged' : lost,
            this.#claim,
          )
        }
        return answer
      },
      {
        ...{ clock, random, signal, layer: 'claim' },
        onThrottled: (error) => this.#pacer.slowDown(error.retryAfter ?? defaultPause, epoch),
      },
    )
  }

  async patch(
    path: string,
    body: unknown,
    { contentType = mergePatch, dryRun = false }: { readonly contentType?: string; readonly dryRun?: boolean } = {},
  ): Promise<KubernetesAnswer> {
    return this.answer({ method: 'PATCH', path, body, contentType, ...(dryRun ? { query: { dryRun: 'All' } } : {}) })
  }

  /**
   * Whether the server only pretends when it is asked to: up to Kubernetes 1.10 it ignores `dryRun` and persists, 1.11 rejects it, 1.12 has it off; it is on from
   * 1.13 (kubernetes/kubernetes#63557, #69449). A header that came with priority and fairness (1.18) answers it without a request.
   */
  async honoursDryRun(): Promise<boolean> {
    const known = honoursDryRun.get(this.client)
    if (known !== undefined) return known
    return isAtLeast(await this.version(), 1, 13)
  }

  version(): Promise<ServerVersion> {
    const known = versions.get(this.client)
    if (known !== undefined) return known
    const asked = this.get('/version').then(versionOf)
    versions.set(this.client, asked)
    asked.catch(() => versions.delete(this.client))
    return asked
  }

  #learn({ headers = {} }: KubernetesAnswer): void {
    if (headers['x-kubernetes-pf-flowschema-uid'] !== undefined) honoursDryRun.set(this.client, Promise.resolve(true))
  }

  async #send(request: KubernetesRequest, lost: Outcome): Promise<KubernetesAnswer> {
    try {
      return await this.client.send(request)
    } catch (cause) {
      if (this.#services.signal.aborted) throw abortedError(this.#services.signal, 'claim', lost)
      if (cause instanceof VolumeExpansionError) throw cause
      const reason =
        cause instanceof Error ? ((cause as { readonly code?: unknown }).code ?? cause.message) : 'no reason'
      throw new VolumeExpansionError(
        'backend-unreachable',
        `${this.client.server} could not be reached for ${request.method} ${request.path}: ${String(reason)}`,
        {
          ...{ layer: 'claim', outcome: lost, retryable: true, cause },
          remedy: 'Check the address and the certificate in the kubeconfig, and whether the API server runs.',
        },
      )
    }
  }
}

function versionOf(body: unknown): ServerVersion {
  const text = textAt(body, 'gitVersion') ?? ''
  const match = /^v?(\d+)\.(\d+)/.exec(text)
  // Unknown is as good as very old: nothing is tried that such a server could take for something else.
  return {
    major: Number(match?.[1] ?? 0),
    minor: Number(match?.[2] ?? 0),
    text: text === '' ? 'of an unknown version' : text,
  }
}

export function isAtLeast(version: ServerVersion, major: number, minor: number): boolean {
  return version.major > major || (version.major === major && version.minor >= minor)
}
