/** Milliseconds of CLOCK_MONOTONIC, which reads the same in every process. */
export function sharedClock(): number {
  return Number(process.hrtime.bigint()) / 1e6
}
