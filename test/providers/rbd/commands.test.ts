import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { commandClient } from '../../../providers/rbd/commands.ts'
import { rbdExpander } from '../../../providers/rbd/expander.ts'
import { VolumeExpansionError } from '../../../src/errors.ts'
import type { ReadOutcome, VolumeState } from '../../../src/expander.ts'
import type { Host } from '../../../src/hosts/host.ts'
import { type Bytes, bytes, MiB } from '../../../src/size.ts'
import { type Answer, optionOf, type ScriptedHost, scriptedHost } from './scripted.ts'

const info = {
  name: 'a',
  id: '1039226694f3',
  size: 67108864,
  object_size: 4194304,
  features: ['layering', 'object-map'],
}
const capacity = [
  '',
  '{"pools":[{"name":"volumes","stats":{"stored":1073741824,"max_avail":10737418240,"percent_used":0.028362274169921875,"quota_bytes":0}}]}',
  '',
  '{"status":"HEALTH_OK","checks":{}}',
  '{"fsid":"5be1c15c-1639-4716-b8b3-c1e835036dd0"}',
].join('\n')

function cluster(details: {
  readonly [command: string]: Answer | ((argv: readonly string[]) => Answer)
}): ScriptedHost {
  const usual: typeof details = {
    info: { stdout: JSON.stringify(info) },
    status: { stdout: '{"watchers":[]}' },
    ceph: { stdout: capacity },
    resize: {},
  }
  return scriptedHost((argv) => {
    const script = { ...usual, ...details }
    const command =
      argv[0] === 'ceph' ? 'ceph' : (argv.find((argument) => argument in script && argument !== 'rbd') ?? '')
    const answer = script[command] ?? { exitCode: 1, stderr: `no script for ${argv.join(' ')}` }
    return typeof answer === 'function' ? answer(argv) : answer
  })
}

const expanderOn = (host: Host) => rbdExpander(commandClient({ host, conf: '/etc/ceph/other.conf', user: 'cinder' }))

async function read(host: Host, ...refs: readonly string[]): Promise<readonly ReadOutcome[]> {
  return await expanderOn(host).read(refs, {})
}

async function state(host: Host, ref = 'volumes/a'): Promise<VolumeState> {
  const [outcome] = await read(host, ref)
  if (outcome === undefined || outcome instanceof Error) throw outcome
  return outcome
}

function grow(host: Host, size: bigint = 128n * MiB, signal?: AbortSignal): Promise<void> {
  const options = { size: size as Bytes, options: undefined, requestId: 'one' }
  return expanderOn(host).expand('volumes/a', signal === undefined ? options : { ...options, signal })
}

async function failure(promise: Promise<unknown>): Promise<VolumeExpansionError> {
  const error: unknown = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (error instanceof VolumeExpansionError) return error
  throw new Error(`not the error of this library: ${error}`)
}

describe('reading', () => {
  test('a whole batch costs one round trip, and the cluster is asked once', async () => {
    const host = cluster({})
    const expander = expanderOn(host)
    await expander.read(['volumes/a', 'volumes/b', 'volumes/ns/c'], {})
    expect(host.roundTrips).toBe(1)
    expect(host.commands.filter(([program]) => program === 'ceph')).toHaveLength(1)
    await expander.read(['volumes/a'], {})
    expect(host.commands.filter(([program]) => program === 'ceph')).toHaveLength(1)
  })

  test('names every part by itself, and gives every command deadlines', async () => {
    const host = cluster({})
    await read(host, 'volumes/ns/-- $(reboot)')
    const [argv = []] = host.commands
    expect(argv.slice(0, 5)).toEqual(['rbd', '--conf', '/etc/ceph/other.conf', '--id', 'cinder'])
    expect([optionOf(argv, 'pool'), optionOf(argv, 'namespace'), optionOf(argv, 'image')]).toEqual([
      'volumes',
      'ns',
      '-- $(reboot)',
    ])
    for (const deadline of ['client-mount-timeout', 'rados-mon-op-timeout', 'rados-osd-op-timeout']) {
      expect(optionOf(argv, deadline)).toBe('20')
    }
    expect(host.options.every(({ deadline }) => deadline === 30_000)).toBe(true)
  })

  test('a state has what was seen', async () => {
    expect(await state(cluster({}))).toEqual({
      ...{ key: 'volumes/a', size: bytes(67108864), native: 'image', phase: 'stable', onlineGrowth: true },
      limits: [{ what: 'size', most: 256_000_000n * 4194304n, source: expect.stringContaining('object map') }],
      users: [],
      // What is free, and what the image may have written of what the pool stores.
      backed: 10737418240n + 67108864n,
      findings: [],
      image: { id: '1039226694f3', fsid: '5be1c15c-1639-4716-b8b3-c1e835036dd0' },
    })
  })

  test('a cookie keeps its 64 bits: the kernel and librbd are told apart', async () => {
    const status = `{"watchers":[{"address":"10.0.0.7:0/1","client":4242,"cookie":18446462598732840961},
      {"address":"10.0.0.8:0/2","client":4243,"cookie":140587768552384}]}`
    const { users, findings } = await state(cluster({ status: { stdout: status } }))
    expect(users?.map(({ description }) => description)).toEqual([
      "client.4242 at 10.0.0.7:0/1 (the kernel's rbd)",
      'client.4243 at 10.0.0.8:0/2 (librbd)',
    ])
    expect(findings).toEqual([
      expect.objectContaining({ code: 'not-visible-by-itself', message: expect.not.stringContaining('4242') }),
    ])
  })

  test('who may not ask for the room is answered all the same, with nothing invented', async () => {
    for (const ceph of [{ exitCode: 13 }, { ended: 'missing' as const }, { stdout: 'cut off"}]}' }]) {
      const seen = await state(cluster({ ceph }))
      expect(seen).not.toHaveProperty('backed')
      expect(seen.size).toBe(bytes(67108864))
    }
  })

  test.each([
    ["pool 'volumes' is full (no space)", 'POOL_FULL', ['pool-full']],
    ["pool 'volumes' is nearfull", 'POOL_NEARFULL', ['pool-full']],
    ["pool 'volumes-2' is full (no space)", 'POOL_FULL', []],
  ])('%s', async (message, check, codes) => {
    const health = JSON.stringify({ checks: { [check]: { detail: [{ message }] } } })
    const { findings } = await state(cluster({ ceph: { stdout: capacity.replace(/\{"status.*\}/, health) } }))
    expect(findings?.map(({ code }) => code)).toEqual(codes)
  })

  test('a quota is what is left of it', async () => {
    const stdout = capacity.replace('"quota_bytes":0', '"quota_bytes":2147483648')
    expect((await state(cluster({ ceph: { stdout } }))).backed).toBe(1073741824n + 67108864n)
  })

  test('what concerns one image is its entry, and what is wrong with all is not asked for each', async () => {
    const missing = (argv: readonly string[]): Answer =>
      optionOf(argv, 'image') === 'b'
        ? { exitCode: 2, stderr: 'rbd: error opening image b: (2) No such file or directory' }
        : { stdout: JSON.stringify(info) }
    const [a, b, c] = await read(cluster({ info: missing }), 'volumes/a', 'volumes/b', 'volumes/c')
    expect([a, c]).toEqual([expect.objectContaining({ phase: 'stable' }), expect.objectContaining({ phase: 'stable' })])
    expect(b).toMatchObject({ code: 'not-found', outcome: 'unchanged' })

    const hung = cluster({ info: { exitCode: 110, stderr: 'rbd: error opening image a: (110) Connection timed out' } })
    const outcomes = await read(hung, 'volumes/a', 'volumes/b', 'volumes/c')
    expect(outcomes.map((outcome) => (outcome instanceof VolumeExpansionError ? outcome.code : 'state'))).toEqual([
      'timeout',
      'timeout',
      'timeout',
    ])
    expect(hung.commands).toHaveLength(1)
  })

  test.each([
    ['a mirror', { ...info, mirroring: { primary: false } }, 'non-primary mirror'],
    ['a mirror by its feature', { ...info, features: ['non-primary'] }, 'non-primary mirror'],
    ['a migration', { ...info, features: ['migrating'] }, 'in migration (migrating)'],
  ])('%s is not to be grown', async (_what, seen, native) => {
    const found = await state(cluster({ info: { stdout: JSON.stringify(seen) } }))
    expect(found).toMatchObject({ phase: 'unusable', native })
    expect(found.findings?.map(({ code, severity }) => [code, severity])).toEqual([['wrong-state', 'blocker']])
  })

  test.each(['', 'not JSON', '[]', '{"size":"many"}', '{"size":-1}'])(
    'an answer that cannot be read: %j',
    async (stdout) => {
      const [outcome] = await read(cluster({ info: { stdout } }), 'volumes/a')
      expect(outcome).toMatchObject({ code: 'backend-unreachable', outcome: 'unchanged' })
    },
  )
})

describe('growing', () => {
  test('asks without the right to shrink, detached, and measures in the same round trip', async () => {
    const grown = { stdout: JSON.stringify({ ...info, size: 134217728 }) }
    const host = cluster({ info: grown })
    await grow(host)
    expect(host.roundTrips).toBe(1)
    const [argv = []] = host.commands
    expect(argv).toContain('--size=128M')
    expect(argv.join(' ')).not.toContain('shrink')
    expect(host.options[0]).toMatchObject({ detached: true })
  })

  test('the refusal of less or the same is success only by what is measured', async () => {
    const resize = { exitCode: 22, stderr: 'rbd: shrinking an image is only allowed with the --allow-shrink flag' }
    await grow(cluster({ resize }), 64n * MiB)
    expect(await failure(grow(cluster({ resize })))).toMatchObject({ code: 'backend-failed', outcome: 'unchanged' })
  })

  test('an exit code of success is not believed either', async () => {
    expect(await failure(grow(cluster({})))).toMatchObject({ code: 'conflicting-change', outcome: 'unknown' })
  })

  test('one image is grown by one command at a time, as librbd compares with a size of before', async () => {
    const host = cluster({ info: { stdout: JSON.stringify({ ...info, size: 134217728 }) } })
    let [running, most] = [0, 0]
    const batch: Host['batch'] = async (items) => {
      running += 1
      most = Math.max(most, running)
      await sleep(5)
      running -= 1
      return host.batch(items)
    }
    const busy = { ...host, batch }
    await Promise.all([grow(busy), grow(busy, 64n * MiB), grow(busy)])
    expect(most).toBe(1)
  })

  test.each<[string, Answer, object]>([
    [
      'a right that is missing',
      { exitCode: 1, stderr: 'rbd: error opening image a: (1) Operation not permitted' },
      { code: 'permission-denied', outcome: 'unchanged' },
    ],
    [
      'a missing image',
      { exitCode: 2, stderr: 'rbd: error opening image a: (2) No such file or directory' },
      { code: 'not-found', outcome: 'unchanged' },
    ],
    [
      'an unknown user',
      { exitCode: 13, stderr: "rbd: couldn't connect to the cluster!" },
      { code: 'authentication-failed', outcome: 'unchanged' },
    ],
    [
      'no monitor',
      { exitCode: 110, stderr: "rbd: couldn't connect to the cluster!" },
      { code: 'backend-unreachable', outcome: 'unchanged', retryable: true },
    ],
    [
      'an image that cannot be opened',
      { exitCode: 110, stderr: 'rbd: error opening image a: (110) Connection timed out' },
      { code: 'timeout', outcome: 'unchanged' },
    ],
    [
      'a hang in the middle',
      { exitCode: 110, stderr: 'rbd: resize error: (110) Connection timed out' },
      { code: 'timeout', outcome: 'unknown', retryable: true },
    ],
    ['a command that does not end', { ended: 'running' }, { code: 'timeout', outcome: 'unknown', retryable: true }],
    [
      'a mirror',
      { exitCode: 30, stderr: 'rbd: resize error: (30) Read-only file system' },
      { code: 'wrong-state', outcome: 'unchanged' },
    ],
    [
      'a full pool',
      { exitCode: 28, stderr: 'rbd: resize error: (28) No space left on device' },
      { code: 'pool-full', outcome: 'unknown' },
    ],
    [
      'a blocklist',
      { exitCode: 108, stderr: 'rbd: resize error: (108) Cannot send after transport endpoint shutdown' },
      { code: 'backend-unreachable' },
    ],
    ['no rbd', { ended: 'missing' }, { code: 'tool-missing', outcome: 'unchanged' }],
    [
      'something else',
      { exitCode: 5, stderr: 'rbd: resize error: (5) Input/output error' },
      { code: 'tool-failed', outcome: 'unknown' },
    ],
    [
      'no configuration',
      { exitCode: 1, stderr: 'global_init: unable to open config file from search list /x' },
      { code: 'invalid-request', outcome: 'unchanged' },
    ],
  ])('%s', async (_what, resize, expected) => {
    expect(await failure(grow(cluster({ resize })))).toMatchObject({ provider: 'rbd', layer: 'volume', ...expected })
  })

  test('nothing is begun with an aborted signal, nor with a size that images do not have', async () => {
    const host = cluster({})
    expect(await failure(grow(host, 128n * MiB, AbortSignal.abort()))).toMatchObject({ code: 'aborted' })
    expect(await failure(grow(host, 1n))).toMatchObject({ code: 'invalid-size', outcome: 'unchanged' })
    expect(host.commands).toEqual([])
  })

  test('a connection that was lost leaves it open what happened', async () => {
    const lost = new VolumeExpansionError('host-unreachable', 'The connection was lost.', {
      layer: 'host',
      retryable: true,
    })
    const host: Host = { ...cluster({}), batch: () => Promise.reject(lost) }
    expect(await failure(grow(host))).toMatchObject({
      code: 'host-unreachable',
      layer: 'volume',
      provider: 'rbd',
      outcome: 'unknown',
    })
  })
})

describe('snapshots', () => {
  const request = { name: 'before', requestId: 'one' }

  test('one that is there is its own only after a try of the same request', async () => {
    let tries = 0
    const snap = (): Answer => {
      tries += 1
      return tries === 1
        ? { exitCode: 110, stderr: 'rbd: failed to create snapshot: (110) Connection timed out' }
        : { exitCode: 17, stderr: 'rbd: failed to create snapshot: (17) File exists' }
    }
    const { snapshots } = expanderOn(cluster({ snap }))
    expect(await failure(Promise.resolve(snapshots?.create('volumes/a', request)))).toMatchObject({
      code: 'timeout',
      outcome: 'unknown',
    })
    expect(await snapshots?.create('volumes/a', request)).toBe('before')
    const other = snapshots?.create('volumes/a', { ...request, requestId: 'two' })
    expect(await failure(Promise.resolve(other))).toMatchObject({ code: 'conflicting-change', outcome: 'unchanged' })
  })

  test.each(['', 'a@b', 'a/b', 'a\nb'])('%j is no name', async (name) => {
    const host = cluster({})
    const call = expanderOn(host).snapshots?.create('volumes/a', { ...request, name })
    expect(await failure(Promise.resolve(call))).toMatchObject({ code: 'invalid-request' })
    expect(host.commands).toEqual([])
  })
})

test.each([{ conf: 'ceph.conf' }, { keyring: './keyring' }, { user: '--allow-shrink' }, { user: '' }, { timeout: 10 }])(
  'options that cannot be right: %j',
  (options) => expect(() => commandClient(options)).toThrow(TypeError),
)

describe('what a resize leaves behind is looked at, whatever it says', () => {
  const grown = JSON.stringify({ ...info, size: 134217728 })

  test('exit code 1 after it has grown is success', async () => {
    const host = cluster({ resize: { exitCode: 1, stderr: 'rbd: something' }, info: { stdout: grown } })
    await expect(grow(host)).resolves.toBeUndefined()
    expect(host.roundTrips).toBe(1)
  })

  test.each<[string, Answer]>([
    ['is denied', { exitCode: 1, stderr: 'rbd: error' }],
    ['says nothing', {}],
    ['is cut short', { stdout: grown.slice(0, 30) }],
  ])('a look that %s leaves it unknown', async (_, look) => {
    expect(await failure(grow(cluster({ info: look })))).toMatchObject({ outcome: 'unknown' })
  })
})
