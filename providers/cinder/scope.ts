import { createHash } from 'node:crypto'
import { shown } from './cloud/keystone.ts'
import type { Credentials, Named, Settings } from './cloud/settings.ts'

/** Names who asks and where, without any secret: volumes of one scope can be read in one request. */
export function scopeOf(settings: Settings): string {
  const { authUrl, credentials, endpoint, region = '', interface: kind } = settings
  const where = endpoint === undefined ? [region, kind] : [shown(endpoint)]
  return [authUrl === '' ? '' : shown(authUrl), ...where, ...whoOf(credentials)].filter((part) => part !== '').join(' ')
}

function whoOf(credentials: Credentials): readonly string[] {
  switch (credentials.kind) {
    case 'password':
      return [nameOf(credentials.user), nameOf(credentials.project)]
    case 'application-credential':
      return 'id' in credentials ? [credentials.id] : [nameOf(credentials.user), credentials.name]
    case 'token':
    case 'ready-token':
      // A token is long and random: its hash gives nothing away.
      return [`token ${createHash('sha256').update(credentials.token).digest('hex').slice(0, 16)}`]
    default:
      return credentials satisfies never
  }
}

function nameOf(named: Named | undefined): string {
  if (named === undefined) return ''
  if ('id' in named) return named.id
  return `${named.name}@${'id' in named.domain ? named.domain.id : named.domain.name}`
}
