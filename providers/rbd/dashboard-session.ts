import type { HttpAnswer, HttpClient, HttpRequest } from '../../src/services/http.ts'
import { answerError } from './dashboard-errors.ts'
import { rbdError } from './errors.ts'
import { member, text } from './json.ts'

export interface SessionOptions {
  readonly http: HttpClient
  /** Without a slash at its end. */
  readonly base: string
  readonly username: string
  readonly password: string | (() => string | Promise<string>)
}

export interface SessionRequest {
  readonly method: HttpRequest['method']
  readonly path: string
  readonly body?: object
  readonly signal?: AbortSignal | undefined
}

/** Requests with a token, which is asked for when it is needed and again when it has ended. */
export interface Session {
  send(request: SessionRequest): Promise<HttpAnswer>
}

// Without the version the API answers with 415.
const headers = { accept: 'application/vnd.ceph.api.v1.0+json' }

export function sessionOf({ http, base, username, password }: SessionOptions): Session {
  /** One login for all who ask at the same time; theirs is not ended by the abort of one of them. */
  let token: Promise<string> | undefined

  async function login(): Promise<string> {
    const secret = typeof password === 'function' ? await password() : password
    const answer = await http.send({
      ...{ method: 'POST', url: `${base}/api/auth`, headers, readOnly: true },
      body: { username, password: secret },
    })
    const given = answer.status === 201 || answer.status === 200 ? text(member(answer.json(), 'token')) : undefined
    if (given !== undefined) return given
    if (answer.status === 400 || answer.status === 401 || answer.status === 403) {
      throw rbdError('authentication-failed', `The dashboard did not let ${username} in (status ${answer.status}).`, {
        outcome: 'unchanged',
        remedy:
          'Check the user name and the password (ceph dashboard ac-user-show), and that the password has not expired.',
      })
    }
    // Without the answer's own words: what refuses a login may repeat what it was sent.
    throw answerError({ ...answer, text: '', json: () => undefined }, 'the login', 'unchanged')
  }

  function current(): Promise<string> {
    if (token === undefined) {
      const asked = login()
      token = asked
      asked.catch(() => {
        if (token === asked) token = undefined
      })
    }
    return token
  }

  return {
    async send({ method, path, body, signal }) {
      for (let tries = 0; ; tries += 1) {
        const asked = current()
        const bearer = await asked
        const answer = await http.send({
          ...{ method, url: `${base}${path}`, signal, body },
          headers: { ...headers, authorization: `Bearer ${bearer}` },
        })
        // What was answered with 401 was not done, whatever it was.
        if (answer.status !== 401 || tries > 0) return answer
        if (token === asked) token = undefined
      }
    },
  }
}
