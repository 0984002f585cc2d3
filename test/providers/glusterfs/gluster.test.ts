import { describe, expect, test } from 'vitest'
import { glusterExpander } from '../../../providers/glusterfs/expander.ts'
import type { GlusterRef } from '../../../providers/glusterfs/options.ts'
import { parseXml } from '../../../providers/glusterfs/xml.ts'
import { providerCases } from '../../../src/conformance/index.ts'
import type { VolumeExpander, VolumeState } from '../../../src/expander.ts'
import type { Host } from '../../../src/hosts/host.ts'
import { type Bytes, GiB } from '../../../src/size.ts'
import { failed, SimulatedPool, type SimulatedVolume, serverOf } from './simulated-pool.ts'

const id = '4d8f02b9-b767-439e-9600-1456fc75d7fe'

function poolWith(volume: Partial<SimulatedVolume>): SimulatedPool {
  const pool = new SimulatedPool()
  pool.volumes.set('v', { name: 'v', id, replica: 1, bricks: [{ name: 'a:/b/1', total: GiB }], ...volume })
  return pool
}

const bricksOf = (...sizes: readonly bigint[]): SimulatedVolume['bricks'] =>
  sizes.map((total, index) => ({ name: `${'abcdef'[index % 6]}:/b/${index}`, total }))

function hostsOf(pool: SimulatedPool, ...names: readonly string[]): Record<string, Host> {
  return Object.fromEntries(names.map((name) => [name, { ...pool.host, id: name }]))
}

async function stateOf(expander: VolumeExpander<GlusterRef>, ref: GlusterRef = 'v'): Promise<VolumeState> {
  const [state] = await expander.read([ref], {})
  if (state === undefined || state instanceof Error) throw state
  return state
}

describe('conformance', () => {
  const pool = new SimulatedPool()
  const real = glusterExpander({ host: pool.host, hosts: hostsOf(pool, 's') })
  let count = 0
  /** New bricks are made by a function when they are needed, each as large as it has to be. */
  const growing = (ref: GlusterRef): GlusterRef => {
    const named = typeof ref === 'object' && ref !== null ? ref : { name: ref }
    return {
      ...named,
      bricks: async ({ brickSize, volume }) => {
        count += 1
        pool.rooms.set(`/${volume}/${count}`, brickSize)
        return [`s:/${volume}/${count}`]
      },
    }
  }
  const expander: VolumeExpander<GlusterRef> = {
    ...real,
    read: (refs, options) => real.read(refs.map(growing), options),
    expand: (ref, options) => real.expand(growing(ref), options),
  }
  const cases = providerCases<GlusterRef, undefined>({
    expander,
    volume: async () => {
      count += 1
      const name = `volume-${count}`
      const volume: SimulatedVolume = {
        ...{ name, id: `${id}-${count}`, replica: 1 },
        bricks: [{ name: `s:/${name}/0`, total: GiB }],
      }
      pool.volumes.set(name, volume)
      return {
        ref: name,
        spellings: [{ name }],
        measure: async () => volume.bricks.reduce((sum, { total }) => sum + total, 0n),
        grow: async (size) => {
          volume.bricks = [{ name: `s:/${name}/0`, total: size }]
        },
      }
    },
    missing: 'nope',
    malformed: ['', 'a b', '-x', 'all', 'a/b', 7, null, undefined, {}],
    pause: async () => undefined,
    persistentVolumes: async () => [
      { ref: 'v', persistentVolume: { spec: { glusterfs: { endpoints: 'e', path: 'v' } } } },
      { ref: 'v', persistentVolume: { spec: { glusterfs: { endpoints: 'e', path: '/v/directory' } } } },
    ],
  })
  test.each(cases.filter(({ skip }) => skip === undefined))('$name', ({ run }) => run())
})

describe('the size of a volume', () => {
  test.each<[string, Partial<SimulatedVolume>, bigint]>([
    ['its only brick', {}, GiB],
    ['the sum of distributed bricks', { bricks: bricksOf(GiB, 2n * GiB) }, 3n * GiB],
    ['the smallest of a replica', { replica: 3, bricks: bricksOf(3n * GiB, GiB, 2n * GiB) }, GiB],
    ['that of each set', { replica: 2, bricks: bricksOf(3n * GiB, GiB, 5n * GiB, 4n * GiB) }, 5n * GiB],
    [
      'without the arbiter',
      {
        replica: 3,
        arbiters: 1,
        bricks: [...bricksOf(2n * GiB, 2n * GiB), { name: 'c:/b/9', total: 4096n, arbiter: true }],
      },
      2n * GiB,
    ],
    [
      'what is not redundancy',
      { replica: 1, disperse: 3, redundancy: 1, bricks: bricksOf(GiB, GiB, 2n * GiB) },
      2n * GiB,
    ],
    [
      'bricks on one filesystem once',
      { bricks: ['a:/b/1', 'a:/b/2'].map((name) => ({ name, total: GiB, device: '/dev/sdb' })) },
      GiB,
    ],
  ])('%s', async (_, volume, size) => {
    expect((await stateOf(glusterExpander({ host: poolWith(volume).host }))).size).toBe(size)
  })

  test('of which a whole set says nothing is unknown, and not zero', async () => {
    const [first, second] = bricksOf(GiB, GiB)
    if (first === undefined || second === undefined) throw new Error('There are two.')
    const pool = poolWith({ bricks: [first, { ...second, silent: true }] })
    const expander = glusterExpander({ host: pool.host })
    expect((await expander.read(['v'], {}))[0]).toMatchObject({ code: 'half-done', outcome: 'unchanged' })
    pool.away.add('b')
    expect((await expander.read(['v'], {}))[0]).toMatchObject({ code: 'wrong-state', message: /not connected: b/ })
  })

  test('of a stopped volume is unknown too', async () => {
    const expander = glusterExpander({ host: poolWith({ started: false }).host })
    expect((await expander.read(['v'], {}))[0]).toMatchObject({ code: 'wrong-state' })
  })
})

describe('parts', () => {
  const parts = async (pool: SimulatedPool, servers: readonly string[]): Promise<Record<string, bigint>> => {
    const expander = glusterExpander({ host: pool.host, hosts: hostsOf(pool, ...servers) })
    const state = await stateOf(expander)
    const found = (await expander.parts?.('v', state)) ?? []
    return Object.fromEntries(found.map(({ label, to }) => [label, to?.((6n * GiB) as Bytes) ?? 0n]))
  }

  test('each brick of a replica needs the whole size, and the arbiter nothing', async () => {
    const bricks = [...bricksOf(GiB, 2n * GiB), { name: 'c:/b/9', total: 4096n, arbiter: true }]
    const pool = poolWith({ replica: 3, arbiters: 1, bricks })
    expect(await parts(pool, ['a', 'b', 'c'])).toEqual({ 'a:/b/0': 6n * GiB, 'b:/b/1': 6n * GiB })
  })

  test('the smallest sets are raised first, to one level', async () => {
    const pool = poolWith({ bricks: bricksOf(GiB, 3n * GiB, GiB) })
    expect(await parts(pool, ['a', 'b', 'c'])).toEqual({
      'a:/b/0': (3n * GiB) / 2n,
      'b:/b/1': 3n * GiB,
      'c:/b/2': (3n * GiB) / 2n,
    })
  })

  test('dispersed bricks need their share of the data', async () => {
    const pool = poolWith({ disperse: 3, redundancy: 1, bricks: bricksOf(GiB, GiB, GiB) })
    expect(await parts(pool, ['a', 'b', 'c'])).toEqual({ 'a:/b/0': 3n * GiB, 'b:/b/1': 3n * GiB, 'c:/b/2': 3n * GiB })
  })

  test('a set of which only some servers were given is refused, and only when it has to grow', async () => {
    const pool = poolWith({ replica: 3, bricks: bricksOf(GiB, GiB, GiB) })
    const { findings, growthFindings } = await stateOf(glusterExpander({ host: pool.host, hosts: hostsOf(pool, 'a') }))
    expect(growthFindings).toEqual([
      expect.objectContaining({ code: 'invalid-request', message: expect.stringContaining('b:/b/1, c:/b/2') }),
    ])
    expect(findings).toEqual([])
  })
})

describe('new bricks', () => {
  const size = (3n * GiB) as Bytes
  const grow = async (
    pool: SimulatedPool,
    bricks: readonly string[],
    hosts: Record<string, Host> = {},
  ): Promise<unknown> =>
    glusterExpander({ host: pool.host, hosts })
      .expand({ name: 'v', bricks }, { size, options: undefined, requestId: 'one' })
      .then(undefined, (error: unknown) => error)

  test('that are too small together are refused before they are added', async () => {
    const pool = poolWith({})
    pool.rooms.set('/b/2', GiB)
    expect(await grow(pool, ['a:/b/2'], hostsOf(pool, 'a'))).toMatchObject({
      code: 'device-too-small',
      outcome: 'unchanged',
    })
    expect(pool.changes).toEqual([])
  })

  test('that were added and do not bring what was said are no success', async () => {
    const pool = poolWith({})
    pool.rooms.set('/b/2', GiB)
    expect(await grow(pool, ['a:/b/2'])).toMatchObject({ code: 'backend-failed', outcome: 'changed' })
  })

  test('that are no whole set, on a server of no pool, or malformed', async () => {
    const pool = poolWith({ replica: 3, bricks: bricksOf(GiB, GiB, GiB) })
    for (const bricks of [['a:/b/9'], ['x:/1', 'y:/1', 'z:/1'], ['a', 'b', 'c']]) {
      expect(await grow(pool, bricks)).toMatchObject({ code: 'invalid-request', outcome: 'unchanged' })
    }
    expect(pool.changes).toEqual([])
  })

  test('of which a lost answer says nothing are looked for in the volume', async () => {
    const pool = poolWith({})
    pool.rooms.set('/b/2', 2n * GiB)
    pool.intercept = (argv) => {
      if (argv[1] !== 'add-brick') return undefined
      pool.volumes.get('v')?.bricks.push({ name: 'a:/b/2', total: 2n * GiB })
      return { stdout: 'Error : Request timed out', exitCode: 1 }
    }
    expect(await grow(pool, ['a:/b/2'])).toMatchObject({ code: 'timeout', outcome: 'unknown', retryable: true })
    expect(await grow(pool, ['a:/b/2'])).toBeUndefined()
  })

  test('that are listed although the commit failed are named', async () => {
    const pool = poolWith({})
    pool.intercept = (argv) => {
      if (argv[1] !== 'add-brick') return undefined
      pool.volumes.get('v')?.bricks.push({ name: 'a:/b/2', total: 2n * GiB })
      return failed(30800, 'Commit failed on localhost. Please check log file for details.')
    }
    expect(await grow(pool, ['a:/b/2'])).toMatchObject({ code: 'half-done', outcome: 'changed', message: /a:\/b\/2/ })
  })

  test('a server that is away is told by a finding', async () => {
    const pool = poolWith({ replica: 3, bricks: bricksOf(GiB, GiB, GiB) })
    pool.away.add('c')
    const state = await stateOf(glusterExpander({ host: pool.host }), { name: 'v', bricks: ['a:/n', 'b:/n', 'c:/n'] })
    expect(state.growthFindings?.map(({ code }) => code)).toContain('wrong-state')
    expect(state.size).toBe(GiB)
  })
})

describe('what gluster says', () => {
  test.each<[string, string | object, object]>([
    [
      'no daemon',
      { stdout: 'Connection failed. Please check if gluster daemon is operational.\n', exitCode: 1 },
      { code: 'backend-unreachable', retryable: true },
    ],
    ['no program', { ended: 'missing', ok: false }, { code: 'tool-missing' }],
    ['no right', { ended: 'refused', ok: false }, { code: 'permission-denied' }],
    ['half an answer', { stdout: '<cliOutput><opRet>0</opRet>' }, { code: 'backend-unreachable' }],
    ['nothing', { stdout: '' }, { code: 'backend-unreachable' }],
    [
      'a document type',
      { stdout: '<!DOCTYPE x><cliOutput><opRet>0</opRet></cliOutput>' },
      { code: 'backend-unreachable' },
    ],
  ])('%s', async (_, answer, expected) => {
    const pool = poolWith({})
    pool.intercept = () => answer as string
    await expect(glusterExpander({ host: pool.host }).read(['v'], {})).rejects.toMatchObject({
      ...{ ...expected, provider: 'glusterfs', outcome: 'unchanged' },
    })
  })

  test.each([
    [
      'Another transaction is in progress for v. Please try again after some time.',
      { code: 'conflicting-change', retryable: true },
    ],
    ['Volume v does not exist', { code: 'not-found' }],
    ['Something new', { code: 'backend-failed' }],
  ])('%s', async (text, expected) => {
    const pool = poolWith({})
    pool.intercept = (argv) => (argv[1] === 'info' ? failed(30800, text) : undefined)
    expect((await glusterExpander({ host: pool.host }).read(['v'], {}))[0]).toMatchObject(expected)
  })

  test('quotas of directories stay, and are told', async () => {
    const pool = poolWith({ options: { 'features.quota': 'on' } })
    const expander = glusterExpander({ host: pool.host })
    expect((await stateOf(expander)).findings).toEqual([
      expect.objectContaining({ code: 'quota-remains', severity: 'note' }),
    ])
    pool.intercept = (argv) =>
      argv[1] === 'quota'
        ? '<cliOutput><opRet>0</opRet><volQuota><limit><path>/home</path><hard_limit>1048576</hard_limit></limit></volQuota></cliOutput>'
        : undefined
    const [finding] = (await stateOf(expander)).findings ?? []
    expect(finding).toMatchObject({ severity: 'warning', message: expect.stringContaining('/home 1 MiB') })
  })
})

describe('XML', () => {
  test('has texts, elements in order, and the five named characters', () => {
    const xml = parseXml('<a><b>1</b><b>x &amp;lt; y</b><c><d/></c></a>')
    expect(xml?.all('b').map((element) => element.text())).toEqual(['1', 'x &lt; y'])
    expect(xml?.text('c', 'd')).toBeUndefined()
    expect(xml?.at('c', 'd')).toBeDefined()
    expect(xml?.text('nope')).toBeUndefined()
  })

  test.each(['', 'text', '<a>', '<a></b>', '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'])('%j is none', (text) => {
    expect(parseXml(text)).toBeUndefined()
  })

  test('keeps servers and paths apart', () => {
    expect(serverOf({ name: 'fe80::1:/b/1' })).toBe('fe80::1')
  })
})
