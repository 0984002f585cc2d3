/** One case of a conformance suite: run it under any test runner, or under none. A rejection is the failure, with what was expected and what was found. */
export interface ConformanceCase {
  /** Stable, so that a report can name it. */
  readonly name: string
  /** Why the declared capabilities make the case not apply; such a case is not run. */
  readonly skip?: string
  run(): Promise<void>
}

/** A broken contract, as a conformance case found it. */
export class ConformanceFailure extends Error {
  override readonly name = 'ConformanceFailure'
}

/** Fails the case unless the condition holds. */
export function holds(condition: boolean, message: string): asserts condition {
  if (!condition) throw new ConformanceFailure(message)
}

/** Fails the case unless the promise rejects, and returns what it rejected with. */
export async function rejection(promise: Promise<unknown>, message: string): Promise<unknown> {
  try {
    await promise
  } catch (error) {
    return error
  }
  throw new ConformanceFailure(message)
}
