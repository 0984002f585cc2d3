import type { Cleanup } from './cleanup.ts'
import type { Screen } from './screen.ts'

/** What the parts of the demo share. */
export interface Stage {
  readonly screen: Screen
  readonly proofs: Proofs
  readonly cleanup: Cleanup
  /** A directory of the demo's own, removed at the end. */
  readonly directory: string
  readonly signal: AbortSignal
}

/** What was claimed and checked. */
export class Proofs {
  readonly #screen: Screen
  #passed = 0
  #failed = 0

  constructor(screen: Screen) {
    this.#screen = screen
  }

  get passed(): number {
    return this.#passed
  }

  get failed(): number {
    return this.#failed
  }

  add(label: string, isProven: boolean, text: string): void {
    if (isProven) this.#passed += 1
    else this.#failed += 1
    this.#screen.mark(isProven ? 'good' : 'bad', label, text)
  }
}
