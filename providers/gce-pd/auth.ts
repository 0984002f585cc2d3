import { VolumeExpansionError } from '../../src/errors.ts'
import { fieldOf, providerName } from './errors.ts'

/** Gives an access token, and takes care of its renewal: called for every request. */
export type TokenCallback = () => string | Promise<string>

/** What `google-auth-library` has under this name, such as a `GoogleAuth`. */
export interface AccessTokens {
  getAccessToken(): Promise<unknown>
}

/** A service account's key, as its JSON file has it. */
export interface ServiceAccountKey {
  readonly client_email: string
  readonly private_key: string
}

/** Left out: the application default credentials, through `google-auth-library`. */
export type GceCredentials = TokenCallback | AccessTokens | ServiceAccountKey

const scope = 'https://www.googleapis.com/auth/compute'

/** The token for the next request. The library for it is loaded at the first call, and only when it is needed. */
export function tokenSource(credentials: GceCredentials | undefined): () => Promise<string> {
  if (typeof credentials === 'function') return async () => checked(await credentials())
  if (credentials !== undefined && 'getAccessToken' in credentials) return () => tokenOf(credentials)
  let auth: Promise<AccessTokens> | undefined
  return async () => {
    auth ??= googleAuth(credentials)
    try {
      return await tokenOf(await auth)
    } catch (error) {
      // Not remembered: an absent library or file may be there at the next try.
      auth = undefined
      throw error
    }
  }
}

async function googleAuth(credentials: ServiceAccountKey | undefined): Promise<AccessTokens> {
  const { GoogleAuth } = await import('google-auth-library').catch((cause: unknown) => {
    throw new VolumeExpansionError('tool-missing', 'The package google-auth-library is not installed.', {
      ...{ layer: 'volume', provider: providerName, outcome: 'unchanged', cause },
      remedy:
        'Install it (npm install google-auth-library), or pass `credentials`: a function that gives an access token.',
    })
  })
  return new GoogleAuth({ scopes: [scope], ...(credentials === undefined ? {} : { credentials: { ...credentials } }) })
}

async function tokenOf(source: AccessTokens): Promise<string> {
  try {
    const answer = await source.getAccessToken()
    return checked(typeof answer === 'string' ? answer : fieldOf(answer, 'token'))
  } catch (thrown) {
    throw thrown instanceof VolumeExpansionError ? thrown : noToken(thrown)
  }
}

function checked(token: unknown): string {
  if (typeof token === 'string' && token !== '') return token
  throw noToken(undefined)
}

// The cause is left out of the error's JSON but for its message, and messages of that library do not hold keys or tokens.
function noToken(cause: unknown): VolumeExpansionError {
  const reason = cause instanceof Error ? `: ${cause.message}` : '.'
  return new VolumeExpansionError('authentication-failed', `No access token for Compute Engine could be had${reason}`, {
    ...{ layer: 'volume', provider: providerName, outcome: 'unchanged', cause },
    remedy: 'Set up application default credentials (gcloud auth application-default login), or pass `credentials`.',
  })
}
