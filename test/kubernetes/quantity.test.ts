import fc from 'fast-check'
import { expect, test } from 'vitest'
import { quantityOf, sizeOf } from '../../src/kubernetes/quantity.ts'

test.each([
  [10n * 2n ** 30n, '10Gi'],
  [1536n * 2n ** 20n, '1536Mi'],
  [2n ** 40n, '1Ti'],
  [1000n, '1000'],
  [0n, '0'],
])('%d bytes are %s', (size, quantity) => {
  expect(quantityOf(size)).toBe(quantity)
})

test('what is written is read as the same size', () => {
  fc.assert(fc.property(fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }), (size) => sizeOf(quantityOf(size)) === size))
})

test.each([
  ['1.5Gi', 1536n * 2n ** 20n],
  ['5G', 5_000_000_000n],
  ['4294967296', 4294967296n],
  [4096, 4096n],
  ['0', 0n],
  ['0Gi', 0n],
  ['0nonsense', undefined],
  ['nonsense', undefined],
  [undefined, undefined],
  [-1, undefined],
])('%j is read as %s', (quantity, size) => {
  expect(sizeOf(quantity)).toBe(size)
})
