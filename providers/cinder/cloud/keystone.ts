import { type HttpAnswer, type HttpClient, retryAfterOf } from '../../../src/services/http.ts'
import { failure, misconfigured } from '../errors.ts'
import { type Fields, fieldsOf, listOf, textOf, timeOf } from '../json.ts'
import type { Credentials, Interface, Named, Settings } from './settings.ts'

/** A token of Keystone, with what came with it. */
export interface Token {
  readonly id: string
  /** Milliseconds since 1970; infinite for a token of which that is not known. */
  readonly expiresAt: number
  readonly projectId: string | undefined
  readonly catalog: readonly Fields[]
}

/**
 * Asks Keystone for a token (POST /v3/auth/tokens).
 *
 * @throws {VolumeExpansionError} `authentication-failed`, `permission-denied`, `invalid-request`, `backend-unreachable`, `timeout`; nothing was changed
 */
export async function requestToken(http: HttpClient, settings: Settings): Promise<Token> {
  const { authUrl, credentials, source } = settings
  if (credentials.kind === 'ready-token') {
    return { id: credentials.token, expiresAt: Number.POSITIVE_INFINITY, projectId: undefined, catalog: [] }
  }
  const url = `${authUrl}/auth/tokens`
  // A token more than needed changes nothing of the volume.
  const answer = await http.send({ method: 'POST', url, body: requestOf(credentials), readOnly: true })
  if (answer.status !== 201) throw refusal(answer, settings)
  const id = textOf(answer.headers['x-subject-token'])
  const token = fieldsOf(fieldsOf(answer.json())['token'])
  const projectId = textOf(fieldsOf(token['project'])['id'])
  if (id === undefined) throw notKeystone(authUrl)
  if (projectId === undefined) {
    throw misconfigured(
      `${source} name${source.endsWith('s') ? '' : 's'} no project, and the user has no default project.`,
      'Name the project of the volume (project_name or project_id).',
    )
  }
  return {
    id,
    expiresAt: timeOf(token['expires_at']) ?? Date.now() + shortLife,
    projectId,
    catalog: listOf(token['catalog']),
  }
}

/** Milliseconds for which a token is used that does not say when it expires. */
const shortLife = 5 * 60_000

/** The body of the request, as the identity API v3 has it. */
export function requestOf(credentials: Exclude<Credentials, { readonly kind: 'ready-token' }>): object {
  switch (credentials.kind) {
    case 'password': {
      const { user, password, project } = credentials
      return {
        auth: { identity: { methods: ['password'], password: { user: { ...user, password } } }, ...scopeOf(project) },
      }
    }
    case 'application-credential': {
      const { secret } = credentials
      const who = 'id' in credentials ? { id: credentials.id } : { name: credentials.name, user: credentials.user }
      // The credential brings its project; a scope would be refused.
      return { auth: { identity: { methods: ['application_credential'], application_credential: { ...who, secret } } } }
    }
    case 'token': {
      const { token, project } = credentials
      return { auth: { identity: { methods: ['token'], token: { id: token } }, ...scopeOf(project) } }
    }
    default:
      return credentials satisfies never
  }
}

function scopeOf(project: Named | undefined): object {
  return project === undefined ? {} : { scope: { project } }
}

// What Keystone says is not repeated: a strange one may repeat what it was sent.
function refusal(answer: HttpAnswer, { authUrl, source }: Settings): Error {
  const { status, headers } = answer
  const who = `Keystone at ${shown(authUrl)}`
  if (status === 401 && headers['openstack-auth-receipt'] !== undefined) {
    return failure(`${who} asks for a further factor of authentication.`, {
      code: 'authentication-failed',
      remedy: 'Use an application credential, which needs none.',
    })
  }
  switch (status) {
    case 401:
      return failure(`${who} did not accept the credentials of ${source}.`, {
        code: 'authentication-failed',
        remedy:
          'Check user, domain, project and password, or whether the application credential or token was revoked or has expired.',
      })
    case 403:
      return failure(`${who} knows the credentials of ${source}, and does not give them a token.`, {
        code: 'authentication-failed',
        remedy:
          'Ask an administrator whether the user, its project or its domain is disabled, or its password has expired.',
      })
    case 404:
      return notKeystone(authUrl)
    case 429:
      return failure(
        `${who} asks to slow down.`,
        { code: 'throttled', retryable: true, remedy: 'Run it again later.' },
        { retryAfter: retryAfterOf(headers) },
      )
    default:
      return status >= 500
        ? failure(
            `${who} answered with status ${status}.`,
            { code: 'backend-unreachable', retryable: true, remedy: 'See whether Keystone and its database run.' },
            { retryAfter: retryAfterOf(headers) },
          )
        : misconfigured(
            `${who} answered with status ${status}: it did not understand what it was asked with the credentials of ${source}.`,
            'Check that names come with their domains, and that only one project is named.',
          )
  }
}

function notKeystone(authUrl: string): Error {
  return misconfigured(`At ${shown(authUrl)} there is no Keystone with the identity API v3.`, 'Check auth_url.')
}

/** Credentials in a URL are nobody's business. */
export function shown(url: string): string {
  const { origin, pathname } = new URL(url)
  return `${origin}${pathname}`
}

/** Types under which catalogs have Cinder's third version (service-types authority), and which of them counts first. */
const types = ['block-storage', 'volumev3', 'block-store', 'volume'] as const

/**
 * The endpoint of Cinder in a catalog.
 *
 * @throws {VolumeExpansionError} `invalid-request`: there is none, or several regions have one and none was chosen
 */
export function endpointIn(
  catalog: readonly Fields[],
  chosen: { readonly region?: string; readonly interface: Interface },
): string {
  const found = types.flatMap((type) =>
    catalog
      .filter((service) => service['type'] === type)
      .flatMap((service) => listOf(service['endpoints']))
      // The types are older than the third version, whose endpoints say so in their path, unless they name no version at all.
      .filter(({ url }) => !/\/v[12](?:\/|$)/.test(textOf(url) ?? ''))
      .map((endpoint) => ({ type, endpoint })),
  )
  if (found.length === 0) {
    const known = catalog.map((service) => textOf(service['type'])).filter((type) => type !== undefined)
    throw misconfigured(
      `The catalog has no Block Storage; it has: ${known.join(', ') || 'nothing'}.`,
      'Check that the cloud has Cinder, or give its address by the option `endpoint`.',
    )
  }
  const fitting = found.filter(({ endpoint }) => endpoint['interface'] === chosen.interface)
  if (fitting.length === 0) {
    const known = unique(found.map(({ endpoint }) => textOf(endpoint['interface'])))
    throw misconfigured(
      `Cinder has no ${chosen.interface} endpoint; it has: ${known.join(', ')}.`,
      'Choose another `interface`.',
    )
  }
  const regions = unique(fitting.map(({ endpoint }) => regionIn(endpoint)))
  if (chosen.region !== undefined && !regions.includes(chosen.region)) {
    throw misconfigured(
      `Cinder is not in the region ${chosen.region}; it is in: ${regions.join(', ')}.`,
      'Check `region`.',
    )
  }
  if (chosen.region === undefined && regions.length > 1) {
    throw misconfigured(
      `Cinder is in several regions: ${regions.join(', ')}.`,
      'Name the one of the volume by `region`.',
    )
  }
  const [first] = fitting.filter(({ endpoint }) => chosen.region === undefined || regionIn(endpoint) === chosen.region)
  const url = textOf(first?.endpoint['url'])
  if (url === undefined)
    throw misconfigured('The catalog has Cinder without an address.', 'Give it by the option `endpoint`.')
  return url
}

function regionIn(endpoint: Fields): string | undefined {
  return textOf(endpoint['region_id']) ?? textOf(endpoint['region'])
}

function unique(texts: readonly (string | undefined)[]): readonly string[] {
  return [...new Set(texts.filter((text) => text !== undefined))]
}

/** Where Cinder is: its versions, and what belongs to the project. */
export interface Addresses {
  readonly versions: string
  readonly project: string
}

/** Endpoints are written with the project's id at their end, without it (since microversion 3.67), or without a version. */
export function addressesOf(endpoint: string, projectId: string | undefined): Addresses {
  if (!URL.canParse(endpoint)) throw misconfigured('The endpoint of Cinder is no URL.', 'Write it with its scheme.')
  const { origin, pathname } = new URL(endpoint)
  const match = /^(.*?\/v3)(?:\/([^/]+))?\/*$/.exec(pathname)
  const base = `${origin}${match?.[1] ?? `${pathname.replace(/\/+$/, '')}/v3`}`
  const project = match?.[2] ?? projectId
  return { versions: `${base}/`, project: project === undefined ? base : `${base}/${project}` }
}
