import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { glusterfs } from '../../../../providers/glusterfs/index.ts'
import { type ExpansionEvent, expand, plan, type VolumeExpansionError } from '../../../../src/index.ts'
import { type LoopBrick, Pool } from '../../../lab/gluster/pool.ts'
import { until } from '../../support/commands.ts'
import { expectContent, writeContent } from '../../support/content.ts'
import { intactRecords, startWriter } from '../../support/writer.ts'
import { hostOf, MiB, optionsOf, shownAt } from './support.ts'

let pool: Pool

beforeAll(async () => {
  pool = await Pool.start(3)
})

afterAll(() => pool?.stop())

async function replicas(name: string): Promise<readonly LoopBrick[]> {
  const bricks: LoopBrick[] = []
  for (const server of [0, 1, 2]) bricks.push(await pool.brick(server, name, 350))
  return bricks
}

const namesOf = (bricks: readonly LoopBrick[]): readonly string[] => bricks.map(({ name }) => name)

async function refusal(promise: PromiseLike<unknown>): Promise<VolumeExpansionError> {
  return await promise.then(
    () => {
      throw new Error('It should have been refused.')
    },
    (error: VolumeExpansionError) => error,
  )
}

describe('new bricks', () => {
  test('are added and filled by a rebalance that is watched to its end, while a writer runs', async () => {
    const first = await replicas('first')
    await pool.volume('grown', ['replica', '3'], first)
    const path = await pool.mount('grown')
    const content = writeContent(path)
    for (let number = 0; number < 200; number += 1)
      writeFileSync(join(path, `file-${number}`), Buffer.alloc(100_000, number))
    const before = shownAt(path)
    const writer = await startWriter(join(path, 'records'))
    const second = await replicas('second')
    const volume = glusterfs(optionsOf(pool)).volume('grown', { bricks: namesOf(second) })
    const request = { volume, host: hostOf(pool), path, to: before * 2n } as const
    const events: ExpansionEvent[] = []
    const run = expand(request)
    for await (const event of run) events.push(event)
    const report = await run
    expect(shownAt(path)).toBe(before * 2n)
    expect(report.layers.at(0)).toMatchObject({ id: 'volume:glusterfs:grown', before, after: before * 2n })
    const natives = events.flatMap((event) => (event.type === 'progress' ? [event.native ?? ''] : []))
    expect(natives.some((native) => /rebalance in progress/.test(native))).toBe(true)
    expect(await pool.gluster('volume', 'rebalance', 'grown', 'status')).toMatch(/completed/)
    const [moved] = second
    expect(readdirSync(moved?.path ?? '').filter((name) => name.startsWith('file-')).length).toBeGreaterThan(0)
    const confirmed = await writer.stop()
    expectContent(path, content)
    expect(intactRecords(join(path, 'records'))).toBeGreaterThanOrEqual(confirmed)
    expect((await expand(request)).changed).toBe(false)
    const planned = await plan(request)
    expect(planned.findings.map(({ code }) => code)).toContain('file-size-limit')
  })

  test('that add nothing or are no whole set are refused before anything is done', async () => {
    const [one] = await replicas('alone')
    const gluster = glusterfs(optionsOf(pool))
    const info = await pool.gluster('volume', 'info', 'grown')
    const short = await refusal(expand({ volume: gluster.volume('grown', { bricks: [one?.name ?? ''] }), by: '10Mi' }))
    expect(short).toMatchObject({ code: 'invalid-request', outcome: 'unchanged' })
    expect(short.message).toMatch(/no whole sets of 3/)
    const shared = [1, 2, 3].map((number) => {
      const path = join(one?.mountPoint ?? '', `shared-${number}`)
      mkdirSync(path)
      return `${pool.servers[0]?.address}:${path}`
    })
    const same = await refusal(expand({ volume: gluster.volume('grown', { bricks: shared }), by: '10Mi' }))
    expect(same.message).toMatch(/on one filesystem/)
    expect(await pool.gluster('volume', 'info', 'grown')).toBe(info)
  })

  test('a server that is away is told before, and the same call completes once it is back', async () => {
    const third = await replicas('third')
    const volume = glusterfs(optionsOf(pool)).volume('grown', { bricks: namesOf(third), rebalance: 'start' })
    await pool.serverDown(2)
    const known = await refusal(expand({ volume, by: '200Mi' }))
    expect(known).toMatchObject({ code: 'wrong-state', outcome: 'unchanged' })
    // Without having looked, add-brick marks the first brick and then fails: what a server that goes away in between leaves behind.
    await pool.gluster('volume', 'add-brick', 'grown', ...namesOf(third)).catch(() => undefined)
    const marks = execFileSync('getfattr', ['-d', '-m', '.', '-e', 'hex', '--absolute-names', third[0]?.path ?? ''], {
      encoding: 'utf8',
    })
    expect(marks).toMatch(/trusted\.glusterfs\.volume-id/)
    await pool.serverUp(2)
    await pool.settled('grown')
    const report = await expand({ volume, by: '200Mi' })
    expect(report.layers[0]?.after).toBeGreaterThanOrEqual((report.layers[0]?.before ?? 0n) + 200n * MiB)
    await pool.settled('grown')
    // No brick can be added meanwhile, which is what comes next.
    await until('the rebalance to end', async () => {
      const status = await pool.gluster('volume', 'rebalance', 'grown', 'status')
      return !status.includes('in progress')
    })
  })
})

describe('what gluster refuses', () => {
  const request = { options: undefined, requestId: 'one' } as const

  test('each row has a code, an outcome and a remedy', async () => {
    const { glusterExpander } = await import('../../../../providers/glusterfs/expander.ts')
    const { handleOf } = await import('../../../../src/expander.ts')
    const { host, socket } = optionsOf(pool)
    // Without hosts nothing can be looked at before: gluster itself is asked.
    const blind = glusterExpander({ host, socket })
    const [state] = await blind.read(['grown'], {})
    if (state === undefined || state instanceof Error) throw state
    const size = (state.size + 100n * MiB) as typeof state.size
    const grow = (bricks: readonly string[], force = false): Promise<void> =>
      blind.expand({ name: 'grown', bricks: async () => bricks, rebalance: 'none', force }, { ...request, size })
    const fourth = await replicas('fourth')

    const [missing] = await blind.read(['nope'], {})
    expect(missing).toMatchObject({ code: 'not-found', outcome: 'unchanged' })
    expect(await refusal(blind.expand('nope', { ...request, size }))).toMatchObject({ code: 'not-found' })

    const [address] = pool.servers.map((server) => server.address)
    const used = await refusal(
      grow([`${address}:${join(pool.root, 'server-1', 'first', 'brick', 'a')}`, ...namesOf(fourth.slice(1))]),
    )
    expect(used).toMatchObject({ outcome: 'unchanged' })
    expect(used.message).toMatch(/not available|part of a volume/)

    const onOne = await refusal(grow([1, 2, 3].map((n) => `${address}:${join(fourth[0]?.mountPoint ?? '', `x${n}`)}`)))
    expect(onOne).toMatchObject({ code: 'invalid-request', outcome: 'unchanged' })
    expect(onOne.message).toMatch(/same server/)

    await pool.serverDown(2)
    const away = await refusal(grow(namesOf(fourth)))
    expect(away).toMatchObject({ code: 'wrong-state', outcome: 'unchanged' })
    await pool.serverUp(2)
    await pool.settled('grown')

    const daemonless = glusterfs({ host: hostOf(pool), socket: join(pool.root, 'none.sock') }).volume('grown')
    expect(await refusal(handleOf(daemonless).expander.read(['grown'], {}))).toMatchObject({
      code: 'backend-unreachable',
      outcome: 'unchanged',
    })
  })

  test('a brick on an address without a server never passes for an added one', async () => {
    // In a pool of several, another server finds it out in time.
    const alone = await Pool.start(1)
    onTestFinished(() => alone.stop())
    const brick = await alone.brick(0, 'lonely', 350)
    await alone.volume('lonely', [], [brick])
    const nobody = (alone.servers[0]?.address ?? '').replace(/\.1$/, '.77')
    const other = await alone.brick(0, 'elsewhere', 350)
    const bricks = [`${nobody}:${other.path}`]
    const { host, socket } = optionsOf(alone)
    const stranger = await refusal(
      expand({ volume: glusterfs({ host, socket }).volume('lonely', { bricks }), by: '10Mi' }),
    )
    expect(stranger).toMatchObject({ code: 'invalid-request', outcome: 'unchanged' })
    // Said to be a server all the same, glusterd takes it for this one, fails, and lists the brick.
    const volume = glusterfs({ host, socket, hosts: { [nobody]: host } }).volume('lonely', { bricks })
    const error = await refusal(expand({ volume, by: '10Mi' }))
    const listed = (await alone.gluster('volume', 'info', 'lonely')).includes(nobody)
    expect(error.outcome).toBe('changed')
    expect(listed).toBe(true)
    expect(error.code).toBe('half-done')
    expect(error.remedy).toBeDefined()
  })
})
