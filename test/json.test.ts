import fc from 'fast-check'
import { expect, test } from 'vitest'
import { jsonSafe } from '../src/json.ts'

test.each<[unknown, unknown]>([
  [null, null],
  [undefined, null],
  [true, true],
  ['text', 'text'],
  [1.5, 1.5],
  [Number.NaN, null],
  [Number.NEGATIVE_INFINITY, null],
  [2n ** 63n, '9223372036854775808'],
  [() => 1, null],
  [Symbol('s'), null],
  [new Date('2026-01-02T03:04:05Z'), '2026-01-02T03:04:05.000Z'],
  [new Date(Number.NaN), null],
  [new Uint8Array(16), '16 bytes'],
  [Buffer.from('secret'), '6 bytes'],
  [new Set(['a', 2n]), ['a', '2']],
  [
    new Map<unknown, unknown>([
      ['a', 1n],
      [2, undefined],
      [3, new Map([['b', null]])],
    ]),
    { a: '1', 3: { b: null } },
  ],
  [
    [1n, undefined, () => 1, [2n]],
    ['1', null, null, ['2']],
  ],
  [
    { a: 1n, b: undefined, c: () => 1, d: { e: [Number.NaN] } },
    { a: '1', d: { e: [null] } },
  ],
  [{ toJSON: () => ({ size: 5n }) }, { size: '5' }],
  [{ toJSON: 'not a function' }, { toJSON: 'not a function' }],
  [{ error: new TypeError('what') }, { error: { name: 'TypeError', message: 'what' } }],
  [Object.create(null), {}],
])('%o becomes %o', (value, expected) => {
  expect(jsonSafe(value)).toEqual(expected)
})

test('a key that means something to JavaScript is a key like any other', () => {
  const hostile = JSON.parse('{"__proto__": {"polluted": true}, "constructor": 1}')
  const safe = jsonSafe(hostile)
  expect(Object.keys(safe as object)).toEqual(['__proto__', 'constructor'])
  expect((safe as { polluted?: boolean }).polluted).toBeUndefined()
})

test('is a copy that JSON.stringify takes, and that stays the same when it is made again', () => {
  fc.assert(
    fc.property(fc.anything({ withBigInt: true, withMap: true, withSet: true, withDate: true }), (value) => {
      fc.pre(!hasToJson(value))
      const safe = jsonSafe(value)
      expect(jsonSafe(safe)).toEqual(safe)
      expect(JSON.parse(JSON.stringify(safe))).toEqual(JSON.parse(JSON.stringify(jsonSafe(safe))))
    }),
  )
})

/** Objects of the generator whose own key `toJSON` is no function of ours. */
function hasToJson(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !(value instanceof Date) && 'toJSON' in value
}
