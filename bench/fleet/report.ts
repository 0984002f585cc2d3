import type { Goal } from '../goal.ts'
import type { InFlight } from './in-flight.ts'
import type { FleetBench } from './index.ts'

/** What the project promises of a fleet. */
const fleetLimits = {
  calls: { 1: 1.2, 2: 1.05 },
  gceCalls: 2.2,
  bytesEach: 10_000,
  delayP99: 20,
  growth: 1.15,
} as const

export function fleetGoals({ fleets, gce, inFlight }: FleetBench): readonly Goal[] {
  const goals: Goal[] = []
  const add = (what: string, measured: number, most: number, digits: number): void =>
    void goals.push(goal(what, measured, digits, most))
  for (const { account, window, callsPerVolume, throttled, bystanderThrottled, latency } of fleets) {
    const name = `${account}, window ${window} s`
    if (window === 1 || window === 2)
      add(`${name}: calls for each volume`, callsPerVolume, fleetLimits.calls[window], 3)
    if (window === 1 || window === 2) add(`${name}: p99 from ready to reported, s`, latency.p99, window, 2)
    add(`${name}: throttled, the bystander's and ours`, throttled + bystanderThrottled, 0, 0)
  }
  for (const { disks, operationTime, callsPerDisk, calls } of gce) {
    const name = `${disks} GCE disks, ${operationTime / 1000} s each`
    add(`${name}: calls for each disk`, callsPerDisk, fleetLimits.gceCalls, 3)
    add(`${name}: throttled`, calls.throttled, 0, 0)
  }
  goals.push(...inFlightGoals(inFlight))
  return goals
}

/** Of as many as are promised; of fewer, each has to bear more of what is the same for all. */
function inFlightGoals(inFlight: readonly InFlight[]): readonly Goal[] {
  const most = inFlight.at(-1)
  if (most === undefined) return []
  const { count, bytesEach, delayP99, ownDelayP99, idleDelayP99 } = most
  const delays = `less what the machine withheld: ${ownDelayP99.toFixed(1)}; an idle process's: ${idleDelayP99.toFixed(1)}`
  const few = inFlight.find((other) => other.count * 4 === count)
  const linear =
    few === undefined
      ? []
      : [
          goal(`${count} in flight: processor time for each, beside ${few.count}`, most.cpuEach / few.cpuEach, 2),
          goal(`${count} in flight: calls for each, beside ${few.count}`, most.callsEach / few.callsEach, 2),
        ]
  return [
    goal(`${count} in flight: bytes for each`, bytesEach, 0, fleetLimits.bytesEach),
    goal(`${count} in flight: p99 of the event loop's delay, ms (${delays})`, delayP99, 1, fleetLimits.delayP99),
    ...linear,
  ]
}

function goal(what: string, measured: number, digits: number, most: number = fleetLimits.growth): Goal {
  return { what, limit: most.toFixed(digits), measured: measured.toFixed(digits), reached: measured <= most }
}

export function fleetRows({ fleets }: FleetBench): readonly (readonly string[])[] {
  const head = ['account', 'volumes', 'window', 'calls each', 'throttled', 'bystander', 'p50', 'p99', 'in all']
  const rows = fleets.map((result) => [
    result.account,
    `${result.volumes}`,
    `${result.window} s`,
    result.callsPerVolume.toFixed(3),
    `${result.throttled}`,
    `${result.bystanderThrottled} of ${result.bystanderCalls}`,
    `${result.latency.p50.toFixed(2)} s`,
    `${result.latency.p99.toFixed(2)} s`,
    `${result.duration.toFixed(0)} s`,
  ])
  return [head, ...rows]
}

export function gceRows({ gce }: FleetBench): readonly (readonly string[])[] {
  const head = ['disks', 'operation', 'calls each', 'changes', 'throttled', 'grown', 'failed', 'in all']
  const rows = gce.map((result) => [
    `${result.disks}`,
    `${result.operationTime / 1000} s`,
    result.callsPerDisk.toFixed(3),
    `${result.mutations}`,
    `${result.calls.throttled}`,
    `${result.grown}`,
    `${result.failures}`,
    `${result.took.toFixed(0)} s`,
  ])
  return [head, ...rows]
}

export function inFlightRows({ inFlight }: FleetBench): readonly (readonly string[])[] {
  const head = ['volumes', 'bytes each', 'loop p99', 'own p99', 'idle p99', 'most', 'processor each', 'calls each']
  const rows = inFlight.map((result) => [
    `${result.count}`,
    result.bytesEach.toFixed(0),
    `${result.delayP99.toFixed(1)} ms`,
    `${result.ownDelayP99.toFixed(1)} ms`,
    `${result.idleDelayP99.toFixed(1)} ms`,
    `${result.delayMost.toFixed(1)} ms`,
    `${result.cpuEach.toFixed(2)} ms`,
    result.callsEach.toFixed(3),
  ])
  return [head, ...rows]
}
