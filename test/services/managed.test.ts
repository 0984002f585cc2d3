import { describe, expect, test } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { VolumeExpansionError } from '../../src/errors.ts'
import { type ExpandOptions, handleOf, type Volume, volumeOf } from '../../src/expander.ts'
import { type ManagedVolume, manage } from '../../src/services/managed.ts'
import { rememberedScopes } from '../../src/services/scope.ts'
import { bytes, GiB, MiB } from '../../src/size.ts'
import {
  type ScriptedProviderOptions,
  type ScriptedVolume,
  scriptedProvider,
  seededRandom,
  type VirtualClock,
  virtualClock,
} from '../../src/testing/index.ts'

const two = bytes(2n * GiB)
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

const managed = (volume: Volume, clock: VirtualClock): ManagedVolume =>
  manage(handleOf(volume), { clock, random: seededRandom(1) })

function setup(volume: Partial<ScriptedVolume> = {}, options: Partial<ScriptedProviderOptions> = {}) {
  const clock = virtualClock()
  const provider = scriptedProvider({ clock, volumes: { a: { size: GiB, ...volume }, b: GiB }, ...options })
  return { clock, provider, volume: managed(provider.volume('a'), clock) }
}

const lost = new VolumeExpansionError('backend-unreachable', 'no', {
  layer: 'volume',
  outcome: 'unchanged',
  retryable: true,
})

describe('read', () => {
  test('gives the state, and repeats what is worth repeating', async () => {
    const { clock, provider, volume } = setup({ readFailures: [lost, lost] })
    expect(await clock.run(volume.read())).toMatchObject({ key: 'a', size: GiB, phase: 'stable' })
    expect(provider.calls.read).toBe(3)
  })

  test('does not repeat what is not', async () => {
    const { clock, provider } = setup()
    await expect(clock.run(managed(provider.volume('missing'), clock).read())).rejects.toMatchObject({
      code: 'not-found',
      provider: 'scripted',
    })
    expect(provider.calls.read).toBe(1)
  })

  test('is shared by volumes of one scope, whichever factory they came from', async () => {
    const clock = virtualClock()
    const options = { clock, scope: 'region-1', volumes: { a: GiB, b: GiB } }
    const [one, other] = [scriptedProvider(options), scriptedProvider(options)]
    await clock.run(Promise.all([managed(one.volume('a'), clock).read(), managed(other.volume('b'), clock).read()]))
    expect([one.calls.read + other.calls.read, one.calls.refs + other.calls.refs]).toEqual([1, 2])
  })

  test('never crosses a scope, a provider or a clock', async () => {
    const clock = virtualClock()
    const elsewhere = virtualClock()
    const volumes = { a: GiB }
    const one = scriptedProvider({ clock, volumes, scope: 's', name: 'x' })
    const scope = scriptedProvider({ clock, volumes, scope: 't', name: 'x' })
    const name = scriptedProvider({ clock, volumes, scope: 's', name: 'y' })
    const other = scriptedProvider({ clock: elsewhere, volumes, scope: 's', name: 'x' })
    const reads = [one, scope, name].map((provider) => managed(provider.volume('a'), clock).read())
    await clock.run(Promise.all(reads))
    await elsewhere.run(managed(other.volume('a'), elsewhere).read())
    expect([one, scope, name, other].map(({ calls }) => calls.read)).toEqual([1, 1, 1, 1])
  })
})

describe('expand', () => {
  test('makes one mutation with a request id', async () => {
    const { clock, provider, volume } = setup()
    await clock.run(volume.expand(two))
    expect(provider.mutations).toEqual([{ key: 'a', size: two, requestId: expect.stringMatching(uuid), at: 0 }])
    expect(provider.state('a').size).toBe(two)
  })

  test('keeps the request id for every try, and the lost answer makes no second mutation', async () => {
    const { clock, ids, volume } = recording({ lostAnswers: 1, expandFailures: [lost] })
    await clock.run(volume.expand(two))
    expect(ids).toHaveLength(3)
    expect(new Set(ids).size).toBe(1)
  })

  test('keeps the request id when the caller tries again, and makes a new one for the next growth', async () => {
    const final = new VolumeExpansionError('backend-unreachable', 'no', { layer: 'volume', provider: 'scripted' })
    const { clock, ids, volume } = recording({ expandFailures: [final] })
    await expect(clock.run(volume.expand(two))).rejects.toBe(final)
    await clock.run(volume.expand(two))
    await clock.run(volume.expand(bytes(3n * GiB)))
    expect(ids).toHaveLength(3)
    expect(ids[0]).toBe(ids[1])
    expect(ids[2]).not.toBe(ids[0])
  })

  test('makes a new request id once the growth was accepted, so that one that failed later can be asked for again', async () => {
    const { clock, ids, provider, volume } = recording({ failingGrowths: 1 })
    await clock.run(volume.expand(two))
    expect(provider.state('a').phase).toBe('failed')
    await clock.run(volume.expand(two))
    expect(provider.state('a').size).toBe(two)
    expect(new Set(ids).size).toBe(2)
  })

  test.each([bytes(2n * GiB + MiB), bytes(0n), -GiB as typeof GiB])('refuses %s bytes before asking', async (size) => {
    const { provider, volume } = setup()
    await expect(volume.expand(size)).rejects.toMatchObject({ code: 'invalid-size', outcome: 'unchanged' })
    expect(provider.calls.expand).toBe(0)
  })

  test('refuses an aborted signal before any side effect', async () => {
    const { provider, volume } = setup()
    await expect(volume.expand(two, AbortSignal.abort())).rejects.toMatchObject({
      code: 'aborted',
      outcome: 'unchanged',
    })
    expect(provider.calls.expand).toBe(0)
  })

  test('an abort while the request is under way leaves the outcome unknown', async () => {
    const { clock, provider, volume } = setup({}, { latency: 1000 })
    const controller = new AbortController()
    const result = expect(volume.expand(two, controller.signal)).rejects.toMatchObject({
      code: 'aborted',
      outcome: 'unknown',
    })
    await clock.advance(750)
    controller.abort()
    await result
    // And rightly so: the backend had accepted it.
    expect(provider.mutations).toHaveLength(1)
  })

  test('an abort in the queue leaves everything unchanged', async () => {
    const { clock, provider, volume } = setup({}, { pace: { expand: { burst: 1, perSecond: 0.01 } } })
    await clock.run(managed(provider.volume('b'), clock).expand(two))
    const controller = new AbortController()
    const result = expect(volume.expand(two, controller.signal)).rejects.toMatchObject({
      code: 'aborted',
      outcome: 'unchanged',
    })
    await clock.advance(1000)
    controller.abort()
    await result
    expect(provider.mutations).toHaveLength(1)
  })

  test('a foreign error is wrapped, with an unknown outcome, and never repeated', async () => {
    const { clock, ids, volume } = recording({ expandFailures: [new TypeError('oops')] })
    await expect(clock.run(volume.expand(two))).rejects.toMatchObject({
      code: 'contract-violated',
      outcome: 'unknown',
      provider: 'scripted',
      message: 'oops',
    })
    expect(ids).toHaveLength(1)
  })

  test('a throttle slows the whole scope down, and reaches nobody', async () => {
    const throttle = { expand: { burst: 1, perSecond: 1 } }
    const { clock, provider, volume } = setup({}, { throttle, retryAfter: 2000 })
    await clock.run(Promise.all([volume.expand(two), managed(provider.volume('b'), clock).expand(two)]))
    expect(provider.mutations).toHaveLength(2)
    expect(provider.calls.throttled).toBeGreaterThan(0)
    expect(provider.mutations[1]?.at).toBeGreaterThanOrEqual(2000)
  })

  test("keeps to the scope's declared pace", async () => {
    const clock = virtualClock()
    const keys = Array.from({ length: 10 }, (_, index) => `v${index}`)
    const provider = scriptedProvider({
      clock,
      volumes: Object.fromEntries(keys.map((key) => [key, GiB])),
      pace: { expand: { burst: 2, perSecond: 2 } },
    })
    await clock.run(Promise.all(keys.map((key) => managed(provider.volume(key), clock).expand(two))))
    expect(provider.mutations.map(({ at }) => Math.round(at))).toEqual([
      0, 0, 500, 1000, 1500, 2000, 2500, 3000, 3500, 4000,
    ])
  })

  /** A volume whose provider notes the request id of every try. */
  function recording(script: Partial<ScriptedVolume>) {
    const clock = virtualClock()
    const provider = scriptedProvider({ clock, volumes: { a: { size: GiB, ...script } } })
    const ids: string[] = []
    const noting = {
      ...provider,
      expand: async (ref: string, options: ExpandOptions<undefined>): Promise<void> => {
        ids.push(options.requestId)
        await provider.expand(ref, options)
      },
    }
    return { clock, ids, provider, volume: managed(volumeOf(noting, 'a'), clock) }
  }
})

describe('what is remembered of a scope', () => {
  test('nothing, once it is unused and no limit is left to remember', async () => {
    const { clock, volume } = setup()
    const reading = volume.read()
    expect(rememberedScopes(clock)).toBe(1)
    await clock.run(reading)
    expect(rememberedScopes(clock)).toBe(0)
  })

  test('a bucket that is not full yet, until it is and another scope comes', async () => {
    const { clock, volume } = setup({}, { pace: { read: { burst: 1, perSecond: 1 } } })
    await clock.run(volume.read())
    expect(rememberedScopes(clock)).toBe(1)
    await clock.advance(2000)
    const another = scriptedProvider({ clock, volumes: { a: GiB } })
    await clock.run(managed(another.volume('a'), clock).read())
    expect(rememberedScopes(clock)).toBe(0)
  })

  test('nothing after failures and aborts either', async () => {
    const { clock, provider, volume } = setup({}, { latency: 100 })
    const controller = new AbortController()
    const results = Promise.allSettled([
      volume.read(controller.signal),
      volume.expand(two, controller.signal),
      managed(provider.volume('missing'), clock).read(),
    ])
    await clock.advance(10)
    controller.abort()
    const codes = (await clock.run(results)).map((result) => (result.status === 'rejected' ? result.reason.code : 'ok'))
    expect(codes).toEqual(['aborted', 'aborted', 'not-found'])
    await clock.settle()
    expect(rememberedScopes(clock)).toBe(0)
    expect(clock.pending).toBe(0)
  })
})

test('on the system clock, volumes share requests and leave nothing behind', async () => {
  const keys = Array.from({ length: 20 }, (_, index) => `v${index}`)
  const provider = scriptedProvider({
    clock: systemClock,
    volumes: Object.fromEntries(keys.map((key) => [key, GiB])),
    readBatch: 10,
    latency: 4,
  })
  const dependencies = { clock: systemClock, random: seededRandom(1) }
  const grown = await Promise.all(
    keys.map(async (key) => {
      const volume = manage(handleOf(provider.volume(key)), dependencies)
      await volume.expand(two)
      return await volume.read()
    }),
  )
  expect(grown.map(({ size }) => size)).toEqual(keys.map(() => two))
  expect(provider.mutations).toHaveLength(20)
  expect(provider.calls.read).toBeLessThan(20)
  expect(rememberedScopes(systemClock)).toBe(0)
})
