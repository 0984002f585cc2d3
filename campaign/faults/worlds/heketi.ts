import { glusterfs } from '../../../providers/glusterfs/index.ts'
import type { Volume } from '../../../src/expander.ts'
import { GiB } from '../../../src/size.ts'
import { heketiService } from '../../../src/testing/heketi/service.ts'
import { webFaults } from '../fault.ts'
import { Broken, type WebService, wiredClient } from '../web.ts'
import type { Subject } from '../world.ts'

const adminKey = 'the-key'
const id = 'ab'.repeat(16)

let names = 0

/** Growths of file volumes are relative, and Heketi knows no token for repeated requests: what is delivered twice is done twice. */
export const heketi: Subject = {
  name: 'glusterfs-heketi',
  kinds: webFaults,
  first: 10n * GiB,
  targets: [20n * GiB, 30n * GiB],
  ...{ absolute: false, shared: false, rest: 60_000 },
  make(wire, { world: clock, own }) {
    const service = heketiService({ adminKey, clock, operationTime: 3000, volumes: { [id]: { size: 10 } } })
    const web: WebService = {
      operation: ({ method, url }) => `${method} ${url.pathname.replace(/[0-9a-f]{32}/, 'ID')}`,
      mutates: ({ method }) => method === 'POST',
      answer({ method, url, headers, body }) {
        // The server's clock does not jump with the client's.
        service.setAhead(clock.date().getTime() - own.date().getTime())
        const answer = service.answer({ method, path: url.pathname, authorization: headers['authorization'], body })
        if (answer === undefined) throw new Broken('reset')
        return answer
      },
    }
    const volumes = new Map<number, Volume>()
    return {
      size: () => BigInt(service.size(id)) * GiB,
      accepted: () => service.mutations.length,
      get growths() {
        return service.mutations.map(({ to }) => BigInt(to) * GiB)
      },
      volume(process) {
        const known = volumes.get(process)
        if (known !== undefined) return known
        names += 1
        const http = wiredClient(wire, 'glusterfs', web)
        const made = glusterfs({ heketi: { url: `http://heketi-${names}.example`, key: adminKey, http } }).volume(id)
        volumes.set(process, made)
        return made
      },
      grow: (to) => service.grow(id, Math.max(service.size(id), Number(to / GiB))),
    }
  },
}
