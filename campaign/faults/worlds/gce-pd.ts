import { restClient } from '../../../providers/gce-pd/client.ts'
import { gcePdExpander } from '../../../providers/gce-pd/expander.ts'
import { type Volume, volumeOf } from '../../../src/expander.ts'
import { GiB } from '../../../src/size.ts'
import { ApiFailure, failureAnswer } from '../../../src/testing/compute/answers.ts'
import { handle } from '../../../src/testing/compute/handler.ts'
import { type Call, callOf } from '../../../src/testing/compute/methods.ts'
import { World as Compute } from '../../../src/testing/compute/world.ts'
import { webFaults } from '../fault.ts'
import { type WebAnswer, type WebRequest, type WebService, wiredClient } from '../web.ts'
import type { Subject } from '../world.ts'

const zone = 'europe-west1-b'
const project = 'test-project'
const disk = `zones/${zone}/disks/d1`

let names = 0

export const gcePd: Subject = {
  name: 'gce-pd',
  kinds: webFaults,
  first: 10n * GiB,
  targets: [20n * GiB, 30n * GiB],
  ...{ absolute: true, shared: true, rest: 120_000 },
  make(wire, { world: clock }) {
    const compute = new Compute({ clock, project, operationTime: 3000, quotas: [] })
    compute.set({ name: 'd1', zone, sizeGb: 10, attachments: [{ instance: 'i1' }] })
    const sleep = (milliseconds: number): Promise<void> => clock.sleep(milliseconds)
    const callIn = ({ method, url, body }: WebRequest): Call | undefined =>
      callOf(method, url, body === '' ? undefined : JSON.parse(body))
    const service: WebService = {
      operation: (request) => callIn(request)?.method ?? '?',
      mutates: (request) => /\.(?:resize|update)$/.test(callIn(request)?.method ?? ''),
      waits: (request) => (callIn(request)?.method ?? '').endsWith('.wait'),
      async answer(request): Promise<WebAnswer> {
        const call = callIn(request)
        try {
          if (call === undefined) throw new ApiFailure(404, 'notFound', 'Not emulated.')
          // It answers with what there is after a while, as the service does.
          const body = await handle(call, compute, { sleep, waitTime: 15_000, pageSize: 500 })
          return answerOf(200, body)
        } catch (thrown) {
          if (!(thrown instanceof ApiFailure)) throw thrown
          const { status, body, headers } = failureAnswer(thrown)
          return answerOf(status, body, headers)
        }
      },
    }
    const volumes = new Map<number, Volume>()
    return {
      size: () => BigInt(compute.size(disk)) * GiB,
      accepted: () => compute.mutations.length,
      get growths() {
        return compute.mutations.map(({ sizeGb = 0 }) => BigInt(sizeGb) * GiB)
      },
      volume(process) {
        const known = volumes.get(process)
        if (known !== undefined) return known
        names += 1
        const http = wiredClient(wire, 'gce-pd', service)
        const client = restClient({
          id: `c${names}`,
          endpoint: 'https://gce.example',
          credentials: () => 'token',
          http,
        })
        const made = volumeOf(gcePdExpander(client, project), { zone, disk: 'd1' })
        volumes.set(process, made)
        return made
      },
      grow: (to) => compute.grow(disk, Math.max(compute.size(disk), Number(to / GiB))),
      ask(to) {
        // Not over the wire, so that it is no growth of the library's.
        try {
          compute.resize({ zone }, 'd1', { sizeGb: `${to / GiB}` }, undefined)
          compute.mutations.pop()
        } catch (thrown) {
          if (!(thrown instanceof ApiFailure)) throw thrown
        }
      },
    }
  },
}

function answerOf(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): WebAnswer {
  return { status, headers: { 'content-type': 'application/json', ...headers }, text: JSON.stringify(body) }
}
