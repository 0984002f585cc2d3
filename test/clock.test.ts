import { afterEach, describe, expect, test, vi } from 'vitest'
import { systemClock } from '../src/clock.ts'

afterEach(() => {
  vi.useRealTimers()
})

test('never goes back, and knows the date', async () => {
  const before = systemClock.now()
  await systemClock.sleep(5)
  const passed = systemClock.now() - before
  expect(passed).toBeGreaterThan(3)
  expect(Math.abs(systemClock.date().getTime() - Date.now())).toBeLessThan(1000)
})

test.each([0, -1])('a sleep of %d ms ends at once', async (milliseconds) => {
  vi.useFakeTimers()
  await systemClock.sleep(milliseconds)
  expect(vi.getTimerCount()).toBe(0)
})

test('a sleep of more than 2^31 ms is slept in full', async () => {
  vi.useFakeTimers()
  const days = 60 * 24 * 3_600_000
  let ended = false
  const sleep = systemClock.sleep(days).then(() => {
    ended = true
  })
  await vi.advanceTimersByTimeAsync(days - 1)
  expect(ended).toBe(false)
  await vi.advanceTimersByTimeAsync(1)
  await sleep
  expect(ended).toBe(true)
})

describe('an abort', () => {
  const reason = new Error('enough')

  test.each([0, 1000])('before a sleep of %d ms rejects with the reason and sets no timer', async (milliseconds) => {
    vi.useFakeTimers()
    await expect(systemClock.sleep(milliseconds, AbortSignal.abort(reason))).rejects.toBe(reason)
    expect(vi.getTimerCount()).toBe(0)
  })

  test.each([1000, Number.POSITIVE_INFINITY])(
    'ends a sleep of %d ms at once and takes its timer along',
    async (length) => {
      vi.useFakeTimers()
      const controller = new AbortController()
      const result = expect(systemClock.sleep(length, controller.signal)).rejects.toBe(reason)
      expect(vi.getTimerCount()).toBe(1)
      controller.abort(reason)
      await result
      expect(vi.getTimerCount()).toBe(0)
    },
  )

  test('after a sleep that has ended changes nothing', async () => {
    const controller = new AbortController()
    await systemClock.sleep(1, controller.signal)
    controller.abort(reason)
    await systemClock.sleep(1)
    expect(controller.signal.aborted).toBe(true)
  })
})
