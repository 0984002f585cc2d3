import { describe, expect, test } from 'vitest'
import { KeyedLock, processLocks } from '../../src/services/lock.ts'
import { virtualClock } from '../../src/testing/index.ts'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('a free lock is had at once, and its key is forgotten when it is released', async () => {
  const lock = new KeyedLock()
  const held = await lock.acquire('a')
  expect(held.waited).toBe(false)
  expect(lock.size).toBe(1)
  held.release()
  expect(lock.size).toBe(0)
})

test('is handed on in the order of arrival, one at a time', async () => {
  const lock = new KeyedLock()
  const order: string[] = []
  let inside = 0
  const use = async (name: string): Promise<void> => {
    const held = await lock.acquire('a')
    inside += 1
    expect(inside).toBe(1)
    order.push(`${name}${held.waited ? ' waited' : ''}`)
    await turn()
    inside -= 1
    held.release()
  }
  await Promise.all(['1', '2', '3', '4'].map(use))
  expect(order).toEqual(['1', '2 waited', '3 waited', '4 waited'])
  expect(lock.size).toBe(0)
})

test('keys do not wait for each other', async () => {
  const lock = new KeyedLock()
  const [a, b] = await Promise.all([lock.acquire('a'), lock.acquire('b')])
  expect([a.waited, b.waited]).toEqual([false, false])
})

test('releasing twice does not take the lock from the next', async () => {
  const lock = new KeyedLock()
  const first = await lock.acquire('a')
  const second = lock.acquire('a')
  const third = lock.acquire('a')
  first.release()
  const held = await second
  first.release()
  let thirdHasIt = false
  void third.then(() => {
    thirdHasIt = true
  })
  await turn()
  expect(thirdHasIt).toBe(false)
  held.release()
  ;(await third).release()
  expect(lock.size).toBe(0)
})

test('onWait is called once, and only when it has to wait', async () => {
  const lock = new KeyedLock()
  let calls = 0
  const onWait = (): void => {
    calls += 1
  }
  const first = await lock.acquire('a', { onWait })
  expect(calls).toBe(0)
  const second = lock.acquire('a', { onWait })
  await turn()
  expect(calls).toBe(1)
  first.release()
  ;(await second).release()
  expect(calls).toBe(1)
})

test('an onWait that throws leaves the queue', async () => {
  const lock = new KeyedLock()
  const first = await lock.acquire('a')
  const broken = lock.acquire('a', {
    onWait: () => {
      throw new Error('broken')
    },
  })
  await expect(broken).rejects.toThrow('broken')
  first.release()
  expect(lock.size).toBe(0)
})

describe('an abort', () => {
  const reason = new Error('enough')

  test('before the call takes nothing', async () => {
    const lock = new KeyedLock()
    await expect(lock.acquire('a', { signal: AbortSignal.abort(reason), layer: 'volume' })).rejects.toMatchObject({
      code: 'aborted',
      outcome: 'unchanged',
      layer: 'volume',
      cause: reason,
    })
    expect(lock.size).toBe(0)
  })

  test('in the queue leaves the others their places', async () => {
    const lock = new KeyedLock()
    const controller = new AbortController()
    const order: string[] = []
    const first = await lock.acquire('a')
    const use = async (name: string, signal?: AbortSignal): Promise<void> => {
      const held = await lock.acquire('a', { signal })
      order.push(name)
      held.release()
    }
    const second = use('second', controller.signal)
    const third = use('third')
    const fourth = use('fourth')
    controller.abort(reason)
    await expect(second).rejects.toMatchObject({ code: 'aborted', outcome: 'unchanged', cause: reason })
    expect(order).toEqual([])
    first.release()
    await Promise.all([third, fourth])
    expect(order).toEqual(['third', 'fourth'])
    expect(lock.size).toBe(0)
  })

  test('after it was handed over changes nothing', async () => {
    const lock = new KeyedLock()
    const controller = new AbortController()
    const first = await lock.acquire('a')
    const second = lock.acquire('a', { signal: controller.signal })
    first.release()
    controller.abort(reason)
    const held = await second
    expect(lock.size).toBe(1)
    held.release()
    expect(lock.size).toBe(0)
  })
})

describe('a timeout', () => {
  test('leaves the queue', async () => {
    const clock = virtualClock()
    const lock = new KeyedLock()
    const first = await lock.acquire('a')
    const second = lock.acquire('a', { timeout: { clock, milliseconds: 5000 } })
    const third = lock.acquire('a')
    await expect(clock.run(second)).rejects.toMatchObject({ code: 'timeout', outcome: 'unchanged' })
    first.release()
    ;(await third).release()
    expect(lock.size).toBe(0)
  })

  test('is forgotten once the lock is had', async () => {
    const clock = virtualClock()
    const lock = new KeyedLock()
    const first = await lock.acquire('a', { timeout: { clock, milliseconds: 5000 } })
    const second = lock.acquire('a', { timeout: { clock, milliseconds: 5000 } })
    expect(clock.pending).toBe(1)
    first.release()
    expect((await second).waited).toBe(true)
    await clock.settle()
    expect(clock.pending).toBe(0)
  })
})

test('the process has one set of locks', async () => {
  const held = await processLocks.acquire('lock.test')
  expect(processLocks.size).toBe(1)
  held.release()
  expect(processLocks.size).toBe(0)
})
