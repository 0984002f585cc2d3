import { expect, test } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { inSlices } from '../../src/services/slices.ts'
import { virtualClock } from '../../src/testing/index.ts'

test('other work gets its turn between the slices, and the order is kept', async () => {
  let others = 0
  const beside = (): void => {
    others += 1
    if (seen.length < 20) setImmediate(beside)
  }
  const seen: number[] = []
  setImmediate(beside)
  await inSlices(systemClock, [...Array(20).keys()], (item, index) => {
    expect(index).toBe(item)
    const end = performance.now() + 3
    while (performance.now() < end);
    seen.push(item)
  })
  expect(seen).toEqual([...Array(20).keys()])
  expect(others).toBeGreaterThan(2)
})

test('on a virtual clock it is done at once', () => {
  const seen: number[] = []
  void inSlices(virtualClock(), [1, 2, 3], (item) => void seen.push(item))
  expect(seen).toEqual([1, 2, 3])
})
