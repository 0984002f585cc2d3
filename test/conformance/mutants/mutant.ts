import type { ConformanceCase } from '../../../src/conformance/index.ts'

/** An implementation that is broken in one way, with the suite that has to reject it. */
export interface Mutant {
  /** What it does wrong, as the end of a sentence that begins with what it is. */
  readonly does: string
  /** The cases that are there for it, by their general names; others may reject it as well. */
  readonly killedBy: readonly string[]
  /** The suite over it, made anew. */
  readonly cases: () => readonly ConformanceCase[]
}

/** A suite with all that it has to reject. */
export interface Suite {
  /** What it examines. */
  readonly name: string
  /** The suite over an implementation that is right. */
  readonly good: () => readonly ConformanceCase[]
  readonly mutants: readonly Mutant[]
  /** Whether everything together takes a second or two: then every test run does all of it. */
  readonly isQuick: boolean
}

/** A case's name without what it was run on, so that the same case of several examples is one. */
export function generalName(name: string): string {
  return name.replace(/ \([^()]*\)$/, '').replace(/^resizer \S+ /, '')
}

/** Whether a case failed because the suite itself could not cope, and not because it found what is wrong. */
export function isStumble(error: unknown): boolean {
  return error instanceof TypeError || error instanceof ReferenceError || error instanceof RangeError
}

/** Runs the cases that apply, one after the other; what those that fail fail with, by their names. */
export async function failuresOf(
  cases: readonly ConformanceCase[],
  wanted?: readonly string[],
): Promise<ReadonlyMap<string, unknown>> {
  const failures = new Map<string, unknown>()
  for (const { name, skip, run } of cases) {
    if (skip !== undefined || wanted?.includes(generalName(name)) === false) continue
    await run().catch((error: unknown) => void failures.set(name, error))
  }
  return failures
}
