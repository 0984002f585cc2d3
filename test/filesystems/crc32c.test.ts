import { expect, test } from 'vitest'
import { crc32c } from '../../src/filesystems/crc32c.ts'

test('the check value of CRC-32C', () => {
  // "123456789" is the customary check; the catalogue's value is inverted at the end.
  expect(~crc32c(new TextEncoder().encode('123456789')) >>> 0).toBe(0xe3069283)
})

test('it goes on from a seed', () => {
  const bytes = new TextEncoder().encode('one and two')
  expect(crc32c(bytes.subarray(4), crc32c(bytes.subarray(0, 4)))).toBe(crc32c(bytes))
})
