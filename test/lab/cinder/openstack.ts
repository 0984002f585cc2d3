/** A user of the lab's cloud. */
export interface Credentials {
  readonly authUrl: string
  readonly username: string
  readonly password: string
  readonly userDomainName: 'Default'
  readonly projectName: string
  readonly projectDomainName: 'Default'
}

export interface Answer {
  readonly status: number
  readonly body: unknown
}

/** Plain requests to the lab's cloud, for what tests do behind the library's back. */
export class OpenStack {
  readonly credentials: Credentials
  readonly #keystone: string
  readonly #cinder: string
  #token: { readonly id: string; readonly project: string } | undefined

  constructor(credentials: Credentials, cinder: string) {
    this.credentials = credentials
    this.#keystone = credentials.authUrl
    this.#cinder = cinder
  }

  async token(): Promise<{ readonly id: string; readonly project: string }> {
    if (this.#token !== undefined) return this.#token
    const { username, password, projectName } = this.credentials
    const domain = { name: 'Default' }
    const response = await fetch(`${this.#keystone}/auth/tokens`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        auth: {
          identity: { methods: ['password'], password: { user: { name: username, domain, password } } },
          scope: { project: { name: projectName, domain } },
        },
      }),
    })
    if (response.status !== 201) throw new Error(`Keystone answered ${response.status}: ${await response.text()}`)
    const { token } = (await response.json()) as { token: { project: { id: string } } }
    this.#token = { id: response.headers.get('x-subject-token') ?? '', project: token.project.id }
    return this.#token
  }

  keystone(method: string, path: string, body?: object): Promise<Answer> {
    return this.#send(method, `${this.#keystone}${path}`, body)
  }

  /** To a path below the project, such as `/volumes`. */
  async cinder(method: string, path: string, body?: object, version = '3.70'): Promise<Answer> {
    const { project } = await this.token()
    return this.#send(method, `${this.#cinder}/${project}${path}`, body, {
      'openstack-api-version': `volume ${version}`,
    })
  }

  async #send(method: string, url: string, body?: object, headers: Record<string, string> = {}): Promise<Answer> {
    const { id } = await this.token()
    const response = await fetch(url, {
      method,
      headers: { 'x-auth-token': id, 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text) }
  }
}

/** The body of an answer that has to be a success. */
export function succeeded<Body>({ status, body }: Answer): Body {
  if (status >= 300) throw new Error(`The lab's cloud answered ${status}: ${JSON.stringify(body)}`)
  return body as Body
}
