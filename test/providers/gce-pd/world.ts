import { type ComputeClient, restClient } from '../../../providers/gce-pd/client.ts'
import { gcePdExpander } from '../../../providers/gce-pd/expander.ts'
import type { GcePdOptions } from '../../../providers/gce-pd/performance.ts'
import type { GceDiskRef } from '../../../providers/gce-pd/refs.ts'
import { type VolumeExpander, type VolumeState, volumeOf } from '../../../src/expander.ts'
import { type ExpandRequest, type ExpansionRun, expand, type Report } from '../../../src/index.ts'
import { type HttpClient, httpClient } from '../../../src/services/http.ts'
import { type ComputeEmulator, type ComputeOptions, startCompute } from '../../../src/testing/compute/index.ts'
import { seededRandom, type VirtualClock, virtualClock } from '../../../src/testing/index.ts'

export const zone = 'europe-west1-b'
const project = 'test-project'
export const d1: string = `zones/${zone}/disks/d1`

/** An emulator on a virtual clock, and the provider that speaks to it over real connections. */
export interface World {
  readonly clock: VirtualClock
  readonly emulator: ComputeEmulator
  readonly client: ComputeClient
  readonly expander: VolumeExpander<GceDiskRef, GcePdOptions>
  /** Requests that were sent and not answered. */
  readonly inFlight: () => number
  /** Lets virtual time pass whenever everything waits for it, until the promise is settled. */
  drive<T>(promise: Promise<T>): Promise<T>
  grow(ref: GceDiskRef, to: string, more?: GrowMore): Promise<Report>
  start(ref: GceDiskRef, to: string, more?: GrowMore): ExpansionRun
  state(ref: GceDiskRef): Promise<VolumeState>
  /** Another process with the same rights: it remembers nothing of what this one has done. */
  elsewhere(): VolumeExpander<GceDiskRef, GcePdOptions>
  stop(): Promise<void>
}

export interface GrowMore extends Partial<Pick<ExpandRequest, 'signal' | 'timeouts'>> {
  readonly options?: GcePdOptions
}

export interface WorldOptions extends ComputeOptions {
  readonly token?: () => string | Promise<string>
  /** What the emulator's wall clock shows at the start. */
  readonly date?: Date
}

let worlds = 0

export async function worldOf({ token = () => 'token', date, ...options }: WorldOptions = {}): Promise<World> {
  const clock = virtualClock(date === undefined ? {} : { start: date })
  const disks = options.disks ?? [{ name: 'd1', zone, sizeGb: 10 }]
  const emulator = await startCompute({ clock, operationTime: 3000, latency: 20, ...options, project, disks })
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
  worlds += 1
  const clientNamed = (id: string): ComputeClient =>
    restClient({ id, http, endpoint: emulator.url, credentials: token })
  const client = clientNamed(`${emulator.url}#${worlds}`)
  const expander = gcePdExpander(client, project)
  const random = seededRandom(worlds)

  const start: World['start'] = (ref, to, { options: performance, ...more } = {}) =>
    expand({ volume: volumeOf(expander, ref, performance), to, clock, random, ...more })

  async function drive<T>(promise: Promise<T>): Promise<T> {
    let settled = false
    const end = (): void => {
      settled = true
    }
    promise.then(end, end)
    for (;;) {
      await clock.settle()
      if (settled) return await promise
      if (inFlight === emulator.waiting) await clock.advance(100)
      else await new Promise((resolve) => setImmediate(resolve))
    }
  }

  return {
    ...{ clock, emulator, client, expander, drive, start, inFlight: () => inFlight },
    grow: (ref, to, more) => drive(start(ref, to, more)),
    async state(ref) {
      const [outcome] = await drive(expander.read([ref], {}))
      if (outcome === undefined || outcome instanceof Error) throw outcome
      return outcome
    },
    elsewhere: () => gcePdExpander(clientNamed(`${emulator.url}#${worlds}-elsewhere`), project),
    async stop() {
      http.close()
      await emulator.stop()
    },
  }
}

/** The error that the promise is rejected with; fails when it is not. */
export async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise
  } catch (error) {
    return error
  }
  throw new Error('It was expected to fail.')
}
