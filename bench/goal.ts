/** A figure that the project promises, and whether it was reached. */
export interface Goal {
  readonly what: string
  readonly limit: string
  readonly measured: string
  readonly reached: boolean
}
