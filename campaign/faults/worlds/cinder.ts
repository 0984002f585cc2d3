import { CinderApi } from '../../../providers/cinder/client.ts'
import { Session } from '../../../providers/cinder/cloud/session.ts'
import { cinderExpander } from '../../../providers/cinder/expander.ts'
import { Memory } from '../../../providers/cinder/reading.ts'
import { type Volume, volumeOf } from '../../../src/expander.ts'
import { GiB } from '../../../src/size.ts'
import { webFaults } from '../fault.ts'
import { type WebAnswer, type WebRequest, type WebService, wiredClient } from '../web.ts'
import type { Subject } from '../world.ts'

const id = '11111111-2222-4333-8444-555555555555'
const project = '0123456789abcdef0123456789abcdef'
const base = 'http://cloud.example'

let names = 0

/** Keystone and Cinder as far as one volume needs them: a growth is accepted, the volume is `extending` for a while, and larger then. */
export const cinderSubject: Subject = {
  name: 'cinder',
  kinds: webFaults,
  first: 10n * GiB,
  targets: [20n * GiB, 30n * GiB],
  ...{ absolute: true, shared: true, rest: 60_000 },
  make(wire, { world: clock, own }) {
    let size = 10
    let growth: { readonly to: number; readonly ends: number } | undefined
    let updated = clock.date()
    const growths: bigint[] = []
    let tokens = 0

    const settle = (): void => {
      if (growth === undefined || clock.now() < growth.ends) return
      size = Math.max(size, growth.to)
      growth = undefined
      updated = clock.date()
    }
    const extend = (to: unknown, isOurs: boolean): WebAnswer => {
      settle()
      if (growth !== undefined)
        return refusal(`Volume ${id} status must be '['in-use', 'available']' to extend, currently extending.`)
      if (typeof to !== 'number' || to <= size) {
        return refusal(`New size for extend must be greater than current size. (current: ${size}, extended: ${to}).`)
      }
      growth = { to, ends: clock.now() + 3000 }
      if (isOurs) growths.push(BigInt(to) * GiB)
      const headers = { date: clock.date().toUTCString(), 'x-openstack-request-id': `req-${growths.length}` }
      return { status: 202, headers, text: '' }
    }
    const token = (): WebAnswer => {
      tokens += 1
      const endpoint = { interface: 'public', region_id: 'RegionOne', url: `${base}/volume/v3/${project}` }
      const expires = new Date(clock.date().getTime() + 3_600_000).toISOString()
      const body = {
        expires_at: expires,
        project: { id: project },
        catalog: [{ type: 'volumev3', endpoints: [endpoint] }],
      }
      return { ...json({ token: body }, 201), headers: { 'x-subject-token': `token-${tokens}` } }
    }
    const described = (): object => {
      settle()
      return {
        ...{ id, size, status: growth === undefined ? 'available' : 'extending', attachments: [] },
        ...{ updated_at: updated.toISOString().replace('Z', '000'), 'os-vol-tenant-attr:tenant_id': project },
      }
    }
    const quota = (): object => ({ gigabytes: { limit: 1000, in_use: size, reserved: 0 } })
    const service: WebService = {
      operation: ({ method, url }) =>
        `${method} ${url.pathname.replace(project, 'P').replace(project, 'P').replace(id, 'ID')}`,
      mutates: ({ method, url }) => method === 'POST' && url.pathname.endsWith('/action'),
      answer(request: WebRequest): WebAnswer {
        const { method, url, body } = request
        const path = url.pathname.replace(`/volume/v3/${project}`, '')
        if (method === 'POST' && path === '/v3/auth/tokens') return token()
        if (path === '/volume/v3/') {
          return json({ versions: [{ id: 'v3.0', version: '3.70', min_version: '3.0' }] })
        }
        if (method === 'POST' && path === `/volumes/${id}/action`) {
          return extend((JSON.parse(body) as { 'os-extend'?: { new_size?: unknown } })['os-extend']?.new_size, true)
        }
        if (path === `/volumes/${id}`) return json({ volume: described() })
        if (path === '/volumes/detail') return json({ volumes: [described()] })
        if (path === '/messages') return json({ messages: [] })
        if (path.startsWith('/os-quota-sets/')) return json({ quota_set: quota() })
        return json({ itemNotFound: { code: 404, message: 'It could not be found.' } }, 404)
      },
    }
    const volumes = new Map<number, Volume>()
    return {
      size: () => {
        settle()
        return BigInt(size) * GiB
      },
      growths,
      accepted: () => growths.length,
      volume(process) {
        const known = volumes.get(process)
        if (known !== undefined) return known
        names += 1
        const named = { name: 'one', domain: { id: 'default' } }
        const session = new Session(
          {
            ...{ source: 'the options', authUrl: `${base}/v3`, interface: 'public', tls: { insecure: false } },
            credentials: { kind: 'password', user: named, password: 'secret', project: named },
          },
          wiredClient(wire, 'cinder', service),
          () => own.date().getTime(),
        )
        const shared = { api: new CinderApi(session), memory: new Memory(), scope: `cloud ${names}` }
        const made = volumeOf(cinderExpander(shared), id)
        volumes.set(process, made)
        return made
      },
      grow(to) {
        settle()
        if (growth === undefined) size = Math.max(size, Number(to / GiB))
      },
      ask: (to) => void extend(Number(to / GiB), false),
    }
  },
}

function json(body: object, status = 200): WebAnswer {
  return { status, headers: { 'content-type': 'application/json' }, text: JSON.stringify(body) }
}

function refusal(message: string): WebAnswer {
  return json({ badRequest: { code: 400, message } }, 400)
}
