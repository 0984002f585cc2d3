export interface NamedTest {
  readonly file: string
  readonly test: string
}

export interface ReportSummary {
  readonly passed: number
  readonly failed: number
  readonly skipped: readonly (NamedTest & { readonly status: string })[]
  readonly problems: readonly string[]
}

export function readReport(file: string, root: string): ReportSummary
export function forbiddenSkips<Skip extends NamedTest>(skipped: readonly Skip[], allowed: readonly NamedTest[]): Skip[]
