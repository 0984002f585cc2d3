import { restClient } from '../../providers/gce-pd/client.ts'
import { gcePdExpander } from '../../providers/gce-pd/expander.ts'
import { volumeOf } from '../../src/expander.ts'
import { expand } from '../../src/index.ts'
import { type HttpClient, httpClient } from '../../src/services/http.ts'
import { type ComputeCalls, startCompute } from '../../src/testing/compute/index.ts'
import { seededRandom, virtualClock } from '../../src/testing/index.ts'

export interface GceFleetOptions {
  readonly disks: number
  /** Milliseconds that a resize takes at the emulator. */
  readonly operationTime: number
}

export interface GceFleetResult {
  readonly disks: number
  /** Milliseconds. */
  readonly operationTime: number
  readonly calls: ComputeCalls
  readonly callsPerDisk: number
  /** Disks that have the new size, by the emulator. */
  readonly grown: number
  /** Changes that the emulator accepted. */
  readonly mutations: number
  /** Runs that failed. */
  readonly failures: number
  /** Seconds of virtual time. */
  readonly took: number
}

/** The default rates of a project, by the minute (https://cloud.google.com/compute/api-quota). */
const perMinute = 1500

/**
 * Grows so many disks of one zone at once, each by its own run of the library, against the emulator with a project's default rates. Time is virtual, so that it
 * measures calls and not this machine.
 */
export async function gceFleet({ disks: count, operationTime }: GceFleetOptions): Promise<GceFleetResult> {
  const zone = 'europe-west1-b'
  const clock = virtualClock()
  const names = Array.from({ length: count }, (_, index) => `disk-${index}`)
  const rate = { perMinute }
  const emulator = await startCompute({
    ...{ clock, operationTime, latency: 50 },
    disks: names.map((name, index) => ({
      name,
      zone,
      sizeGb: 10,
      operationTime: operationTime * (1 + (index % 10) / 10),
    })),
    rates: { read: rate, list: rate, mutate: rate, operations: rate },
  })
  let inFlight = 0
  const own = httpClient({ provider: 'gce-pd' })
  const http: HttpClient = {
    close: () => own.close(),
    async send(request) {
      inFlight += 1
      try {
        return await own.send(request)
      } finally {
        inFlight -= 1
      }
    },
  }
  const client = restClient({ id: emulator.url, endpoint: emulator.url, credentials: () => 'token', http })
  const expander = gcePdExpander(client, emulator.project)
  const random = seededRandom(1)
  const runs = names.map((disk) => expand({ volume: volumeOf(expander, { zone, disk }), to: '20Gi', clock, random }))
  const begun = clock.now()
  let results: readonly PromiseSettledResult<unknown>[] | undefined
  const done = Promise.allSettled(runs).then((settled) => {
    results = settled
  })
  while (results === undefined) {
    await clock.settle()
    // Time passes only when every request waits for it.
    if (inFlight === emulator.waiting) await clock.advance(50)
    else await new Promise((resolve) => setImmediate(resolve))
  }
  await done
  const { calls, mutations } = emulator
  const grown = names.filter((name) => emulator.sizeOf(`zones/${zone}/disks/${name}`) === 20).length
  http.close()
  await emulator.stop()
  return {
    ...{ disks: count, operationTime, calls, grown, callsPerDisk: calls.total / count, mutations: mutations.length },
    failures: results.filter(({ status }) => status === 'rejected').length,
    took: (clock.now() - begun) / 1000,
  }
}
