import { describe, expect, test } from 'vitest'
import { VolumeExpansionError } from '../../src/errors.ts'
import type { ReadOutcome, VolumeExpander, VolumeState } from '../../src/expander.ts'
import { ReadBatcher } from '../../src/services/batching.ts'
import { Pacer } from '../../src/services/pacing.ts'
import { GiB } from '../../src/size.ts'
import { type VirtualClock, virtualClock } from '../../src/testing/index.ts'

const stateOf = (key: string): VolumeState => ({ key, size: GiB, phase: 'stable', native: 'ok' })

interface Call {
  readonly refs: readonly string[]
  readonly at: number
  readonly signal: AbortSignal
}

interface Setup {
  readonly clock: VirtualClock
  readonly calls: Call[]
  readonly batcher: ReadBatcher
  readonly pacer: Pacer
  readonly read: (key: string, signal?: AbortSignal) => Promise<VolumeState>
}

/** A batcher over a provider that answers as told; the default answer takes 10 ms. */
function setup(
  options: {
    readonly answer?: (call: Call, clock: VirtualClock) => Promise<unknown>
    readonly readBatch?: number
    readonly perSecond?: number
    readonly concurrency?: number
    readonly window?: number
  } = {},
): Setup {
  const clock = virtualClock()
  const calls: Call[] = []
  const answer =
    options.answer ??
    (async ({ refs, signal }: Call): Promise<readonly ReadOutcome[]> => {
      await clock.sleep(10, signal)
      return refs.map(stateOf)
    })
  const expander = {
    name: 'fake',
    capabilities: { granularity: GiB, readBatch: options.readBatch ?? 3, progress: false, hostsSeeGrowth: true },
    read: (refs: readonly string[], { signal = new AbortController().signal }: { signal?: AbortSignal }) => {
      const call = { refs, at: clock.now(), signal }
      calls.push(call)
      return answer(call, clock)
    },
  } as unknown as VolumeExpander<unknown, unknown>
  const pace = options.perSecond === undefined ? undefined : { burst: 1, perSecond: options.perSecond }
  const pacer = new Pacer(pace, clock)
  const { concurrency, window } = options
  const batcher = new ReadBatcher({ clock, pacer, concurrency, window })
  return { clock, calls, batcher, pacer, read: (key, signal) => batcher.read(expander, key, key, signal) }
}

const refsOf = (calls: readonly Call[]): (readonly string[])[] => calls.map(({ refs }) => refs)

describe('sharing', () => {
  test('callers of the same turn share requests, up to the declared batch, in order', async () => {
    const { clock, calls, read, batcher } = setup()
    const states = await clock.run(Promise.all(['a', 'b', 'c', 'd'].map((key) => read(key))))
    expect(states.map(({ key }) => key)).toEqual(['a', 'b', 'c', 'd'])
    expect(refsOf(calls)).toEqual([['a', 'b', 'c'], ['d']])
    expect(batcher.idle).toBe(true)
  })

  test('callers of the same key share one place', async () => {
    const { clock, calls, read } = setup()
    const [one, two] = await clock.run(Promise.all([read('a'), read('a')]))
    expect(one).toBe(two)
    expect(refsOf(calls)).toEqual([['a']])
  })

  test('a caller never joins a request that is under way: its state would be older than its question', async () => {
    const { clock, calls, read } = setup()
    const first = read('a')
    await clock.advance(5)
    const second = read('a')
    await clock.run(Promise.all([first, second]))
    expect(calls.map(({ at }) => at)).toEqual([0, 5])
  })

  test('one that is alone never waits for others', async () => {
    const { clock, calls, read } = setup()
    await clock.run(read('a'))
    await clock.advance(100)
    await clock.run(read('a'))
    expect(calls.map(({ at }) => at)).toEqual([0, 110])
  })

  test('while several volumes are watched, the first waits a little for others', async () => {
    const { clock, calls, read } = setup({ readBatch: 10 })
    await clock.run(Promise.all([read('a'), read('b')]))
    const later = [read('a')]
    await clock.advance(15)
    later.push(read('b'))
    await clock.run(Promise.all(later))
    expect(calls.map(({ refs, at }) => ({ refs, at }))).toEqual([
      { refs: ['a', 'b'], at: 0 },
      { refs: ['a', 'b'], at: 30 },
    ])
  })

  test('a full batch does not wait any longer', async () => {
    const { clock, calls, read } = setup({ readBatch: 2, window: 1000 })
    await clock.run(Promise.all([read('a'), read('b')]))
    const later = [read('a')]
    await clock.advance(5)
    later.push(read('b'))
    await clock.run(Promise.all(later))
    expect(calls.map(({ at }) => at)).toEqual([0, 15])
  })

  test('who asks while a request waits for its turn joins it', async () => {
    const { clock, calls, read } = setup({ perSecond: 1 })
    await clock.run(read('a'))
    const waiting = [read('b')]
    await clock.advance(500)
    waiting.push(read('c'))
    await clock.run(Promise.all(waiting))
    expect(calls.map(({ refs, at }) => ({ refs, at }))).toEqual([
      { refs: ['a'], at: 0 },
      { refs: ['b', 'c'], at: 1000 },
    ])
  })

  test('no more requests than allowed are under way at once', async () => {
    let [now, most] = [0, 0]
    const { clock, calls, read } = setup({
      readBatch: 1,
      concurrency: 2,
      answer: async ({ refs }, virtual) => {
        now += 1
        most = Math.max(most, now)
        await virtual.sleep(10)
        now -= 1
        return refs.map(stateOf)
      },
    })
    await clock.run(Promise.all(['a', 'b', 'c', 'd', 'e'].map((key) => read(key))))
    expect(calls).toHaveLength(5)
    expect(most).toBe(2)
  })
})

describe('an abort', () => {
  const reason = new Error('enough')

  test('before the question asks nothing', async () => {
    const { calls, read } = setup()
    await expect(read('a', AbortSignal.abort(reason))).rejects.toMatchObject({ code: 'aborted', outcome: 'unchanged' })
    expect(calls).toEqual([])
  })

  test('of one caller leaves the others of the request what they asked for', async () => {
    const { clock, calls, read } = setup()
    const controller = new AbortController()
    const leaving = read('a', controller.signal)
    const staying = Promise.all([read('a'), read('b')])
    await clock.settle()
    controller.abort(reason)
    await expect(leaving).rejects.toMatchObject({ code: 'aborted', cause: reason })
    expect((await clock.run(staying)).map(({ key }) => key)).toEqual(['a', 'b'])
    expect(calls[0]?.signal.aborted).toBe(false)
  })

  test('of every caller aborts the request, and a new one can be made', async () => {
    const { clock, calls, read, batcher } = setup({ concurrency: 1 })
    const controller = new AbortController()
    const leaving = ['a', 'b'].map((key) => read(key, controller.signal).catch((error) => error.code))
    await clock.settle()
    expect(calls[0]?.signal.aborted).toBe(false)
    controller.abort(reason)
    expect(await Promise.all(leaving)).toEqual(['aborted', 'aborted'])
    expect(calls[0]?.signal.aborted).toBe(true)
    expect(await clock.run(read('a'))).toMatchObject({ key: 'a' })
    expect(batcher.idle).toBe(true)
  })

  test('frees the place of a request that does not honour its signal', async () => {
    const { clock, read } = setup({
      concurrency: 1,
      answer: ({ refs }) => (refs.includes('a') ? new Promise(() => undefined) : Promise.resolve(refs.map(stateOf))),
    })
    const controller = new AbortController()
    const stuck = read('a', controller.signal).catch((error) => error.code)
    await clock.settle()
    const next = read('b')
    controller.abort()
    expect(await stuck).toBe('aborted')
    expect(await clock.run(next)).toMatchObject({ key: 'b' })
  })

  test('of every caller before the request was sent sends none, and takes no token', async () => {
    const { clock, calls, read, pacer } = setup({ perSecond: 1 })
    await clock.run(read('a'))
    const controller = new AbortController()
    const leaving = read('b', controller.signal).catch((error) => error.code)
    await clock.advance(500)
    controller.abort()
    expect(await leaving).toBe('aborted')
    await clock.advance(60_000)
    expect(calls).toHaveLength(1)
    expect(pacer.rested).toBe(true)
    expect(clock.pending).toBe(0)
    expect(await clock.run(read('b'))).toMatchObject({ key: 'b' })
  })

  test('a signal that a thousand reads share is left without listeners, and without a warning', async () => {
    const warnings: Error[] = []
    const note = (warning: Error): number => warnings.push(warning)
    process.on('warning', note)
    const { signal } = new AbortController()
    let listeners = 0
    const { addEventListener, removeEventListener } = signal
    signal.addEventListener = (...args: Parameters<typeof addEventListener>): void => {
      listeners += 1
      addEventListener.apply(signal, args)
    }
    signal.removeEventListener = (...args: Parameters<typeof removeEventListener>): void => {
      listeners -= 1
      removeEventListener.apply(signal, args)
    }
    const { clock, read } = setup({ readBatch: 100 })
    await clock.run(Promise.all(Array.from({ length: 1000 }, (_, index) => read(`vol-${index}`, signal))))
    process.off('warning', note)
    expect(listeners).toBe(0)
    expect(warnings).toEqual([])
  })
})

describe('failures', () => {
  test("an error among the entries is its caller's alone", async () => {
    const missing = new VolumeExpansionError('not-found', 'no b', { layer: 'volume', provider: 'fake' })
    const { clock, read } = setup({
      answer: async ({ refs }) => refs.map((ref) => (ref === 'b' ? missing : stateOf(ref))),
    })
    const results = await clock.run(Promise.allSettled([read('a'), read('b'), read('c')]))
    expect(results).toMatchObject([{ value: { key: 'a' } }, { reason: missing }, { value: { key: 'c' } }])
  })

  test('of the whole request is everyone’s', async () => {
    const { clock, read } = setup({
      answer: () => Promise.reject(new VolumeExpansionError('authentication-failed', 'no', { layer: 'volume' })),
    })
    const results = await clock.run(Promise.allSettled([read('a'), read('b')]))
    const reason = { code: 'authentication-failed', provider: 'fake' }
    expect(results).toMatchObject([{ reason }, { reason }])
  })

  test.each<[string, (call: Call) => unknown, string]>([
    ['too few entries', () => [stateOf('a')], 'read answered 2 refs with 1 entries'],
    ['too many entries', () => ['a', 'b', 'c'].map(stateOf), 'with 3 entries'],
    ['nothing', () => undefined, 'with undefined'],
  ])('%s is a broken contract for everyone', async (_name, answer, message) => {
    const { clock, read } = setup({ answer: async (call) => answer(call) })
    const results = await clock.run(Promise.allSettled([read('a'), read('b')]))
    for (const result of results) {
      expect(result).toMatchObject({ reason: { code: 'contract-violated', outcome: 'unchanged', provider: 'fake' } })
      expect(String((result as PromiseRejectedResult).reason)).toContain(message)
    }
  })

  test.each<[string, unknown, string]>([
    ["another volume's state", stateOf('z'), 'with the state of z'],
    ['no state', null, 'neither a state nor an error'],
    ['a state without a size', { ...stateOf('b'), size: 5 }, 'no size in bytes'],
  ])('%s is a broken contract for that volume alone', async (_name, wrong, message) => {
    const { clock, read } = setup({
      answer: async ({ refs }) => refs.map((ref) => (ref === 'b' ? wrong : stateOf(ref))),
    })
    const [a, b] = await clock.run(Promise.allSettled([read('a'), read('b')]))
    expect(a).toMatchObject({ value: { key: 'a' } })
    expect(b).toMatchObject({ reason: { code: 'contract-violated' } })
    expect(String((b as PromiseRejectedResult).reason)).toContain(message)
  })

  test('states in the wrong order never reach the wrong caller', async () => {
    const { clock, read } = setup({ answer: async ({ refs }) => [...refs].reverse().map(stateOf) })
    const results = await clock.run(Promise.allSettled([read('a'), read('b')]))
    expect(results).toMatchObject([
      { reason: { code: 'contract-violated' } },
      { reason: { code: 'contract-violated' } },
    ])
  })

  test.each<[string, () => Promise<unknown>]>([
    ['rejected', () => Promise.reject(new TypeError('oops'))],
    [
      'thrown at once',
      () => {
        throw new TypeError('oops')
      },
    ],
    ['an entry', () => Promise.resolve([new TypeError('oops')])],
  ])('a foreign error that is %s is wrapped', async (_name, answer) => {
    const { clock, read } = setup({ answer })
    await expect(clock.run(read('a'))).rejects.toMatchObject({
      name: 'VolumeExpansionError',
      code: 'contract-violated',
      outcome: 'unchanged',
      provider: 'fake',
      message: 'oops',
    })
  })

  test.each(['the request', 'an entry'])('a throttle of %s slows the scope down', async (where) => {
    const error = new VolumeExpansionError('throttled', 'slow', { layer: 'volume', retryable: true, retryAfter: 3000 })
    let throttled = 0
    const { clock, calls, read } = setup({
      answer: async ({ refs }) => {
        throttled += 1
        if (throttled > 1) return refs.map(stateOf)
        if (where === 'the request') throw error
        return [error]
      },
    })
    await expect(clock.run(read('a'))).rejects.toMatchObject({ code: 'throttled' })
    await clock.run(read('a'))
    expect(calls[1]?.at).toBeGreaterThanOrEqual(3000)
  })
})
