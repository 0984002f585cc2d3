import { expect, test, vi } from 'vitest'
import { gceFleet } from '../../bench/fleet/gce.ts'
import { fleetGoals, gceRows } from '../../bench/fleet/report.ts'

// Seconds alone on a machine, and much longer on a busy one.
vi.setConfig({ testTimeout: 180_000 })

test('a fleet grows with one change for each disk, within the rates, and with fewer calls than a wait for each would take', async () => {
  const result = await gceFleet({ disks: 60, operationTime: 2000 })
  expect(result).toMatchObject({ disks: 60, grown: 60, mutations: 60, failures: 0, calls: { throttled: 0 } })
  expect(result.callsPerDisk).toBeLessThanOrEqual(2.2)
  const shown = { fleets: [], gce: [result], inFlight: [] }
  expect(gceRows(shown)[1]).toEqual(expect.arrayContaining(['60', '2 s', result.callsPerDisk.toFixed(3)]))
  expect(fleetGoals(shown).map(({ reached }) => reached)).toEqual([true, true])
})
