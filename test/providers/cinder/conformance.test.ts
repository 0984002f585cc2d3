import { describe, expect, test } from 'vitest'
import { CinderApi } from '../../../providers/cinder/client.ts'
import { failure } from '../../../providers/cinder/errors.ts'
import { cinderExpander } from '../../../providers/cinder/expander.ts'
import type { BlockStorageAnswer, BlockStorageRequest, CinderRef } from '../../../providers/cinder/options.ts'
import { Memory } from '../../../providers/cinder/reading.ts'
import { type ProviderSetup, providerCases } from '../../../src/conformance/index.ts'
import { GiB } from '../../../src/size.ts'
import { volume } from './cloud.ts'

interface Kept {
  size: number
  target: number | undefined
  left: number
}

type Answer = Partial<BlockStorageAnswer>

/** The part of Cinder that grows volumes and makes snapshots, with the time that it takes. */
class MemoryCinder {
  readonly volumes = new Map<string, Kept>()
  readonly snapshots = new Map<string, { readonly fields: object; left: number }>()
  readonly losing = new Set<string>()

  tick(): void {
    for (const snapshot of this.snapshots.values()) snapshot.left -= 1
    for (const kept of this.volumes.values()) {
      kept.left -= 1
      if (kept.target === undefined || kept.left > 0) continue
      kept.size = kept.target
      kept.target = undefined
    }
  }

  async send(request: BlockStorageRequest): Promise<BlockStorageAnswer> {
    // The way there takes a moment, in which the caller may change its mind.
    await new Promise(setImmediate)
    if (request.signal?.aborted) throw request.signal.reason
    return { status: 200, headers: {}, body: undefined, ...this.#answer(request) }
  }

  #answer({ method, path, versions, body }: BlockStorageRequest): Answer {
    if (versions) return { body: { versions: [{ id: 'v3.0', version: '3.70', min_version: '3.0' }] } }
    const { pathname, searchParams } = new URL(path, 'http://cinder')
    const [, collection = '', id = ''] = pathname.split('/')
    if (collection === 'volumes' && id === 'detail') {
      return { body: { volumes: [...this.volumes].map(([key, kept]) => shown(key, kept)) } }
    }
    if (collection === 'volumes' && method === 'POST') return this.#extend(id, body)
    if (collection === 'volumes') {
      const kept = this.volumes.get(id)
      return kept === undefined ? missing : { body: { volume: shown(id, kept) } }
    }
    if (collection === 'snapshots' && method === 'POST') return this.#snapshot(body)
    if (collection === 'snapshots' && id === 'detail') return { body: { snapshots: this.#of(searchParams) } }
    if (collection === 'snapshots') {
      const found = this.#of().find((snapshot) => snapshot['id'] === id)
      return found === undefined ? missing : { body: { snapshot: found } }
    }
    return { status: 403, body: { forbidden: { message: 'Not for you.' } } }
  }

  #extend(id: string, body: object | undefined): Answer {
    const kept = this.volumes.get(id)
    if (kept === undefined) return missing
    const { new_size: size } = (body as { 'os-extend': { new_size: number } })['os-extend']
    if (kept.target !== undefined || size <= kept.size) {
      return { status: 400, body: { badRequest: { message: 'Invalid volume: New size for extend must be greater.' } } }
    }
    kept.target = size
    kept.left = 3
    if (this.losing.delete(id))
      throw failure('Lost.', { code: 'backend-unreachable', outcome: 'unknown', retryable: true, remedy: 'Again.' })
    return { status: 202 }
  }

  #snapshot(body: object | undefined): Answer {
    const { snapshot } = body as { snapshot: { volume_id: string } }
    if (!this.volumes.has(snapshot.volume_id)) return missing
    const id = crypto.randomUUID()
    this.snapshots.set(id, { fields: snapshot, left: 3 })
    return { status: 202, body: { snapshot: { id, ...snapshot, status: 'creating' } } }
  }

  #of(query: URLSearchParams = new URLSearchParams()): readonly Readonly<Record<string, unknown>>[] {
    const all = [...this.snapshots].map(
      ([id, { fields, left }]): Readonly<Record<string, unknown>> => ({
        ...{ ...fields, id, status: left > 0 ? 'creating' : 'available' },
      }),
    )
    return all.filter((snapshot) => [...query].every(([name, value]) => snapshot[name] === value))
  }
}

const missing: Answer = { status: 404, body: { itemNotFound: { code: 404, message: 'It could not be found.' } } }

function shown(id: string, { size, target }: Kept): object {
  return volume(id, {
    size,
    status: target === undefined ? 'available' : 'extending',
    updated_at: new Date().toISOString(),
  })
}

const cloud = new MemoryCinder()
const setup: ProviderSetup<CinderRef> = {
  expander: cinderExpander({ api: new CinderApi(cloud), memory: new Memory(), scope: 'conformance' }),
  async volume() {
    const id = crypto.randomUUID()
    const kept: Kept = { size: 2, target: undefined, left: 0 }
    cloud.volumes.set(id, kept)
    return {
      ref: id,
      spellings: [id.toUpperCase(), id.replaceAll('-', ''), { id }],
      measure: async () => BigInt(kept.size) * GiB,
      grow: async (size) => {
        kept.size = Number(size / GiB)
      },
    }
  },
  missing: crypto.randomUUID(),
  missingSnapshot: crypto.randomUUID(),
  loseAnswer: (ref) => void cloud.losing.add(`${ref}`),
  malformed: ['', 'data', '../volumes', `${crypto.randomUUID()}/action`, 42, null, {}, { id: 7 }],
  pause: async () => cloud.tick(),
  persistentVolumes: async () => {
    const id = crypto.randomUUID()
    const csi = { driver: 'cinder.csi.openstack.org', volumeHandle: id }
    return [
      { persistentVolume: { spec: { csi } }, ref: id },
      { persistentVolume: { spec: { cinder: { volumeID: id } } }, ref: id },
    ]
  },
}

describe('cinder()', () => {
  for (const { name, run, skip } of providerCases(setup)) {
    if (skip === undefined) test(name, run)
  }

  test('leaves out only what needs a host, parts or credentials', () => {
    expect(providerCases(setup).flatMap(({ skip }) => skip ?? [])).toEqual([
      'the setup has no host',
      'the provider was given no secrets',
      'the provider has no parts',
    ])
  })
})
