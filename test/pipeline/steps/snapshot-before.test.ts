import { describe, expect, test } from 'vitest'
import { growBackend, observeBackend, pipeline, snapshotBefore, VolumeExpansionError } from '../../../src/index.ts'
import { GiB } from '../../../src/size.ts'
import { type ScriptedProviderOptions, scriptedProvider, virtualClock } from '../../../src/testing/index.ts'

function scene(snapshots?: ScriptedProviderOptions['snapshots'], volume: object = {}) {
  const clock = virtualClock({ auto: true })
  const provider = scriptedProvider({
    ...{ clock, volumes: { v1: { size: '10Gi', ...volume } } },
    ...(snapshots && { snapshots }),
  })
  const input = { volume: provider.volume('v1'), clock, random: () => 0.5 }
  return { clock, provider, input }
}

const grow = pipeline().use(observeBackend()).use(snapshotBefore()).use(growBackend())

async function failureOf(run: PromiseLike<unknown>): Promise<VolumeExpansionError> {
  const error = await Promise.resolve(run).then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (error instanceof VolumeExpansionError) return error
  throw new Error(`expected a VolumeExpansionError, not ${error}`)
}

describe('snapshotBefore', () => {
  test('is usable before anything grows, and the report names it', async () => {
    const { provider, input } = scene({ time: 5000 })
    const report = await grow.run({ ...input, to: '20Gi' })
    const [snapshot] = provider.taken
    expect(provider.taken).toHaveLength(1)
    expect(snapshot?.size).toBe(10n * GiB)
    expect(provider.mutations[0]?.at).toBeGreaterThanOrEqual((snapshot?.at ?? 0) + 5000)
    expect(report.actions[0]).toMatchObject({
      status: 'done',
      details: { snapshot: 'snapshot-1', name: snapshot?.name },
    })
    expect(snapshot?.name).toMatch(/^before-growth-\d{8}-\d{6}-[0-9a-f]{8}$/)
    expect(JSON.stringify(report)).toContain('snapshot-1')
  })

  test('is not made when nothing is to be grown, and only planned by a plan', async () => {
    const { provider, input } = scene({ time: 0 })
    const report = await grow.run({ ...input, to: '10Gi' })
    expect(report).toMatchObject({ changed: false, actions: [] })
    const plan = await grow.plan({ ...input, to: '20Gi' })
    expect(plan.actions.map(({ step }) => step)).toEqual(['snapshot before', 'grow backend'])
    expect(provider.taken).toEqual([])
  })

  test('that fails leaves everything as it is', async () => {
    const { provider, input } = scene({ time: 1000, fail: true })
    const error = await failureOf(grow.run({ ...input, to: '20Gi' }))
    expect(error).toMatchObject({ code: 'backend-failed', layer: 'volume', outcome: 'unchanged' })
    expect(error.remedy).toMatch(/\w/)
    expect(JSON.stringify(error.report)).toContain('snapshot-1')
    expect(provider.mutations).toEqual([])
  })

  test('that takes too long ends the run before the growth', async () => {
    const { provider, input } = scene({ time: 10_000_000 })
    const error = await failureOf(grow.run({ ...input, to: '20Gi', timeouts: { snapshot: 60_000 } }))
    expect(error.code).toBe('timeout')
    expect(provider.mutations).toEqual([])
  })

  test('that is made before a growth that fails is not taken for a change, and is named', async () => {
    const refusal = new VolumeExpansionError('quota-exceeded', 'no', { layer: 'volume', outcome: 'unchanged' })
    const { input } = scene({ time: 0 }, { expandFailures: [refusal] })
    const error = await failureOf(grow.run({ ...input, to: '20Gi' }))
    expect(error).toMatchObject({ code: 'quota-exceeded', outcome: 'unchanged' })
    expect(JSON.stringify(error.report)).toContain('snapshot-1')
  })

  test('is refused up front by a provider that makes none', async () => {
    const { provider, input } = scene()
    expect(await failureOf(grow.run({ ...input, to: '20Gi' }))).toMatchObject({
      ...{ code: 'invalid-request', layer: 'volume', outcome: 'unchanged' },
    })
    expect(provider.mutations).toEqual([])
  })

  test.each(['', 'Upper', '9nine', 'with space', `a${'b'.repeat(30)}`])('does not take the prefix %j', (prefix) => {
    expect(() => snapshotBefore({ prefix })).toThrow(TypeError)
  })
})
