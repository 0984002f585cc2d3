import { orAborted } from '../../../src/services/abortable.ts'
import { type HttpClient, httpClient } from '../../../src/services/http.ts'
import { providerName } from '../errors.ts'
import type { BlockStorageAnswer, BlockStorageClient, BlockStorageRequest } from '../options.ts'
import { addressesOf, endpointIn, requestToken, type Token } from './keystone.ts'
import type { Settings } from './settings.ts'

/** A token is not begun to be used when it ends within so many milliseconds. */
const safety = 60_000

/** Speaks to Cinder with tokens of Keystone: one token for everybody who shares it, renewed before it ends and once after a 401. */
export class Session implements BlockStorageClient {
  readonly #settings: Settings
  readonly #http: HttpClient
  readonly #now: () => number
  #token: Promise<Token> | undefined

  /** @param now milliseconds since 1970 */
  constructor(
    settings: Settings,
    http: HttpClient = httpClient({ provider: providerName, ...settings.tls }),
    now: () => number = Date.now,
  ) {
    this.#settings = settings
    this.#http = http
    this.#now = now
  }

  async send(request: BlockStorageRequest): Promise<BlockStorageAnswer> {
    const first = await this.#tokenFor(request.signal)
    const answer = await this.#ask(request, first)
    // A 401 comes before anything is done: the request may be sent again.
    if (answer.status !== 401 || this.#settings.credentials.kind === 'ready-token') return answer
    return this.#ask(request, await this.#tokenFor(request.signal, first))
  }

  async #ask(
    { method, path, versions = false, headers, body, signal }: BlockStorageRequest,
    token: Token,
  ): Promise<BlockStorageAnswer> {
    const { endpoint = endpointIn(token.catalog, this.#settings) } = this.#settings
    const addresses = addressesOf(endpoint, token.projectId)
    const answer = await this.#http.send({
      method,
      url: versions ? addresses.versions : `${addresses.project}${path}`,
      headers: { ...headers, 'x-auth-token': token.id },
      ...(body === undefined ? {} : { body }),
      signal,
    })
    return { status: answer.status, headers: answer.headers, body: bodyOf(answer) }
  }

  /** @param refused a token that Cinder did not accept */
  async #tokenFor(signal: AbortSignal | undefined, refused?: Token): Promise<Token> {
    const known = this.#token
    const held = known === undefined ? undefined : await this.#wait(known, signal)
    if (held !== undefined && held !== refused && held.expiresAt - safety > this.#now()) return held
    // Whoever notices first asks for a new one; the others wait for the same.
    const renewed = this.#token === known || this.#token === undefined ? this.#renew() : this.#token
    return this.#wait(renewed, signal)
  }

  // No caller's signal: the token is everybody's.
  #renew(): Promise<Token> {
    const pending = requestToken(this.#http, this.#settings)
    this.#token = pending
    pending.catch(() => {
      if (this.#token === pending) this.#token = undefined
    })
    return pending
  }

  #wait(pending: Promise<Token>, signal: AbortSignal | undefined): Promise<Token> {
    return orAborted(pending, signal, { layer: 'volume', outcome: 'unchanged' })
  }
}

// Errors of Cinder and of what stands before it may be text or HTML; what is judged then is the status.
function bodyOf(answer: { readonly status: number; readonly json: () => unknown }): unknown {
  if (answer.status < 400) return answer.json()
  try {
    return answer.json()
  } catch {
    return undefined
  }
}
