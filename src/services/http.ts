import { type IncomingHttpHeaders, type IncomingMessage, Agent as PlainAgent, request as plainRequest } from 'node:http'
import { Agent as SecureAgent, request as secureRequest } from 'node:https'
import { onAbort } from '../abort.ts'
import { abortedError, type Outcome, VolumeExpansionError } from '../errors.ts'
import { textOf } from './response.ts'

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly url: string | URL
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as JSON; a string is sent as it is. */
  readonly body?: unknown
  /** Whether it changes nothing, whatever its method: a lost answer then leaves nothing unknown. Left out: only GET. */
  readonly readOnly?: boolean
  /** Milliseconds until the whole answer has to be there. Left out: the client's. */
  readonly timeout?: number
  readonly signal?: AbortSignal | undefined
}

/** An answer of any status: what a status means is the provider's to say. Redirects are not followed. */
export interface HttpAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  /**
   * The body as JSON; undefined when it is empty.
   * @throws {VolumeExpansionError} `backend-unreachable`, retryable, when it is not JSON: cut off, or said by something in between
   */
  json(): unknown
}

/** The port that providers speak HTTP through. */
export interface HttpClient {
  /**
   * @throws {VolumeExpansionError} `backend-unreachable`, `timeout`, `aborted`. The outcome is `unchanged` for what changes nothing and for what was never sent,
   * otherwise `unknown`. Retryable, except for a certificate that is not trusted.
   */
  send(request: HttpRequest): Promise<HttpAnswer>
  /** Ends idle connections. Idempotent; it can be used again. */
  close(): void
}

export interface HttpClientOptions {
  /** The provider's name, for errors. */
  readonly provider: string
  /** Milliseconds for one request. Left out: 30 000. */
  readonly timeout?: number | undefined
  /** Certificates (PEM) of authorities to trust instead of the well-known ones. */
  readonly ca?: string | undefined
  /** Certificate and key (PEM) to show to the server. */
  readonly cert?: string | undefined
  readonly key?: string | undefined
  /** Speaks to a server whose certificate nobody vouches for. Left out: never. */
  readonly insecure?: boolean | undefined
}

/** One client with connections that are kept alive, and that do not keep the process alive. */
export function httpClient(options: HttpClientOptions): HttpClient {
  const { provider, timeout: usualTimeout = 30_000, ca, cert, key, insecure = false } = options
  const tls = { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }), rejectUnauthorized: !insecure }
  const plain = new PlainAgent({ keepAlive: true })
  const secure = new SecureAgent({ keepAlive: true, ...tls })

  const attempt = (given: HttpRequest, url: URL): Promise<HttpAnswer | 'stale connection'> =>
    new Promise((resolve, reject) => {
      const { method, signal, timeout = usualTimeout } = given
      const isRead = given.readOnly ?? method === 'GET'
      const body = bodyOf(given.body)
      const headers = {
        accept: 'application/json',
        ...(body === undefined ? {} : { 'content-type': 'application/json', 'content-length': `${body.byteLength}` }),
        ...given.headers,
      }
      let connected = false
      const outcome = (): Outcome => (isRead || !connected ? 'unchanged' : 'unknown')
      const request =
        url.protocol === 'https:'
          ? secureRequest(url, { method, headers, agent: secure })
          : plainRequest(url, { method, headers, agent: plain })
      const forget = onAbort(signal, () => fail(abortedError(signal ?? AbortSignal.abort(), 'volume', outcome())))
      const timer = setTimeout(() => fail(late(provider, url, timeout, outcome())), timeout)
      const done = (): void => {
        forget()
        clearTimeout(timer)
      }
      const fail = (error: VolumeExpansionError): void => {
        done()
        reject(error)
        request.destroy()
      }
      request.once('socket', (socket) => {
        connected = !socket.connecting
        // A kept connection never connects again: a listener for that would stay on it for ever.
        if (connected) return
        // Over TLS nothing of the request is sent before the server has shown who it is.
        socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', () => {
          connected = true
        })
      })
      request.once('error', (error) => {
        done()
        // The server had closed a kept connection: it never saw the request, which is certain enough for what changes nothing only.
        if (isRead && request.reusedSocket && codeOf(error) === 'ECONNRESET') resolve('stale connection')
        else reject(unreachable(provider, url, error, outcome()))
      })
      request.once('response', (response) => {
        textOf(response).then(
          (text) => {
            done()
            resolve(answerOf(response, text, provider, url, outcome()))
          },
          (error: unknown) => fail(unreachable(provider, url, error, outcome())),
        )
      })
      request.end(body)
    })

  return {
    async send(given) {
      const { signal } = given
      if (signal?.aborted) throw abortedError(signal, 'volume', 'unchanged')
      const url = urlOf(given.url, provider)
      for (;;) {
        const answer = await attempt(given, url)
        if (answer !== 'stale connection') return answer
      }
    },
    close() {
      plain.destroy()
      secure.destroy()
    },
  }
}

/** Milliseconds that a `Retry-After` header asks for (RFC 9110, 10.2.3): seconds, or a date. Undefined when there is none that can be read. */
export function retryAfterOf(headers: IncomingHttpHeaders, now: number = Date.now()): number | undefined {
  const text = headers['retry-after']
  if (text === undefined) return undefined
  if (/^\d+$/.test(text)) return Number(text) * 1000
  const at = Date.parse(text)
  return Number.isNaN(at) ? undefined : Math.max(0, at - now)
}

function urlOf(given: string | URL, provider: string): URL {
  const url = URL.canParse(`${given}`) ? new URL(given) : undefined
  if (url !== undefined && /^https?:$/.test(url.protocol)) return url
  throw new VolumeExpansionError('invalid-request', `${provider} was given an address that is no http or https URL.`, {
    ...{ layer: 'volume', provider, outcome: 'unchanged' },
    remedy: 'Give the endpoint with its scheme, such as https://host:port/.',
  })
}

function bodyOf(body: unknown): Buffer | undefined {
  if (body === undefined) return undefined
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
}

function answerOf(
  { statusCode = 0, headers }: IncomingMessage,
  text: string,
  provider: string,
  url: URL,
  outcome: Outcome,
): HttpAnswer {
  return {
    ...{ status: statusCode, headers, text },
    json() {
      if (text.trim() === '') return undefined
      try {
        return JSON.parse(text) as unknown
      } catch (cause) {
        throw new VolumeExpansionError(
          'backend-unreachable',
          `${shown(url)} answered with status ${statusCode} and something that is not JSON.`,
          {
            ...{ layer: 'volume', provider, outcome, retryable: true, cause },
            remedy: 'See whether the address is that of the API, and what stands between here and there.',
          },
        )
      }
    },
  }
}

/** Queries and credentials in a URL may be secret. */
function shown(url: URL): string {
  return `${url.origin}${url.pathname}`
}

// Names that OpenSSL and Node.js give to a certificate that does not hold.
const untrusted = /^(ERR_TLS_|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|ERR_SSL_WRONG_VERSION)/

function unreachable(provider: string, url: URL, cause: unknown, outcome: Outcome): VolumeExpansionError {
  const code = codeOf(cause)
  const reason = code ?? (cause instanceof Error ? cause.message : 'for an unknown reason')
  const isUntrusted = code !== undefined && untrusted.test(code)
  return new VolumeExpansionError('backend-unreachable', `${shown(url)} could not be reached: ${reason}.`, {
    ...{ layer: 'volume', provider, outcome, retryable: !isUntrusted, cause },
    remedy: isUntrusted
      ? 'Give the certificate of the authority that signed the server’s, and check that the address is the right one.'
      : 'Check the address, the network between here and there, and whether the service runs.',
  })
}

function late(provider: string, url: URL, timeout: number, outcome: Outcome): VolumeExpansionError {
  return new VolumeExpansionError('timeout', `${shown(url)} did not answer within ${timeout / 1000} s.`, {
    ...{ layer: 'volume', provider, outcome, retryable: true },
    remedy: 'Check whether the service is overloaded. Run it again: it observes first and does only what is left.',
  })
}

function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}
