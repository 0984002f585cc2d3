import fc from 'fast-check'
import { expect, test } from 'vitest'
import { TailBuffer } from '../../../src/hosts/local/tail.ts'

test('keeps the last bytes, however they arrive', () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ maxLength: 40, unit: 'grapheme-ascii' })),
      fc.integer({ min: 1, max: 50 }),
      (parts, limit) => {
        const tail = new TailBuffer(limit)
        for (const part of parts) tail.push(Buffer.from(part))
        expect(tail.text()).toBe(parts.join('').slice(-limit))
      },
    ),
  )
})
