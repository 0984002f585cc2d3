import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { dashboardClient, type RbdDashboard } from '../../../providers/rbd/dashboard.ts'
import { rbdExpander } from '../../../providers/rbd/expander.ts'
import type { RbdRef } from '../../../providers/rbd/ref.ts'
import { VolumeExpansionError } from '../../../src/errors.ts'
import type { VolumeExpander, VolumeState } from '../../../src/expander.ts'
import { type Bytes, MiB } from '../../../src/size.ts'

const password = 'a-canary-of-a-password'

/** The API as it answers, with an image `volumes/a` and one token at a time. */
class Dashboard {
  size: bigint = 64n * MiB
  features = 61
  /** Tokens that were given; the last one holds. */
  tokens: string[] = []
  requests: string[] = []
  /** Answers instead of the usual ones, by method and path, each used once. */
  readonly answers: Record<string, readonly [number, unknown][]> = {}
  /** Called before a PUT is carried out. */
  beforePut: () => void = () => undefined

  async start(): Promise<string> {
    const server = createServer((request, response) => void this.#serve(request, response))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())).finally(() => undefined))
    onTestFinished(() => server.closeAllConnections())
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Uint8Array[] = []
    for await (const chunk of request as AsyncIterable<Uint8Array>) chunks.push(chunk)
    const [status, body] = this.#answer(request, Buffer.concat(chunks).toString())
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  }

  #answer({ method, url = '', headers }: IncomingMessage, text: string): readonly [number, unknown] {
    const key = `${method} ${url}`
    this.requests.push(key)
    if (headers.accept !== 'application/vnd.ceph.api.v1.0+json') return [415, { detail: 'Incorrect version' }]
    const [given, ...rest] = this.answers[key] ?? []
    if (given !== undefined) {
      this.answers[key] = rest
      return given
    }
    if (key === 'POST /api/auth') {
      if (JSON.parse(text).password !== password) return [400, { code: 'invalid_credentials', component: 'auth' }]
      this.tokens.push(`token-${this.tokens.length}`)
      return [201, { token: this.tokens.at(-1) }]
    }
    if (headers.authorization !== `Bearer ${this.tokens.at(-1)}`) return [401, { detail: 'You are not authorized' }]
    switch (key) {
      case 'GET /api/block/image/volumes%2Fa':
        return [
          200,
          {
            size: Number(this.size),
            obj_size: 4194304,
            id: '10ab',
            features: this.features,
            features_name: ['object-map'],
            disk_usage: 0,
          },
        ]
      case 'PUT /api/block/image/volumes%2Fa':
        this.beforePut()
        this.size = BigInt(JSON.parse(text).size)
        return [200, null]
      case 'GET /api/pool/volumes?stats=true':
        return [
          200,
          {
            flags_names: 'hashpspool',
            quota_max_bytes: 0,
            stats: { max_avail: { latest: 1024 }, stored: { latest: 0 } },
          },
        ]
      case 'GET /api/monitor':
        return [200, { mon_status: { monmap: { fsid: 'the-cluster' } } }]
      default:
        return [404, { detail: 'Image not found' }]
    }
  }
}

async function start(options: Partial<RbdDashboard> = {}): Promise<readonly [Dashboard, VolumeExpander<RbdRef>]> {
  const dashboard = new Dashboard()
  const url = await dashboard.start()
  const client = dashboardClient({ url, username: 'admin', password, allowUnguardedResize: true, ...options })
  return [dashboard, rbdExpander(client)]
}

async function state(expander: VolumeExpander<RbdRef>): Promise<VolumeState> {
  const [outcome] = await expander.read(['volumes/a'], {})
  if (outcome === undefined || outcome instanceof Error) throw outcome
  return outcome
}

const grow = (expander: VolumeExpander<RbdRef>, mebibytes: bigint): Promise<void> =>
  expander.expand('volumes/a', { size: (mebibytes * MiB) as Bytes, options: undefined, requestId: 'one' })

async function failure(promise: Promise<unknown>): Promise<VolumeExpansionError> {
  const error: unknown = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (error instanceof VolumeExpansionError) return error
  throw new Error(`not the error of this library: ${error}`)
}

const image = '/api/block/image/volumes%2Fa'

describe('without the right to resize unguarded', () => {
  test('images are read, the plan is told why, and nothing is sent', async () => {
    const [dashboard, expander] = await start({ allowUnguardedResize: false })
    const { size, findings } = await state(expander)
    expect(size).toBe(64n * MiB)
    expect(findings).toEqual([
      expect.objectContaining({
        code: 'permission-denied',
        severity: 'blocker',
        remedy: expect.stringContaining('allowUnguardedResize'),
      }),
    ])
    expect(await failure(grow(expander, 80n))).toMatchObject({ code: 'permission-denied', outcome: 'unchanged' })
    expect(dashboard.requests.some((request) => request.startsWith('PUT'))).toBe(false)
  })
})

test('a state has what was seen; watchers are not, which is not the same as nobody', async () => {
  const [, expander] = await start()
  const seen = await state(expander)
  expect(seen).toMatchObject({
    key: 'volumes/a',
    phase: 'stable',
    backed: 1024n,
    image: { id: '10ab', fsid: 'the-cluster' },
  })
  expect(seen).not.toHaveProperty('users')
})

test('growing looks right before and after', async () => {
  const [dashboard, expander] = await start()
  await grow(expander, 80n)
  expect(dashboard.size).toBe(80n * MiB)
  expect(dashboard.requests).toEqual(['POST /api/auth', `GET ${image}`, `PUT ${image}`, `GET ${image}`])
})

test('never to the same or to less', async () => {
  const [dashboard, expander] = await start()
  for (const size of [64n, 8n]) await grow(expander, size)
  expect(dashboard.requests.some((request) => request.startsWith('PUT'))).toBe(false)
})

test('several at once come one after the other, so that the largest stays', async () => {
  const [dashboard, expander] = await start()
  await Promise.all([70n, 90n, 80n].map((size) => grow(expander, size)))
  expect(dashboard.size).toBe(90n * MiB)
})

test('a token that has ended is renewed once, for all who wait', async () => {
  const [dashboard, expander] = await start()
  await state(expander)
  dashboard.tokens.push('another')
  await grow(expander, 80n)
  expect(dashboard.size).toBe(80n * MiB)
  expect(dashboard.tokens).toEqual(['token-0', 'another', 'token-2'])
})

test('the password may be asked for, and is asked for again with the next token', async () => {
  let asked = 0
  const ask = async (): Promise<string> => {
    asked += 1
    return password
  }
  const [dashboard, expander] = await start({ password: ask })
  await state(expander)
  dashboard.tokens.push('another')
  await state(expander)
  expect(asked).toBe(2)
})

test('a wrong password is no secret that shows', async () => {
  const [, expander] = await start({ password: 'a-wrong-canary' })
  const error = await failure(state(expander))
  expect(error).toMatchObject({ code: 'authentication-failed', outcome: 'unchanged', retryable: false })
  expect(JSON.stringify(error)).not.toContain('canary')
  expect(expander.normalize('volumes/a').scope).not.toContain('canary')
})

test('an edit that takes its time is waited for', async () => {
  const [dashboard, expander] = await start()
  dashboard.answers[`PUT ${image}`] = [[202, { name: 'rbd/edit' }]]
  const running = { metadata: { image_spec: 'volumes/a' } }
  const another = { metadata: { image_spec: 'volumes/b' }, success: false }
  dashboard.answers['GET /api/task?name=rbd/edit'] = [
    [200, { executing_tasks: [running], finished_tasks: [another] }],
    [200, { executing_tasks: [], finished_tasks: [another] }],
  ]
  dashboard.answers[`GET ${image}`] = [
    [200, { features: 61, size: Number(64n * MiB) }],
    [200, { features: 61, size: Number(80n * MiB) }],
  ]
  await grow(expander, 80n)
  expect(dashboard.requests.filter((request) => request.startsWith('GET /api/task'))).toHaveLength(2)
})

test('an edit that fails later is a failure', async () => {
  const [dashboard, expander] = await start()
  dashboard.answers[`PUT ${image}`] = [[202, null]]
  const failed = { metadata: { image_spec: 'volumes/a' }, success: false, exception: { detail: 'the pool is full' } }
  dashboard.answers['GET /api/task?name=rbd/edit'] = [[200, { executing_tasks: [], finished_tasks: [failed] }]]
  const error = await failure(grow(expander, 80n))
  expect(error).toMatchObject({ code: 'backend-failed', message: expect.stringContaining('the pool is full') })
})

test('another tool shrinks it meanwhile: that is told', async () => {
  const [dashboard, expander] = await start()
  dashboard.answers[`PUT ${image}`] = [[200, null]]
  expect(await failure(grow(expander, 80n))).toMatchObject({ code: 'conflicting-change', outcome: 'unknown' })
})

test.each<[string, number, unknown, object]>([
  ['missing', 404, { detail: 'Image not found' }, { code: 'not-found', outcome: 'unchanged' }],
  ['missing, by its errno', 400, { detail: '[errno 2] x', code: '2' }, { code: 'not-found', outcome: 'unchanged' }],
  ['read-only', 400, { detail: '[errno 30] x', code: '30' }, { code: 'wrong-state', outcome: 'unchanged' }],
  ['forbidden', 403, {}, { code: 'permission-denied', outcome: 'unchanged' }],
  ['another version', 415, {}, { code: 'backend-unreachable', outcome: 'unchanged' }],
  ['too many', 429, {}, { code: 'throttled', retryable: true, outcome: 'unchanged' }],
  ['nobody there', 503, {}, { code: 'throttled', retryable: true, outcome: 'unknown' }],
  ['broken', 500, 'no object', { code: 'backend-unreachable', retryable: true, outcome: 'unknown' }],
])('a PUT that is answered with %s', async (_what, status, body, expected) => {
  const [dashboard, expander] = await start()
  dashboard.answers[`PUT ${image}`] = [[status, body]]
  expect(await failure(grow(expander, 80n))).toMatchObject({ provider: 'rbd', layer: 'volume', ...expected })
})

test('a mirror that is not the primary one, by its bit', async () => {
  const [dashboard, expander] = await start()
  dashboard.features = 1085
  expect(await state(expander)).toMatchObject({ phase: 'unusable' })
  expect(await failure(grow(expander, 80n))).toMatchObject({ code: 'wrong-state', outcome: 'unchanged' })
})

test.each([{ url: 'mgr:8443' }, { url: 'https://admin:secret@mgr' }, { username: '' }, { password: '' }])(
  'options that cannot be right: %j',
  (wrong) => {
    expect(() => dashboardClient({ url: 'https://mgr', username: 'a', password: 'b', ...wrong })).toThrow(TypeError)
  },
)
