import { describe, expect, test } from 'vitest'
import { seededRandom, virtualClock } from '../../src/testing/index.ts'

describe('time', () => {
  test('stands still until it is told to go on, and the wall clock goes along', async () => {
    const clock = virtualClock({ start: new Date('2026-05-06T07:08:09Z') })
    await clock.settle()
    expect(clock.now()).toBe(0)
    await clock.advance(90_000)
    expect(clock.now()).toBe(90_000)
    expect(clock.date().toISOString()).toBe('2026-05-06T07:09:39.000Z')
  })

  test('does not go back', async () => {
    const clock = virtualClock()
    await expect(clock.advance(-1)).rejects.toThrow(TypeError)
    await expect(clock.advance(Number.NaN)).rejects.toThrow(TypeError)
  })
})

describe('sleeps', () => {
  test('end in the order in which they fall due, of several in the order in which they began', async () => {
    const clock = virtualClock()
    const order: string[] = []
    const sleep = async (name: string, milliseconds: number): Promise<void> => {
      await clock.sleep(milliseconds)
      order.push(`${name}@${clock.now()}`)
    }
    const all = [sleep('c', 30), sleep('a', 10), sleep('b', 20), sleep('a2', 10)]
    await clock.advance(20)
    expect(order).toEqual(['a@10', 'a2@10', 'b@20'])
    expect(clock.pending).toBe(1)
    await clock.advance(100)
    await Promise.all(all)
    expect(order.at(-1)).toBe('c@30')
    expect(clock.now()).toBe(120)
  })

  test('that begin when others end are on the way as well', async () => {
    const clock = virtualClock()
    const times: number[] = []
    const loop = (async () => {
      for (let turn = 0; turn < 5; turn += 1) {
        await clock.sleep(10)
        // What the system does between two turns of its event loop takes no time.
        await new Promise((resolve) => setImmediate(resolve))
        times.push(clock.now())
      }
    })()
    await clock.advance(50)
    await loop
    expect(times).toEqual([10, 20, 30, 40, 50])
  })

  test('of no length end without time passing', async () => {
    const clock = virtualClock()
    await Promise.all([clock.sleep(0), clock.sleep(-1)])
    expect(clock.now()).toBe(0)
  })

  test('one that ends first can stop another of the same instant', async () => {
    const clock = virtualClock()
    const controller = new AbortController()
    const first = clock.sleep(10).then(() => controller.abort('stop'))
    const second = clock.sleep(10, controller.signal).catch((reason) => reason)
    await clock.runUntilIdle()
    await first
    expect(await second).toBe('stop')
  })

  test('end at once with the reason when their signal is aborted', async () => {
    const clock = virtualClock()
    const controller = new AbortController()
    const result = clock.sleep(1000, controller.signal).catch((reason) => reason)
    controller.abort('stop')
    expect(await result).toBe('stop')
    expect(clock.pending).toBe(0)
    await expect(clock.sleep(0, AbortSignal.abort(new Error('before')))).rejects.toThrow('before')
  })
})

test('runUntilIdle ends when no timer is left, and does not wait for ever', async () => {
  const clock = virtualClock()
  const controller = new AbortController()
  const forever = clock.sleep(Number.POSITIVE_INFINITY, controller.signal).catch(() => 'stopped')
  const year = clock.sleep(365 * 24 * 3_600_000)
  await clock.runUntilIdle()
  await year
  expect(clock.now()).toBe(365 * 24 * 3_600_000)
  controller.abort()
  expect(await forever).toBe('stopped')
})

describe('run', () => {
  test('lets as much time pass as the promise needs, and no more', async () => {
    const clock = virtualClock()
    const later = clock.sleep(5000)
    expect(await clock.run(clock.sleep(100).then(() => 'value'))).toBe('value')
    expect(clock.now()).toBe(100)
    expect(clock.pending).toBe(1)
    await clock.runUntilIdle()
    await later
  })

  test('rejects with what the promise rejects with', async () => {
    const clock = virtualClock()
    const failing = clock.sleep(10).then(() => Promise.reject(new Error('what')))
    await expect(clock.run(failing)).rejects.toThrow('what')
  })

  test('says so when nothing can settle the promise', async () => {
    const clock = virtualClock()
    await expect(clock.run(new Promise(() => undefined))).rejects.toThrow('Nothing is left')
  })
})

test('by itself, time goes on as soon as nothing else is left to do', async () => {
  const clock = virtualClock({ auto: true })
  const ends = await Promise.all(
    Array.from({ length: 2000 }, async (_, index) => {
      await clock.sleep(index * 1000)
      await clock.sleep(1000)
      return clock.now()
    }),
  )
  expect(ends).toEqual(Array.from({ length: 2000 }, (_, index) => (index + 1) * 1000))
  await clock.sleep(24 * 3_600_000)
})

describe('seededRandom', () => {
  const take = (seed: number, count: number): number[] => {
    const random = seededRandom(seed)
    return Array.from({ length: count }, random)
  }

  test('repeats itself for the same seed, and not for another', () => {
    expect(take(7, 20)).toEqual(take(7, 20))
    expect(take(7, 20)).not.toEqual(take(8, 20))
  })

  test.each([0, 1, 2, -1, 123_456_789, 2 ** 40])('stays within 0 and 1 and spreads evenly for seed %d', (seed) => {
    const numbers = take(seed, 10_000)
    expect(numbers.every((number) => number >= 0 && number < 1)).toBe(true)
    for (let tenth = 0; tenth < 10; tenth += 1) {
      const share = numbers.filter((number) => Math.floor(number * 10) === tenth).length
      expect(share).toBeGreaterThan(850)
      expect(share).toBeLessThan(1150)
    }
  })
})
