import { describe, expect, test } from 'vitest'
import { commandClient } from '../../../providers/rbd/commands.ts'
import { dashboardClient } from '../../../providers/rbd/dashboard.ts'
import { rbdExpander } from '../../../providers/rbd/expander.ts'
import type { RbdRef } from '../../../providers/rbd/ref.ts'
import { type ProviderSetup, providerCases } from '../../../src/conformance/index.ts'
import { abortedError, VolumeExpansionError } from '../../../src/errors.ts'
import type { VolumeExpander } from '../../../src/expander.ts'
import type { HttpAnswer, HttpClient } from '../../../src/services/http.ts'
import { MiB } from '../../../src/size.ts'
import { type Answer, optionOf, scriptedHost } from './scripted.ts'

/** Bytes of each image, by its spec, and its snapshots. */
const images = new Map<string, bigint>()
const snapshots = new Map<string, string[]>()
const losing = new Set<string>()
const password = 'canary/of a+dashboard'

const specOf = (argv: readonly string[]): string =>
  ['pool', 'namespace', 'image'].flatMap((part) => optionOf(argv, part) ?? []).join('/')

/** The commands as they answer: `rbd resize` guards itself, and says EINVAL to the size that is there. */
function answer(argv: readonly string[]): Answer {
  if (argv[0] === 'ceph') return { exitCode: 13 }
  const spec = specOf(argv)
  const size = images.get(spec)
  if (size === undefined) return { exitCode: 2, stderr: 'error opening image: (2) No such file or directory' }
  const features = { object_size: 4_194_304, features: ['layering'] }
  if (argv.includes('info')) return { stdout: JSON.stringify({ id: idOf(spec), size: Number(size), ...features }) }
  if (argv.includes('status')) return { stdout: '{"watchers":[]}' }
  if (argv.includes('resize'))
    return resize(spec, size, BigInt(/^\d+/.exec(optionOf(argv, 'size') ?? '')?.[0] ?? 0) * MiB)
  const taken = snapshots.get(spec) ?? []
  if (argv.includes('ls')) return { stdout: JSON.stringify(taken.map((name, id) => ({ id, name }))) }
  const snapshot = optionOf(argv, 'snap') ?? ''
  if (taken.includes(snapshot)) return { exitCode: 17 }
  snapshots.set(spec, [...taken, snapshot])
  return {}
}

function resize(spec: string, size: bigint, wanted: bigint): Answer {
  if (wanted <= size)
    return { exitCode: 22, stderr: 'rbd: shrinking an image is only allowed with the --allow-shrink flag' }
  images.set(spec, wanted)
  return losing.delete(spec) ? { ended: 'running' } : {}
}

const idOf = (spec: string): string => Buffer.from(spec).toString('hex').slice(-12)

/** The dashboard's API, which sets what it is told. */
const http: HttpClient = {
  close: () => undefined,
  async send(request) {
    await new Promise(setImmediate)
    if (request.signal?.aborted) throw abortedError(request.signal, 'volume', 'unchanged')
    const path = new URL(request.url).pathname
    if (path === '/api/auth') return json(201, { token: 'token' })
    const spec = decodeURIComponent(path.replace('/api/block/image/', ''))
    const size = images.get(spec)
    if (size === undefined) return json(404, { detail: 'Image not found' })
    if (request.method !== 'PUT')
      return json(200, {
        size: Number(size),
        obj_size: 4_194_304,
        id: idOf(spec),
        features: 1,
        features_name: ['layering'],
      })
    images.set(spec, BigInt((request.body as { readonly size: number }).size))
    if (!losing.delete(spec)) return json(200, null)
    throw new VolumeExpansionError('backend-unreachable', 'The connection was lost.', {
      ...{ layer: 'volume', provider: 'rbd', outcome: 'unknown', retryable: true, remedy: 'Run it again.' },
    })
  },
}

function json(status: number, body: unknown): HttpAnswer {
  return { status, headers: {}, text: JSON.stringify(body), json: () => body }
}

function setup(expander: VolumeExpander<RbdRef>, secrets: readonly string[] | undefined): ProviderSetup<RbdRef> {
  return {
    expander,
    async volume() {
      const image = `image-${images.size + 1}`
      const spec = `volumes/tenant/${image}`
      images.set(spec, 64n * MiB)
      return {
        ref: spec,
        spellings: [{ pool: 'volumes', namespace: 'tenant', image }],
        measure: async () => images.get(spec) ?? 0n,
        grow: async (size) => void images.set(spec, size),
      }
    },
    missing: 'volumes/tenant/nowhere',
    missingSnapshot: 'nowhere',
    loseAnswer: (ref) => void losing.add(`${ref}`),
    ...(secrets === undefined ? {} : { secrets }),
    malformed: ['', 'image', 'volumes/', '/image', 'volumes//image', 'a/b/c/d', 'volumes/a@b', 'v\0/a', 7, null, {}],
    pause: async () => {},
    persistentVolumes: async () => [
      { ref: 'rbd/in-tree', persistentVolume: { spec: { rbd: { monitors: ['10.0.0.1:6789'], image: 'in-tree' } } } },
    ],
  }
}

const commands = rbdExpander(commandClient({ host: scriptedHost(answer), conf: '/etc/ceph/ceph.conf', user: 'cinder' }))
const url = 'https://mgr.example.com:8443'
const dashboard = rbdExpander(
  dashboardClient({ url, username: 'admin', password, allowUnguardedResize: true, client: http }),
)

describe.each([
  ['commands', setup(commands, undefined), ['the provider was given no secrets']],
  ['dashboard', setup(dashboard, [password]), ['the provider has no snapshots']],
] as const)('rbd() over the %s', (_name, given, reasons) => {
  for (const { name, run, skip } of providerCases<RbdRef, undefined>(given)) if (skip === undefined) test(name, run)

  test('leaves out only what this way to the cluster does not have', () => {
    const skipped = providerCases<RbdRef, undefined>(given).flatMap(({ skip }) => skip ?? [])
    expect(new Set(skipped)).toEqual(new Set(['the setup has no host', 'the provider has no parts', ...reasons]))
  })
})
