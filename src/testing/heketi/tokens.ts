import { createHash, createHmac, timingSafeEqual } from 'node:crypto'

/** What is wrong with an `Authorization` header, in Heketi's words; undefined when nothing is. */
export function objectionTo(
  header: string | undefined,
  request: { readonly method: string; readonly path: string },
  keys: Readonly<Record<string, string>>,
  now: number,
): { readonly status: number; readonly text: string } | undefined {
  const refused = (text: string): { readonly status: number; readonly text: string } => ({ status: 401, text })
  if (header === undefined) return refused('Required authorization token not found')
  const token = /^bearer ([\w.-]+)$/i.exec(header)?.[1]
  if (token === undefined) return { status: 400, text: 'Authorization header format must be Bearer {token}' }
  const [head = '', body = '', signature = '', ...rest] = token.split('.')
  const claims = jsonOf(body)
  if (rest.length > 0 || claims === undefined || jsonOf(head)?.['alg'] !== 'HS256') {
    return refused('Invalid JWT token: token contains an invalid number of segments')
  }
  const { iss, iat, exp, qsh } = claims
  const key = typeof iss === 'string' && Object.hasOwn(keys, iss) ? keys[iss] : undefined
  if (key === undefined) return refused('Invalid JWT token: Unknown user')
  const expected = createHmac('sha256', key).update(`${head}.${body}`).digest()
  const given = Buffer.from(signature, 'base64url')
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
    return refused('Invalid JWT token: signature is invalid (client and server secrets may not match)')
  }
  if (typeof exp !== 'number' || now > exp) return refused('Invalid JWT token: Token is expired')
  if (typeof iat === 'number' && now < iat - leeway) {
    return refused('Invalid JWT token: Token used before issued (client and server clocks may differ)')
  }
  const hash = createHash('sha256').update(`${request.method}&${request.path}`).digest('hex')
  if (qsh !== hash) return refused('Invalid qsh claim in token')
  if (iss === 'user' && request.path !== '/volumes') return refused('Administrator access required')
  return undefined
}

/** Seconds by which the clock of a client may be ahead (HEKETI_JWT_IAT_LEEWAY_SECONDS). */
const leeway = 120

function jsonOf(part: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'))
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : undefined
  } catch {
    return undefined
  }
}
