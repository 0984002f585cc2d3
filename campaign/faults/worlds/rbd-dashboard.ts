import { dashboardClient } from '../../../providers/rbd/dashboard.ts'
import { rbdExpander } from '../../../providers/rbd/expander.ts'
import { type Volume, volumeOf } from '../../../src/expander.ts'
import { GiB } from '../../../src/size.ts'
import { webFaults } from '../fault.ts'
import { type WebAnswer, type WebRequest, type WebService, wiredClient } from '../web.ts'
import type { Subject } from '../world.ts'

let names = 0

/** Ceph's dashboard, which sets whatever size it is told: nothing but one process may grow the image, as the option for it says. */
export const rbdDashboard: Subject = {
  name: 'rbd-dashboard',
  kinds: webFaults,
  first: GiB,
  targets: [2n * GiB, 3n * GiB],
  ...{ absolute: false, shared: false, rest: 60_000 },
  make(wire, { own }) {
    let size = Number(GiB)
    let tokens = 0
    const growths: bigint[] = []
    const image = (): object => ({
      ...{ size, obj_size: 4194304, id: '10ab', features: 61, features_name: ['object-map'], disk_usage: 0 },
    })
    const pool = {
      flags_names: 'hashpspool',
      quota_max_bytes: 0,
      stats: { max_avail: { latest: 2 ** 40 }, stored: { latest: 0 } },
    }
    const service: WebService = {
      operation: ({ method, url }) => `${method} ${url.pathname}`,
      mutates: ({ method }) => method === 'PUT',
      answer({ method, url, headers, body }: WebRequest): WebAnswer {
        if (url.pathname === '/api/auth') {
          tokens += 1
          return json({ token: `token-${tokens}` }, 201)
        }
        if (headers['authorization'] !== `Bearer token-${tokens}`)
          return json({ detail: 'You are not authorized' }, 401)
        if (url.pathname.startsWith('/api/block/image/')) {
          if (method === 'GET') return json(image())
          const before = size
          size = (JSON.parse(body) as { size: number }).size
          if (size > before) growths.push(BigInt(size))
          return json({})
        }
        if (url.pathname.startsWith('/api/pool/')) return json(pool)
        if (url.pathname === '/api/monitor') return json({ mon_status: { monmap: { fsid: 'the-cluster' } } })
        return json({ detail: 'Not found' }, 404)
      },
    }
    const volumes = new Map<number, Volume>()
    return {
      size: () => BigInt(size),
      growths,
      accepted: () => growths.length,
      volume(process) {
        const known = volumes.get(process)
        if (known !== undefined) return known
        names += 1
        const client = wiredClient(wire, 'rbd', service)
        const dashboard = {
          ...{ url: `https://mgr-${names}.example:8443`, username: 'one', password: 'secret', client },
          allowUnguardedResize: true,
        }
        const made = volumeOf(rbdExpander(dashboardClient(dashboard, own)), 'volumes/a')
        volumes.set(process, made)
        return made
      },
      grow(to) {
        size = Math.max(size, Number(to))
      },
    }
  },
}

function json(body: object, status = 200): WebAnswer {
  return { status, headers: { 'content-type': 'application/json' }, text: JSON.stringify(body) }
}
