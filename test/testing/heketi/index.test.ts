import { createHash, createHmac } from 'node:crypto'
import { afterEach, describe, expect, test } from 'vitest'
import { type HeketiEmulator, type HeketiEmulatorOptions, heketiEmulator } from '../../../src/testing/heketi/index.ts'
import { virtualClock } from '../../../src/testing/virtual-clock.ts'

const id = '1'.padStart(32, '0')
const opened: HeketiEmulator[] = []

afterEach(async () => {
  for (const emulator of opened.splice(0)) await emulator.close()
})

async function start(options: Partial<HeketiEmulatorOptions> = {}): Promise<HeketiEmulator> {
  const emulator = await heketiEmulator({ adminKey: 'key', volumes: { [id]: { size: 10 } }, ...options })
  opened.push(emulator)
  return emulator
}

function tokenFor(method: string, path: string, claims: object = {}, key = 'key'): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const now = Math.floor(Date.now() / 1000)
  const qsh = createHash('sha256').update(`${method}&${path}`).digest('hex')
  const content = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ iss: 'admin', iat: now, exp: now + 60, qsh, ...claims })}`
  return `bearer ${content}.${createHmac('sha256', key).update(content).digest('base64url')}`
}

function ask(emulator: HeketiEmulator, path: string, body?: object, authorization?: string): Promise<Response> {
  const method = body === undefined ? 'GET' : 'POST'
  return fetch(`${emulator.url}${path}`, {
    method,
    redirect: 'manual',
    headers: { authorization: authorization ?? tokenFor(method, path) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
}

describe('the queue', () => {
  test('is pending, then gives its answer once', async () => {
    const clock = virtualClock()
    const emulator = await start({ clock, operationTime: 1000 })
    const accepted = await ask(emulator, `/volumes/${id}/expand`, { expand_size: 5 })
    const location = accepted.headers.get('location') ?? ''
    expect([accepted.status, location]).toEqual([202, expect.stringMatching(/^\/queue\/[0-9a-f]{32}$/)])
    const pending = await ask(emulator, location)
    expect([pending.status, pending.headers.get('x-pending')]).toEqual([200, 'true'])
    expect(emulator.size(id)).toBe(10)
    await clock.advance(1000)
    const done = await ask(emulator, location)
    expect([done.status, done.headers.get('location')]).toEqual([303, `/volumes/${id}`])
    const again = await ask(emulator, location)
    expect([again.status, (await again.text()).trim()]).toEqual([404, 'Id not found'])
    expect(emulator.size(id)).toBe(15)
  })

  test('of two growths at once, one is lost, and both are said to be done', async () => {
    const clock = virtualClock()
    const emulator = await start({ clock, operationTime: 1000 })
    const both = [5, 7].map((size) => ask(emulator, `/volumes/${id}/expand`, { expand_size: size }))
    const queues = (await Promise.all(both)).map(({ headers }) => headers.get('location') ?? '')
    await clock.advance(1000)
    for (const queue of queues) expect((await ask(emulator, queue)).status).toBe(303)
    expect([15, 17]).toContain(emulator.size(id))
    expect(emulator.mutations).toHaveLength(2)
  })

  test('tells why an executor failed', async () => {
    const emulator = await start()
    emulator.failNext('no such device')
    const { headers } = await ask(emulator, `/volumes/${id}/expand`, { expand_size: 5 })
    const failed = await ask(emulator, headers.get('location') ?? '')
    expect([failed.status, (await failed.text()).trim()]).toEqual([500, 'no such device'])
    expect(emulator.size(id)).toBe(10)
  })
})

describe('limits', () => {
  test('busy, without room, with too many bricks', async () => {
    const busy = await start({ clock: virtualClock(), operationTime: 1000, inFlight: 1 })
    expect((await ask(busy, `/volumes/${id}/expand`, { expand_size: 1 })).status).toBe(202)
    const refused = await ask(busy, `/volumes/${id}/expand`, { expand_size: 1 })
    expect([refused.status, (await refused.text()).trim()]).toEqual([429, 'Server busy. Retry operation later.'])
    const full = await ask(await start({ free: 3 }), `/volumes/${id}/expand`, { expand_size: 4 })
    expect((await full.text()).trim()).toBe('Failed to allocate volume expansion: No space')
    const many = await ask(await start({ mostBricks: 3 }), `/volumes/${id}/expand`, { expand_size: 1 })
    expect((await many.text()).trim()).toMatch(/Maximum number of bricks reached/)
  })

  test('a block volume takes its whole size, and never a smaller one', async () => {
    const block = '2'.padStart(32, '0')
    const emulator = await start({ volumes: { [block]: { size: 10, block: true } } })
    expect((await ask(emulator, `/blockvolumes/${block}/expand`, { new_size: 9 })).status).toBe(400)
    expect((await ask(emulator, `/blockvolumes/${block}/expand`, { new_size: 12 })).status).toBe(202)
    expect(emulator.size(block)).toBe(12)
    expect((await ask(emulator, `/volumes/${block}`)).status).toBe(404)
  })
})

describe('tokens', () => {
  const path = `/volumes/${id}`
  const now = Math.floor(Date.now() / 1000)
  test.each([
    ['for another path', tokenFor('GET', '/volumes'), 401, 'Invalid qsh claim in token'],
    ['that has expired', tokenFor('GET', path, { exp: now - 10 }), 401, /Token is expired/],
    ['without an end', tokenFor('GET', path, { exp: undefined }), 401, /Token is expired/],
    ['from the future', tokenFor('GET', path, { iat: now + 600 }), 401, /used before issued/],
    ['with another key', tokenFor('GET', path, {}, 'other'), 401, /signature is invalid/],
    ['of nobody', tokenFor('GET', path, { iss: 'nobody' }), 401, /Unknown user/],
    ['that are none', 'Basic x', 400, /Bearer/],
    ['that fit', tokenFor('GET', path), 200, /"size":10/],
  ])('%s', async (_, token, status, text) => {
    const answer = await ask(await start(), path, undefined, token)
    expect(answer.status).toBe(status)
    expect((await answer.text()).trim()).toMatch(text)
  })

  test('of the user, who may hardly do anything', async () => {
    const emulator = await start({ userKey: 'of-the-user' })
    const token = tokenFor('GET', path, { iss: 'user' }, 'of-the-user')
    expect((await ask(emulator, path, undefined, token)).status).toBe(401)
  })
})
