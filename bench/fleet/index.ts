import { mkdir, writeFile } from 'node:fs/promises'
import { type GceFleetResult, gceFleet } from './gce.ts'
import { type InFlight, measureInFlight } from './in-flight.ts'
import { plot } from './plot.ts'
import { type FleetResult, growFleet } from './run.ts'
import { documented, doubled, raised } from './settings.ts'

export interface FleetBench {
  readonly fleets: readonly FleetResult[]
  readonly gce: readonly GceFleetResult[]
  readonly inFlight: readonly InFlight[]
}

/** Fleets on a virtual clock, for the plot of all windows; and many growths in flight at once over real connections. */
export async function benchFleet(isQuick: boolean): Promise<FleetBench> {
  const fleets: FleetResult[] = []
  for (const account of [documented, doubled, raised]) {
    for (const window of isQuick ? [1, 2] : [0.1, 0.25, 0.5, 1, 2, 5]) {
      fleets.push(await growFleet(account, isQuick ? 200 : 1000, window))
    }
  }
  if (!isQuick) {
    const directory = new URL('../../docs/', import.meta.url)
    await mkdir(directory, { recursive: true })
    await writeFile(new URL('fleet-windows.svg', directory), plot(fleets))
  }
  const gce: GceFleetResult[] = []
  for (const operationTime of [2000, 10_000]) gce.push(await gceFleet({ disks: isQuick ? 200 : 1000, operationTime }))
  const inFlight: InFlight[] = []
  for (const count of isQuick ? [500] : [1000, 2500, 5000, 10_000]) inFlight.push(await measureInFlight(count))
  return { fleets, gce, inFlight }
}
