import { type Bytes, bytes, parseSize } from '../size.ts'

const units = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'] as const

/** Bytes as a quantity of Kubernetes in its canonical form: the largest binary unit that it is a whole multiple of. */
export function quantityOf(size: bigint): string {
  let power = 0
  while (power + 1 < units.length && size !== 0n && size % 1024n ** BigInt(power + 1) === 0n) power += 1
  return `${size / 1024n ** BigInt(power)}${units[power]}`
}

/** Nothing, with one of Kubernetes' suffixes: what has another one behind it is nonsense, and nonsense is not zero. */
const zero = /^0+(?:[numkMGTPE]|[KMGTPE]i)?$/

/** Bytes of a quantity as the API server writes it, rounded up; undefined when there is none that can be read: unknown is not zero. */
export function sizeOf(quantity: unknown): Bytes | undefined {
  if (typeof quantity === 'number') return Number.isSafeInteger(quantity) && quantity >= 0 ? bytes(quantity) : undefined
  if (typeof quantity !== 'string') return undefined
  if (zero.test(quantity)) return bytes(0n)
  try {
    return parseSize(quantity)
  } catch {
    return undefined
  }
}
