import type {
  KubernetesAnswer,
  KubernetesClient,
  KubernetesRequest,
  KubernetesWatchEvent,
} from '../kubernetes/client.ts'
import { isRecord, type KubernetesObject, textAt, valueAt } from '../kubernetes/fields.ts'

export interface MemoryClusterOptions {
  /** Left out: `v1.34.0`. Up to 1.10, `dryRun` is ignored and everything persists, as it was. */
  readonly version?: string
  /** Whether answers carry the headers of priority and fairness. Left out: from 1.20 on. */
  readonly headers?: boolean
  /** Answers a request in the place of the cluster; undefined leaves it to the cluster. */
  readonly answer?: (request: KubernetesRequest) => KubernetesAnswer | undefined
}

/**
 * A cluster without a cluster: objects in memory, behind the client that `claim()` takes. It keeps versions, patches (JSON merge patches; lists of conditions merge by
 * type), dry runs and watches, and nothing else: no admission, no controllers. For tests of programs that use this library.
 */
export interface MemoryCluster extends KubernetesClient {
  /** Everything that was sent: `PATCH /api/v1/…?dryRun=All`. */
  readonly requests: readonly string[]
  /** The object at a path; undefined when there is none. */
  get(path: string): KubernetesObject | undefined
  /** Makes or replaces an object, as somebody else would; watches hear of it. */
  set(path: string, object: KubernetesObject): void
  delete(path: string): void
  /** Changes an object by a merge patch, as somebody else would. */
  change(path: string, patch: KubernetesObject): void
  /** Calls back for every object that was changed through the client. */
  onChange(listener: (path: string, object: KubernetesObject) => void): void
  /** Ends all watches, as a server that restarts does. With `forgotten`, what happened before is not told any more (410). */
  endWatches(options?: { readonly forgotten?: boolean }): void
}

interface Watcher {
  readonly path: string
  push(event: KubernetesWatchEvent | undefined): void
}

export function memoryCluster(options: MemoryClusterOptions = {}): MemoryCluster {
  return new Memory(options)
}

class Memory implements MemoryCluster {
  readonly server: string
  readonly requests: string[] = []
  readonly #options: MemoryClusterOptions
  readonly #objects = new Map<string, KubernetesObject>()
  readonly #watchers = new Set<Watcher>()
  readonly #history: { readonly version: number; readonly path: string; readonly event: KubernetesWatchEvent }[] = []
  readonly #listeners: ((path: string, object: KubernetesObject) => void)[] = []
  #version = 100
  #forgottenUntil = 0
  static #count = 0

  constructor(options: MemoryClusterOptions) {
    Memory.#count += 1
    this.server = `https://memory-${Memory.#count}.invalid`
    this.#options = options
  }

  get(path: string): KubernetesObject | undefined {
    return this.#objects.get(path)
  }

  set(path: string, object: KubernetesObject): void {
    this.#store(path, object, this.#objects.has(path) ? 'MODIFIED' : 'ADDED')
  }

  delete(path: string): void {
    const object = this.#objects.get(path)
    if (object === undefined) return
    this.#objects.delete(path)
    this.#version += 1
    this.#tell(path, { type: 'DELETED', object })
  }

  change(path: string, patch: KubernetesObject): void {
    const object = this.#objects.get(path)
    if (object === undefined) throw new Error(`There is no ${path}.`)
    this.#store(path, merged(object, patch), 'MODIFIED')
  }

  onChange(listener: (path: string, object: KubernetesObject) => void): void {
    this.#listeners.push(listener)
  }

  endWatches({ forgotten = false }: { readonly forgotten?: boolean } = {}): void {
    if (forgotten) this.#forgottenUntil = this.#version
    for (const watcher of [...this.#watchers]) watcher.push(undefined)
  }

  async send(request: KubernetesRequest): Promise<KubernetesAnswer> {
    const { method, path, query = {} } = request
    this.requests.push(shown(method, path, query))
    request.signal?.throwIfAborted()
    return this.#options.answer?.(request) ?? { ...this.#answer(request), headers: this.#headers() }
  }

  async watch(
    request: Omit<KubernetesRequest, 'method' | 'body' | 'contentType'>,
  ): Promise<KubernetesAnswer & { readonly events: AsyncIterable<KubernetesWatchEvent> }> {
    const { path, query = {}, signal } = request
    this.requests.push(shown('WATCH', path, {}))
    const refused = this.#options.answer?.({ ...request, method: 'GET', query: { ...query, watch: 'true' } })
    if (refused !== undefined) return { ...refused, events: sequence([]) }
    const from = query['resourceVersion']
    if (from !== undefined && Number(from) < this.#forgottenUntil) {
      const gone: KubernetesWatchEvent = { type: 'ERROR', object: { kind: 'Status', code: 410 } }
      return { status: 200, body: undefined, events: sequence([gone]) }
    }
    const missed =
      from === undefined
        ? [...this.#objects].filter(([each]) => isBelow(each, path)).map(([, object]) => ({ type: 'ADDED', object }))
        : this.#history
            .filter((entry) => entry.version > Number(from) && isBelow(entry.path, path))
            .map(({ event }) => event)
    return { status: 200, body: undefined, events: this.#follow(path, missed, signal) }
  }

  #follow(
    path: string,
    missed: readonly KubernetesWatchEvent[],
    signal: AbortSignal | undefined,
  ): AsyncIterable<KubernetesWatchEvent> {
    const queue: (KubernetesWatchEvent | undefined)[] = [...missed]
    let wake: () => void = () => {}
    const watcher: Watcher = {
      path,
      push(event) {
        queue.push(event)
        wake()
      },
    }
    this.#watchers.add(watcher)
    const end = (): void => watcher.push(undefined)
    if (signal?.aborted === true) end()
    signal?.addEventListener('abort', end, { once: true })
    const watchers = this.#watchers
    return {
      async *[Symbol.asyncIterator](): AsyncGenerator<KubernetesWatchEvent, void, undefined> {
        try {
          for (;;) {
            while (queue.length === 0) {
              await new Promise<void>((resolve) => {
                wake = resolve
              })
            }
            const event = queue.shift()
            if (event === undefined) return
            yield event
          }
        } finally {
          watchers.delete(watcher)
          signal?.removeEventListener('abort', end)
        }
      },
    }
  }

  #answer({ method, path, query = {}, body }: KubernetesRequest): KubernetesAnswer {
    if (path === '/version') return { status: 200, body: { gitVersion: this.#gitVersion } }
    if (path.endsWith('/selfsubjectaccessreviews')) return { status: 201, body: { status: { allowed: true } } }
    const subresource = /\/(status|scale)$/.exec(path)?.[0] ?? ''
    const key = path.slice(0, path.length - subresource.length)
    if (method === 'POST') return this.#create(key, body)
    const object = this.#objects.get(key)
    if (object === undefined) {
      // A list, of whatever is below.
      if (method === 'GET' && /s$/.test(key)) return { status: 200, body: { kind: 'List', items: this.#below(key) } }
      return failed(404, `${key} not found`)
    }
    if (method === 'GET') return { status: 200, body: object }
    if (method === 'DELETE') {
      this.delete(key)
      return { status: 200, body: { kind: 'Status' } }
    }
    return this.#patch(key, object, body, subresource, query['dryRun'] !== undefined)
  }

  #create(path: string, body: unknown): KubernetesAnswer {
    const name = textAt(body, 'metadata', 'name')
    if (!isRecord(body) || name === undefined) return failed(422, 'metadata.name: Required value')
    const key = `${path}/${name}`
    if (this.#objects.has(key)) return failed(409, `${name} already exists`)
    this.#version += 1
    const metadata = { ...(valueAt(body, 'metadata') as KubernetesObject), uid: `uid-${this.#version}` }
    const object = this.#store(key, { ...body, metadata }, 'ADDED')
    return { status: 201, body: object }
  }

  #patch(
    path: string,
    object: KubernetesObject,
    body: unknown,
    subresource: string,
    dryRun: boolean,
  ): KubernetesAnswer {
    if (!isRecord(body)) return failed(400, 'a patch is an object')
    for (const key of ['resourceVersion', 'uid'] as const) {
      const expected = textAt(body, 'metadata', key)
      if (expected !== undefined && expected !== textAt(object, 'metadata', key)) {
        return failed(
          409,
          'the object has been modified; please apply your changes to the latest version and try again',
        )
      }
    }
    // What is sent to the wrong resource is ignored without a word.
    const part = subresource === '/status' ? ['status'] : Object.keys(body).filter((key) => key !== 'status')
    const patch = Object.fromEntries(Object.entries(body).filter(([key]) => part.includes(key)))
    const result = merged(object, patch)
    if (dryRun && this.#knowsDryRun) return { status: 200, body: result }
    const stored = this.#store(path, result, 'MODIFIED')
    for (const listener of this.#listeners) listener(path, stored)
    return { status: 200, body: stored }
  }

  #store(path: string, object: KubernetesObject, type: string): KubernetesObject {
    this.#version += 1
    const name = path.slice(path.lastIndexOf('/') + 1)
    const metadata = {
      ...{ name, uid: `uid-${this.#version}` },
      ...(valueAt(object, 'metadata') as KubernetesObject | undefined),
      resourceVersion: `${this.#version}`,
    }
    const stored = { ...object, metadata }
    this.#objects.set(path, stored)
    this.#tell(path, { type, object: stored })
    return stored
  }

  #tell(path: string, event: KubernetesWatchEvent): void {
    this.#history.push({ version: this.#version, path, event })
    for (const watcher of this.#watchers) if (isBelow(path, watcher.path)) watcher.push(event)
  }

  #below(path: string): readonly KubernetesObject[] {
    return [...this.#objects].filter(([each]) => isBelow(each, path)).map(([, object]) => object)
  }

  get #gitVersion(): string {
    return this.#options.version ?? 'v1.34.0'
  }

  get #minor(): number {
    return Number(/^v?1\.(\d+)/.exec(this.#gitVersion)?.[1] ?? 0)
  }

  get #knowsDryRun(): boolean {
    return this.#minor >= 13
  }

  #headers(): Readonly<Record<string, string>> {
    return (this.#options.headers ?? this.#minor >= 20) ? { 'x-kubernetes-pf-flowschema-uid': 'memory' } : {}
  }
}

function isBelow(path: string, parent: string): boolean {
  return path.startsWith(`${parent}/`) && !path.slice(parent.length + 1).includes('/')
}

function failed(code: number, message: string): KubernetesAnswer {
  return { status: code, body: { kind: 'Status', status: 'Failure', code, message } }
}

/** RFC 7396, with conditions merged by their types as a strategic merge patch does. */
function merged(object: KubernetesObject, patch: KubernetesObject): KubernetesObject {
  const result: Record<string, unknown> = { ...object }
  for (const [key, value] of Object.entries(patch)) {
    const before = result[key]
    if (value === null) delete result[key]
    else if (key === 'conditions' && Array.isArray(value)) result[key] = mergedConditions(before, value)
    else if (isRecord(value)) result[key] = merged(isRecord(before) ? before : {}, value)
    else result[key] = value
  }
  return result
}

function mergedConditions(before: unknown, patch: readonly unknown[]): readonly unknown[] {
  const types = new Set(patch.map((entry) => textAt(entry, 'type')))
  const kept = (Array.isArray(before) ? before : []).filter((entry) => !types.has(textAt(entry, 'type')))
  return [...kept, ...patch.filter((entry) => valueAt(entry, '$patch') !== 'delete')]
}

function shown(method: string, path: string, query: Readonly<Record<string, string>>): string {
  const text = new URLSearchParams(query).toString()
  return text === '' ? `${method} ${path}` : `${method} ${path}?${text}`
}

async function* sequence(
  events: readonly KubernetesWatchEvent[],
): AsyncGenerator<KubernetesWatchEvent, void, undefined> {
  yield* events
}
