import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:https'
import type { Certificate } from './certificates.ts'

export type ApiObject = { readonly [key: string]: unknown }

export interface ApiAnswer {
  readonly status: number
  readonly body: ApiObject
}

export const patchTypes = {
  json: 'application/json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
} as const

/** Speaks to the API server as one user. Independent of the library, so that tests do not judge it by itself. */
export class Api {
  readonly server: string
  readonly #agent: Agent

  constructor(server: string, authority: string, { cert, key }: Certificate) {
    this.server = server
    const read = (path: string): Buffer => readFileSync(path)
    this.#agent = new Agent({ keepAlive: true, ca: read(authority), cert: read(cert), key: read(key) })
  }

  /** Any answer, whatever its status. */
  send(method: string, path: string, body?: unknown, contentType: string = patchTypes.json): Promise<ApiAnswer> {
    return new Promise((resolve, reject) => {
      const headers = body === undefined ? {} : { 'content-type': contentType }
      const sent = request(`${this.server}${path}`, { method, agent: this.#agent, headers }, (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (part: string) => {
          text += part
        })
        response.on('error', reject)
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: parsed(text) }))
      })
      sent.on('error', reject)
      sent.end(body === undefined ? undefined : JSON.stringify(body))
    })
  }

  async get(path: string): Promise<ApiObject> {
    return expectOk(path, await this.send('GET', path))
  }

  /** Creates it, or leaves the one that is there. */
  async create(path: string, body: ApiObject): Promise<ApiObject> {
    const answer = await this.send('POST', path, body)
    return answer.status === 409 ? answer.body : expectOk(path, answer)
  }

  async patch(path: string, body: unknown, contentType: string = patchTypes.merge): Promise<ApiObject> {
    return expectOk(path, await this.send('PATCH', path, body, contentType))
  }

  async delete(path: string): Promise<void> {
    const { status, body } = await this.send('DELETE', path)
    if (status >= 400 && status !== 404) throw new Error(`DELETE ${path}: ${status} ${JSON.stringify(body)}`)
  }

  close(): void {
    this.#agent.destroy()
  }
}

function expectOk(path: string, { status, body }: ApiAnswer): ApiObject {
  if (status < 400) return body
  throw new Error(`${path}: ${status} ${String(body['message'] ?? JSON.stringify(body))}`)
}

function parsed(text: string): ApiObject {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as ApiObject) : { text }
  } catch {
    return { text }
  }
}
