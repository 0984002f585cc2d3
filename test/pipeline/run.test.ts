import { expect, test } from 'vitest'
import { Run } from '../../src/index.ts'

async function all<Event>(events: AsyncIterable<Event>): Promise<Event[]> {
  const seen: Event[] = []
  for await (const event of events) seen.push(event)
  return seen
}

const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('is a promise of the result', async () => {
  const run = new Run<number, string>(async () => 7)
  expect(await run).toBe(7)
  expect(await run.then((value) => value + 1)).toBe(8)
  expect(await run.finally(() => {})).toBe(7)
  expect(await Promise.all([run, run])).toEqual([7, 7])
})

test('replays to iterators that begin late, and any number of them', async () => {
  const run = new Run<void, number>(async (emit) => {
    emit(1)
    await tick()
    emit(2)
    await tick()
    emit(3)
  })
  const early = all(run)
  await run
  expect(await early).toEqual([1, 2, 3])
  expect(await all(run)).toEqual([1, 2, 3])
})

test('keeps a bounded history: the newest thousand', async () => {
  const run = new Run<void, number>(async (emit) => {
    for (let event = 0; event < 1500; event += 1) emit(event)
  })
  const seen = await all(run)
  expect(seen).toHaveLength(1000)
  expect(seen.at(0)).toBe(500)
  expect(seen.at(-1)).toBe(1499)
})

test('a slow iterator misses what was dropped, and never sees an event twice', async () => {
  const run = new Run<void, number>(async (emit) => {
    for (let event = 0; event < 3000; event += 1) {
      emit(event)
      if (event % 100 === 0) await tick()
    }
  })
  const seen: number[] = []
  for await (const event of run) {
    seen.push(event)
    if (event === 0) await run
  }
  expect(new Set(seen).size).toBe(seen.length)
  expect(seen).toEqual([...seen].sort((a, b) => a - b))
  expect(seen.at(-1)).toBe(2999)
})

test('a failure ends iterators normally, and iterating is enough to have handled it', async () => {
  const unhandled: unknown[] = []
  const listen = (reason: unknown): void => void unhandled.push(reason)
  process.on('unhandledRejection', listen)
  try {
    const run = new Run<never, string>(async (emit) => {
      emit('failed')
      throw new Error('no')
    })
    expect(await all(run)).toEqual(['failed'])
    await tick()
    await tick()
    expect(unhandled).toEqual([])
    await expect(run).rejects.toThrow('no')
  } finally {
    process.off('unhandledRejection', listen)
  }
})

test('an iterator that is left early leaves the run alone', async () => {
  let ended = false
  const run = new Run<void, number>(async (emit) => {
    emit(1)
    await tick()
    emit(2)
    ended = true
  })
  for await (const event of run) {
    expect(event).toBe(1)
    break
  }
  await run
  expect(ended).toBe(true)
})
