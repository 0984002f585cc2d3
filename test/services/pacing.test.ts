import { describe, expect, test } from 'vitest'
import { Pacer } from '../../src/services/pacing.ts'
import { type VirtualClock, virtualClock } from '../../src/testing/index.ts'

/** When each of `count` takes that begin together is granted, in seconds. */
async function grants(clock: VirtualClock, pacer: Pacer, count: number): Promise<number[]> {
  const times: number[] = []
  const takes = Array.from({ length: count }, async () => {
    await pacer.take()
    times.push(Math.round(clock.now()) / 1000)
  })
  await clock.run(Promise.all(takes))
  return times
}

test.each([
  { burst: 0, perSecond: 1 },
  { burst: 1, perSecond: 0 },
  { burst: Number.NaN, perSecond: 1 },
])('%o is not a pace', (pace) => {
  expect(() => new Pacer(pace, virtualClock())).toThrow(TypeError)
})

test('lets a burst through at once and the rest at the rate', async () => {
  const clock = virtualClock()
  const pacer = new Pacer({ burst: 3, perSecond: 2 }, clock)
  expect(await grants(clock, pacer, 7)).toEqual([0, 0, 0, 0.5, 1, 1.5, 2])
})

test('saves up tokens while nobody asks, and never more than the burst', async () => {
  const clock = virtualClock()
  const pacer = new Pacer({ burst: 2, perSecond: 1 }, clock)
  await grants(clock, pacer, 2)
  expect(pacer.rested).toBe(false)
  await clock.advance(60_000)
  expect(pacer.rested).toBe(true)
  expect(await grants(clock, pacer, 3)).toEqual([60, 60, 61])
})

test('grants in the order of arrival', async () => {
  const clock = virtualClock()
  const pacer = new Pacer({ burst: 1, perSecond: 10 }, clock)
  const order: number[] = []
  await clock.run(Promise.all([0, 1, 2, 3, 4].map((index) => pacer.take().then(() => order.push(index)))))
  expect(order).toEqual([0, 1, 2, 3, 4])
})

test('who leaves the queue takes no token', async () => {
  const clock = virtualClock()
  const pacer = new Pacer({ burst: 1, perSecond: 1 }, clock)
  const controller = new AbortController()
  await pacer.take()
  const leaving = pacer.take(controller.signal)
  const staying = pacer.take().then(() => clock.now())
  controller.abort(new Error('enough'))
  await expect(leaving).rejects.toMatchObject({ code: 'aborted', outcome: 'unchanged' })
  expect(await clock.run(staying)).toBe(1000)
})

test('an aborted signal is refused and takes no token', async () => {
  const clock = virtualClock()
  const pacer = new Pacer({ burst: 1, perSecond: 1 }, clock)
  await expect(pacer.take(AbortSignal.abort())).rejects.toMatchObject({ code: 'aborted' })
  expect(pacer.rested).toBe(true)
})

test('leaves no timer behind when the last one leaves', async () => {
  const clock = virtualClock()
  const pacer = new Pacer({ burst: 1, perSecond: 0.001 }, clock)
  const controller = new AbortController()
  await pacer.take()
  const leaving = pacer.take(controller.signal).catch(() => undefined)
  expect(clock.pending).toBe(1)
  controller.abort()
  await leaving
  await clock.settle()
  expect(clock.pending).toBe(0)
})

describe('after a throttle', () => {
  test('everyone waits, goes on at half the rate, and recovers little by little', async () => {
    const clock = virtualClock()
    const pacer = new Pacer({ burst: 1, perSecond: 10 }, clock)
    await pacer.take()
    pacer.slowDown(2000)
    const times = await grants(clock, pacer, 120)
    expect(times[0]).toBeGreaterThanOrEqual(2)
    // Five per second at first …
    expect(times.filter((time) => time < 3).length).toBeLessThanOrEqual(6)
    // … and ten again once it has recovered.
    const gap = (times.at(-1) ?? 0) - (times.at(-11) ?? 0)
    expect(gap).toBeCloseTo(1, 1)
  })

  test('requests that were on their way together halve the rate once', async () => {
    const [once, often] = [virtualClock(), virtualClock()]
    const single = new Pacer({ burst: 5, perSecond: 10 }, once)
    const many = new Pacer({ burst: 5, perSecond: 10 }, often)
    single.slowDown(1000, await single.take())
    const epochs = await Promise.all([many.take(), many.take(), many.take()])
    for (const epoch of epochs) many.slowDown(1000, epoch)
    expect(await grants(often, many, 10)).toEqual(await grants(once, single, 10))
  })

  test('a throttle of the next epoch halves it again, and it never stands still', async () => {
    const clock = virtualClock()
    const pacer = new Pacer({ burst: 1, perSecond: 64 }, clock)
    for (let index = 0; index < 100; index += 1) pacer.slowDown(0)
    const [first = 0] = await grants(clock, pacer, 1)
    expect(first).toBeGreaterThan(0.2)
    expect(first).toBeLessThanOrEqual(1)
  })

  test('one without a declared pace goes on at half of what was tried, and is free again after a minute', async () => {
    const clock = virtualClock()
    const pacer = new Pacer(undefined, clock)
    expect(await grants(clock, pacer, 40)).toEqual(Array(40).fill(0))
    pacer.slowDown(1000)
    expect(pacer.rested).toBe(false)
    const times = await grants(clock, pacer, 40)
    expect(times[0]).toBeGreaterThanOrEqual(1)
    expect((times.at(-1) ?? 0) - (times[0] ?? 0)).toBeGreaterThan(1.5)
    await clock.advance(60_000)
    expect(pacer.rested).toBe(true)
    expect(new Set(await grants(clock, pacer, 40)).size).toBe(1)
  })
})
