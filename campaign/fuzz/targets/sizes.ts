import { quantityOf, sizeOf } from '../../../src/kubernetes/quantity.ts'
import { bytes, formatSize, maxSize, parseIncrement, parseSize, roundDown, roundUp } from '../../../src/size.ts'
import type { Random } from '../random.ts'
import { attempt, checkRefusal, promise, type Target, target } from '../target.ts'
import { mutatedText, nastyText, shownText, simplerText } from '../text.ts'

const most = 2n ** 63n - 1n

/** Powers of ten and of two by which the documents of Kubernetes and IEC 80000-13 define the suffixes. */
const powers: Readonly<Record<string, readonly [base: bigint, exponent: number]>> = {
  ...{ '': [10n, 0], n: [10n, -9], u: [10n, -6], m: [10n, -3], k: [10n, 3], K: [10n, 3], M: [10n, 6], G: [10n, 9] },
  ...{ T: [10n, 12], P: [10n, 15], E: [10n, 18], Ki: [2n, 10], Mi: [2n, 20], Gi: [2n, 30], Ti: [2n, 40], Pi: [2n, 50] },
  ...{
    Ei: [2n, 60],
    B: [10n, 0],
    kB: [10n, 3],
    KB: [10n, 3],
    MB: [10n, 6],
    GB: [10n, 9],
    TB: [10n, 12],
    PB: [10n, 15],
  },
  ...{ EB: [10n, 18], KiB: [2n, 10], MiB: [2n, 20], GiB: [2n, 30], TiB: [2n, 40], PiB: [2n, 50], EiB: [2n, 60] },
}

/** White space as ECMAScript has it: what `trim` takes away. */
const isSpace = (character: string): boolean => character.trim() === ''

type Reading = readonly [numerator: bigint, denominator: bigint] | 'nonsense' | 'unsaid'

/** A size read character by character, by a machine of states and not by a pattern; `unsaid` where the documents leave it to us: very long texts and exponents. */
function independently(text: string): Reading {
  if (text.length > 500) return 'unsaid'
  let at = 0
  const rest = (): string => text[at] ?? ''
  const digits = (): string => {
    const start = at
    while (rest() >= '0' && rest() <= '9' && rest().length === 1) at += 1
    return text.slice(start, at)
  }
  const spaces = (): void => {
    while (at < text.length && isSpace(rest())) at += 1
  }
  const sign = (): bigint => {
    if (rest() !== '+' && rest() !== '-') return 1n
    at += 1
    return text[at - 1] === '-' ? -1n : 1n
  }
  spaces()
  const signed = sign()
  const whole = digits()
  const pointed = rest() === '.'
  if (pointed) at += 1
  const fraction = pointed ? digits() : ''
  if (whole === '' && fraction === '') return 'nonsense'
  let exponent: number | undefined
  const before = at
  if (rest() === 'e' || rest() === 'E') {
    at += 1
    const direction = sign()
    const count = digits()
    if (count === '') at = before
    else if (count.length > 4 || Number(count) > 400) return 'unsaid'
    else exponent = Number(direction) * Number(count)
  }
  spaces()
  let suffix = ''
  while (at < text.length && /^[a-zA-Z]$/.test(rest())) {
    suffix += rest()
    at += 1
  }
  spaces()
  const power = Object.hasOwn(powers, suffix) ? powers[suffix] : undefined
  if (at < text.length || power === undefined) return 'nonsense'
  if (exponent !== undefined && suffix !== '' && suffix !== 'B') return 'nonsense'
  if (whole.length + fraction.length > 399) return 'unsaid'
  let [numerator, denominator] = [signed * BigInt(`${whole}${fraction}` || '0'), 10n ** BigInt(fraction.length)]
  for (const [base, exponentOf] of [power, [10n, exponent ?? 0]] as const) {
    if (exponentOf >= 0) numerator *= base ** BigInt(exponentOf)
    else denominator *= base ** BigInt(-exponentOf)
  }
  return [numerator, denominator]
}

function expected(text: string): bigint | 'refused' | 'unsaid' {
  const reading = independently(text)
  if (reading === 'unsaid') return 'unsaid'
  if (reading === 'nonsense') return 'refused'
  const [numerator, denominator] = reading
  if (numerator <= 0n) return 'refused'
  let value = numerator / denominator
  if (value * denominator < numerator) value += 1n
  return value > most ? 'refused' : value
}

function sizeText(random: Random): string {
  const space = (): string =>
    random.oneIn(6) ? random.pick([' ', '  ', '\t', '\n', '\u00a0', '\u3000', '\ufeff', '\u200b']) : ''
  const digit = (): string => `${random.below(10)}`
  const digits = (): string => random.list(0, random.oneIn(30) ? 450 : random.pick([1, 3, 8, 19, 25]), digit).join('')
  const suffix = random.oneIn(8)
    ? random.pick(['ki', 'KI', 'mi', 'gib', 'Zi', 'Y', 'iB', 'b', 'µ', 'Bi', 'GB ', 'kib'])
    : random.pick(Object.keys(powers))
  const point = random.oneIn(3) ? `.${digits()}` : ''
  const exponent = random.oneIn(6)
    ? `${random.pick(['e', 'E'])}${random.pick(['', '+', '-'])}${random.pick(['0', '1', '3', '9', '18', '19', '399', '401', '00005', '99999'])}`
    : ''
  const sign = random.oneIn(10) ? random.pick(['+', '-', '++', '−']) : ''
  const text = `${space()}${sign}${digits()}${point}${exponent}${space()}${suffix}${space()}`
  if (random.oneIn(10)) return nastyText(random)
  if (random.oneIn(200)) return `${random.pick(['1', '0', ' ', '.', 'e', '9'])}`.repeat(random.between(300, 100_000))
  return random.oneIn(4) ? mutatedText(random, text) : text
}

const others: readonly unknown[] = [
  null,
  undefined,
  0,
  1,
  200,
  Number.NaN,
  true,
  {},
  [],
  ['1Gi'],
  Symbol('1Gi'),
  () => '1Gi',
  new Date(0),
]

const parsing: Target = target<string | bigint>({
  name: 'sizes',
  promise:
    'a size is read exactly, or refused with invalid-size: compared with a reading of its own in rational numbers',
  cases: 300_000,
  make: (random) => (random.oneIn(12) ? random.whole(80) * (random.oneIn(9) ? -1n : 1n) : sizeText(random)),
  check(input) {
    const found = attempt(() => parseSize(input))
    const wanted = typeof input === 'bigint' ? (input > 0n && input <= most ? input : 'refused') : expected(input)
    if ('error' in found) {
      promise(
        found.error.code === 'invalid-size' && found.error.outcome === 'unchanged',
        () => `refused with ${found.error.code}`,
      )
      checkRefusal(found.error)
      promise(wanted === 'refused' || wanted === 'unsaid', () => `${wanted} was refused: ${found.error.message}`)
      return 'refused'
    }
    const { value } = found
    if (wanted !== 'unsaid') promise(value === wanted, () => `read as ${value}, and not as ${wanted}`)
    promise(value > 0n && value <= maxSize, () => `${value} is out of range`)
    return 'read'
  },
  simpler: function* (input) {
    if (typeof input === 'string') yield* simplerText(input)
  },
  show: (input) => (typeof input === 'bigint' ? `${input}n` : shownText(input)),
})

const kinds: Target = target<unknown>({
  name: 'size-kinds',
  promise: 'a size of another type than text or bigint is a TypeError, never a guess',
  cases: 2000,
  make: (random) => random.pick(others),
  check(input) {
    for (const call of [() => parseSize(input as string), () => parseIncrement(input as string, bytes(1))]) {
      try {
        call()
      } catch (error) {
        promise(error instanceof TypeError, () => `${String(error)} instead of a TypeError`)
        continue
      }
      promise(false, () => 'it was taken')
    }
    return 'refused'
  },
  show: (input) => String(input),
})

const increments: Target = target<{ text: string; current: bigint }>({
  name: 'increments',
  promise: 'a percentage is a share of what is there, exact and rounded up',
  cases: 60_000,
  make: (random) => ({
    text: random.oneIn(5)
      ? sizeText(random)
      : `${sizeText(random).replace(/[a-zA-Z]+/g, '')}${random.pick(['%', ' %', '% ', '%%'])}`,
    current: random.whole(random.oneIn(2) ? 63 : 45),
  }),
  check({ text, current }) {
    const found = attempt(() => parseIncrement(text, bytes(current)))
    const share = /^(.*?)%[\s]*$/s.exec(text)?.[1]
    const reading = share === undefined ? undefined : independently(share)
    if ('error' in found) {
      checkRefusal(found.error)
      promise(found.error.code === 'invalid-size', () => found.error.code)
      if (reading !== undefined && typeof reading === 'object' && /^[\d.eE+\s-]+$/.test(share ?? '')) {
        const scaled = (reading[0] * current + reading[1] * 100n - 1n) / (reading[1] * 100n)
        promise(
          scaled <= 0n || reading[0] <= 0n || scaled > most,
          () => `${scaled} was refused: ${found.error.message}`,
        )
      }
      return 'refused'
    }
    if (reading === undefined) {
      promise(found.value === expected(text) || expected(text) === 'unsaid', () => `${found.value}`)
      return 'size'
    }
    if (reading === 'unsaid') return 'unsaid'
    promise(typeof reading === 'object', () => `nonsense became ${found.value}`)
    const [numerator, denominator] = reading
    // The least whole number that is not below the share.
    const { value } = found
    const scale = denominator * 100n
    promise(value * scale >= numerator * current && (value - 1n) * scale < numerator * current, () => `${value}`)
    return 'share'
  },
  simpler: function* ({ text, current }) {
    for (const shorter of simplerText(text)) yield { text: shorter, current }
  },
  show: ({ text, current }) => `${shownText(text)} of ${current}`,
})

const formatting: Target = target<bigint>({
  name: 'formatted-sizes',
  promise:
    'a size for people is never larger than the size, less than 1 % smaller, marked with ~ when it is not exact, and read back',
  cases: 120_000,
  make: (random) => random.whole(63) || 1n,
  check(size) {
    const text = formatSize(size)
    const match = /^(~?)(\d+(?:\.\d{1,2})?) (B|[KMGTPE]iB)$/.exec(text)
    promise(match !== null, () => text)
    const [, mark = '', figure = '', unit = ''] = match
    const reading = expected(`${figure}${unit}`)
    promise(typeof reading === 'bigint' && reading > 0n, () => `${text} reads as ${reading}`)
    // A reading rounds a fraction of a byte up.
    promise(reading - 1n < size && reading * 100n > size * 99n - 100n, () => `${text} for ${size}`)
    const unitBytes = expected(`1${unit}`)
    const exact = typeof unitBytes === 'bigint' && (size * 100n) % unitBytes === 0n
    promise((mark === '') === exact, () => `${text} for ${size}`)
    if (exact) promise(reading === size && parseSize(text) === size, () => `${text} for ${size}`)
    promise(formatSize(-size) === `-${text}`, () => `${formatSize(-size)}`)
    return exact ? 'exact' : 'rounded'
  },
  show: (size) => `${size}`,
})

const rounding: Target = target<{ size: bigint; unit: bigint }>({
  name: 'rounding',
  promise: 'rounding gives the nearest multiple on its side, and refuses what is beyond 2^63-1',
  cases: 150_000,
  make: (random) => ({
    size: random.whole(63),
    unit: random.oneIn(40) ? 0n : random.whole(random.pick([1, 10, 31, 63])),
  }),
  check({ size, unit }) {
    if (unit === 0n) {
      for (const round of [roundUp, roundDown]) {
        let refused = false
        try {
          round(bytes(size), bytes(0))
        } catch (error) {
          refused = error instanceof TypeError
        }
        promise(refused, () => 'a granularity of zero was taken')
      }
      return 'refused'
    }
    const rest = size % unit
    const up = rest === 0n ? size : size - rest + unit
    const found = attempt(() => roundUp(bytes(size), bytes(unit)))
    if ('error' in found) promise(up > most && found.error.code === 'invalid-size', () => `${up} was refused`)
    else promise(found.value === up && up <= most, () => `${found.value} instead of ${up}`)
    promise(roundDown(bytes(size), bytes(unit)) === size - rest, () => 'rounded down')
    return 'error' in found ? 'beyond' : 'rounded'
  },
  show: ({ size, unit }) => `${size} by ${unit}`,
})

const quantities: Target = target<unknown>({
  name: 'quantities',
  promise:
    'a quantity of the API server is read as Kubernetes means it or not at all, and every size is written so that it reads the same',
  cases: 150_000,
  make(random) {
    if (random.oneIn(3)) return random.whole(63)
    if (random.oneIn(10)) return random.pick([...others, -1, 1.5, 2 ** 53, 1e300, -0, Number.POSITIVE_INFINITY])
    return random.oneIn(8)
      ? random.pick(['0', '00', '0Ki', '0m', '0.0', '0e3', '000x', '-0', '+0', '0Gi '])
      : sizeText(random)
  },
  check(input) {
    if (typeof input === 'bigint') {
      const text = quantityOf(input)
      promise(/^\d+(?:[KMGTPE]i)?$/.test(text), () => text)
      promise(input === 0n || expected(text) === input, () => `${text} for ${input}`)
      promise(sizeOf(text) === input, () => `${text} reads as ${sizeOf(text)}`)
      return 'written'
    }
    const found = sizeOf(input)
    if (typeof input === 'string') {
      const reading = independently(input)
      if (found === undefined) {
        promise(expected(input) === 'refused' || expected(input) === 'unsaid', () => `${String(input)} was not read`)
        return 'unread'
      }
      if (found === 0n) {
        promise(
          reading === 'unsaid' || (typeof reading === 'object' && reading[0] === 0n),
          () => 'something became zero',
        )
        return 'zero'
      }
      promise(expected(input) === found || expected(input) === 'unsaid', () => `${found} instead of ${expected(input)}`)
      return 'read'
    }
    if (found === undefined) return 'unread'
    promise(typeof input === 'number' && Number.isInteger(input) && found === BigInt(input), () => `${found}`)
    return 'read'
  },
  show: (input) => (typeof input === 'string' ? shownText(input) : String(input)),
})

export const sizeTargets: readonly Target[] = [parsing, kinds, increments, formatting, rounding, quantities]
