import { describe, expect, test } from 'vitest'
import { CinderApi } from '../../../providers/cinder/client.ts'
import { cinderExpander } from '../../../providers/cinder/expander.ts'
import { cinder } from '../../../providers/cinder/index.ts'
import type { BlockStorageAnswer, BlockStorageRequest, CinderRef } from '../../../providers/cinder/options.ts'
import { Memory } from '../../../providers/cinder/reading.ts'
import { handleOf, type VolumeExpander, type VolumeState } from '../../../src/expander.ts'
import { type Bytes, bytes, GiB, MiB } from '../../../src/size.ts'
import { projectId, volume } from './cloud.ts'

const one = '11111111-2222-4333-8444-555555555555'

type Replies = (request: BlockStorageRequest) => Partial<BlockStorageAnswer> | undefined

interface Scripted {
  readonly expander: VolumeExpander<CinderRef>
  readonly sent: BlockStorageRequest[]
}

/** An expander whose client answers as a test says. */
function scripted(replies: Replies, maximum = '3.70'): Scripted {
  const sent: BlockStorageRequest[] = []
  const api = new CinderApi({
    async send(request) {
      sent.push(request)
      const versions = { body: { versions: [{ id: 'v3.0', version: maximum, min_version: '3.0' }] } }
      const missing = { status: 404, body: { itemNotFound: { code: 404, message: 'It could not be found.' } } }
      return {
        status: 200,
        headers: {},
        body: undefined,
        ...(request.versions === true ? versions : (replies(request) ?? missing)),
      }
    },
  })
  return { expander: cinderExpander({ api, memory: new Memory(), scope: 'test' }), sent }
}

/** Answers for the volume `one`, with messages and a quota. */
function about(fields: object, messages: readonly object[] = [], quota?: object): Replies {
  return ({ method, path }) => {
    if (method === 'POST')
      return { status: 202, headers: { date: 'Mon, 23 Nov 2026 10:00:00 GMT', 'x-compute-request-id': 'req-own' } }
    if (path === `/volumes/${one}`) return { body: { volume: volume(one, fields) } }
    if (path.startsWith('/messages')) return { body: { messages } }
    if (path.startsWith('/os-quota-sets') && quota !== undefined) return { body: { quota_set: quota } }
    return undefined
  }
}

async function stateOf({ expander }: Scripted, ref: CinderRef = one): Promise<VolumeState> {
  const [outcome] = await expander.read([ref], {})
  if (outcome === undefined || outcome instanceof Error) throw outcome
  return outcome
}

function ask({ expander }: Scripted, gibibytes: number): Promise<void> {
  return expander.expand(one, { size: bytes(BigInt(gibibytes) * GiB), options: undefined, requestId: 'one' })
}

const message = (code: string, fields: object = {}): object => ({
  ...{ event_id: `VOLUME_VOLUME_007_${code}`, resource_uuid: one, created_at: '2026-11-23T10:00:00.000000' },
  ...{ user_message: 'extend volume:It went wrong.', request_id: 'req-other', ...fields },
})
const attached = { server_id: 'server-1', device: '/dev/vdb', attached_at: '2026-11-20T10:00:00.000000' }

describe('an answer that does not bear a size', () => {
  test.each([
    ['without a size', { size: undefined }],
    ['with a size that is no number', { size: '10' }],
    ['with one below zero', { size: -1 }],
    ['with one beyond every volume', { size: 2 ** 40 }],
    ['of another volume', { id: '99999999-2222-4333-8444-555555555555' }],
  ])('%s is no state', async (_, fields) => {
    await expect(stateOf(scripted(about(fields)))).rejects.toMatchObject({
      ...{ code: 'backend-unreachable', outcome: 'unchanged', provider: 'cinder' },
    })
  })

  test('a project that cannot be asked about is not asked about', async () => {
    const state = await stateOf(scripted(about({ 'os-vol-tenant-attr:tenant_id': '\ud800' })))
    expect(state.limits).toEqual([])
  })
})

describe('states', () => {
  test.each([
    ['available', 'stable'],
    ['in-use', 'stable'],
    ['extending', 'growing'],
    ['error_extending', 'failed'],
    ['error', 'unusable'],
    ['reserved', 'unusable'],
    ['a state of the future', 'unusable'],
  ])('%s is %s', async (status, phase) => {
    expect(await stateOf(scripted(about({ status })))).toMatchObject({ native: status, phase, size: GiB })
  })

  test('who has it, and unknown where Cinder does not say', async () => {
    const { users } = await stateOf(scripted(about({ status: 'in-use', attachments: [attached] })))
    expect(users).toEqual([{ kind: 'attachment', description: 'server server-1 as /dev/vdb' }])
    expect(await stateOf(scripted(about({ status: 'in-use' })))).not.toHaveProperty('users')
    expect((await stateOf(scripted(about({})))).users).toEqual([])
  })

  test('the lowest bounds of the quota, with what is used', async () => {
    const quota = {
      gigabytes: { limit: 100, in_use: 90, reserved: 4 },
      gigabytes_fast: { limit: 95, in_use: 99, reserved: 0 },
      per_volume_gigabytes: { limit: 50, in_use: 0, reserved: 0 },
    }
    const { limits } = await stateOf(scripted(about({ volume_type: 'fast' }, [], quota)))
    expect(limits?.map(({ what, most }) => [what, most / GiB])).toEqual([
      ['quota', 7n],
      ['quota', 1n],
      ['size', 50n],
    ])
    const unlimited = { gigabytes: { limit: -1, in_use: 90 }, per_volume_gigabytes: { limit: -1 } }
    expect((await stateOf(scripted(about({}, [], unlimited)))).limits).toEqual([])
  })

  test.each(['migrating', 'starting', 'completing'])('on the move (%s) it is not grown', async (migration_status) => {
    const { findings } = await stateOf(scripted(about({ migration_status })))
    expect(findings).toMatchObject([{ code: 'wrong-state', severity: 'blocker' }])
  })

  test('an encrypted volume asks for its overhead, and takes it', async () => {
    const { findings } = await stateOf(scripted(about({ encrypted: true })))
    expect(findings).toMatchObject([{ code: 'not-visible-by-itself', severity: 'warning' }])
    const state = await stateOf(scripted(about({ encrypted: true })), { id: one, overhead: '2Mi' })
    expect(state).toMatchObject({ overhead: 2n * MiB })
    expect(state).not.toHaveProperty('findings')
  })

  test('a failure with its reason', async () => {
    const { findings } = await stateOf(scripted(about({ status: 'error_extending' }, [message('010')])))
    expect(findings?.[0]?.message).toContain('It went wrong.')
    expect(findings?.[0]?.remedy).toContain('--state available')
  })
})

describe('a growth that Nova was not told of', () => {
  const inUse = { status: 'in-use', attachments: [attached] }
  const codes = async (fields: object, ...messages: object[]): Promise<readonly string[]> =>
    ((await stateOf(scripted(about({ ...inUse, ...fields }, messages)))).findings ?? []).map(({ code }) => code)

  test('is known by the newest message', async () => {
    expect(await codes({}, message('009'))).toEqual(['growth-not-passed-on'])
    const later = '2026-11-23T10:00:01.000000'
    expect(await codes({}, message('009'), message('010', { created_at: later }))).toEqual([])
  })

  test('is of the past when the volume has changed since', async () => {
    expect(await codes({ updated_at: '2026-11-23T10:00:01.000000' }, message('009'))).toEqual([])
  })

  test('does not concern who attached it later, or another volume', async () => {
    const attachments = [{ ...attached, attached_at: '2026-11-23T10:00:05.000000' }]
    expect(await codes({ attachments }, message('009'))).toEqual([])
    expect(await codes({}, message('009', { resource_uuid: 'another' }))).toEqual([])
  })
})

describe('expand', () => {
  test('asks once, in GiB, with the negotiated version', async () => {
    const cloud = scripted(about({}), '3.59')
    await ask(cloud, 5)
    expect(cloud.sent.at(-1)).toMatchObject({
      ...{ method: 'POST', path: `/volumes/${one}/action`, body: { 'os-extend': { new_size: 5 } } },
      headers: { 'openstack-api-version': 'volume 3.59' },
    })
    expect(cloud.sent).toHaveLength(2)
  })

  test('a size between two GiB becomes the larger one, and one beyond the API is refused', async () => {
    const cloud = scripted(about({}))
    await cloud.expander.expand(one, { size: (GiB + 1n) as Bytes, options: undefined, requestId: 'one' })
    expect(cloud.sent.at(-1)?.body).toEqual({ 'os-extend': { new_size: 2 } })
    await expect(ask(cloud, 2 ** 31)).rejects.toMatchObject({ code: 'limit-exceeded', outcome: 'unchanged' })
  })

  const refusing =
    (fields: object, said: string, status = 400): Replies =>
    (request) =>
      request.method === 'POST' ? { status, body: { fault: { code: status, message: said } } } : about(fields)(request)

  test('refused because it is there already is success', async () => {
    await ask(scripted(refusing({ size: 5 }, 'New size for extend must be greater than current size.')), 5)
    await ask(scripted(refusing({ size: 9, status: 'extending' }, 'Invalid volume')), 5)
  })

  test.each<[object, string, number, string, boolean, string?]>([
    // It may be this very request, delivered twice.
    [{ status: 'extending' }, 'currently extending', 400, 'conflicting-change', true, 'unknown'],
    [{ status: 'error' }, "status must be 'available' to extend, currently error.", 400, 'wrong-state', false],
    [{}, 'Malformed request url', 400, 'invalid-request', false],
    [{}, 'Requested volume size of 5 is larger than maximum allowed for volume type.', 400, 'limit-exceeded', false],
    [{}, 'VolumeSizeExceedsAvailableQuota: too much', 413, 'quota-exceeded', false],
    [{}, 'VolumeSizeExceedsLimit: too much', 413, 'limit-exceeded', false],
    [{}, 'no', 403, 'permission-denied', false],
    [{}, 'no', 401, 'authentication-failed', false],
    [{}, 'slower', 429, 'throttled', true],
    [{}, 'nobody is there', 503, 'backend-unreachable', true, 'unknown'],
  ])('%j, "%s" (%i) is %s', async (fields, said, status, code, retryable, outcome = 'unchanged') => {
    const error: unknown = await ask(scripted(refusing(fields, said, status)), 5).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code, retryable, outcome, provider: 'cinder' })
    expect(error).toHaveProperty('remedy', expect.any(String))
  })

  test('a server that fails may have accepted it: what is then seen under way is this growth', async () => {
    let broken = true
    const cloud = scripted((request) => {
      if (request.method !== 'POST') return about({ status: 'extending' })(request)
      const reply = { status: broken ? 500 : 400, body: { fault: { message: 'currently extending' } } }
      broken = false
      return reply
    })
    await expect(ask(cloud, 5)).rejects.toMatchObject({
      code: 'backend-unreachable',
      outcome: 'unknown',
      retryable: true,
    })
    await ask(cloud, 5)
    await expect(ask(cloud, 6)).rejects.toMatchObject({ code: 'conflicting-change' })
  })

  test('in use on an older cloud is told before and after', async () => {
    const fields = { status: 'in-use', attachments: [attached] }
    const cloud = scripted(
      refusing(fields, "status must be '{'status': 'available'}' to extend, currently in-use."),
      '3.41',
    )
    expect(await stateOf(cloud)).toMatchObject({ onlineGrowth: false })
    await expect(ask(cloud, 5)).rejects.toMatchObject({ code: 'offline-only', outcome: 'unchanged' })
  })

  test('a growth that was accepted and dropped is a failure, told once', async () => {
    const cloud = scripted(about({}, [message('003', { request_id: 'req-own' })]))
    await ask(cloud, 5)
    expect(await stateOf(cloud)).toMatchObject({ phase: 'failed', native: 'available' })
    expect(await stateOf(cloud)).toMatchObject({ phase: 'stable' })
  })

  test('while it is waited for, only the volume is looked at', async () => {
    const cloud = scripted(about({ status: 'extending' }))
    await ask(cloud, 5)
    cloud.sent.length = 0
    expect(await stateOf(cloud)).toMatchObject({ phase: 'growing', growingTo: 5n * GiB })
    expect(cloud.sent.map(({ path }) => path)).toEqual([`/volumes/${one}`])
  })
})

describe('many', () => {
  const ids = Array.from({ length: 200 }, (_, index) => `${`${index}`.padStart(8, '0')}-2222-4333-8444-555555555555`)
  const others = Array.from(
    { length: 2000 },
    (_, index) => `${`${index}`.padStart(8, '0')}-0000-4000-8000-000000000000`,
  )
  const all = [...others.slice(0, 1000), ...ids.slice(0, 100), ...others.slice(1000), ...ids.slice(100)]

  const project: Replies = ({ path, method }) => {
    if (method === 'POST') return { status: 202, headers: { date: 'Mon, 23 Nov 2026 10:00:00 GMT' } }
    const url = new URL(path, 'http://cinder')
    const single = /^\/volumes\/([0-9a-f-]{36})$/.exec(url.pathname)?.[1]
    if (single !== undefined) return all.includes(single) ? { body: { volume: volume(single) } } : undefined
    if (url.pathname !== '/volumes/detail') return { body: {} }
    const limit = Math.min(1000, Number(url.searchParams.get('limit')))
    const listed = url.searchParams.has('updated_at') ? ids : all
    const begin = listed.indexOf(url.searchParams.get('marker') ?? '') + 1
    const page = listed.slice(begin, begin + limit)
    const links = begin + limit < listed.length ? [{ rel: 'next', href: 'http://elsewhere/' }] : []
    return { body: { volumes: page.map((id) => volume(id)), volumes_links: links } }
  }

  test('are picked from the pages of the project, and then from what has changed', async () => {
    const { expander, sent } = scripted(project)
    const states = await expander.read(ids, {})
    expect(states.map((state) => 'key' in state && state.key)).toEqual(ids)
    expect(sent.filter(({ path }) => path.startsWith('/volumes/detail'))).toHaveLength(3)
    expect(sent.some(({ path }) => path.includes('all_tenants'))).toBe(false)
    for (const id of ids) await expander.expand(id, { size: (2n * GiB) as Bytes, options: undefined, requestId: id })
    sent.length = 0
    await expander.read(ids, {})
    expect(sent.filter(({ path }) => path.startsWith('/volumes'))).toMatchObject([
      { path: expect.stringContaining('updated_at=gte%3A2026-11-23T09%3A59%3A55') },
    ])
  })

  test('two that grow are one call, and one that the server does not count as changed is asked for itself', async () => {
    const { expander, sent } = scripted(project)
    const [first = '', other = ''] = [ids[0], others[0]]
    for (const id of [first, other]) {
      await expander.expand(id, { size: (2n * GiB) as Bytes, options: undefined, requestId: id })
    }
    sent.length = 0
    await expander.read([first, other], {})
    const looks = sent.map(({ path }) => path).filter((path) => path.startsWith('/volumes'))
    expect(looks).toEqual([expect.stringContaining('updated_at'), `/volumes/${other}`])
  })

  test('a few are asked for one by one, and one that is missing is its own', async () => {
    const { expander, sent } = scripted(project)
    const [first = ''] = ids
    const [found, missing] = await expander.read([first, one], {})
    expect(found).toMatchObject({ key: first })
    expect(missing).toMatchObject({ code: 'not-found', outcome: 'unchanged' })
    expect(sent.some(({ path }) => path.startsWith('/volumes/detail'))).toBe(false)
  })

  test('no more than eight growths are asked for at once', async () => {
    let [now, most] = [0, 0]
    const cloud = scripted((request) => project(request))
    const api = new CinderApi({
      async send(request) {
        if (request.method !== 'POST')
          return { status: 200, headers: {}, body: { versions: [{ id: 'v3.0', version: '3.70' }] } }
        now += 1
        most = Math.max(most, now)
        await new Promise((resolve) => setImmediate(resolve))
        now -= 1
        return { status: 202, headers: {}, body: undefined }
      },
    })
    const expander = cinderExpander({ api, memory: new Memory(), scope: 'test' })
    await Promise.all(
      ids.map((id) => expander.expand(id, { size: (2n * GiB) as Bytes, options: undefined, requestId: id })),
    )
    expect(most).toBe(8)
    expect(cloud.sent).toEqual([])
  })
})

describe('refs', () => {
  test('one id however it is written', () => {
    const { expander } = scripted(() => undefined)
    for (const ref of [one, one.toUpperCase(), one.replaceAll('-', ''), { id: one, overhead: '2Mi' }]) {
      expect(expander.normalize(ref)).toEqual({ scope: 'test', key: one, label: one })
    }
  })

  test('the serial as a whole, or its first twenty characters', () => {
    const { expander } = scripted(() => undefined)
    expect(expander.identify(one, { key: one, size: GiB, phase: 'stable', native: 'available' })).toEqual({
      ...{ serial: one, serialCutAt: 20, byId: ['virtio-11111111-2222-4333-8'] },
    })
  })

  test("a client of the user's own", async () => {
    const client = { send: async (): Promise<never> => Promise.reject(new Error('the line is cut')) }
    const volumes = [cinder({ client }).volume(one), cinder({ client }).volume(one)].map(handleOf)
    expect(volumes[0]?.identity).toEqual(volumes[1]?.identity)
    await expect(volumes[0]?.expander.read([one], {})).rejects.toMatchObject({
      code: 'backend-unreachable',
      retryable: true,
    })
  })
})

test('the project of the quota is that of the volume', async () => {
  const cloud = scripted(about({}))
  await stateOf(cloud)
  expect(cloud.sent.map(({ path }) => path)).toContain(`/os-quota-sets/${projectId}?usage=true`)
})

test('a volume without a size is none of 0 bytes: it was not seen', async () => {
  await expect(stateOf(scripted(about({ size: undefined })))).rejects.toMatchObject({
    ...{ code: 'backend-unreachable', outcome: 'unchanged', retryable: true },
  })
})
