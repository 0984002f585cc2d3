import { describe, expect, test } from 'vitest'
import { VolumeExpansionError } from '../../src/errors.ts'
import type { VolumeState } from '../../src/expander.ts'
import { type Bytes, bytes, GiB, MiB } from '../../src/size.ts'
import {
  type ScriptedProvider,
  type ScriptedProviderOptions,
  type ScriptedVolume,
  scriptedProvider,
  virtualClock,
} from '../../src/testing/index.ts'

const two = bytes(2n * GiB)
const three = bytes(3n * GiB)

function setup(volume: Partial<ScriptedVolume> = {}, options: Partial<ScriptedProviderOptions> = {}) {
  const clock = virtualClock()
  const provider = scriptedProvider({ clock, volumes: { a: { size: GiB, ...volume }, b: '5Gi' }, ...options })
  return { clock, provider }
}

const expand = (provider: ScriptedProvider, key: string, size: Bytes, signal?: AbortSignal): Promise<void> =>
  provider.expand(key, { size, options: undefined, requestId: `id-${size}`, ...(signal && { signal }) })

async function read(provider: ScriptedProvider, key: string): Promise<VolumeState> {
  const [outcome] = await provider.read([key], {})
  if (outcome === undefined || outcome instanceof Error) throw outcome
  return outcome
}

describe('refs', () => {
  test('of one volume have one key and one scope', () => {
    const { provider } = setup()
    expect(provider.normalize('scripted:a')).toEqual(provider.normalize('a'))
    expect(provider.normalize('a')).toMatchObject({ key: 'a', label: 'scripted a' })
    expect(provider.volume('a')).toMatchObject({ provider: 'scripted', label: 'scripted a' })
  })

  test.each(['', 'a b', '../a', '$(id)', 'a\nb', 5 as unknown as string])('%j is none', (ref) => {
    expect(() => setup().provider.normalize(ref)).toThrowError(expect.objectContaining({ code: 'invalid-reference' }))
  })

  test('of two providers never share a scope unless told so', () => {
    const [one, other] = [setup().provider, setup().provider]
    expect(one.normalize('a').scope).not.toBe(other.normalize('a').scope)
    expect(setup({}, { scope: 's' }).provider.normalize('a').scope).toBe('s')
  })
})

describe('read', () => {
  test('tells one state or error per ref, in order', async () => {
    const { provider } = setup()
    const outcomes = await provider.read(['b', 'missing', 'scripted:a'], {})
    expect(outcomes).toMatchObject([
      { key: 'b', size: 5n * GiB, phase: 'stable', native: 'available' },
      { code: 'not-found', outcome: 'unchanged' },
      { key: 'a', size: GiB },
    ])
    expect(provider.calls).toEqual({ read: 1, refs: 3, expand: 0, throttled: 0, atOnce: 1 })
  })

  test('refuses more refs than it declares', async () => {
    const { provider } = setup({}, { readBatch: 1 })
    await expect(provider.read(['a', 'b'], {})).rejects.toMatchObject({ code: 'contract-violated' })
  })

  test('answers with the scripted failures first, one each', async () => {
    const failure = new VolumeExpansionError('backend-unreachable', 'no', { layer: 'volume', retryable: true })
    const { provider } = setup({ readFailures: [failure] })
    expect(await provider.read(['a', 'b'], {})).toMatchObject([failure, { key: 'b' }])
    expect(await read(provider, 'a')).toMatchObject({ key: 'a' })
  })

  test('tells limits, users and online growth where they are scripted, and leaves them out elsewhere', async () => {
    const told = {
      limits: [{ what: 'quota', most: two, source: 'the quota' }] as const,
      users: [{ kind: 'attachment', description: 'a server' }] as const,
      onlineGrowth: false,
    }
    const { provider } = setup(told)
    expect(await read(provider, 'a')).toMatchObject(told)
    for (const key of Object.keys(told)) expect(await read(provider, 'b')).not.toHaveProperty(key)
  })

  test('takes its time, and an abort ends it', async () => {
    const { clock, provider } = setup({}, { latency: 100 })
    await clock.run(read(provider, 'a'))
    expect(clock.now()).toBe(100)
    const controller = new AbortController()
    const reading = provider.read(['a'], { signal: controller.signal }).catch((error) => error)
    await clock.advance(10)
    controller.abort()
    expect(await reading).toMatchObject({ code: 'aborted', outcome: 'unchanged' })
    expect(clock.pending).toBe(0)
  })
})

describe('expand', () => {
  test('takes the time that a growth takes, with the progress told', async () => {
    const { clock, provider } = setup({ growthTime: 10_000 })
    await expand(provider, 'a', two)
    await clock.advance(2500)
    expect(await read(provider, 'a')).toMatchObject({ size: GiB, phase: 'growing', growingTo: two, progress: 0.25 })
    await clock.advance(7500)
    const state = await read(provider, 'a')
    expect(state).toMatchObject({ size: two, phase: 'stable' })
    expect(state).not.toHaveProperty('growingTo')
    expect(state).not.toHaveProperty('progress')
  })

  test('tells no progress where it declares none', async () => {
    const { provider } = setup({ growthTime: 10_000 }, { progress: false })
    await expand(provider, 'a', two)
    expect(provider.capabilities.progress).toBe(false)
    expect(await read(provider, 'a')).not.toHaveProperty('progress')
  })

  test('is idempotent, joins what is under way and never shrinks', async () => {
    const { clock, provider } = setup({ growthTime: 1000 })
    await expand(provider, 'a', two)
    await expand(provider, 'a', two)
    await expand(provider, 'a', GiB)
    await clock.advance(1000)
    await expand(provider, 'a', two)
    await expand(provider, 'b', GiB)
    expect(provider.mutations).toEqual([{ key: 'a', size: two, requestId: `id-${two}`, at: 0 }])
    expect(provider.state('b').size).toBe(5n * GiB)
  })

  test('refuses a larger growth while one is under way', async () => {
    const { provider } = setup({ growthTime: 1000 })
    await expand(provider, 'a', two)
    await expect(expand(provider, 'a', three)).rejects.toMatchObject({ code: 'conflicting-change' })
  })

  test('whose answer is lost was accepted nevertheless', async () => {
    const { provider } = setup({ lostAnswers: 1 })
    await expect(expand(provider, 'a', two)).rejects.toMatchObject({
      code: 'backend-unreachable',
      outcome: 'unknown',
      retryable: true,
    })
    expect(provider.state('a').size).toBe(two)
    await expand(provider, 'a', two)
    await expand(provider, 'a', three)
    expect(provider.mutations).toHaveLength(2)
  })

  test('that fails later leaves the volume failed at its old size, until it is asked again', async () => {
    const { clock, provider } = setup({ failingGrowths: 1, growthTime: 1000 })
    await expand(provider, 'a', two)
    await clock.advance(1000)
    expect(await read(provider, 'a')).toMatchObject({ size: GiB, phase: 'failed', native: 'resize-failed' })
    await expand(provider, 'a', two)
    await clock.advance(1000)
    expect(await read(provider, 'a')).toMatchObject({ size: two, phase: 'stable' })
  })

  test('answers with the scripted failures first, without doing anything', async () => {
    const failure = new VolumeExpansionError('quota-exceeded', 'no', { layer: 'volume', outcome: 'unchanged' })
    const { provider } = setup({ expandFailures: [failure] })
    await expect(expand(provider, 'a', two)).rejects.toBe(failure)
    expect(provider.state('a').size).toBe(GiB)
    await expand(provider, 'a', two)
    expect(provider.state('a').size).toBe(two)
  })

  test.each<[string, Partial<ScriptedVolume>, string, Bytes, string]>([
    ['a missing volume', {}, 'missing', two, 'not-found'],
    ['a size between its units', {}, 'a', bytes(GiB + MiB), 'invalid-size'],
    ['an unusable volume', { phase: 'unusable' }, 'a', two, 'wrong-state'],
    ['a size above the limit', { limits: [{ what: 'size', most: two, source: 's' }] }, 'a', three, 'limit-exceeded'],
  ])('refuses %s', async (_name, volume, key, size, code) => {
    const { provider } = setup(volume)
    await expect(expand(provider, key, size)).rejects.toMatchObject({ code, outcome: 'unchanged' })
    expect(provider.mutations).toEqual([])
  })

  test('refuses an aborted signal before any side effect', async () => {
    const { provider } = setup()
    await expect(expand(provider, 'a', two, AbortSignal.abort())).rejects.toMatchObject({ code: 'aborted' })
    expect([provider.calls.expand, provider.mutations.length]).toEqual([0, 0])
  })

  test.each([
    ['on the way there', 25, 'unchanged', 0],
    ['on the way back', 75, 'unknown', 1],
  ] as const)('aborted %s says what is known', async (_name, after, outcome, mutations) => {
    const { clock, provider } = setup({}, { latency: 100 })
    const controller = new AbortController()
    const result = expand(provider, 'a', two, controller.signal).catch((error) => error)
    await clock.advance(after)
    controller.abort()
    expect(await result).toMatchObject({ code: 'aborted', outcome })
    expect(provider.mutations).toHaveLength(mutations)
  })
})

test('a throttle lets a burst through and then its rate, reads and mutations apart', async () => {
  const throttle = { read: { burst: 2, perSecond: 1 }, expand: { burst: 1, perSecond: 0.1 } }
  const { clock, provider } = setup({}, { throttle, retryAfter: 700 })
  await read(provider, 'a')
  await read(provider, 'a')
  const throttled = { code: 'throttled', outcome: 'unchanged', retryable: true, retryAfter: 700 }
  await expect(read(provider, 'a')).rejects.toMatchObject(throttled)
  await expand(provider, 'a', two)
  await expect(expand(provider, 'b', bytes(6n * GiB))).rejects.toMatchObject(throttled)
  await clock.advance(1000)
  await read(provider, 'a')
  await expect(read(provider, 'a')).rejects.toMatchObject(throttled)
  expect(provider.calls.throttled).toBe(3)
  expect(provider.mutations).toHaveLength(1)
})

test('a volume can be changed behind everybody’s back', async () => {
  const { provider } = setup()
  provider.setVolume('a', '7Gi')
  provider.setVolume('new', { size: GiB, phase: 'unusable' })
  expect(await read(provider, 'a')).toMatchObject({ size: 7n * GiB })
  expect(await read(provider, 'new')).toMatchObject({ phase: 'unusable', native: 'error' })
})

test('a host recognises the device by its serial', () => {
  const { provider } = setup()
  expect(provider.identify('a', provider.state('a'))).toEqual({ serial: 'a' })
})
