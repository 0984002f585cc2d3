import { describe, expect, test } from 'vitest'
import { type ExpandRequest, expand, expandMany, plan, VolumeExpansionError } from '../../src/index.ts'
import { GiB } from '../../src/size.ts'
import { type ScriptedVolume, scriptedProvider, type VirtualClock, virtualClock } from '../../src/testing/index.ts'

function fleet(count: number, special: Readonly<Record<string, ScriptedVolume>> = {}) {
  const clock: VirtualClock = virtualClock({ auto: true })
  const volumes: Record<string, ScriptedVolume> = {}
  for (let index = 0; index < count; index += 1) volumes[`v${index}`] = { size: '1Gi', growthTime: 500 }
  const provider = scriptedProvider({ clock, volumes: { ...volumes, ...special }, readBatch: 50 })
  const requests: ExpandRequest[] = Object.keys(volumes).map((key) => ({
    volume: provider.volume(key),
    to: '2Gi',
    clock,
  }))
  return { clock, provider, requests }
}

describe('a fleet', () => {
  test('grows all, with events of each, and a report in the order of the requests', async () => {
    const { provider, requests } = fleet(100)
    const run = expandMany(requests, { concurrency: 40 })
    const ended = new Set<number>()
    for await (const { index, event } of run) if (event.type === 'succeeded') ended.add(index)
    const report = await run
    expect(ended.size).toBe(100)
    expect(report).toMatchObject({ succeeded: 100, failed: 0, notStarted: 0, halted: false })
    expect(report.results.map(({ index }) => index)).toEqual(requests.map((_request, index) => index))
    expect(provider.mutations).toHaveLength(100)
    // Looks at several volumes share a request.
    expect(provider.calls.read).toBeLessThan(provider.calls.refs)
    expect(JSON.parse(JSON.stringify(report))).toMatchObject({ succeeded: 100 })
  })

  test('a failure stays its own', async () => {
    const { requests } = fleet(5, { v2: { size: '1Gi', failingGrowths: 1, growthTime: 10 } })
    const report = await expandMany(requests)
    expect(report.results.map(({ status }) => status)).toEqual([
      'succeeded',
      'succeeded',
      'failed',
      'succeeded',
      'succeeded',
    ])
    const failed = report.results[2]
    expect(failed?.status === 'failed' && failed.error.code).toBe('backend-failed')
  })

  test('a canary that fails keeps all others from beginning', async () => {
    const { requests, provider } = fleet(10, { v1: { size: '1Gi', failingGrowths: 1, growthTime: 10 } })
    const report = await expandMany(requests, { canary: 2 })
    expect(report).toMatchObject({ succeeded: 1, failed: 1, notStarted: 8, halted: true })
    expect(provider.mutations).toHaveLength(2)
  })

  test('halts after so many failures', async () => {
    const failing = { size: '1Gi', failingGrowths: 1, growthTime: 10 }
    const { requests } = fleet(10, { v0: failing, v1: failing })
    const report = await expandMany(requests, { concurrency: 1, haltAfterFailures: 2 })
    expect(report).toMatchObject({ failed: 2, notStarted: 8, halted: true })
  })

  test('an abort begins nothing more, and rejects with the partial report', async () => {
    const { requests } = fleet(10)
    const controller = new AbortController()
    const run = expandMany(requests, { concurrency: 2, signal: controller.signal })
    for await (const { event } of run) if (event.type === 'succeeded') controller.abort('enough')
    const error = await run.catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(VolumeExpansionError)
    expect(error).toMatchObject({ code: 'aborted', outcome: 'changed', cause: 'enough' })
    expect((error as VolumeExpansionError).report).toMatchObject({ notStarted: expect.any(Number) })
  })

  test('wrong arguments throw at once', () => {
    expect(() => expandMany({} as never)).toThrow(TypeError)
    expect(() => expandMany([], { concurrency: 0 })).toThrow(TypeError)
    expect(() => expandMany([], { canary: -1 })).toThrow(TypeError)
    expect(() => expandMany([], { haltAfterFailures: 0.5 })).toThrow(TypeError)
  })

  test('an empty fleet is a success', async () => {
    expect(await expandMany([])).toMatchObject({ succeeded: 0, failed: 0, halted: false })
  })
})

describe('expand', () => {
  test('a volume alone: the report says that no host was looked at', async () => {
    const { requests } = fleet(1)
    const [request] = requests
    if (request === undefined) throw new Error('no request')
    const report = await expand(request)
    expect(report.findings).toMatchObject([{ code: 'backend-only', severity: 'note' }])
    expect(report.layers).toMatchObject([{ kind: 'volume', before: GiB, after: 2n * GiB }])
  })

  test('runs a plan as it was approved, and only one of its own', async () => {
    const { requests, provider } = fleet(1)
    const [request] = requests
    if (request === undefined) throw new Error('no request')
    const { to: _to, ...rest } = request
    const made = await plan({ ...rest, by: '100%' } as ExpandRequest)
    expect((await expand(made)).target).toBe(2n * GiB)
    expect((await expand(made)).changed).toBe(false)
    expect(() => expand({ ...made })).toThrow(TypeError)
    const json = JSON.parse(JSON.stringify(made))
    expect((await expand({ ...rest, approved: json } as ExpandRequest)).changed).toBe(false)
    provider.setVolume('v0', '5Gi')
    await expect(expand(made)).rejects.toMatchObject({ code: 'stale-plan', outcome: 'unchanged' })
  })

  test.each([
    [{ to: '1Gi' }],
    [{ volume: {}, to: '1Gi' }],
    [{ volume: 'v', to: '1Gi' }],
    [{ host: {}, path: '/x', to: '1Gi' }],
    [null],
    [undefined],
  ])('wrong arguments throw at once: %o', (request) => {
    expect(() => expand(request as never)).toThrow(TypeError)
  })

  test.each([[{ path: 'data' }], [{ path: '/a', device: '/b' }], [{ path: '/a\0' }], [{ device: 5 }], [{}]])(
    'wrong places throw at once: %o',
    (place) => {
      const host = { id: 'x', exec() {}, batch() {} }
      expect(() => expand({ host, to: '1Gi', ...place } as never)).toThrow(TypeError)
    },
  )
})
