import type { Clock } from '../clock.ts'

/** Who is woken at a time. */
export interface Alarm {
  /** As `clock.now()` counts. */
  readonly at: number
  ring(): void
}

interface Alarms {
  readonly set: Set<Alarm>
  timer: { readonly controller: AbortController; readonly until: number } | undefined
}

const byClock = new WeakMap<Clock, Alarms>()

/** Rings once at its time, unless {@link disarm} comes before. All alarms of a clock share one timer, so that thousands of deadlines cost an entry each. */
export function arm(clock: Clock, alarm: Alarm): void {
  const alarms = byClock.get(clock) ?? { set: new Set(), timer: undefined }
  byClock.set(clock, alarms)
  alarms.set.add(alarm)
  if (alarms.timer === undefined || alarm.at < alarms.timer.until) wait(clock, alarms, alarm.at)
}

export function disarm(clock: Clock, alarm: Alarm): void {
  const alarms = byClock.get(clock)
  if (alarms === undefined || !alarms.set.delete(alarm) || alarms.set.size > 0) return
  // A timer that nobody waits for would keep the process from ending.
  alarms.timer?.controller.abort()
  alarms.timer = undefined
}

function wait(clock: Clock, alarms: Alarms, until: number): void {
  alarms.timer?.controller.abort()
  const timer = { controller: new AbortController(), until }
  alarms.timer = timer
  clock.sleep(Math.max(until - clock.now(), 1), timer.controller.signal).then(
    () => ringDue(clock, alarms),
    () => undefined,
  )
}

function ringDue(clock: Clock, alarms: Alarms): void {
  const now = clock.now()
  alarms.timer = undefined
  let next = Number.POSITIVE_INFINITY
  const due: Alarm[] = []
  for (const alarm of alarms.set) {
    // Timers may fire a fraction of a millisecond early.
    if (alarm.at <= now + 1) due.push(alarm)
    else next = Math.min(next, alarm.at)
  }
  for (const alarm of due) alarms.set.delete(alarm)
  if (Number.isFinite(next)) wait(clock, alarms, next)
  for (const alarm of due) alarm.ring()
}
