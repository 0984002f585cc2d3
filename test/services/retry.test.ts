import { describe, expect, test } from 'vitest'
import { type ErrorDetails, VolumeExpansionError } from '../../src/errors.ts'
import { type RetryOptions, retrying } from '../../src/services/retry.ts'
import { virtualClock } from '../../src/testing/index.ts'

const failure = (
  details: Partial<ErrorDetails> = {},
  code: 'throttled' | 'backend-unreachable' = 'backend-unreachable',
) => new VolumeExpansionError(code, code, { layer: 'volume', outcome: 'unchanged', retryable: true, ...details })

/** Runs an operation that fails with the given errors in turn and then succeeds; returns when it was tried, and the result. */
function setup(errors: readonly unknown[]) {
  const clock = virtualClock()
  const times: number[] = []
  const run = (options: Partial<RetryOptions> = {}): Promise<string> =>
    retrying(
      async (attempt) => {
        expect(attempt).toBe(times.length + 1)
        times.push(clock.now())
        if (times.length <= errors.length) throw errors[times.length - 1]
        return 'done'
      },
      { clock, random: () => 0.5, layer: 'volume', ...options },
    )
  return { clock, times, run }
}

test('a success is not repeated', async () => {
  const { times, run } = setup([])
  expect(await run()).toBe('done')
  expect(times).toEqual([0])
})

test('waits between the tries at random below a doubling bound', async () => {
  const { clock, times, run } = setup([failure(), failure(), failure(), failure()])
  expect(await clock.run(run())).toBe('done')
  expect(times).toEqual([0, 100, 300, 700, 1500])
})

test('the bound is capped', async () => {
  const { clock, times, run } = setup([failure(), failure(), failure()])
  await clock.run(run({ first: 1000, cap: 1500 }))
  expect(times).toEqual([0, 500, 1250, 2000])
})

test('never waits less than the backend asked for', async () => {
  const { clock, times, run } = setup([failure({ retryAfter: 5000 })])
  await clock.run(run({ random: () => 0 }))
  expect(times).toEqual([0, 5000])
})

test.each([
  ['is not retryable', failure({ retryable: false })],
  ['is not of the library', new TypeError('foreign')],
])('a failure that %s is final', async (_name, error) => {
  const { times, run } = setup([error])
  await expect(run()).rejects.toBe(error)
  expect(times).toHaveLength(1)
})

test('classify decides instead of the error', async () => {
  const { times, run } = setup([failure()])
  await expect(run({ classify: () => false })).rejects.toMatchObject({ code: 'backend-unreachable' })
  expect(times).toHaveLength(1)
})

test('gives up after the attempts with the last failure', async () => {
  const last = failure()
  const { clock, times, run } = setup([failure(), failure(), last])
  await expect(clock.run(run({ attempts: 3 }))).rejects.toBe(last)
  expect(times).toHaveLength(3)
})

test('gives up when the next try would begin after the deadline', async () => {
  const { clock, times, run } = setup([failure(), failure({ retryAfter: 60_000 })])
  await expect(clock.run(run({ deadline: 30_000 }))).rejects.toMatchObject({ retryAfter: 60_000 })
  expect(times).toHaveLength(2)
  expect(clock.now()).toBeLessThan(1000)
})

test('throttled tries are told of, and counted apart', async () => {
  const throttled = Array.from({ length: 10 }, () => failure({}, 'throttled'))
  const { clock, times, run } = setup([...throttled, failure()])
  let told = 0
  const onThrottled = (): void => {
    told += 1
  }
  expect(await clock.run(run({ attempts: 2, onThrottled }))).toBe('done')
  expect(told).toBe(10)
  expect(times).toHaveLength(12)
})

test('throttled tries have an end as well', async () => {
  const { clock, times, run } = setup(Array.from({ length: 10 }, () => failure({}, 'throttled')))
  await expect(clock.run(run({ throttledAttempts: 4 }))).rejects.toMatchObject({ code: 'throttled' })
  expect(times).toHaveLength(4)
})

describe('the outcome', () => {
  test('is the one of the last failure', async () => {
    const { clock, run } = setup([failure(), failure({ outcome: 'unknown' })])
    await expect(clock.run(run({ attempts: 2 }))).rejects.toMatchObject({ outcome: 'unknown' })
  })

  test('of a try whose answer was lost is not taken back by a later refusal', async () => {
    const refusal = failure({ retryable: false, remedy: 'wait' }, 'throttled')
    const { clock, run } = setup([failure({ outcome: 'unknown' }), refusal])
    await expect(clock.run(run())).rejects.toMatchObject({ code: 'throttled', outcome: 'unknown', remedy: 'wait' })
  })
})

describe('an abort', () => {
  test('before the first try does nothing', async () => {
    const { times, run } = setup([])
    await expect(run({ signal: AbortSignal.abort('why') })).rejects.toMatchObject({
      code: 'aborted',
      outcome: 'unchanged',
      cause: 'why',
    })
    expect(times).toEqual([])
  })

  test.each(['unchanged', 'unknown'] as const)('between the tries carries the outcome so far: %s', async (outcome) => {
    const { clock, times, run } = setup([failure({ outcome, retryAfter: 5000 })])
    const controller = new AbortController()
    const result = expect(run({ signal: controller.signal })).rejects.toMatchObject({ code: 'aborted', outcome })
    await clock.advance(1000)
    controller.abort()
    await result
    expect(times).toHaveLength(1)
    expect(clock.pending).toBe(0)
  })
})
