import { describe, expect, test } from 'vitest'
import { longestWithin, pairwise, spreadOf } from '../../bench/statistics.ts'

describe('spreadOf', () => {
  test('gives the middle one of an odd number of samples, whatever their order', () => {
    expect(spreadOf([9, 1, 5])).toEqual({ median: 5, least: 1, most: 9, count: 3 })
  })

  test('gives the mean of the two in the middle of an even number', () => {
    expect(spreadOf([4, 1, 2, 100])).toEqual({ median: 3, least: 1, most: 100, count: 4 })
  })

  test('refuses to summarise nothing', () => {
    expect(() => spreadOf([])).toThrow(RangeError)
  })
})

describe('pairwise', () => {
  test('compares neighbours, so that a slow moment which meets both changes nothing', () => {
    const ratio = pairwise([11, 110, 22], [10, 100, 20], (own, other) => own / other)
    expect(ratio.least).toBeCloseTo(1.1)
    expect(ratio.most).toBeCloseTo(1.1)
  })

  test('refuses samples without a partner', () => {
    expect(() => pairwise([1, 2], [1], (own, other) => own / other)).toThrow(RangeError)
  })
})

describe('longestWithin', () => {
  const rounds = [
    [0, 9],
    [10, 12],
    [12, 20],
    [21, 50],
  ] as const

  test('takes the whole of a round that only began or ended within the window', () => {
    expect(longestWithin(rounds, [11, 14])).toBe(8)
    expect(longestWithin(rounds, [5, 11])).toBe(9)
  })

  test('leaves out what the window does not meet', () => {
    expect(longestWithin(rounds, [10.5, 11.5])).toBe(2)
    expect(longestWithin(rounds, [60, 70])).toBeUndefined()
  })
})
