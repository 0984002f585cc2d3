import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { CinderApi } from '../../../providers/cinder/client.ts'
import { addressesOf, endpointIn, requestOf } from '../../../providers/cinder/cloud/keystone.ts'
import { Session } from '../../../providers/cinder/cloud/session.ts'
import { settingsOf } from '../../../providers/cinder/cloud/settings.ts'
import { cinder } from '../../../providers/cinder/index.ts'
import type { CinderAuth } from '../../../providers/cinder/options.ts'
import { handleOf } from '../../../src/expander.ts'
import { type Cloud, projectId, startCloud, volume } from './cloud.ts'

const id = '11111111-2222-4333-8444-555555555555'
const canary = 'canary-secret-7d1f'
const nowhere = { env: {}, cwd: '/', home: '/', read: () => undefined }

function apiOf(
  cloud: Cloud,
  auth: CinderAuth = { username: 'demo', password: canary, projectName: 'demo' },
): CinderApi {
  return new CinderApi(new Session(settingsOf({ auth: { authUrl: `${cloud.url}/identity`, ...auth } }, nowhere)))
}

const tokensOf = ({ received }: Cloud): number => received.filter(({ path }) => path.startsWith('/identity')).length
const found = (): { readonly body: object } => ({ body: { volume: volume(id) } })

describe('tokens', () => {
  test('one for everybody, however many ask at once', async () => {
    const cloud = await startCloud()
    cloud.cinder = found
    const api = apiOf(cloud)
    await Promise.all(Array.from({ length: 10 }, () => api.volume(id, undefined)))
    await api.volume(id, undefined)
    expect(tokensOf(cloud)).toBe(1)
    expect(cloud.received.at(-1)).toMatchObject({ token: 'token-1', version: 'volume 3.70' })
  })

  test('renewed before it ends', async () => {
    const cloud = await startCloud()
    cloud.cinder = found
    cloud.life = 30
    const api = apiOf(cloud)
    await api.volume(id, undefined)
    cloud.life = 3600
    const before = tokensOf(cloud)
    await api.volume(id, undefined)
    await api.volume(id, undefined)
    expect(tokensOf(cloud)).toBe(before + 1)
  })

  test('renewed once after a 401, and the request sent again', async () => {
    const cloud = await startCloud()
    cloud.cinder = ({ token }) => (token === 'token-1' ? { status: 401 } : found())
    const api = apiOf(cloud)
    await Promise.all([api.volume(id, undefined), api.volume(id, undefined), api.volume(id, undefined)])
    expect(tokensOf(cloud)).toBe(2)
  })

  test('not renewed without end', async () => {
    const cloud = await startCloud()
    cloud.cinder = () => ({ status: 401 })
    await expect(apiOf(cloud).volume(id, undefined)).rejects.toMatchObject({ code: 'authentication-failed' })
    expect(tokensOf(cloud)).toBe(2)
  })

  test("one caller's abort is not another's", async () => {
    const cloud = await startCloud()
    cloud.cinder = found
    const api = apiOf(cloud)
    const abort = new AbortController()
    const [aborted, kept] = [api.volume(id, abort.signal), api.volume(id, undefined)]
    abort.abort()
    await expect(aborted).rejects.toMatchObject({ code: 'aborted', outcome: 'unchanged' })
    expect(await kept).toMatchObject({ id })
  })

  test('a Keystone that failed is asked again', async () => {
    const cloud = await startCloud()
    cloud.cinder = found
    cloud.keystone = () => ({ status: 503 })
    const api = apiOf(cloud)
    await expect(api.volume(id, undefined)).rejects.toMatchObject({ code: 'backend-unreachable', retryable: true })
    cloud.keystone = undefined
    expect(await api.volume(id, undefined)).toMatchObject({ id })
  })

  test('a token that is used as it is asks no Keystone', async () => {
    const cloud = await startCloud()
    cloud.cinder = found
    const options = { auth: { token: 'ready' }, endpoint: `${cloud.url}/volume/v3/${projectId}` }
    await new CinderApi(new Session(settingsOf(options, nowhere))).volume(id, undefined)
    expect(tokensOf(cloud)).toBe(0)
    expect(cloud.received.at(-1)?.token).toBe('ready')
  })
})

describe('what is sent to Keystone', () => {
  const sent = (auth: CinderAuth): object => {
    const { credentials } = settingsOf({ auth: { authUrl: 'http://keystone', ...auth } }, nowhere)
    if (credentials.kind === 'ready-token') throw new Error('It needs Keystone.')
    return requestOf(credentials)
  }

  test('a password, with the domain whose id is default', () => {
    const domain = { id: 'default' }
    expect(sent({ username: 'demo', password: 'pw', projectName: 'web' })).toEqual({
      auth: {
        identity: { methods: ['password'], password: { user: { name: 'demo', domain, password: 'pw' } } },
        scope: { project: { name: 'web', domain } },
      },
    })
    expect(sent({ userId: 'u1', password: 'pw', projectId: 'p1' })).toMatchObject({
      auth: { identity: { password: { user: { id: 'u1', password: 'pw' } } }, scope: { project: { id: 'p1' } } },
    })
  })

  test('an application credential brings its scope', () => {
    expect(sent({ applicationCredentialId: 'a1', applicationCredentialSecret: 's' })).toEqual({
      auth: { identity: { methods: ['application_credential'], application_credential: { id: 'a1', secret: 's' } } },
    })
    const named = { applicationCredentialName: 'grow', username: 'demo', userDomainName: 'Home' }
    expect(sent({ ...named, applicationCredentialSecret: 's' })).toMatchObject({
      auth: {
        identity: { application_credential: { name: 'grow', user: { name: 'demo', domain: { name: 'Home' } } } },
      },
    })
  })

  test('a token', () => {
    expect(sent({ token: 't', projectId: 'p1' })).toEqual({
      auth: { identity: { methods: ['token'], token: { id: 't' } }, scope: { project: { id: 'p1' } } },
    })
  })
})

describe('the catalog', () => {
  const endpoint = (region: string, url: string, kind = 'public'): object => ({
    interface: kind,
    region_id: region,
    url,
  })
  const service = (type: string, ...endpoints: object[]): Record<string, unknown> => ({ type, endpoints })
  const publicly = { interface: 'public' } as const

  test.each(['block-storage', 'volumev3'])('%s', (type) => {
    const catalog = [service('identity'), service(type, endpoint('A', 'http://a/v3'))]
    expect(endpointIn(catalog, publicly)).toBe('http://a/v3')
  })

  test('the region that was chosen, and none when it is not clear', () => {
    const catalog = [service('volumev3', endpoint('A', 'http://a/v3'), endpoint('B', 'http://b/v3'))]
    expect(endpointIn(catalog, { ...publicly, region: 'B' })).toBe('http://b/v3')
    expect(() => endpointIn(catalog, publicly)).toThrow('several regions: A, B')
    expect(() => endpointIn(catalog, { ...publicly, region: 'C' })).toThrow('it is in: A, B')
  })

  test('the interface, and what there is instead', () => {
    const catalog = [service('volumev3', endpoint('A', 'http://a/v3'), endpoint('A', 'http://in/v3', 'internal'))]
    expect(endpointIn(catalog, { interface: 'internal' })).toBe('http://in/v3')
    expect(() => endpointIn(catalog, { interface: 'admin' })).toThrow('it has: public, internal')
  })

  test('without Cinder, or with its second version only', () => {
    expect(() => endpointIn([service('compute')], publicly)).toThrow('it has: compute')
    expect(() => endpointIn([service('volume', endpoint('A', 'http://a/v2/x'))], publicly)).toThrow('no Block Storage')
  })

  test.each([
    ['http://c:8776/v3/p1', 'p1', 'http://c:8776/v3/', 'http://c:8776/v3/p1'],
    ['http://c/volume/v3', 'p1', 'http://c/volume/v3/', 'http://c/volume/v3/p1'],
    ['http://c/volume/v3/AUTH_p1/', 'p1', 'http://c/volume/v3/', 'http://c/volume/v3/AUTH_p1'],
    ['https://c:8776', 'p1', 'https://c:8776/v3/', 'https://c:8776/v3/p1'],
    ['https://c/v3/', undefined, 'https://c/v3/', 'https://c/v3'],
  ])('%s of %s', (given, project, versions, own) => {
    expect(addressesOf(given, project)).toEqual({ versions, project: own })
  })
})

test('versions: what is too old, too new or no Cinder', async () => {
  const cloud = await startCloud()
  cloud.maximum = '3.27'
  expect(await apiOf(cloud).version(undefined)).toBe(27)
  cloud.maximum = '3.99'
  expect(await apiOf(cloud).version(undefined)).toBe(70)
  cloud.maximum = '2.0'
  await expect(apiOf(cloud).version(undefined)).rejects.toMatchObject({ code: 'invalid-request' })
})

describe('secrets', () => {
  const ways: readonly [string, CinderAuth][] = [
    ['password', { username: 'demo', password: canary, projectName: 'demo' }],
    ['application credential', { applicationCredentialId: 'a1', applicationCredentialSecret: canary }],
    ['token', { token: canary, projectName: 'demo' }],
  ]

  test.each(ways)('a %s is in no error, volume or scope', async (_, auth) => {
    const cloud = await startCloud()
    const echo = (received: object): { readonly status: number; readonly body: object } => ({
      status: 401,
      body: { error: { message: JSON.stringify(received) } },
    })
    for (const status of [400, 401, 403, 404, 429, 500]) {
      cloud.keystone = (received) => ({ ...echo(received), status })
      const made = cinder({ auth: { authUrl: `${cloud.url}/identity`, ...auth } }).volume(id)
      const { expander, identity } = handleOf(made)
      const error: unknown = await expander.read([id], {}).catch((thrown: unknown) => thrown)
      expect(error).toMatchObject({ outcome: 'unchanged', provider: 'cinder' })
      const shown = [
        JSON.stringify(error),
        inspect(error, { depth: 20 }),
        JSON.stringify(made),
        inspect(expander, { depth: 20 }),
      ]
      for (const text of [...shown, identity.scope, identity.label]) expect(text).not.toContain(canary)
    }
  })

  test('two secrets of one user are two scopes, and one is one', async () => {
    const scope = (password: string): string =>
      handleOf(
        cinder({ auth: { authUrl: 'http://keystone.example', username: 'u', password, projectName: 'p' } }).volume(id),
      ).identity.scope
    expect(scope('one')).toBe(scope('one'))
    expect(scope('one')).not.toBe(scope('two'))
  })
})
