import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { parse } from 'yaml'
import { misconfigured } from '../errors.ts'
import { type Fields, fieldsOf, textOf } from '../json.ts'

/** Where configuration comes from, so that tests need no real environment. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  readonly home: string
  /** The text of a file; undefined when there is none that can be read. */
  readonly read: (path: string) => string | undefined
}

export function systemSurroundings(): Surroundings {
  return {
    env: process.env,
    cwd: process.cwd(),
    home: homedir(),
    read(path) {
      try {
        return readFileSync(path, 'utf8')
      } catch (error) {
        const code = error instanceof Error && 'code' in error ? error.code : undefined
        if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
        throw misconfigured(
          `${path} cannot be read (${String(code)}).`,
          'Make it readable for this user, or name another file.',
        )
      }
    },
  }
}

/** A cloud as files and variables describe it, in the words of clouds.yaml. */
export interface FoundCloud {
  /** For people. */
  readonly source: string
  readonly fields: Fields
}

type Kind = 'clouds' | 'clouds-public' | 'secure'

const variables: Readonly<Record<Kind, string>> = {
  clouds: 'OS_CLIENT_CONFIG_FILE',
  'clouds-public': 'OS_CLIENT_VENDOR_FILE',
  secure: 'OS_CLIENT_SECURE_FILE',
}

/**
 * The cloud of this name, else the one that `OS_CLOUD` names, else what the `OS_*` variables describe, else the only one that clouds.yaml has: where and in
 * which order openstacksdk looks (docs.openstack.org/openstacksdk, "Configuring OpenStack SDK Applications").
 *
 * @throws {VolumeExpansionError} `invalid-request`
 */
export function findCloud(name: string | undefined, surroundings: Surroundings): FoundCloud {
  const { env } = surroundings
  const wanted = name ?? textOf(env['OS_CLOUD'])
  if (wanted === undefined && textOf(env['OS_AUTH_URL']) !== undefined) {
    return { source: 'the OS_* variables', fields: fieldsFromEnvironment(env) }
  }
  const file = findFile('clouds', surroundings)
  if (file === undefined) throw noFile(wanted, surroundings)
  const clouds = fieldsOf(file.content['clouds'])
  const names = Object.keys(clouds)
  const chosen = wanted ?? (names.length === 1 ? names[0] : undefined)
  if (chosen === undefined) {
    throw misconfigured(
      `${file.path} has ${names.length === 0 ? 'no clouds' : `several clouds: ${names.join(', ')}`}, and none was chosen.`,
      'Name one by the option `cloud` or by OS_CLOUD.',
    )
  }
  if (!Object.hasOwn(clouds, chosen)) {
    const known = names.length === 0 ? 'none' : names.join(', ')
    throw misconfigured(`${file.path} has no cloud ${JSON.stringify(chosen)}; it has: ${known}.`, 'Check the name.')
  }
  const own = fieldsOf(clouds[chosen])
  const secure = findFile('secure', surroundings)
  const secret = fieldsOf(fieldsOf(secure?.content['clouds'])[chosen])
  const merged = merge(merge(profileOf(own, surroundings), own), secret)
  return { source: `the cloud ${chosen} of ${file.path}`, fields: merged }
}

/** What a cloud has from its provider, by a profile in clouds-public.yaml. */
function profileOf(cloud: Fields, surroundings: Surroundings): Fields {
  const name = textOf(cloud['profile']) ?? textOf(cloud['cloud'])
  if (name === undefined) return {}
  const file = findFile('clouds-public', surroundings)
  const profile = fieldsOf(file?.content['public-clouds'])[name]
  // Whoever wrote the address of Keystone down as well needs no profile for it.
  if (profile === undefined && textOf(fieldsOf(cloud['auth'])['auth_url']) !== undefined) return {}
  if (profile === undefined) {
    throw misconfigured(
      `The profile ${JSON.stringify(name)} is not in clouds-public.yaml, and profiles from elsewhere are not known here.`,
      'Write auth_url and the region into clouds.yaml, or the profile into clouds-public.yaml.',
    )
  }
  return fieldsOf(profile)
}

interface FoundFile {
  readonly path: string
  readonly content: Fields
}

function findFile(kind: Kind, surroundings: Surroundings): FoundFile | undefined {
  for (const path of candidates(kind, surroundings)) {
    const text = surroundings.read(path)
    if (text !== undefined) return { path, content: contentOf(path, text) }
  }
  return undefined
}

function candidates(kind: Kind, { env, cwd, home }: Surroundings): readonly string[] {
  const named = textOf(env[variables[kind]])
  const config = textOf(env['XDG_CONFIG_HOME']) ?? join(home, '.config')
  // A secure.yaml beside a clouds.yaml that was named explicitly belongs to it.
  const clouds = textOf(env[variables.clouds])
  const beside = kind === 'clouds' || clouds === undefined ? [] : [dirname(clouds)]
  const directories = [...beside, cwd, join(config, 'openstack'), '/etc/openstack']
  const usual = directories.flatMap((directory) =>
    ['yaml', 'yml', 'json'].map((end) => join(directory, `${kind}.${end}`)),
  )
  return named === undefined ? usual : [named, ...usual]
}

function contentOf(path: string, text: string): Fields {
  try {
    // JSON is YAML.
    return fieldsOf(parse(text, { prettyErrors: false }))
  } catch {
    // What the parser says may quote a line with a secret.
    throw misconfigured(`${path} is not well-formed YAML.`, 'Check its indentation and quotes.')
  }
}

function noFile(wanted: string | undefined, surroundings: Surroundings): Error {
  const places = [...new Set(candidates('clouds', surroundings).map((path) => dirname(path)))].join(', ')
  const cloud =
    wanted === undefined ? 'Nothing says which cloud to use' : `The cloud ${JSON.stringify(wanted)} is nowhere`
  return misconfigured(
    `${cloud}: there is no clouds.yaml in ${places}, and no OS_AUTH_URL.`,
    'Give the option `auth`, set the OS_* variables, or write a clouds.yaml.',
  )
}

function merge(under: Fields, over: Fields): Fields {
  const merged: Record<string, unknown> = { ...under }
  for (const [key, value] of Object.entries(over)) {
    const below = merged[key]
    const both = isFields(below) && isFields(value)
    // What is empty in the upper file takes nothing away, as in a template of secure.yaml.
    if (value !== null) merged[key] = both ? merge(below, value) : value
  }
  return merged
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Variables that are not about authentication, by their names in clouds.yaml. */
const outside = new Set(['region_name', 'interface', 'endpoint_type', 'cacert', 'cert', 'key', 'verify', 'insecure'])

function fieldsFromEnvironment(env: Surroundings['env']): Fields {
  const auth: Record<string, string> = {}
  const fields: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith('OS_') || value === undefined || value === '') continue
    const key = name.slice(3).toLowerCase()
    if (outside.has(key) || key === 'auth_type' || key.endsWith('endpoint_override')) fields[key] = value
    else auth[key] = value
  }
  return { ...fields, auth }
}
