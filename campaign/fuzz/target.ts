import { VolumeExpansionError } from '../../src/errors.ts'
import type { Random } from './random.ts'

/** What a case came to, in a word: counted, so that a campaign whose cases are all refused at the door is seen for what it is. */
export type Verdict = string

/** An attack on one promise: cases that are made from random numbers, and what has to hold for each. */
export interface Property<Input> {
  readonly name: string
  /** What has to hold, for people. */
  readonly promise: string
  /** Cases of a full run. */
  readonly cases: number
  /** Why it cannot be attacked on this machine; undefined when it can. */
  readonly lacking?: string | undefined
  make(random: Random): Input
  /** @throws when the promise is broken */
  check(input: Input): Verdict | Promise<Verdict>
  /** Checks many at once where that costs less, and throws when any of them breaks the promise. */
  readonly together?: { readonly size: number; readonly check: (inputs: readonly Input[]) => Promise<Verdict> }
  /** Simpler inputs that may break the promise as well, the simplest first. */
  readonly simpler?: (input: Input) => Iterable<Input>
  show(input: Input): string
}

/** A promise that a case has broken. */
export interface Broken {
  readonly target: string
  readonly number: number
  readonly reason: string
  /** The input, as simple as it could be made. */
  readonly input: string
}

export interface Target {
  readonly name: string
  readonly promise: string
  readonly cases: number
  readonly lacking: string | undefined
  /** Runs the cases with these numbers. */
  run(
    numbers: readonly number[],
    randomOf: (number: number) => Random,
    tally: Map<Verdict, number>,
  ): Promise<Broken | undefined>
  /** How many numbers one call of `run` takes best. */
  readonly atOnce: number
}

const mostSimplifications = 400

/** A property without the type of its inputs. */
export function target<Input>(property: Property<Input>): Target {
  const { name, promise, cases, lacking, together } = property
  const reasonOf = async (input: Input): Promise<string | undefined> => {
    try {
      await property.check(input)
      return undefined
    } catch (error) {
      return explain(error)
    }
  }
  const simplest = async (input: Input, reason: string): Promise<{ input: Input; reason: string }> => {
    let found = { input, reason }
    let tries = 0
    for (let simpler = true; simpler; ) {
      simpler = false
      for (const candidate of property.simpler?.(found.input) ?? []) {
        tries += 1
        if (tries > mostSimplifications) return found
        const why = await reasonOf(candidate)
        if (why === undefined) continue
        found = { input: candidate, reason: why }
        simpler = true
        break
      }
    }
    return found
  }
  const broken = async (number: number, input: Input, reason: string): Promise<Broken> => {
    const found = await simplest(input, reason)
    return { target: name, number, reason: found.reason, input: property.show(found.input) }
  }
  return {
    ...{ name, promise, cases, lacking, atOnce: together?.size ?? 1 },
    async run(numbers, randomOf, tally) {
      const count = (verdict: Verdict, by: number): void => void tally.set(verdict, (tally.get(verdict) ?? 0) + by)
      if (together !== undefined && numbers.length > 1) {
        const inputs = numbers.map((number) => property.make(randomOf(number)))
        try {
          count(await together.check(inputs), inputs.length)
          return undefined
        } catch (error) {
          for (const [index, input] of inputs.entries()) {
            const reason = await reasonOf(input)
            if (reason !== undefined) return broken(numbers[index] ?? 0, input, reason)
          }
          const all = `cases ${numbers[0]} to ${numbers.at(-1)}, which hold one by one`
          return { target: name, number: numbers[0] ?? 0, reason: explain(error), input: all }
        }
      }
      for (const number of numbers) {
        const input = property.make(randomOf(number))
        try {
          const verdict = property.check(input)
          count(typeof verdict === 'string' ? verdict : await verdict, 1)
        } catch (error) {
          return broken(number, input, explain(error))
        }
      }
      return undefined
    },
  }
}

function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const [, place = ''] =
    error.stack?.split('\n').filter((line) => /^\s+at /.test(line) && !line.includes('node:')) ?? []
  const [first = ''] = error.stack?.split('\n').filter((line) => /^\s+at /.test(line)) ?? []
  return `${error.name}: ${error.message.slice(0, 600)} (${first.trim()}; ${place.trim()})`
}

/** What the library promises does not hold. */
class BrokenPromise extends Error {
  override readonly name = 'BrokenPromise'
}

export function promise(holds: boolean, otherwise: () => string): asserts holds {
  if (!holds) throw new BrokenPromise(otherwise())
}

export type Attempt<Value> = { readonly value: Value } | { readonly error: VolumeExpansionError }

/** What a call gave, or the library's own refusal; anything else that is thrown passes, and is a crash. */
export function attempt<Value>(call: () => Value): Attempt<Value> {
  try {
    return { value: call() }
  } catch (error) {
    if (error instanceof VolumeExpansionError) return { error }
    throw error
  }
}

export async function attemptLater<Value>(call: () => Promise<Value>): Promise<Attempt<Value>> {
  try {
    return { value: await call() }
  } catch (error) {
    if (error instanceof VolumeExpansionError) return { error }
    throw error
  }
}

/** A refusal that a person can work with: it says what was left behind, what to do, and holds nothing that JSON cannot take. */
export function checkRefusal(error: VolumeExpansionError): void {
  promise(typeof error.message === 'string' && error.message !== '', () => 'an error says nothing')
  promise(error.message.length < 4000, () => `a message of ${error.message.length} characters`)
  promise(error.remedy !== undefined, () => `${error.code} has no remedy: ${error.message}`)
  JSON.stringify(error)
}
