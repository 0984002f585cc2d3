import { describe, expect, test, vi } from 'vitest'
import { defineStep, type ExpansionEvent, type Host, VolumeExpansionError } from '../../src/index.ts'
import { GiB } from '../../src/size.ts'
import { failureOf, scene } from './expansion.ts'

async function eventsOf(run: AsyncIterable<ExpansionEvent>): Promise<ExpansionEvent[]> {
  const events: ExpansionEvent[] = []
  for await (const event of run) events.push(event)
  return events
}

describe('the loop', () => {
  test('grows the volume, the device and the filesystem, and reports what was measured', async () => {
    const { whole, input, node, provider } = scene()
    const run = whole.run({ ...input, to: '20Gi' })
    const events = await eventsOf(run)
    const report = await run
    expect(report.changed).toBe(true)
    expect(report.layers.map(({ kind, before, after }) => [kind, before, after])).toEqual([
      ['volume', 10n * GiB, 20n * GiB],
      ['device', 10n * GiB, 20n * GiB],
      ['filesystem', 10n * GiB, 20n * GiB],
    ])
    expect(report.actions.map(({ status }) => status)).toEqual(['done', 'done', 'done'])
    expect(node.filesystem).toBe(20n * GiB)
    expect(node.executed).toEqual([
      ['rescan', 'sim'],
      ['growfs', '/dev/sim0'],
    ])
    expect(provider.mutations).toHaveLength(1)
    const types = events.map(({ type }) => type)
    expect(types.slice(0, 3)).toEqual(['observed', 'planned', 'action-started'])
    expect(types.filter((type) => type === 'action-finished')).toHaveLength(3)
    expect(types.at(-1)).toBe('succeeded')
  })

  test('does nothing, and asks nothing of anyone, when everything is large enough', async () => {
    const { whole, input, node, provider } = scene()
    const report = await whole.run({ ...input, to: '10Gi' })
    expect(report.changed).toBe(false)
    expect(report.actions).toEqual([])
    expect(node.executed).toEqual([])
    expect(provider.calls.expand).toBe(0)
  })

  test('finishes what a run that died has left: the volume is grown already, the filesystem is not', async () => {
    const { whole, input, node, provider } = scene()
    provider.setVolume('v1', { size: '20Gi' })
    node.device = 20n * GiB
    const report = await whole.run({ ...input, to: '20Gi' })
    expect(report.actions.map(({ id }) => id)).toEqual(['filesystem:9:0'])
    expect(node.filesystem).toBe(20n * GiB)
    expect(provider.calls.expand).toBe(0)
  })

  test('joins a growth that is under way instead of asking again', async () => {
    const { whole, input, provider, node } = scene()
    await provider.expand('v1', { size: (20n * GiB) as typeof GiB, options: undefined, requestId: 'another' })
    const report = await whole.run({ ...input, to: '20Gi' })
    expect(report.changed).toBe(true)
    expect(provider.mutations).toHaveLength(1)
    expect(node.filesystem).toBe(20n * GiB)
  })

  test('asks a device again until it shows the new size', async () => {
    const { whole, input, node } = scene()
    node.deaf = 3
    const report = await whole.run({ ...input, to: '20Gi' })
    expect(report.layers.map(({ after }) => after)).toEqual([20n * GiB, 20n * GiB, 20n * GiB])
    expect(node.executed.map(([program]) => program)).toEqual([...Array(4).fill('rescan'), 'growfs'])
  })

  test('stops asking when another disk has taken the place', async () => {
    const { whole, input, node } = scene()
    node.deaf = 3
    const run = whole.run({ ...input, to: '20Gi' })
    for await (const event of run) if (event.type === 'waiting') node.diskseq = '8'
    expect(await failureOf(run)).toMatchObject({ code: 'identity-mismatch', layer: 'device', outcome: 'changed' })
    expect(node.filesystem).toBe(10n * GiB)
  })

  test('grows a node alone to fill what is there', async () => {
    const { nodeOnly, node, clock } = scene()
    node.device = 15n * GiB
    const report = await nodeOnly.run({ host: node.host, path: '/data', to: 'fill', clock })
    expect(report.layers.map(({ after }) => after)).toEqual([15n * GiB, 15n * GiB])
    expect(node.executed).toEqual([['growfs', '/dev/sim0']])
  })

  test('costs two round trips for one growth on the node, and one when there is nothing to do', async () => {
    const { nodeOnly, node, clock } = scene()
    await nodeOnly.run({ host: node.host, path: '/data', to: 'fill', clock })
    expect(node.batches).toBe(1)
    node.device = 15n * GiB
    node.batches = 0
    await nodeOnly.run({ host: node.host, path: '/data', to: 'fill', clock })
    expect(node.batches).toBe(2)
  })
})

describe('planning', () => {
  test('touches nothing, and can be run later as it is', async () => {
    const { whole, input, node, provider } = scene()
    const plan = await whole.plan({ ...input, by: '50%' })
    expect(plan.target).toBe(15n * GiB)
    expect(plan.blocked).toBe(false)
    expect(plan.actions.map(({ id, before, after }) => [id, before, after])).toEqual([
      ['volume:scripted:v1', 10n * GiB, 15n * GiB],
      ['device:9:0', 10n * GiB, 15n * GiB],
      ['filesystem:9:0', 10n * GiB, 15n * GiB],
    ])
    expect(provider.calls.expand).toBe(0)
    expect(node.executed).toEqual([])
    const report = await whole.run({ ...input, approved: plan })
    expect(report.target).toBe(15n * GiB)
    // The same plan again: `by` was resolved once, so nothing is left to do.
    const again = await whole.run({ ...input, approved: plan })
    expect(again.changed).toBe(false)
    expect(provider.mutations).toHaveLength(1)
  })

  test('survives JSON, and is refused when the world no longer fits it', async () => {
    const { whole, input, node } = scene()
    const json = JSON.parse(JSON.stringify(await whole.plan({ ...input, to: '20Gi' })))
    expect(json).toMatchObject({ volumeExpanderPlan: 1, target: `${20n * GiB}`, blocked: false })
    node.diskseq = '8'
    const replaced = await failureOf(whole.run({ ...input, approved: json }))
    expect(replaced).toMatchObject({ code: 'stale-plan', outcome: 'unchanged' })
    node.diskseq = '7'
    node.uuid = 'u-2'
    expect((await failureOf(whole.run({ ...input, approved: json }))).code).toBe('stale-plan')
    node.uuid = 'u-1'
    node.filesystem = 9n * GiB
    expect((await failureOf(whole.run({ ...input, approved: json }))).code).toBe('stale-plan')
    expect(node.executed).toEqual([])
    node.filesystem = 10n * GiB
    expect((await whole.run({ ...input, approved: json })).changed).toBe(true)
  })

  test('refuses an approved plan when a finding is new', async () => {
    const { whole, input, node } = scene()
    const plan = await whole.plan({ ...input, to: '20Gi' })
    node.findings = [{ code: 'thin-overcommit', severity: 'warning', layer: 'filesystem', message: 'new' }]
    expect((await failureOf(whole.run({ ...input, approved: plan }))).code).toBe('stale-plan')
  })

  test.each([
    [{ by: '10%' }, 11n],
    [{ by: '1' }, 11n],
    [{ by: '20Gi', max: '25Gi' }, 25n],
    [{ by: '20Gi', max: '25.5Gi' }, 25n],
    [{ by: '20Gi', max: '5Gi' }, 10n],
    [{ to: '10.5Gi' }, 11n],
  ])('resolves %o to %i GiB', async (size, gibibytes) => {
    const { whole, input } = scene()
    const plan = await whole.plan({ ...input, ...(size as { to: string }) })
    expect(plan.target).toBe(gibibytes * GiB)
    expect(plan.blocked).toBe(false)
  })
})

describe('refusals, before anything was touched', () => {
  test('a target below what is there', async () => {
    const { whole, nodeOnly, input, provider, node, clock } = scene()
    expect(await failureOf(whole.run({ ...input, to: '5Gi' }))).toMatchObject({
      code: 'would-shrink',
      outcome: 'unchanged',
    })
    const alone = await failureOf(nodeOnly.run({ host: node.host, path: '/data', to: '5Gi', clock }))
    expect(alone).toMatchObject({ code: 'would-shrink', layer: 'device' })
    expect(provider.calls.expand).toBe(0)
  })

  test('a blocker on the filesystem keeps the backend from being grown', async () => {
    const { whole, input, provider, node } = scene()
    node.findings = [{ code: 'read-only', severity: 'blocker', layer: 'filesystem', message: 'ro', remedy: 'rw' }]
    const error = await failureOf(whole.run({ ...input, to: '20Gi' }))
    expect(error).toMatchObject({ code: 'read-only', layer: 'filesystem', outcome: 'unchanged', remedy: 'rw' })
    expect(provider.calls.expand).toBe(0)
  })

  test('a missing tool is named with its package before the backend is grown', async () => {
    const { whole, input, provider, node } = scene()
    node.tools = { rescan: '/sbin/rescan' }
    const error = await failureOf(whole.run({ ...input, to: '20Gi' }))
    expect(error).toMatchObject({ code: 'tool-missing', layer: 'filesystem', outcome: 'unchanged' })
    expect(provider.calls.expand).toBe(0)
  })

  test('programs that a layer or resizer of the caller declares are looked for', async () => {
    const { whole, input, node } = scene()
    const asked: (readonly string[])[] = []
    const batch: Host['batch'] = async (items, options) => {
      const results = await node.host.batch(items, options)
      const answers = items.map((item, index) => {
        if (!('read' in item) || item.read !== 'tools') return results[index]
        asked.push(item.names)
        const found = item.names.filter((name) => name in node.tools).map((name) => [name, node.tools[name]])
        return { ok: true, value: Object.fromEntries(found) }
      })
      return answers as unknown as typeof results
    }
    const report = await whole.run({ ...input, host: { ...node.host, batch }, to: '20Gi' })
    expect(report.changed).toBe(true)
    expect(asked).toContainEqual(['rescan', 'growfs'])
  })

  test('an acceptable finding blocks until it is accepted', async () => {
    const { whole, input, node } = scene()
    node.findings = [
      { code: 'ext4-meta-bg-conversion', severity: 'blocker', layer: 'filesystem', message: 'permanent' },
    ]
    expect((await failureOf(whole.run({ ...input, to: '20Gi' }))).code).toBe('ext4-meta-bg-conversion')
    const report = await whole.run({ ...input, to: '20Gi', accept: ['ext4-meta-bg-conversion'] })
    expect(report.changed).toBe(true)
    expect(report.findings).toMatchObject([{ code: 'ext4-meta-bg-conversion', severity: 'warning', accepted: true }])
  })

  test.each([
    [{ limits: [{ what: 'size', most: 15n * GiB, source: 'doc' }] }, 'limit-exceeded'],
    [{ limits: [{ what: 'size', most: 15n * GiB, source: 'doc', asOf: '2026-01-01' }] }, 'dated-limit'],
    [{ limits: [{ what: 'quota', most: 15n * GiB, source: 'backend' }] }, 'quota-exceeded'],
    [{ phase: 'unusable' }, 'wrong-state'],
    [{ onlineGrowth: false, users: [{ kind: 'attachment', description: 'vm-1' }] }, 'offline-only'],
  ] as const)('the backend says no: %o', async (volume, code) => {
    const { whole, input, provider } = scene(volume as object)
    expect(await failureOf(whole.run({ ...input, to: '20Gi' }))).toMatchObject({
      code,
      outcome: 'unchanged',
      layer: 'volume',
    })
    expect(provider.calls.expand).toBe(0)
  })

  test('malformed sizes reject, and wrong kinds throw at once', async () => {
    const { whole, input, provider } = scene()
    expect(await failureOf(whole.run({ ...input, to: '5 potatoes' }))).toMatchObject({
      code: 'invalid-size',
      outcome: 'unchanged',
    })
    expect(provider.calls.read).toBe(0)
    expect(() => whole.run({ ...input, to: 5 as never })).toThrow(TypeError)
    expect(() => whole.run({ ...input, to: '1Gi', by: '1Gi' } as never)).toThrow(TypeError)
    expect(() => whole.run({ ...input, to: '20Gi', accept: ['would-shrink' as never] })).toThrow(TypeError)
    expect(() => whole.run({ ...input, to: '20Gi', timeouts: { tool: 0 } })).toThrow(TypeError)
    expect(() => whole.run({ ...input, to: '20Gi', signal: {} as never })).toThrow(TypeError)
  })
})

describe('bad days', () => {
  test('a tool that reports success and grew nothing is not believed', async () => {
    const { whole, input, node } = scene()
    node.onGrow = () => ({})
    const error = await failureOf(whole.run({ ...input, to: '20Gi' }))
    expect(error).toMatchObject({ code: 'verification-failed', layer: 'filesystem', outcome: 'unknown' })
    expect(error.report).toMatchObject({
      changed: true,
      actions: [{ status: 'done' }, { status: 'done' }, { status: 'failed' }],
    })
  })

  test('a tool that reports failure and grew everything is success', async () => {
    const { whole, input, node } = scene()
    node.onGrow = () => {
      node.filesystem = node.device
      return { ok: false, exitCode: 1, stderr: 'no idea' }
    }
    expect((await whole.run({ ...input, to: '20Gi' })).changed).toBe(true)
  })

  test('a tool that fails says so in its own words', async () => {
    const { nodeOnly, node, clock } = scene()
    node.device = 20n * GiB
    node.onGrow = () => ({ ok: false, exitCode: 1, stderr: 'a\nbad thing\n' })
    const error = await failureOf(nodeOnly.run({ host: node.host, path: '/data', to: 'fill', clock }))
    expect(error).toMatchObject({ code: 'tool-failed', outcome: 'unchanged' })
    expect(error.message).toContain('bad thing')
  })

  test('where the size cannot be read after a failure, nobody knows whether something was changed', async () => {
    const { nodeOnly, node, clock } = scene()
    node.device = 20n * GiB
    node.onGrow = () => {
      node.tornReads = 100
      return { ok: false, exitCode: 1, stderr: 'Input/output error' }
    }
    const said = new VolumeExpansionError('io-error', 'bad disk', { layer: 'filesystem', outcome: 'unchanged' })
    vi.spyOn(node.resizer, 'diagnose').mockReturnValue(said)
    const error = await failureOf(nodeOnly.run({ host: node.host, path: '/data', to: 'fill', clock }))
    expect(error).toMatchObject({ code: 'io-error', outcome: 'unknown' })
  })

  test('a tool that outlives its deadline has an unknown outcome', async () => {
    const { nodeOnly, node, clock } = scene()
    node.device = 20n * GiB
    node.onGrow = () => ({ ok: false, ended: 'running' })
    const error = await failureOf(nodeOnly.run({ host: node.host, path: '/data', to: 'fill', clock }))
    expect(error).toMatchObject({ code: 'timeout', outcome: 'unknown' })
  })

  test('waits for a tool that a dead run left behind, and then does only what is left', async () => {
    const { nodeOnly, node, clock } = scene()
    node.device = 20n * GiB
    node.holders = [{ pid: 99, command: 'growfs' }]
    void clock.sleep(30_000).then(() => {
      node.holders = []
      node.filesystem = 20n * GiB
    })
    const run = nodeOnly.run({ host: node.host, path: '/data', to: 'fill', clock })
    const events = await eventsOf(run)
    expect((await run).changed).toBe(false)
    expect(node.executed).toEqual([])
    expect(events.some((event) => event.type === 'waiting' && event.reason.includes('growfs'))).toBe(true)
  })

  test('gives up on a tool that does not end, without touching anything', async () => {
    const { nodeOnly, node, clock } = scene()
    node.device = 20n * GiB
    node.holders = [{ pid: 99, command: 'fsck' }]
    const run = nodeOnly.run({ host: node.host, path: '/data', to: 'fill', clock, timeouts: { lock: 60_000 } })
    expect(await failureOf(run)).toMatchObject({ code: 'tool-running', outcome: 'unchanged', retryable: true })
  })

  test('a superblock that is read while it is written is read again', async () => {
    const { nodeOnly, node, clock } = scene()
    node.device = 20n * GiB
    node.tornReads = 2
    expect((await nodeOnly.run({ host: node.host, path: '/data', to: 'fill', clock })).changed).toBe(true)
    node.tornReads = 100
    const error = await failureOf(nodeOnly.run({ host: node.host, path: '/data', to: 'fill', clock }))
    expect(error).toMatchObject({ code: 'filesystem-damaged', outcome: 'unchanged' })
  })

  test('a disk that was replaced between plan and act is refused in the same round trip', async () => {
    const { whole, input, node } = scene()
    const plan = await whole.plan({ ...input, to: '20Gi' })
    const run = whole.run({ ...input, approved: plan })
    for await (const event of run) if (event.type === 'action-started') node.diskseq = '8'
    expect(await failureOf(run)).toMatchObject({ code: 'identity-mismatch', outcome: 'changed' })
    expect(node.executed).toEqual([])
  })

  test('a device that never shows the new size times out by name, and the next run finishes', async () => {
    const { whole, input, node, provider } = scene()
    node.backing = () => 10n * GiB
    const error = await failureOf(whole.run({ ...input, to: '20Gi' }))
    expect(error).toMatchObject({ code: 'timeout', layer: 'device', outcome: 'unknown' })
    node.backing = () => provider.state('v1').size
    expect((await whole.run({ ...input, to: '20Gi' })).changed).toBe(true)
    expect(provider.mutations).toHaveLength(1)
  })

  test('a growth that the backend gives up is an end, and the volume is as it was', async () => {
    const { whole, input, node } = scene({ failingGrowths: 1 })
    expect(await failureOf(whole.run({ ...input, to: '20Gi' }))).toMatchObject({
      code: 'backend-failed',
      outcome: 'unchanged',
    })
    expect(node.executed).toEqual([])
  })

  test('a lost answer is repeated with the same request id, and one growth is accepted', async () => {
    const { whole, input, provider } = scene({ lostAnswers: 1 })
    expect((await whole.run({ ...input, to: '20Gi' })).changed).toBe(true)
    expect(provider.mutations).toHaveLength(1)
  })

  test('two runs on one volume take turns, and the volume is grown once', async () => {
    const { whole, input, provider, node } = scene()
    const reports = await Promise.all([whole.run({ ...input, to: '20Gi' }), whole.run({ ...input, to: '20Gi' })])
    expect(reports.map(({ changed }) => changed)).toEqual([true, false])
    expect(provider.mutations).toHaveLength(1)
    expect(node.executed).toHaveLength(2)
  })
})

describe('abort', () => {
  test('before anything: nothing is changed', async () => {
    const { whole, input, provider } = scene()
    const error = await failureOf(whole.run({ ...input, to: '20Gi', signal: AbortSignal.abort('stop') }))
    expect(error).toMatchObject({ code: 'aborted', outcome: 'unchanged', cause: 'stop' })
    expect(provider.calls.read).toBe(0)
  })

  test('while the backend grows: unknown, with the partial report; a later run joins', async () => {
    const { whole, input, provider, node } = scene()
    const controller = new AbortController()
    const run = whole.run({ ...input, to: '20Gi', signal: controller.signal })
    for await (const event of run) if (event.type === 'progress') controller.abort('enough')
    const error = await failureOf(run)
    expect(error).toMatchObject({ code: 'aborted', outcome: 'unknown', cause: 'enough' })
    expect(error.report).toMatchObject({
      actions: [{ status: 'failed' }, { status: 'not-reached' }, { status: 'not-reached' }],
    })
    expect(node.executed).toEqual([])
    expect((await whole.run({ ...input, to: '20Gi' })).changed).toBe(true)
    expect(provider.mutations).toHaveLength(1)
  })

  test('while it waits for another run: the other one is not disturbed', async () => {
    const { whole, input } = scene()
    const first = whole.run({ ...input, to: '20Gi' })
    const second = whole.run({ ...input, to: '30Gi', signal: AbortSignal.timeout(1) })
    expect((await failureOf(second)).outcome).toBe('unchanged')
    expect((await first).changed).toBe(true)
  })
})

describe('steps of one’s own', () => {
  test('act in order, after everything was observed and planned, and only when their part is there', async () => {
    const { whole, input } = scene()
    const log: string[] = []
    const note = defineStep<{ readonly memo: string }, object, object>({
      name: 'note',
      observe: async ({ memo }) => {
        log.push(`observe ${memo}`)
        return {}
      },
      act: async (_payload, { memo }) => void log.push(`act ${memo}`),
    })
    const own = whole.when('memo', note)
    const report = await own.run({ ...input, to: '20Gi', memo: 'hello' })
    expect(log).toEqual(['observe hello', 'act hello'])
    expect(report.actions.at(-1)).toMatchObject({ id: 'note', status: 'done' })
    await own.run({ ...input, to: '20Gi' })
    expect(log).toHaveLength(2)
  })

  test('a step that throws ends the run with what had been done', async () => {
    const { whole, input } = scene()
    const broken = defineStep<object, object, object>({
      name: 'broken',
      act: async () => {
        throw new Error('oops')
      },
    })
    const error = await failureOf(whole.use(broken).run({ ...input, to: '20Gi' }))
    expect(error).toMatchObject({ code: 'contract-violated', layer: 'pipeline', message: 'oops' })
    expect(error.report).toMatchObject({ changed: true })
    expect(() => defineStep({ name: '' })).toThrow(TypeError)
    expect(() => defineStep({ name: 'x', act: 1 as never })).toThrow(TypeError)
  })
})

test('a disk that does not answer does not hold the run for ever', async () => {
  const { nodeOnly, node, clock } = scene()
  const host = { ...node.host, batch: () => new Promise<never>(() => {}) }
  const run = nodeOnly.run({ host, path: '/data', to: 'fill', clock })
  expect(await failureOf(run)).toMatchObject({ code: 'timeout', layer: 'host', outcome: 'unchanged', retryable: true })
})

test('a change under way without a known end is waited for before anything is called done', async () => {
  const { whole, input, provider } = scene()
  const { read } = provider
  let looks = 0
  const hidden = {
    ...provider,
    read: async (...args: Parameters<typeof read>) => {
      looks += 1
      const states = await read(...args)
      return states.map((state) =>
        state instanceof Error || looks > 2 ? state : { ...state, phase: 'growing' as const },
      )
    },
  }
  const { volumeOf } = await import('../../src/index.ts')
  const report = await whole.run({ ...input, volume: volumeOf(hidden, 'v1'), to: '10Gi' })
  expect(looks).toBeGreaterThan(2)
  expect(provider.mutations).toHaveLength(0)
  expect(report.layers.map(({ before, after }) => before === after)).toEqual([true, true, true])
})

test('a volume of one machine is refused on another, whatever that one has under the same name', async () => {
  const { whole, input, provider } = scene()
  const local = { ...provider, identify: () => ({ image: '/srv/disk.img', host: 'local' }) }
  const { volumeOf } = await import('../../src/index.ts')
  const error = await failureOf(whole.run({ ...input, volume: volumeOf(local, 'v1'), to: '20Gi' }))
  expect(error).toMatchObject({ code: 'identity-mismatch', layer: 'device', outcome: 'unchanged' })
  expect(provider.calls.expand).toBe(0)
})
