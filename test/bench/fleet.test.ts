import { expect, test } from 'vitest'
import { plot } from '../../bench/fleet/plot.ts'
import { growFleet } from '../../bench/fleet/run.ts'
import { documented, doubled, raised } from '../../bench/fleet/settings.ts'

// Counts on a virtual clock: the same each time, whatever else the machine does.
test.each([
  [documented, 1000, 2, 1.09],
  [documented, 1000, 1, 1.14],
  [doubled, 1000, 2, 1.05],
  [raised, 300, 2, 1.06],
  [raised, 300, 1, 1.09],
])(
  'a fleet, $0.name, %i volumes, window %i s: at most %d calls for each',
  async (account, volumes, window, calls) => {
    const result = await growFleet(account, volumes, window)
    expect(result).toMatchObject({ succeeded: volumes, modificationsPerVolume: 1, throttled: 0, bystanderThrottled: 0 })
    expect(result.callsPerVolume).toBeLessThanOrEqual(calls)
    expect(result.latency.p50).toBeLessThanOrEqual(window)
    expect(result.latency.p99).toBeLessThanOrEqual(window)
    expect(plot([result])).toContain('<svg')
  },
  120_000,
)
