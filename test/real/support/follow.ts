import type { ExpansionEvent, ExpansionRun, Report } from '../../../src/index.ts'
import { until } from './commands.ts'

/** A run whose events can be waited for. */
export interface FollowedRun {
  readonly report: Promise<Report>
  readonly events: readonly ExpansionEvent[]
  seen(type: ExpansionEvent['type']): Promise<ExpansionEvent>
}

export function follow(run: ExpansionRun): FollowedRun {
  const events: ExpansionEvent[] = []
  const collect = async (): Promise<void> => {
    for await (const event of run) events.push(event)
  }
  const collected = collect()
  const report = collected.then(() => run)
  report.catch(() => {})
  return {
    report,
    events,
    seen: (type) => until(`the event ${type}`, () => events.find((event) => event.type === type)),
  }
}
