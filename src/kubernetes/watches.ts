import { VolumeExpansionError } from '../errors.ts'
import type { KubernetesClient, KubernetesWatchEvent } from './client.ts'
import type { ClusterServices } from './cluster.ts'
import { textAt, valueAt } from './fields.ts'
import { answerError, type RefusedClaim } from './refusals.ts'

/** Hears of every change of one claim until it is closed. */
export interface Feed {
  /** The next state of the claim; undefined when it was deleted. Rejects when the watch was refused for good. */
  next(): Promise<unknown>
  /** Idempotent. */
  close(): void
}

interface Listener {
  tell(object: unknown): void
  fail(error: unknown): void
}

const watches = new WeakMap<KubernetesClient, Map<string, NamespaceWatch>>()

/**
 * Follows one claim. All claims of a namespace that this process follows share one watch: hundreds of them cost the server as much as one. Resolves once the server
 * has accepted the watch, so that nothing that happens afterwards is missed.
 *
 * @throws {VolumeExpansionError} `permission-denied` when claims may not be watched; nothing was changed
 */
export async function followClaim(
  client: KubernetesClient,
  claim: RefusedClaim,
  resourceVersion: string,
  services: ClusterServices,
): Promise<Feed> {
  const ofClient = watches.get(client) ?? new Map<string, NamespaceWatch>()
  watches.set(client, ofClient)
  const { namespace, name } = claim
  const watch =
    ofClient.get(namespace) ?? new NamespaceWatch(client, claim, services, () => void ofClient.delete(namespace))
  ofClient.set(namespace, watch)
  return watch.follow(name, resourceVersion)
}

/** Milliseconds before a watch that broke off is begun again, doubled up to the second. */
const pause = { first: 50, longest: 5000 }

class NamespaceWatch {
  readonly #client: KubernetesClient
  readonly #claim: RefusedClaim
  readonly #services: ClusterServices
  readonly #ended: () => void
  readonly #listeners = new Map<string, Set<Listener>>()
  readonly #stop = new AbortController()
  #opening: Promise<void> | undefined
  #resourceVersion = ''

  constructor(client: KubernetesClient, claim: RefusedClaim, services: ClusterServices, ended: () => void) {
    this.#client = client
    this.#claim = claim
    this.#services = services
    this.#ended = ended
  }

  async follow(name: string, resourceVersion: string): Promise<Feed> {
    const feed = new QueuedFeed(() => this.#leave(name, feed))
    const listeners = this.#listeners.get(name) ?? new Set<Listener>()
    this.#listeners.set(name, listeners.add(feed))
    this.#opening ??= this.#begin(resourceVersion)
    try {
      await this.#opening
      return feed
    } catch (error) {
      feed.close()
      throw error
    }
  }

  #leave(name: string, listener: Listener): void {
    const listeners = this.#listeners.get(name)
    listeners?.delete(listener)
    if (listeners?.size === 0) this.#listeners.delete(name)
    if (this.#listeners.size > 0 || this.#stop.signal.aborted) return
    this.#ended()
    this.#stop.abort()
  }

  async #begin(resourceVersion: string): Promise<void> {
    this.#resourceVersion = resourceVersion
    const first = await this.#open()
    void this.#go(first).catch((error: unknown) => this.#failAll(error))
  }

  async #go(first: AsyncIterable<KubernetesWatchEvent>): Promise<void> {
    let events = first
    let wait = pause.first
    while (!this.#stop.signal.aborted) {
      try {
        for await (const event of events) {
          wait = pause.first
          if (!this.#hear(event)) break
        }
      } catch {
        // Broken off: what was missed comes with the next one, which goes on where this one was.
      }
      if (this.#stop.signal.aborted) return
      // The services are those of the first who came; only the time is asked of them, not whether it still runs.
      await this.#services.clock.sleep(wait * (0.5 + this.#services.random() / 2))
      wait = Math.min(wait * 2, pause.longest)
      if (this.#stop.signal.aborted) return
      events = await this.#open().catch((error: unknown) => {
        if (error instanceof VolumeExpansionError && error.retryable) return none()
        throw error
      })
    }
  }

  async #open(): Promise<AsyncIterable<KubernetesWatchEvent>> {
    const { namespace } = this.#claim
    const path = `/api/v1/namespaces/${namespace}/persistentvolumeclaims`
    const from = this.#resourceVersion === '' ? {} : { resourceVersion: this.#resourceVersion }
    const query = { allowWatchBookmarks: 'true', ...from }
    const answer = await this.#client.watch({ path, query, signal: this.#stop.signal }).catch((cause: unknown) => {
      throw new VolumeExpansionError('backend-unreachable', `${this.#client.server} could not be watched.`, {
        ...{ layer: 'claim', outcome: 'unchanged', retryable: true, cause },
        remedy: 'Check whether the API server runs, and whether something in between ends long requests.',
      })
    })
    if (answer.status === 410) {
      this.#resourceVersion = ''
      return none()
    }
    if (answer.status >= 300) throw answerError(answer, `watch ${path}`, 'unchanged', this.#claim)
    return answer.events
  }

  /** Whether the watch goes on. */
  #hear({ type, object }: KubernetesWatchEvent): boolean {
    if (type === 'ERROR') {
      // 410: what happened since is forgotten. A watch without a version begins with every claim as it is now.
      if (valueAt(object, 'code') === 410) this.#resourceVersion = ''
      return false
    }
    this.#resourceVersion = textAt(object, 'metadata', 'resourceVersion') ?? this.#resourceVersion
    if (type === 'BOOKMARK') return true
    for (const listener of this.#listeners.get(textAt(object, 'metadata', 'name') ?? '') ?? []) {
      listener.tell(type === 'DELETED' ? undefined : object)
    }
    return true
  }

  #failAll(error: unknown): void {
    for (const listeners of this.#listeners.values()) for (const listener of listeners) listener.fail(error)
    this.#ended()
    this.#stop.abort()
  }
}

class QueuedFeed implements Feed, Listener {
  readonly #queue: unknown[] = []
  readonly #leave: () => void
  #waiting: { readonly resolve: (object: unknown) => void; readonly reject: (error: unknown) => void } | undefined
  #failed: { readonly error: unknown } | undefined

  constructor(leave: () => void) {
    this.#leave = leave
  }

  tell(object: unknown): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    if (waiting === undefined) this.#queue.push(object)
    else waiting.resolve(object)
  }

  fail(error: unknown): void {
    this.#failed = { error }
    this.#waiting?.reject(error)
  }

  next(): Promise<unknown> {
    if (this.#queue.length > 0) return Promise.resolve(this.#queue.shift())
    if (this.#failed !== undefined) return Promise.reject(this.#failed.error)
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
    })
  }

  close(): void {
    this.#leave()
  }
}

async function* none(): AsyncGenerator<KubernetesWatchEvent, void, undefined> {}
