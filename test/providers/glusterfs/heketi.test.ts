import { afterEach, describe, expect, test } from 'vitest'
import { heketiClient } from '../../../providers/glusterfs/heketi/client.ts'
import { heketiExpander } from '../../../providers/glusterfs/heketi/expander.ts'
import { glusterfs, type HeketiOptions, type HeketiProvider } from '../../../providers/glusterfs/index.ts'
import { providerCases } from '../../../src/conformance/index.ts'
import { handleOf } from '../../../src/expander.ts'
import { type ExpansionEvent, expand, plan } from '../../../src/index.ts'
import { type Bytes, GiB } from '../../../src/size.ts'
import { type HeketiEmulator, type HeketiEmulatorOptions, heketiEmulator } from '../../../src/testing/heketi/index.ts'

const key = 'canary-of-the-key'
const opened: HeketiEmulator[] = []
let count = 0

afterEach(async () => {
  for (const emulator of opened.splice(0)) await emulator.close()
})

function newId(): string {
  count += 1
  return count.toString(16).padStart(32, 'a')
}

async function heketi(options: Partial<HeketiEmulatorOptions> = {}): Promise<HeketiEmulator> {
  const emulator = await heketiEmulator({ adminKey: key, userKey: 'of-the-user', ...options })
  opened.push(emulator)
  return emulator
}

interface Scene {
  readonly emulator: HeketiEmulator
  readonly id: string
  readonly provider: HeketiProvider
}

async function scene(options: Partial<HeketiEmulatorOptions> = {}, block = false): Promise<Scene> {
  const emulator = await heketi(options)
  const id = newId()
  emulator.add(id, { size: 10, block })
  return { emulator, id, provider: glusterfs({ heketi: { url: emulator.url, key } }) }
}

const shared = await heketiEmulator({ adminKey: key, operationTime: 20 })
const kinds = [
  ['file', 'volumes', false],
  ['block', 'blockvolumes', true],
] as const

describe.each(kinds)('conformance of %s volumes', (_, kind, block) => {
  const expander = heketiExpander(heketiClient({ url: shared.url, key }), kind)
  const cases = providerCases({
    expander,
    volume: async () => {
      const id = newId()
      shared.add(id, { size: 10, block })
      return {
        ref: id,
        measure: async () => BigInt(shared.size(id)) * GiB,
        grow: async (size: Bytes) => shared.grow(id, Number(size / GiB)),
      }
    },
    missing: 'f'.repeat(32),
    loseAnswer: () => shared.lose('accepted'),
    secrets: [key],
    malformed: ['', 'x', 'F'.repeat(32), '../../queue', 7, null, undefined, {}],
    persistentVolumes: async () => {
      if (block) return []
      const id = newId()
      const spec = { glusterfs: { endpoints: 'glusterfs', path: `vol_${id}` } }
      const annotations = { 'gluster.kubernetes.io/heketi-volume-id': id }
      return [
        { ref: id, persistentVolume: { spec } },
        { ref: id, persistentVolume: { metadata: { annotations }, spec: { glusterfs: { path: 'team_pvc_1' } } } },
      ]
    },
  })
  test.each(cases.filter(({ skip }) => skip === undefined))('$name', ({ run }) => run())
})

describe('growing', () => {
  test('asks for what is missing by Heketi’s own size, and waits for the queue', async () => {
    const { emulator, id, provider } = await scene({ operationTime: 300 })
    // Somebody else made it larger than anybody who plans with an old size knows.
    emulator.grow(id, 15)
    const events: ExpansionEvent[] = []
    const run = expand({ volume: provider.volume(id), to: '20Gi' })
    for await (const event of run) events.push(event)
    expect((await run).changed).toBe(true)
    expect(emulator.size(id)).toBe(20)
    expect(emulator.mutations).toEqual([{ id, from: 15, to: 20 }])
    expect(events.some((event) => event.type === 'progress' && event.native === 'expanding')).toBe(true)
    expect((await expand({ volume: provider.volume(id), to: '20Gi' })).changed).toBe(false)
  })

  test('a block volume is asked for its whole new size', async () => {
    const { emulator, id, provider } = await scene({}, true)
    await expand({ volume: provider.volume(id, { block: true }), by: '5Gi' })
    expect(emulator.mutations).toEqual([{ id, from: 10, to: 15 }])
  })

  test('many at once lose nothing, from whichever factory they come', async () => {
    const { emulator, id } = await scene({ operationTime: 30 })
    const sizes = ['12Gi', '20Gi', '15Gi', '20Gi', '11Gi']
    const runs = sizes.map((to) => expand({ volume: glusterfs({ heketi: { url: emulator.url, key } }).volume(id), to }))
    // A size that another run has passed meanwhile is refused as smaller, and loses nothing.
    const ended = await Promise.allSettled(runs)
    expect(emulator.size(id)).toBe(20)
    for (const end of ended) if (end.status === 'rejected') expect(end.reason).toMatchObject({ code: 'would-shrink' })
    for (const [index, mutation] of emulator.mutations.entries()) {
      expect(mutation.from).toBe(index === 0 ? 10 : emulator.mutations[index - 1]?.to)
    }
  })

  test.each(['answer', 'accepted', 'request'] as const)(
    'a connection that is lost (%s) adds nothing twice',
    async (what) => {
      const { emulator, id, provider } = await scene({ operationTime: 100 })
      emulator.lose(what)
      const first = await Promise.resolve(expand({ volume: provider.volume(id), to: '20Gi' })).catch(
        (error: unknown) => error,
      )
      if (first instanceof Error) {
        expect(first).toMatchObject({ retryable: expect.any(Boolean) })
        await expand({ volume: provider.volume(id), to: '20Gi' })
      }
      expect(emulator.size(id)).toBe(20)
      expect(emulator.mutations).toHaveLength(1)
    },
  )

  test('an executor that fails is told with its reason, and the same call succeeds afterwards', async () => {
    const { emulator, id, provider } = await scene()
    emulator.failNext('Unable to execute command on glusterfs-1: volume add-brick: failed')
    const error = await expand({ volume: provider.volume(id), to: '20Gi' }).then(undefined, (reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'backend-failed', outcome: 'unchanged' })
    expect(`${error}`).toMatch(/add-brick: failed/)
    expect(emulator.size(id)).toBe(10)
    await expand({ volume: provider.volume(id), to: '20Gi' })
    expect(emulator.size(id)).toBe(20)
  })

  test('a growth that another client’s made Heketi forget is not reported as done', async () => {
    const { emulator, id, provider } = await scene({ operationTime: 200 })
    const run = expand({ volume: provider.volume(id), to: '20Gi' })
    for await (const event of run) if (event.type === 'progress') break
    await expect.poll(() => emulator.mutations.length).toBe(1)
    // What the other one writes last is what stays.
    await expect.poll(() => emulator.size(id)).toBe(20)
    emulator.grow(id, 12)
    const error = await Promise.resolve(run).then(
      () => undefined,
      (reason: unknown) => reason,
    )
    if (error !== undefined) expect(error).toMatchObject({ code: 'backend-failed' })
    await expand({ volume: provider.volume(id), to: '20Gi' })
    expect(emulator.size(id)).toBe(20)
  })
})

describe('refusals', () => {
  const asked = async ({ id, provider }: Scene, to = 20n): Promise<unknown> => {
    const { expander } = handleOf(provider.volume(id))
    const size = (to * GiB) as Bytes
    return expander
      .expand(id, { size, options: undefined, requestId: 'one' })
      .then(undefined, (error: unknown) => error)
  }

  test.each([
    [429, 'Server busy. Retry operation later.', { code: 'throttled', retryable: true, outcome: 'unchanged' }],
    [503, 'Server under maintenance', { code: 'backend-unreachable', retryable: true }],
    [500, 'something broke', { code: 'backend-failed', outcome: 'unknown' }],
    [400, 'validation failed: size', { code: 'invalid-request', outcome: 'unchanged' }],
  ])('%i is told as what it is', async (status, text, expected) => {
    const made = await scene()
    made.emulator.answerNext(status, text)
    expect(await asked(made)).toMatchObject({ ...expected, provider: 'glusterfs', remedy: expect.any(String) })
    expect(made.emulator.mutations).toEqual([])
  })

  test('a busy Heketi is asked again, and one under maintenance too', async () => {
    const { emulator, id, provider } = await scene()
    emulator.answerNext(429, 'Server busy. Retry operation later.', 3)
    emulator.answerNext(503, 'Server under maintenance')
    await expand({ volume: provider.volume(id), to: '20Gi', random: () => 0.01 })
    expect(emulator.mutations).toHaveLength(1)
  })

  test('a cluster without room, and a volume with too many bricks', async () => {
    expect(await asked(await scene({ free: 5 }))).toMatchObject({ code: 'pool-full', outcome: 'unchanged' })
    expect(await asked(await scene({ mostBricks: 5 }))).toMatchObject({ code: 'limit-exceeded', outcome: 'unchanged' })
  })

  test('a clock that is too far off is told as that', async () => {
    const made = await scene({ ahead: 600_000 })
    const late = await asked(made)
    expect(late).toMatchObject({ code: 'authentication-failed', outcome: 'unchanged' })
    expect((late as { remedy: string }).remedy).toMatch(/clocks/)
    made.emulator.setAhead(-600_000)
    expect(await asked(made)).toMatchObject({ code: 'authentication-failed' })
    made.emulator.setAhead(0)
    expect(await asked(made)).toBeUndefined()
  })

  test('every request has a token of its own, for its own path', async () => {
    const { emulator, id, provider } = await scene({ operationTime: 50 })
    await expand({ volume: provider.volume(id), to: '20Gi' })
    const paths = new Set(emulator.requests.map(({ method, path }) => `${method} ${path}`))
    expect(new Set(emulator.tokens).size).toBeGreaterThanOrEqual(paths.size)
    expect(emulator.requests.filter(({ status }) => status === 401)).toEqual([])
  })

  test('a user without rights, a wrong key and a key that cannot be had', async () => {
    const { emulator, id } = await scene()
    const failed = async (options: { heketi: HeketiOptions }): Promise<unknown> => {
      const { volume } = glusterfs(options)
      return plan({ volume: volume(id), to: '20Gi' }).then(undefined, (error: unknown) => error)
    }
    const { url } = emulator
    expect(await failed({ heketi: { url, user: 'user', key: 'of-the-user' } })).toMatchObject({
      code: 'permission-denied',
    })
    expect(await failed({ heketi: { url, key: 'wrong' } })).toMatchObject({ code: 'authentication-failed' })
    const secret = async (): Promise<string> => {
      throw new Error(`vault says ${key}`)
    }
    const error = await failed({ heketi: { url, key: secret } })
    expect(error).toMatchObject({ code: 'authentication-failed', outcome: 'unchanged' })
    expect(JSON.stringify(error)).not.toContain(key)
  })

  test('neither the key nor a token is in plans, reports, events or errors', async () => {
    const { emulator, id, provider } = await scene()
    const said: unknown[] = [await plan({ volume: provider.volume(id), to: '20Gi' })]
    const run = expand({ volume: provider.volume(id), to: '20Gi' })
    for await (const event of run) said.push(event)
    emulator.answerNext(500, 'broken')
    said.push(
      await Promise.resolve(expand({ volume: provider.volume(id), to: '30Gi' })).catch((error: unknown) => error),
    )
    const text = said
      .map((value) => JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? `${part}` : part)))
      .join()
    expect(text).not.toContain(key)
    for (const token of emulator.tokens) expect(text).not.toContain(token.split('.').at(-1))
  })

  test('an address that is none is refused at once', () => {
    expect(() => glusterfs({ heketi: { url: 'heketi:8080', key } })).toThrow(TypeError)
    expect(() => glusterfs({ heketi: { url: 'https://admin:x@heketi', key } })).toThrow(TypeError)
    expect(() => glusterfs({} as never)).toThrow(TypeError)
  })
})
