import { join } from 'node:path'
import { misconfigured } from '../errors.ts'
import { type Fields, fieldsOf, textOf } from '../json.ts'
import type { CinderAuth, CinderOptions } from '../options.ts'
import { findCloud, type Surroundings } from './files.ts'

/** Something that Keystone knows by an id, or by a name within a domain. */
export type Named =
  | { readonly id: string }
  | { readonly name: string; readonly domain: { readonly id: string } | { readonly name: string } }

/** How a token is come by. */
export type Credentials =
  | { readonly kind: 'password'; readonly user: Named; readonly password: string; readonly project?: Named }
  | { readonly kind: 'application-credential'; readonly id: string; readonly secret: string }
  | { readonly kind: 'application-credential'; readonly name: string; readonly user: Named; readonly secret: string }
  | { readonly kind: 'token'; readonly token: string; readonly project?: Named }
  /** A token that is used as it is, without Keystone. */
  | { readonly kind: 'ready-token'; readonly token: string; readonly endpoint: string }

export interface Tls {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  readonly insecure: boolean
}

export type Interface = 'public' | 'internal' | 'admin'

/** Everything that is needed to speak to Cinder. */
export interface Settings {
  /** For people: where they come from. */
  readonly source: string
  /** Keystone's endpoint, ending in `/v3`. */
  readonly authUrl: string
  readonly credentials: Credentials
  readonly region?: string
  readonly interface: Interface
  readonly endpoint?: string
  readonly tls: Tls
}

/**
 * Puts together what the options, files and variables say. Reads files, changes nothing.
 *
 * @throws {VolumeExpansionError} `invalid-request`: something is missing, ambiguous or not supported
 */
export function settingsOf(options: CinderOptions, surroundings: Surroundings): Settings {
  if (options.auth !== undefined && options.cloud !== undefined) {
    throw misconfigured('Both `auth` and `cloud` say who is asking.', 'Give one of them.')
  }
  const { source, fields } =
    options.auth === undefined
      ? findCloud(options.cloud, surroundings)
      : { source: 'the options', fields: { auth: snakeCased(options.auth) } }
  const auth = authOf(fields)
  const endpoint = options.endpoint ?? overrideOf(fields)
  const region = options.region ?? regionOf(fields, source)
  const authUrl = textOf(auth['auth_url'])
  const token = textOf(auth['token'])
  const common = {
    source,
    interface: interfaceOf(
      options.interface ?? textOf(fields['interface']) ?? textOf(fields['endpoint_type']) ?? 'public',
    ),
    tls: tlsOf(fields, surroundings),
    ...(region === undefined ? {} : { region }),
    ...(endpoint === undefined ? {} : { endpoint }),
  }
  if (authUrl === undefined && token !== undefined && endpoint !== undefined) {
    return { ...common, authUrl: '', credentials: { kind: 'ready-token', token, endpoint } }
  }
  if (authUrl === undefined) throw missing('the address of Keystone (auth_url)', source)
  return {
    ...common,
    authUrl: versioned(authUrl),
    credentials: credentialsOf(auth, textOf(fields['auth_type']), source),
  }
}

function snakeCased(auth: CinderAuth): Fields {
  return Object.fromEntries(
    Object.entries(auth).map(([key, value]) => [key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`), value]),
  )
}

// Keys that older files have beside `auth`, and older names for projects.
const authKeys = [
  ...['auth_url', 'username', 'user_id', 'password', 'token', 'project_name', 'project_id', 'tenant_name', 'tenant_id'],
  ...['user_domain_name', 'user_domain_id', 'project_domain_name', 'project_domain_id', 'domain_name', 'domain_id'],
  ...['default_domain', 'application_credential_id', 'application_credential_name', 'application_credential_secret'],
]

function authOf(fields: Fields): Fields {
  const beside = Object.fromEntries(authKeys.filter((key) => key in fields).map((key) => [key, fields[key]]))
  const auth: Record<string, unknown> = { ...beside, ...fieldsOf(fields['auth']) }
  auth['project_name'] ??= auth['tenant_name']
  auth['project_id'] ??= auth['tenant_id']
  // YAML takes an unquoted id of digits for a number.
  for (const [key, value] of Object.entries(auth)) if (typeof value === 'number') auth[key] = `${value}`
  return auth
}

/** Names of the authentication plugins of keystoneauth that come down to the same requests. */
const plugins: Readonly<Record<string, Credentials['kind']>> = {
  password: 'password',
  v3password: 'password',
  v3applicationcredential: 'application-credential',
  token: 'token',
  v3token: 'token',
}

function credentialsOf(auth: Fields, type: string | undefined, source: string): Credentials {
  const kind = type === undefined ? guessed(auth, source) : plugins[type]
  if (kind === undefined) {
    throw misconfigured(
      `${source} authenticates by ${JSON.stringify(type)}, which is not supported.`,
      'Make an application credential (openstack application credential create), and use that: it may be limited to what is needed.',
    )
  }
  refuseOtherScopes(auth, source)
  const project = optionallyNamed(auth, 'project')
  const scope = project === undefined ? {} : { project }
  switch (kind) {
    case 'password': {
      const user = optionallyNamed(auth, 'user')
      if (user === undefined) throw missing('the user (username or user_id)', source)
      return { kind, user, password: needed(auth, 'password', source), ...scope }
    }
    case 'application-credential': {
      const secret = needed(auth, 'application_credential_secret', source)
      const id = textOf(auth['application_credential_id'])
      if (id !== undefined) return { kind, id, secret }
      const user = optionallyNamed(auth, 'user')
      if (user === undefined)
        throw missing('the user of the application credential, which has a name and no id,', source)
      return { kind, name: needed(auth, 'application_credential_name', source), user, secret }
    }
    default:
      return { kind: 'token', token: needed(auth, 'token', source), ...scope }
  }
}

function guessed(auth: Fields, source: string): Credentials['kind'] {
  const kinds = [
    ['application_credential_secret', 'application-credential'],
    ['password', 'password'],
    ['token', 'token'],
  ] as const
  const found = kinds.filter(([key]) => textOf(auth[key]) !== undefined)
  const [first, second] = found
  if (first === undefined) throw missing('a password, an application_credential_secret or a token', source)
  // openstacksdk, too, needs to be told by auth_type which of two it is to use.
  if (second !== undefined) {
    throw misconfigured(
      `${source} has both ${first[0]} and ${second[0]}.`,
      'Say by auth_type which one counts, or remove one.',
    )
  }
  return first[1]
}

function refuseOtherScopes(auth: Fields, source: string): void {
  const scope = ['system_scope', 'domain_id', 'domain_name'].find((key) => textOf(auth[key]) !== undefined)
  // A domain beside a project is an old way to name the domain of both.
  if (scope === undefined || (scope !== 'system_scope' && hasProject(auth))) return
  throw misconfigured(
    `${source} asks for a token of another scope than a project (${scope}).`,
    'Name the project of the volume.',
  )
}

function hasProject(auth: Fields): boolean {
  return textOf(auth['project_id']) !== undefined || textOf(auth['project_name']) !== undefined
}

function optionallyNamed(auth: Fields, what: 'user' | 'project'): Named | undefined {
  const id = textOf(auth[`${what}_id`])
  if (id !== undefined) return { id }
  const name = textOf(auth[what === 'user' ? 'username' : 'project_name'])
  if (name === undefined) return undefined
  const domainId = textOf(auth[`${what}_domain_id`]) ?? textOf(auth['domain_id'])
  const domainName = textOf(auth[`${what}_domain_name`]) ?? textOf(auth['domain_name'])
  if (domainId !== undefined) return { name, domain: { id: domainId } }
  if (domainName !== undefined) return { name, domain: { name: domainName } }
  return { name, domain: { id: textOf(auth['default_domain']) ?? 'default' } }
}

function needed(auth: Fields, key: string, source: string): string {
  const value = textOf(auth[key])
  if (value === undefined) throw missing(key, source)
  return value
}

function missing(what: string, source: string): Error {
  return misconfigured(
    `${source} lack${source === 'the options' || source.endsWith('variables') ? '' : 's'} ${what}.`,
    'Add it.',
  )
}

/** Keystone's address with its version, whatever of it was written down. */
function versioned(authUrl: string): string {
  const trimmed = authUrl.replace(/\/+$/, '')
  if (!URL.canParse(trimmed)) {
    throw misconfigured(
      'The address of Keystone (auth_url) is no URL.',
      'Write it with its scheme, such as https://host:5000/v3.',
    )
  }
  if (/\/v3$/.test(trimmed)) return trimmed
  return `${trimmed.replace(/\/v2\.0$/, '')}/v3`
}

function regionOf(fields: Fields, source: string): string | undefined {
  const name = textOf(fields['region_name'])
  if (name !== undefined) return name
  const { regions } = fields
  if (!Array.isArray(regions)) return undefined
  const names = regions
    .map((region: unknown) => textOf(region) ?? textOf(fieldsOf(region)['name']))
    .filter((text) => text !== undefined)
  if (names.length <= 1) return names[0]
  throw misconfigured(
    `${source} has several regions: ${names.join(', ')}.`,
    'Name one by the option `region` or by region_name.',
  )
}

function interfaceOf(text: string): Interface {
  const name = text.replace(/URL$/, '')
  if (name === 'public' || name === 'internal' || name === 'admin') return name
  throw misconfigured(`${JSON.stringify(text)} is no interface.`, 'Use public, internal or admin.')
}

function overrideOf(fields: Fields): string | undefined {
  const names = ['block_storage', 'volumev3', 'volume'].map((service) => `${service}_endpoint_override`)
  return names.map((name) => textOf(fields[name])).find((endpoint) => endpoint !== undefined)
}

function tlsOf(fields: Fields, surroundings: Surroundings): Tls {
  const file = (name: string): string | undefined => {
    const path = textOf(fields[name])
    if (path === undefined) return undefined
    const text = surroundings.read(path.startsWith('~/') ? join(surroundings.home, path.slice(2)) : path)
    if (text === undefined) throw misconfigured(`${path} (${name}) does not exist.`, 'Check the path.')
    return text
  }
  const [ca, cert, key] = ['cacert', 'cert', 'key'].map(file)
  return {
    insecure: isFalse(fields['verify']) || isTrue(fields['insecure']),
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  }
}

function isFalse(value: unknown): boolean {
  return value === false || /^(?:false|no|0|off)$/i.test(textOf(value) ?? '')
}

function isTrue(value: unknown): boolean {
  return value === true || /^(?:true|yes|1|on)$/i.test(textOf(value) ?? '')
}
