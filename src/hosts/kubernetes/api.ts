import { request as requestHttp } from 'node:http'
import { type RequestOptions, request as requestHttps } from 'node:https'
import type { Cluster } from './client.ts'
import { bare, messageOf, type Question, refusedError, silentError, unreachableError } from './errors.ts'

const mostBytes = 32 * 1024 * 1024

export interface ApiOptions {
  /** The host, for messages. */
  readonly id: string
  /** Milliseconds. */
  readonly timeout: number
  readonly signal: AbortSignal | undefined
}

/**
 * Reads an object of the API with the credentials of the configuration.
 *
 * @param path with its query, from `/api` on
 * @throws {VolumeExpansionError} `host-unreachable`, `authentication-failed`, `permission-denied`, `not-found`
 */
export async function getObject(
  cluster: Cluster,
  path: string,
  question: Question,
  options: ApiOptions,
): Promise<unknown> {
  const given: RequestOptions = {}
  const answer = await cluster.config
    .applyToHTTPSOptions(given)
    .then(() => fetchText(`${cluster.server}${path}`, given, options))
    .catch((error: unknown) => {
      options.signal?.throwIfAborted()
      throw unreachableError(options.id, error)
    })
  if (answer.status !== 200) {
    throw refusedError(options.id, question, { status: answer.status, message: messageOf(answer.body) })
  }
  try {
    return JSON.parse(answer.body) as unknown
  } catch (error) {
    throw unreachableError(options.id, bare(error))
  }
}

function fetchText(
  url: string,
  given: RequestOptions,
  { timeout, signal }: ApiOptions,
): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const headers = { ...given.headers, accept: 'application/json' }
    const send = url.startsWith('https:') ? requestHttps : requestHttp
    const request = send(url, { ...given, method: 'GET', headers, ...(signal === undefined ? {} : { signal }) })
    const timer = setTimeout(() => request.destroy(silentError()), timeout)
    request.once('close', () => clearTimeout(timer))
    request.once('error', reject)
    request.once('response', (response) => {
      const chunks: Uint8Array[] = []
      let length = 0
      response.on('data', (chunk: Uint8Array) => {
        length += chunk.length
        if (length > mostBytes) request.destroy(new Error('the answer is too long'))
        else chunks.push(chunk)
      })
      response.once('error', reject)
      response.once('end', () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }),
      )
    })
    request.end()
  })
}
