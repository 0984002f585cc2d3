import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { glusterfs } from '../../../../providers/glusterfs/index.ts'
import { type ExpansionEvent, expand, plan } from '../../../../src/index.ts'
import { type LoopBrick, Pool } from '../../../lab/gluster/pool.ts'
import { expectContent, writeContent } from '../../support/content.ts'
import { intactRecords, startWriter } from '../../support/writer.ts'
import { hostOf, MiB, optionsOf, shownAt, volumesBelow } from './support.ts'

let pool: Pool

beforeAll(async () => {
  pool = await Pool.start(3)
})

afterAll(() => pool?.stop())

describe('the devices below the bricks', () => {
  test('a single brick grows through its device while a writer runs, and the client sees it', async () => {
    const brick = await pool.brick(0, 'single', 350)
    await pool.volume('single', [], [brick])
    const path = await pool.mount('single')
    const before = shownAt(path)
    const content = writeContent(path)
    const records = join(path, 'records')
    const writer = await startWriter(records)
    const volume = glusterfs(optionsOf(pool)).volume('single', { brickVolumes: volumesBelow([brick]) })
    const request = { volume, host: hostOf(pool), path, to: before + 256n * MiB } as const
    const planned = await plan(request)
    expect(planned.findings.filter(({ severity }) => severity === 'blocker')).toEqual([])
    expect(shownAt(path)).toBe(before)
    const report = await expand(request)
    expect(report.actions.map(({ status }) => status)).not.toContain('failed')
    expect(shownAt(path)).toBe(before + 256n * MiB)
    const whole = report.layers.find(({ id }) => id === 'volume:glusterfs:single')
    expect([whole?.before, whole?.after]).toEqual([before, before + 256n * MiB])
    const confirmed = await writer.stop()
    expectContent(path, content)
    expect(intactRecords(records)).toBeGreaterThanOrEqual(confirmed)
    const again = await expand(request)
    expect(again.changed).toBe(false)
  })

  test('a replica grows brick by brick, and its size moves with the last of them', async () => {
    const bricks: LoopBrick[] = []
    for (const server of [0, 1, 2]) bricks.push(await pool.brick(server, 'replica', 350))
    await pool.volume('replica', ['replica', '3'], bricks)
    const path = await pool.mount('replica')
    const before = shownAt(path)
    const content = writeContent(path)
    const records = join(path, 'records')
    const writer = await startWriter(records)
    const volume = glusterfs(optionsOf(pool)).volume('replica', { brickVolumes: volumesBelow(bricks) })
    const target = before + 200n * MiB
    const events: ExpansionEvent[] = []
    const shown: bigint[] = []
    const run = expand({ volume, host: hostOf(pool), path, to: target })
    for await (const event of run) {
      events.push(event)
      if (event.type === 'action-finished' && event.action.id.includes('/filesystem:')) shown.push(shownAt(path))
    }
    const report = await run
    expect(shown).toEqual([before, before, target])
    expect(report.layers.find(({ id }) => id === 'volume:glusterfs:replica')?.after).toBe(target)
    const confirmed = await writer.stop()
    expectContent(path, content)
    expect(intactRecords(records)).toBeGreaterThanOrEqual(confirmed)
    for (const { mountPoint } of bricks) {
      expect(intactRecords(join(mountPoint, 'brick', 'records'))).toBeGreaterThanOrEqual(confirmed)
    }
  })

  test('one brick of a replica alone is refused, and nothing is touched', async () => {
    const [first] = pool.servers
    const { hosts: _hosts, ...rest } = optionsOf(pool)
    const volume = glusterfs({ ...rest, hosts: { [first?.address ?? '']: rest.host } }).volume('replica')
    const planned = await plan({ volume, by: '50Mi' })
    expect(planned.blocked).toBe(true)
    expect(planned.findings.find(({ severity }) => severity === 'blocker')?.message).toMatch(/smallest of them/)
    await expect(expand({ volume, by: '50Mi' })).rejects.toMatchObject({
      code: 'invalid-request',
      outcome: 'unchanged',
    })
  })

  test('a brick that cannot become large enough keeps all of them from being touched', async () => {
    const bricks: LoopBrick[] = []
    for (const server of [0, 1, 2]) bricks.push(await pool.brick(server, 'torn', 350))
    await pool.volume('torn', ['replica', '3'], bricks)
    const path = await pool.mount('torn')
    const before = shownAt(path)
    // The last one has no volume below it: its device is as large as it is.
    const volume = glusterfs(optionsOf(pool)).volume('torn', { brickVolumes: volumesBelow(bricks.slice(0, 2)) })
    const failure = await expand({ volume, host: hostOf(pool), path, by: '100Mi' }).catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: 'device-too-small', outcome: 'unchanged' })
    expect(shownAt(path)).toBe(before)
    for (const { mountPoint } of bricks) expect(shownAt(mountPoint)).toBe(before)
  })

  test('the mount of another volume is refused', async () => {
    const volume = glusterfs(optionsOf(pool)).volume('single')
    const path = join(pool.root, 'mounted-replica')
    await expect(expand({ volume, host: hostOf(pool), path, by: '10Mi' })).rejects.toMatchObject({
      code: 'identity-mismatch',
      outcome: 'unchanged',
    })
    await expect(expand({ volume, host: hostOf(pool), path: '/', by: '10Mi' })).rejects.toMatchObject({
      code: 'identity-mismatch',
    })
  })
})
