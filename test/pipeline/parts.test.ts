import { describe, expect, test } from 'vitest'
import type { PartRequest, VolumeExpander, VolumeState } from '../../src/expander.ts'
import type { BatchItem, BatchResults, Host } from '../../src/hosts/host.ts'
import { expand, plan, VolumeExpansionError, volumeOf } from '../../src/index.ts'
import { exportOf } from '../../src/pipeline/mount.ts'
import { type Bytes, bytes, GiB } from '../../src/size.ts'

/** A network filesystem whose mount shows what the volume has, or less. */
interface Share {
  size: bigint
  shown: (size: bigint) => bigint
  source: string
  type: string
  files: Record<string, string>
  looks: number
}

function share(details: Partial<Share> = {}): Share {
  return {
    ...{ size: 10n * GiB, shown: (size) => size, source: 'server:/v', type: 'fuse.test', files: {}, looks: 0 },
    ...details,
  }
}

function hostOf(state: Share): Host {
  const answer = (item: BatchItem): unknown => {
    if ('read' in item && item.read === 'file') {
      const text = state.files[item.path]
      return text === undefined
        ? { ok: false, errno: 'ENOENT', message: 'no such file' }
        : { ok: true, value: `${text}\n` }
    }
    state.looks += 1
    const statfs = {
      ok: true,
      value: { type: 1n, blockSize: 4096n, blocks: state.shown(state.size) / 4096n, free: 0n, available: 0n },
    }
    const mount = {
      mountPoint: '/mnt',
      dev: '0:50',
      root: '/',
      type: state.type,
      source: state.source,
      options: [],
      superOptions: [],
      statfs,
    }
    return { ok: true, value: { system: {}, found: [], devices: [], mount } }
  }
  return {
    id: 'client',
    exec: async () => {
      throw new Error('Nothing is executed on a client.')
    },
    batch: async <const Items extends readonly BatchItem[]>(items: Items) =>
      items.map(answer) as unknown as BatchResults<Items>,
  }
}

function provider(
  state: Share,
  parts: ((ref: string, seen: VolumeState) => Promise<readonly PartRequest[]>) | undefined = undefined,
  proof: { files: readonly (readonly string[])[]; equals: readonly string[] } | undefined = undefined,
): VolumeExpander<string> {
  return {
    name: 'test',
    capabilities: { granularity: bytes(4096), readBatch: 1, progress: false, hostsSeeGrowth: true, seenAs: 'mount' },
    normalize: (ref) => ({ scope: 's', key: ref, label: ref }),
    read: async (refs) => refs.map((key) => ({ key, size: bytes(state.size), phase: 'stable', native: 'up' })),
    expand: async (_ref, { size }) => {
      state.size = size
    },
    identify: () => ({
      mount: { type: 'fuse.test', export: 'v', exact: true, ...(proof === undefined ? {} : { proof }) },
    }),
    ...(parts === undefined ? {} : { parts }),
  }
}

const requestFor = (state: Share, expander = provider(state)) =>
  ({ volume: volumeOf(expander, 'v'), host: hostOf(state), path: '/mnt/data', to: '12Gi' }) as const

describe('a volume that hosts have as a mount', () => {
  test('is grown at its backend, and its users’ view is the proof', async () => {
    const state = share()
    const report = await expand(requestFor(state))
    expect(report.layers.map(({ id, before, after }) => [id, before, after])).toEqual([
      ['volume:test:v', 10n * GiB, 12n * GiB],
      ['mount:client:/mnt', 10n * GiB, 12n * GiB],
    ])
    expect((await expand(requestFor(state))).changed).toBe(false)
  })

  test('that does not show is not reported as grown', async () => {
    const state = share()
    // Shows the growth to nobody.
    state.shown = () => 10n * GiB
    const failure = expand({ ...requestFor(state), timeouts: { device: 50 } })
    await expect(failure).rejects.toMatchObject({ code: 'timeout', layer: 'filesystem', outcome: 'unknown' })
  })

  test('that a quota limits already is grown, and the limit is told before', async () => {
    const state = share({ shown: () => GiB })
    const planned = await plan(requestFor(state))
    expect(planned.findings).toEqual([expect.objectContaining({ code: 'quota-remains', severity: 'warning' })])
    expect((await expand(requestFor(state))).changed).toBe(true)
  })

  test.each<[string, Partial<Share>]>([
    ['another type', { type: 'nfs4' }],
    ['another export', { source: 'server:/w' }],
    ['no export', { source: 'none' }],
  ])('is not taken for %s', async (_, details) => {
    const state = share(details)
    await expect(expand(requestFor(state))).rejects.toMatchObject({ code: 'identity-mismatch', outcome: 'unchanged' })
    expect(state.size).toBe(10n * GiB)
  })

  test('is proven by what its files say', async () => {
    const proof = { files: [['.id'], ['.host', '.path']], equals: ['id-1', 'server:/brick'] }
    const proven = async (files: Record<string, string>): Promise<string> => {
      const state = share({ files })
      return plan(requestFor(state, provider(state, undefined, proof))).then(
        () => 'proven',
        (error: VolumeExpansionError) => error.code,
      )
    }
    expect(await proven({ '/mnt/.id': 'id-1' })).toBe('proven')
    expect(await proven({ '/mnt/.host': 'server', '/mnt/.path': '/brick' })).toBe('proven')
    expect(await proven({ '/mnt/.id': 'id-2' })).toBe('identity-mismatch')
    expect(await proven({ '/mnt/.host': 'server' })).toBe('identity-mismatch')
    expect(await proven({})).toBe('identity-mismatch')
  })

  test('needs a path', async () => {
    const { path: _path, ...rest } = requestFor(share())
    await expect(expand(rest)).rejects.toMatchObject({ code: 'invalid-request', outcome: 'unchanged' })
  })

  test.each([
    ['server:/v', 'v'],
    ['a,b:/v/directory', 'v'],
    ['server:v', 'v'],
    ['[fe80::1]:/v', 'v'],
    ['tmpfs', undefined],
    ['/dev/sda', undefined],
  ])('has the export of %s', (source, name) => expect(exportOf(source)).toBe(name))
})

describe('parts', () => {
  test('are not asked for when the volume is large enough', async () => {
    const state = share()
    const parts = async (): Promise<never> => {
      throw new Error('Nobody has to look at them.')
    }
    const { volume } = requestFor(state, provider(state, parts))
    expect((await expand({ volume, to: '10Gi' })).changed).toBe(false)
    await expect(expand({ volume, to: '11Gi' })).rejects.toMatchObject({ outcome: 'unchanged' })
    expect(state.size).toBe(10n * GiB)
  })

  test('that are malformed are refused, and those that cannot be looked at are named', async () => {
    const state = share()
    const gone: Host = {
      ...hostOf(state),
      batch: async () => {
        throw new VolumeExpansionError('host-unreachable', 'no route', {
          layer: 'host',
          outcome: 'unchanged',
          retryable: true,
        })
      },
    }
    const failing = async (part: PartRequest): Promise<unknown> => {
      const { volume } = requestFor(
        state,
        provider(state, async () => [part]),
      )
      return Promise.resolve(expand({ volume, to: '12Gi' })).catch((error: unknown) => error)
    }
    const to = (size: Bytes): Bytes => size
    expect(await failing({ label: 'one', host: hostOf(state), to })).toMatchObject({ code: 'contract-violated' })
    expect(await failing({ label: 'one', host: {}, path: '/b', to })).toMatchObject({ code: 'contract-violated' })
    const away = await failing({ label: 'brick a', host: gone, path: '/b', to })
    expect(away).toMatchObject({ code: 'host-unreachable', outcome: 'unchanged', message: 'brick a: no route' })
    expect(state.size).toBe(10n * GiB)
  })
})
