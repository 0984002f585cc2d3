import type { IoErrorResult } from './io-errors.ts'
import type { KillResult } from './kills.ts'
import type { PowerResult } from './power.ts'
import type { SubjectName } from './subjects.ts'

/** What the guest is to do. */
export interface Spec {
  readonly seed: number
  readonly subjects: readonly SubjectName[]
  /** For each boundary, and at random moments; 0: none. */
  readonly kills: number
  /** Replayed for each subject at the least; 0: none. */
  readonly states: number
  /** For each fault of the disk; 0: none. */
  readonly errors: number
  /** The program that grows and is killed. */
  readonly grow: string
  /** Where the results go. */
  readonly output: string
}

export interface Results {
  readonly kernel: string
  readonly tools: readonly string[]
  readonly kills: readonly KillResult[]
  readonly power: readonly PowerResult[]
  readonly errors: readonly IoErrorResult[]
}
