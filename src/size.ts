import { VolumeExpansionError } from './errors.ts'

declare const brand: unique symbol

/** A number of bytes: a bigint in arithmetic, made by {@link bytes} or {@link parseSize} and never by a cast. */
export type Bytes = bigint & { readonly [brand]: 'bytes' }

/** What a caller may write for a size: text with a unit, or a bigint of bytes. A JavaScript number is not accepted: `200` would mean 200 bytes. */
export type SizeInput = string | bigint

/** The largest size that a Linux file or block device can have: 2^63 − 1 bytes (`loff_t`). */
export const maxSize: Bytes = (2n ** 63n - 1n) as Bytes

export const KiB: Bytes = 1024n as Bytes
export const MiB: Bytes = (1024n ** 2n) as Bytes
export const GiB: Bytes = (1024n ** 3n) as Bytes
export const TiB: Bytes = (1024n ** 4n) as Bytes

const binary = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'] as const
const decimal = ['', 'k', 'M', 'G', 'T', 'P', 'E'] as const

// The numerator and denominator by which a suffix multiplies; `n`, `u` and `m` are Kubernetes' fractions of a unit.
const scales: ReadonlyMap<string, readonly [bigint, bigint]> = new Map<string, readonly [bigint, bigint]>([
  ['n', [1n, 10n ** 9n]],
  ['u', [1n, 10n ** 6n]],
  ['m', [1n, 1000n]],
  ...binary.map((suffix, power) => [suffix, [1024n ** BigInt(power), 1n]] as const),
  ...binary.slice(1).map((suffix, power) => [`${suffix}B`, [1024n ** BigInt(power + 1), 1n]] as const),
  ...decimal.map((suffix, power) => [suffix, [1000n ** BigInt(power), 1n]] as const),
  ...decimal.slice(1).map((suffix, power) => [`${suffix}B`, [1000n ** BigInt(power + 1), 1n]] as const),
  ['K', [1000n, 1n]],
  ['KB', [1000n, 1n]],
  ['B', [1n, 1n]],
])

const shape = /^\s*([+-]?)(\d+(?:\.\d*)?|\.\d+)(?:[eE]([+-]?\d{1,4}))?\s*([A-Za-z]{0,3})\s*$/

/** A positive rational number of bytes, exact. */
interface Ratio {
  readonly numerator: bigint
  readonly denominator: bigint
}

function invalid(text: string, reason: string): VolumeExpansionError {
  const shown = text.length > 40 ? `${text.slice(0, 40)}…` : text
  return new VolumeExpansionError('invalid-size', `${JSON.stringify(shown)} is not a usable size: ${reason}`, {
    layer: 'request',
    outcome: 'unchanged',
    remedy: 'Write a positive size with a unit, such as 200Gi, 1.5Ti, 100G or 512Mi, or a bare number of bytes.',
  })
}

// No size that people write is this long, and what a regular expression does with much longer text costs time.
const longestText = 500

function parseRatio(text: string): Ratio {
  if (text.length > longestText) throw invalid(text, 'it is too long')
  const match = shape.exec(text)
  if (match === null) throw invalid(text, 'it is not a number with an optional unit')
  const [, sign = '', digits = '', exponentText, suffix = ''] = match
  if (sign === '-') throw invalid(text, 'it is negative')
  const scale = scales.get(suffix)
  if (scale === undefined) throw invalid(text, `${JSON.stringify(suffix)} is not a known unit`)
  if (exponentText !== undefined && suffix !== '' && suffix !== 'B') {
    throw invalid(text, 'an exponent and a unit together are ambiguous')
  }
  const exponent = Number(exponentText ?? '0')
  // 10^400 is far beyond any size; without a bound a hostile exponent would cost memory and time.
  if (Math.abs(exponent) > 400) throw invalid(text, 'its exponent is out of range')
  if (digits.length > 400) throw invalid(text, 'it has too many digits')
  const [whole = '', fraction = ''] = digits.split('.')
  let numerator = BigInt(`${whole}${fraction}` || '0') * scale[0]
  let denominator = 10n ** BigInt(fraction.length) * scale[1]
  if (exponent >= 0) numerator *= 10n ** BigInt(exponent)
  else denominator *= 10n ** BigInt(-exponent)
  return { numerator, denominator }
}

function checked(value: bigint, text: string): Bytes {
  if (value < 0n) throw invalid(text, 'it is negative')
  if (value === 0n) throw invalid(text, 'it is zero')
  if (value > maxSize) throw invalid(text, 'it is more than 2^63-1 bytes')
  return value as Bytes
}

/**
 * Reads a size exactly, without floating point. Understood are binary units (`Ki` … `Ei`, with or without `B`), decimal units
 * (`k`/`K`, `M`, `G`, `T`, `P`, `E`, with or without `B`), Kubernetes' quantities with all their suffixes (`n`, `u`, `m` included), exponents
 * (`2e9`) and bare bytes. A fraction of a byte is rounded up, as Kubernetes does.
 *
 * @returns bytes, from 1 to 2^63 − 1
 * @throws {VolumeExpansionError} `invalid-size`: nonsense, negative, zero, or more than 2^63 − 1; nothing was changed
 * @throws {TypeError} when the value is neither a string nor a bigint
 */
export function parseSize(input: SizeInput): Bytes {
  if (typeof input === 'bigint') return checked(input, `${input}`)
  if (typeof input !== 'string') {
    throw new TypeError(
      `A size is a string such as '200Gi' or a bigint of bytes, not a ${input === null ? 'null' : typeof input}.`,
    )
  }
  const { numerator, denominator } = parseRatio(input)
  return checked((numerator + denominator - 1n) / denominator, input)
}

/**
 * Makes {@link Bytes} of a whole number of bytes; zero is allowed here, since a measured size can be zero.
 *
 * @throws {TypeError} when a number is not a safe integer
 * @throws {VolumeExpansionError} `invalid-size`: negative, or more than 2^63 − 1
 */
export function bytes(value: bigint | number): Bytes {
  if (typeof value === 'number' && !Number.isSafeInteger(value)) {
    throw new TypeError(`${value} is not a safe integer; pass a bigint for a size of this magnitude.`)
  }
  if (typeof value !== 'bigint' && typeof value !== 'number')
    throw new TypeError('bytes() takes a bigint or an integer number.')
  const whole = BigInt(value)
  return whole === 0n ? (0n as Bytes) : checked(whole, `${value}`)
}

/**
 * The size for people: the largest binary unit that leaves at least 1, with at most two decimals, rounded down so that nothing is
 * ever shown larger than it is. `~` marks a figure that was rounded.
 */
export function formatSize(size: bigint): string {
  if (size < 0n) return `-${formatSize(-size)}`
  let power = 0
  while (power + 1 < binary.length && size >= 1024n ** BigInt(power + 1)) power += 1
  if (power === 0) return `${size} B`
  const unit = 1024n ** BigInt(power)
  const hundredths = (size * 100n) / unit
  const exact = hundredths * unit === size * 100n
  const fraction = `${hundredths % 100n}`.padStart(2, '0').replace(/0+$/, '')
  return `${exact ? '' : '~'}${hundredths / 100n}${fraction === '' ? '' : `.${fraction}`} ${binary[power]}B`
}

/** Rounds up to a multiple of `granularity` bytes: a provider's unit, such as 1 GiB. */
export function roundUp(size: Bytes, granularity: Bytes): Bytes {
  if (granularity <= 0n) throw new TypeError('A granularity is at least one byte.')
  return bytes(((size + granularity - 1n) / granularity) * granularity)
}

/** Rounds down to a multiple of `granularity` bytes; the result can be zero. */
export function roundDown(size: Bytes, granularity: Bytes): Bytes {
  if (granularity <= 0n) throw new TypeError('A granularity is at least one byte.')
  return ((size / granularity) * granularity) as Bytes
}

/**
 * What `by` asks for, in bytes: a size, or a percentage of `current` (`'20%'`, `'12.5%'`), rounded up to a whole byte, so that a
 * small percentage of a small volume is never no step at all.
 *
 * @throws {VolumeExpansionError} `invalid-size`
 */
export function parseIncrement(input: SizeInput, current: Bytes): Bytes {
  if (typeof input !== 'string' || !input.trim().endsWith('%')) return parseSize(input)
  const share = input.trim().slice(0, -1)
  if (!/^[\s\d.eE+-]+$/.test(share)) throw invalid(input, 'a percentage is a number followed by %')
  const { numerator, denominator } = parseRatio(share)
  const scaled = numerator * current
  return checked((scaled + denominator * 100n - 1n) / (denominator * 100n), input)
}
