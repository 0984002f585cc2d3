import { VolumeExpansionError } from '../../src/errors.ts'
import { type HttpAnswer, type HttpClient, httpClient, retryAfterOf } from '../../src/services/http.ts'
import { type GceCredentials, tokenSource } from './auth.ts'
import { bodyFailure, callError, type FailureContext, fieldOf, type NativeFailure } from './errors.ts'
import { type Place, placePath } from './refs.ts'

/** The collections of the API that the provider uses. */
export type Collection = 'disks' | 'diskTypes' | 'instances' | 'operations' | 'snapshots'

/** One call of the API, in a form that a REST client and the official one can both send. */
export interface ComputeCall {
  readonly collection: Collection
  readonly verb: 'get' | 'list' | 'resize' | 'update' | 'createSnapshot' | 'wait'
  readonly project: string
  /** Left out for what is global. */
  readonly place?: Place
  /** Left out for lists. */
  readonly name?: string
  readonly query?: Readonly<Record<string, string>>
  readonly body?: Readonly<Record<string, unknown>>
  /** Milliseconds for this call alone. */
  readonly timeout?: number
  readonly signal?: AbortSignal | undefined
}

/** The port that the provider speaks through. */
export interface ComputeClient {
  /** What tells this client's scopes from another's. */
  readonly id: string
  /** Sends one call and returns the resource, operation or page. @throws {VolumeExpansionError} */
  send(call: ComputeCall, context: FailureContext): Promise<unknown>
}

export interface RestOptions {
  readonly id: string
  /** Left out: https://compute.googleapis.com. */
  readonly endpoint?: string | undefined
  readonly credentials?: GceCredentials | undefined
  /** For tests. */
  readonly http?: HttpClient | undefined
}

export const defaultEndpoint = 'https://compute.googleapis.com'

/** The provider's own client: a few requests of the REST API (https://cloud.google.com/compute/docs/reference/rest/v1) over one HTTP client. */
export function restClient(options: RestOptions): ComputeClient {
  const { id, endpoint = defaultEndpoint, credentials } = options
  const http = options.http ?? httpClient({ provider: 'gce-pd' })
  const token = tokenSource(credentials)
  const base = endpoint.replace(/\/+$/, '')

  async function attempt(call: ComputeCall, authorization: string): Promise<HttpAnswer> {
    const { verb, timeout, signal, body } = call
    const readOnly = isRead(call)
    return await http.send({
      method: verb === 'update' ? 'PATCH' : verb === 'get' || verb === 'list' ? 'GET' : 'POST',
      url: `${base}${pathOf(call)}`,
      headers: { authorization: `Bearer ${authorization}` },
      ...{ readOnly, signal },
      ...(body === undefined ? {} : { body }),
      ...(timeout === undefined ? {} : { timeout }),
    })
  }

  return {
    id,
    async send(call, context) {
      const first = await token()
      let answer = await attempt(call, first)
      if (answer.status === 401) {
        // A token may have run out on the way, or by another clock than ours; the same one again would change nothing.
        const fresh = await token()
        if (fresh !== first) answer = await attempt(call, fresh)
      }
      if (answer.status >= 200 && answer.status < 300) return answer.json()
      const failure = failureOf(answer)
      throw callError(failure, context, new Error(failure.message))
    },
  }
}

export function isRead({ verb }: ComputeCall): boolean {
  return verb === 'get' || verb === 'list' || verb === 'wait'
}

function pathOf({ collection, verb, project, place, name, query = {} }: ComputeCall): string {
  const where = place === undefined ? 'global' : placePath(place)
  const action = ['get', 'list', 'update'].includes(verb) ? [] : [verb]
  const path = ['projects', project, ...where.split('/'), collection, ...(name === undefined ? [] : [name]), ...action]
  const search = new URLSearchParams(query).toString()
  return `/compute/v1/${path.map(encodeURIComponent).join('/')}${search === '' ? '' : `?${search}`}`
}

function failureOf(answer: HttpAnswer): NativeFailure {
  const after = retryAfterOf(answer.headers)
  const body = bodyOf(answer)
  return {
    status: answer.status,
    message: body?.message ?? `the answer was ${answer.status}`,
    ...(body?.reason === undefined ? {} : { reason: body.reason }),
    ...(after === undefined ? {} : { retryAfter: after }),
  }
}

function bodyOf(answer: HttpAnswer): ReturnType<typeof bodyFailure> {
  try {
    return bodyFailure(answer.json())
  } catch (thrown) {
    // Something in between answered with a page; the status says enough.
    if (thrown instanceof VolumeExpansionError) return undefined
    throw thrown
  }
}

/** The entries of a page of a list, and the token of the next one. */
export function pageOf(answer: unknown): { readonly items: readonly unknown[]; readonly next?: string } {
  const items = fieldOf(answer, 'items')
  const next = fieldOf(answer, 'nextPageToken')
  return {
    items: Array.isArray(items) ? items : [],
    ...(typeof next === 'string' && next !== '' ? { next } : {}),
  }
}
