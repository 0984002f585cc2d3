import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { VolumeExpansionError } from '../src/errors.ts'
import {
  type Bytes,
  bytes,
  formatSize,
  GiB,
  KiB,
  MiB,
  maxSize,
  parseIncrement,
  parseSize,
  roundDown,
  roundUp,
  type SizeInput,
  TiB,
} from '../src/size.ts'

function failureOf(run: () => unknown): VolumeExpansionError {
  try {
    run()
  } catch (error) {
    if (error instanceof VolumeExpansionError) return error
    throw error
  }
  throw new Error('it did not fail')
}

describe('parseSize', () => {
  test.each<[string, bigint]>([
    // Bare bytes
    ['1', 1n],
    ['4096', 4096n],
    ['007', 7n],
    ['+5', 5n],
    ['512B', 512n],
    // Binary
    ['1Ki', 1024n],
    ['1KiB', 1024n],
    ['512Mi', 536_870_912n],
    ['200Gi', 214_748_364_800n],
    ['200GiB', 214_748_364_800n],
    ['1.5Ti', 1_649_267_441_664n],
    ['2Pi', 2_251_799_813_685_248n],
    ['7Ei', 8_070_450_532_247_928_832n],
    ['7EiB', 8_070_450_532_247_928_832n],
    // Decimal
    ['1k', 1000n],
    ['1K', 1000n],
    ['1kB', 1000n],
    ['1KB', 1000n],
    ['3M', 3_000_000n],
    ['3MB', 3_000_000n],
    ['100G', 100_000_000_000n],
    ['100GB', 100_000_000_000n],
    ['2T', 2_000_000_000_000n],
    ['4P', 4_000_000_000_000_000n],
    ['2E', 2_000_000_000_000_000_000n],
    ['9EB', 9_000_000_000_000_000_000n],
    // Fractions of a byte are rounded up, as Kubernetes does
    ['1n', 1n],
    ['1000000001n', 2n],
    ['1u', 1n],
    ['2000000u', 2n],
    ['1500m', 2n],
    ['4000m', 4n],
    ['1.0000000000000001', 2n],
    ['0.1Ki', 103n],
    ['.5Gi', 536_870_912n],
    ['1.Mi', 1_048_576n],
    // Exponents: E with digits after it is one, without digits it is exa
    ['2e9', 2_000_000_000n],
    ['1E3', 1000n],
    ['1.5e3', 1500n],
    ['12e+1', 120n],
    ['5000e-3', 5n],
    ['1e3B', 1000n],
    ['1e18', 10n ** 18n],
    // White space around and before the unit
    ['  10 Gi ', 10n * 1024n ** 3n],
    ['10\tGiB\n', 10n * 1024n ** 3n],
    // Both ends
    ['9223372036854775807', 2n ** 63n - 1n],
    ['0.000000001Gi', 2n],
  ])('%j is %d bytes', (text, expected) => {
    expect(parseSize(text)).toBe(expected)
  })

  test.each<[string, string]>([
    ['', 'not a number'],
    ['   ', 'not a number'],
    ['Gi', 'not a number'],
    ['.', 'not a number'],
    ['ten', 'not a number'],
    ['1,5Gi', 'not a number'],
    ['1_000', 'not a number'],
    ['1 000', 'not a number'],
    ['1.2.3', 'not a number'],
    ['--5', 'not a number'],
    ['0x10', 'not a number'],
    ['10GiBs', 'not a number'],
    ['10 Gi B', 'not a number'],
    ['10%', 'not a number'],
    ['Infinity', 'not a number'],
    ['NaN', 'not a number'],
    ['1e', 'not a known unit'],
    ['１０Gi', 'not a number'],
    ['10Gi; rm', 'not a number'],
    ['10g', 'not a known unit'],
    ['10ki', 'not a known unit'],
    ['10GI', 'not a known unit'],
    ['10gib', 'not a known unit'],
    ['10iB', 'not a known unit'],
    ['10Zi', 'not a known unit'],
    ['10mB', 'not a known unit'],
    ['1e3Gi', 'ambiguous'],
    ['1E3k', 'ambiguous'],
    ['-1', 'negative'],
    ['-5Gi', 'negative'],
    ['-0', 'negative'],
    ['0', 'zero'],
    ['0Gi', 'zero'],
    ['0.000', 'zero'],
    ['0e9', 'zero'],
    ['9223372036854775808', 'more than 2^63-1'],
    ['8Ei', 'more than 2^63-1'],
    ['9.3E', 'more than 2^63-1'],
    ['1e19', 'more than 2^63-1'],
    ['1e400', 'more than 2^63-1'],
    ['1e401', 'out of range'],
    ['1e-401', 'out of range'],
    ['1e9999', 'out of range'],
    ['1e99999999999', 'not a number'],
  ])('%j is refused: %s', (text, reason) => {
    const error = failureOf(() => parseSize(text))
    expect(error).toMatchObject({ code: 'invalid-size', outcome: 'unchanged', layer: 'request', retryable: false })
    expect(error.message).toContain(reason)
    expect(error.remedy).toContain('200Gi')
  })

  test.each([
    ['digits', '9'.repeat(450), 'too many digits'],
    ['more digits', '9'.repeat(10_000_000), 'too long'],
    ['white space', `1${' '.repeat(1_000_000)}!`, 'too long'],
    ['an exponent', `1e${'9'.repeat(100)}`, 'not a number'],
  ])('hostile text (%s) costs no time and is not repeated in full', (_name, text, reason) => {
    const begun = performance.now()
    const error = failureOf(() => parseSize(text))
    expect(error.message).toContain(reason)
    expect(error.message.length).toBeLessThan(150)
    expect(performance.now() - begun).toBeLessThan(5000)
  })

  test('takes a bigint of bytes, within the same bounds', () => {
    expect(parseSize(5n)).toBe(5n)
    expect(parseSize(2n ** 63n - 1n)).toBe(maxSize)
    for (const wrong of [0n, -1n, 2n ** 63n]) expect(failureOf(() => parseSize(wrong)).code).toBe('invalid-size')
  })

  test.each([200, 1.5, null, undefined, true, {}, ['1Gi'], new Date()])('%o is not a size at all', (value) => {
    expect(() => parseSize(value as unknown as SizeInput)).toThrow(TypeError)
  })

  // Told apart from the implementation: sums of whole and fractional part, powers of two written as shifts.
  const oracle: Readonly<Record<string, readonly [multiply: bigint, divide: bigint]>> = {
    n: [1n, 1_000_000_000n],
    u: [1n, 1_000_000n],
    m: [1n, 1000n],
    '': [1n, 1n],
    k: [1000n, 1n],
    M: [1_000_000n, 1n],
    G: [1_000_000_000n, 1n],
    T: [1_000_000_000_000n, 1n],
    P: [1_000_000_000_000_000n, 1n],
    E: [1_000_000_000_000_000_000n, 1n],
    Ki: [1n << 10n, 1n],
    Mi: [1n << 20n, 1n],
    Gi: [1n << 30n, 1n],
    Ti: [1n << 40n, 1n],
    Pi: [1n << 50n, 1n],
    Ei: [1n << 60n, 1n],
  }

  test('is exact for every number of digits and every unit', () => {
    const digits = (most: number) =>
      fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: most }).map((d) => d.join(''))
    fc.assert(
      fc.property(digits(20), digits(30), fc.constantFrom(...Object.keys(oracle)), (whole, fraction, unit) => {
        fc.pre(whole !== '')
        const [multiply, divide] = oracle[unit] ?? [0n, 1n]
        const parts = 10n ** BigInt(fraction.length)
        // In units of 1/(parts·divide) bytes.
        const exact = BigInt(whole) * parts * multiply + BigInt(fraction || '0') * multiply
        const unitsPerByte = parts * divide
        const expected = exact / unitsPerByte + (exact % unitsPerByte === 0n ? 0n : 1n)
        const text = `${whole}${fraction === '' ? '' : '.'}${fraction}${unit}`
        if (expected >= 1n && expected < 1n << 63n) expect(parseSize(text)).toBe(expected)
        else expect(failureOf(() => parseSize(text)).code).toBe('invalid-size')
      }),
      { numRuns: 2000 },
    )
  })

  test('an exponent is the same as moving the point', () => {
    fc.assert(
      fc.property(fc.bigInt(1n, 10n ** 15n), fc.integer({ min: 0, max: 18 }), (number, exponent) => {
        const expected = number * 10n ** BigInt(exponent)
        for (const e of ['e', 'E', 'e+', 'E+']) {
          const text = `${number}${e}${exponent}`
          if (expected <= maxSize) expect(parseSize(text)).toBe(expected)
          else expect(failureOf(() => parseSize(text)).code).toBe('invalid-size')
        }
        expect(parseSize(`${number * 10n ** BigInt(exponent)}e-${exponent}`.slice(0, 400))).toBe(number)
      }),
      { numRuns: 300 },
    )
  })
})

describe('bytes', () => {
  test('takes whole numbers from zero on', () => {
    expect([bytes(0), bytes(0n), bytes(-0), bytes(4096), bytes(maxSize)]).toEqual([0n, 0n, 0n, 4096n, maxSize])
  })

  test.each([1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53])('%d is not a safe integer', (value) => {
    expect(() => bytes(value)).toThrow(TypeError)
  })

  test.each(['1', null, undefined, true])('%o is neither a number nor a bigint', (value) => {
    expect(() => bytes(value as unknown as bigint)).toThrow(TypeError)
  })

  test.each([-1, -1n, 2n ** 63n])('%d is out of range', (value) => {
    expect(failureOf(() => bytes(value)).code).toBe('invalid-size')
  })
})

describe('formatSize', () => {
  test.each<[bigint, string]>([
    [0n, '0 B'],
    [1n, '1 B'],
    [1023n, '1023 B'],
    [1024n, '1 KiB'],
    [1536n, '1.5 KiB'],
    [1025n, '~1 KiB'],
    [1024n ** 2n - 1n, '~1023.99 KiB'],
    [1024n ** 2n, '1 MiB'],
    [10n * 1024n ** 3n, '10 GiB'],
    [1024n ** 4n + 1024n ** 4n / 4n, '1.25 TiB'],
    [100n * 10n ** 9n, '~93.13 GiB'],
    [2n ** 63n - 1n, '~7.99 EiB'],
    [2n ** 70n, '1024 EiB'],
    [-1536n, '-1.5 KiB'],
  ])('%d bytes are %s', (size, text) => {
    expect(formatSize(size)).toBe(text)
  })

  test('never shows more than there is, and says when it shows less', () => {
    fc.assert(
      fc.property(fc.bigInt(1n, maxSize), (size) => {
        const text = formatSize(size)
        const shown = parseSize(text.replace('~', '').replace(' ', ''))
        // parseSize rounds a fraction of a byte up, so that one byte is the most by which it may be above.
        expect(shown).toBeLessThanOrEqual(text.startsWith('~') ? size + 1n : size)
        if (!text.startsWith('~')) expect(shown).toBe(size)
        // At most a hundredth of the unit is missing, which is a hundredth of the size at the most.
        expect(size - shown).toBeLessThanOrEqual(size / 100n + 1n)
      }),
      { numRuns: 2000 },
    )
  })

  test('what is shown as exact can be read again', () => {
    for (const size of [KiB, MiB, GiB, TiB, bytes(GiB + GiB / 2n)]) {
      expect(parseSize(formatSize(size))).toBe(size)
    }
  })
})

describe('rounding', () => {
  test('goes to multiples of the granularity', () => {
    expect(roundUp(bytes(1), GiB)).toBe(GiB)
    expect(roundUp(GiB, GiB)).toBe(GiB)
    expect(roundUp(bytes(GiB + 1n), GiB)).toBe(2n * GiB)
    expect(roundUp(bytes(0), GiB)).toBe(0n)
    expect(roundDown(bytes(GiB - 1n), GiB)).toBe(0n)
    expect(roundDown(bytes(2n * GiB + 1n), GiB)).toBe(2n * GiB)
    expect(roundDown(GiB, bytes(1))).toBe(GiB)
  })

  test('holds what it promises for every size', () => {
    const size = fc.bigInt(0n, maxSize / 2n)
    fc.assert(
      fc.property(size, fc.bigInt(1n, TiB), (value, granularity) => {
        const [up, down] = [roundUp(bytes(value), bytes(granularity)), roundDown(bytes(value), bytes(granularity))]
        expect([up % granularity, down % granularity]).toEqual([0n, 0n])
        expect(up >= value && up - value < granularity).toBe(true)
        expect(down <= value && value - down < granularity).toBe(true)
      }),
    )
  })

  test('upwards out of range is refused and never wraps', () => {
    const error = failureOf(() => roundUp(maxSize, GiB))
    expect(error.code).toBe('invalid-size')
    expect(error.message).toContain('more than 2^63-1')
  })

  test.each([0n, -1n])('a granularity of %d is a mistake of the caller', (granularity) => {
    expect(() => roundUp(GiB, granularity as Bytes)).toThrow(TypeError)
    expect(() => roundDown(GiB, granularity as Bytes)).toThrow(TypeError)
  })
})

describe('parseIncrement', () => {
  const gigabyte = parseSize('1GB')

  test.each<[SizeInput, bigint]>([
    ['50Gi', 50n * GiB],
    [4096n, 4096n],
    ['10%', 100_000_000n],
    [' 10 % ', 100_000_000n],
    ['12.5%', 125_000_000n],
    ['100%', 1_000_000_000n],
    ['250%', 2_500_000_000n],
    ['0.00000001%', 1n],
    ['1e1%', 100_000_000n],
    ['33.3333333%', 333_333_333n],
    ['33.33333333%', 333_333_334n],
  ])('%s of 1 GB is %d bytes', (input, expected) => {
    expect(parseIncrement(input, gigabyte)).toBe(expected)
  })

  test('a small percentage of a small volume is never no step at all', () => {
    expect(parseIncrement('1%', bytes(5))).toBe(1n)
  })

  test.each([
    '0%',
    '0.0%',
    '-10%',
    '%',
    ' % ',
    '10%%',
    '10Gi%',
    '1k%',
    '500m%',
    'ten%',
    '%10',
    '10%Gi',
    '1e400%',
    '0',
    '',
  ])('%j is refused', (input) => {
    expect(failureOf(() => parseIncrement(input, gigabyte))).toMatchObject({
      code: 'invalid-size',
      outcome: 'unchanged',
    })
  })

  test('a number is not an increment', () => {
    expect(() => parseIncrement(20 as unknown as SizeInput, gigabyte)).toThrow(TypeError)
  })
})
