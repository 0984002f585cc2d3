import { inspect } from 'node:util'
import { EC2Client } from '@aws-sdk/client-ec2'
import { describe, expect, test } from 'vitest'
import { ebs } from '../../../providers/ebs/index.ts'
import { expand, expandMany, plan } from '../../../src/index.ts'
import { jsonSafe } from '../../../src/json.ts'
import { GiB } from '../../../src/size.ts'
import { virtualClock } from '../../../src/testing/index.ts'
import { missing, modifications, one, secretAccessKey, sessionToken, two, world } from './world.ts'

const hour = 3_600_000

describe('a growth', () => {
  test('is one modification with everything, and goes on while the volume is optimizing', async () => {
    const here = world({ modifying: 3000, optimizing: 24 * hour })
    const report = await here.grow('30Gi', one, { iops: 6000, throughput: 500 })
    expect(report).toMatchObject({ changed: true, layers: [{ kind: 'volume', after: 30n * GiB }] })
    expect(here.ec2.accepted).toMatchObject([{ size: 30, iops: 6000, throughput: 500 }])
    expect(here.ec2.volume(one).modificationState).toBe('optimizing')
    expect(here.clock.now()).toBeLessThan(3000 + 5000)
  })

  test('takes few calls: two looks, the modification, and few looks while it is under way', async () => {
    const here = world({ modifying: 3000 })
    await here.grow('30Gi')
    expect(here.ec2.calls().byAction.ModifyVolume).toBe(1)
    expect(here.ec2.calls().total).toBeLessThanOrEqual(8)
  })

  test('of a volume that is large enough does nothing, whatever speed is wished', async () => {
    const here = world()
    const report = await here.grow('10Gi', one, { iops: 6000 })
    expect(report.changed).toBe(false)
    expect(here.ec2.calls().byAction).toEqual({ DescribeVolumes: 1, DescribeVolumesModifications: 1 })
  })

  test('repeated after it ended does nothing', async () => {
    const here = world()
    await here.grow('20Gi')
    await here.grow('20Gi')
    expect(modifications(here)).toEqual({ [one]: 1 })
  })

  test('changes the type within the limits of the new one', async () => {
    const here = world({ volumes: { [one]: { size: 10, type: 'gp2' } } })
    await here.grow('20000Gi', one, { type: 'gp3' })
    expect(here.ec2.accepted).toMatchObject([{ size: 20_000, type: 'gp3' }])
  })
})

describe('refused before anything is asked for', () => {
  test.each([
    ['a shrink', '5Gi', undefined, { code: 'would-shrink' }],
    ['more than the type allows, of a dated source', '70000Gi', undefined, { code: 'dated-limit' }],
    ['more iops than the type allows', '20Gi', { iops: 90_000 }, { code: 'dated-limit' }],
    ['throughput where the type has none', '20Gi', { type: 'io2' as const, throughput: 500 }, { code: 'dated-limit' }],
  ])('%s', async (_name, size, wishes, expected) => {
    const here = world()
    expect(await here.failure(size, one, wishes)).toMatchObject({ ...expected, outcome: 'unchanged' })
    expect(here.ec2.calls().byAction.ModifyVolume).toBeUndefined()
  })

  test('a missing id, a volume of another region, a malformed id', async () => {
    const here = world()
    expect(await here.failure('20Gi', missing)).toMatchObject({
      code: 'not-found',
      provider: 'ebs',
      outcome: 'unchanged',
    })
    const elsewhere = world({ clientRegion: 'us-east-1' })
    expect(await elsewhere.failure('20Gi')).toMatchObject({
      code: 'not-found',
      remedy: expect.stringContaining('region'),
    })
    expect(() => here.request('20Gi', 'vol-xyz')).toThrowError(expect.objectContaining({ code: 'invalid-reference' }))
    expect(() => here.request('20Gi', one, { iops: 1.5 })).toThrowError(TypeError)
  })

  test('the fifth modification of a day, with the time from which it is allowed', async () => {
    const here = world({ optimizing: hour })
    for (let size = 11; size <= 14; size += 1) {
      await here.grow(`${size}Gi`)
      await here.clock.sleep(2 * hour)
    }
    const error = await here.failure('20Gi')
    expect(error).toMatchObject({ code: 'too-soon', outcome: 'unchanged' })
    const { layers } = await plan(here.request('20Gi'))
    expect(layers).toHaveLength(1)
    // The first of the four began a few seconds after midnight.
    expect(error.message).toMatch(/2030-01-02T00:00/)
    await here.clock.sleep(17 * hour)
    await here.grow('20Gi')
    expect(modifications(here)).toEqual({ [one]: 5 })
  })

  test('a change while the one before is optimizing', async () => {
    const here = world({ optimizing: 30 * hour })
    await here.grow('20Gi')
    expect(await here.failure('30Gi')).toMatchObject({
      code: 'too-soon',
      message: expect.stringContaining('optimizing'),
    })
    expect(here.ec2.calls().byAction.ModifyVolume).toBe(1)
  })

  test('a volume that another service manages, or in another state', async () => {
    const here = world({
      volumes: { [one]: { size: 10, managedBy: 'eks.amazonaws.com' }, [two]: { size: 10, status: 'error' } },
    })
    expect(await here.failure('20Gi')).toMatchObject({ code: 'owned-elsewhere', outcome: 'unchanged' })
    expect(await here.failure('20Gi', two)).toMatchObject({ code: 'wrong-state', outcome: 'unchanged' })
    expect(here.ec2.calls().byAction.ModifyVolume).toBeUndefined()
  })

  test.each(['DescribeVolumes', 'DescribeVolumesModifications'] as const)(
    'without the right %s, which following the growth would need',
    async (action) => {
      const here = world()
      here.ec2.deny(action)
      const error = await here.failure('20Gi')
      expect(error).toMatchObject({ code: 'permission-denied', outcome: 'unchanged', retryable: false })
      expect(error.message).toContain(`ec2:${action}`)
      expect(here.ec2.calls().byAction.ModifyVolume).toBeUndefined()
    },
  )

  test('with a session that has expired', async () => {
    const here = world()
    here.ec2.expire('AKIAIOSFODNN7EXAMPLE')
    expect(await here.failure('20Gi')).toMatchObject({ code: 'authentication-failed', outcome: 'unchanged' })
  })
})

describe('refused by EC2', () => {
  test('without the right to modify: nothing was changed, and the right is named', async () => {
    const here = world()
    here.ec2.deny('ModifyVolume')
    const error = await here.failure('20Gi')
    expect(error).toMatchObject({ code: 'permission-denied', outcome: 'unchanged' })
    expect(error.message).toContain('ec2:ModifyVolume')
    expect(error.remedy).toContain('ec2:ModifyVolume')
    expect(modifications(here)).toEqual({})
  })

  test('above the quota of the region', async () => {
    const here = world({ quota: 25 })
    expect(await here.failure('20Gi')).toMatchObject({ code: 'quota-exceeded', outcome: 'unchanged' })
  })

  test('a cooldown that the history did not show', async () => {
    const here = world()
    here.ec2.trouble('ModifyVolume', { code: 'VolumeModificationRateExceeded' })
    expect(await here.failure('20Gi')).toMatchObject({ code: 'too-soon', outcome: 'unchanged' })
  })

  test('with a code that nobody knows', async () => {
    const here = world()
    here.ec2.trouble('ModifyVolume', { code: 'SomethingNew' })
    expect(await here.failure('20Gi')).toMatchObject({
      code: 'wrong-state',
      message: expect.stringContaining('SomethingNew'),
    })
  })
})

describe('while it grows', () => {
  test('a denial leaves what was begun, and a later run joins it', async () => {
    const here = world({ modifying: 10_000 })
    const run = here.failure('20Gi')
    void here.clock.sleep(500).then(() => here.ec2.deny('DescribeVolumesModifications'))
    const error = await run
    expect(error).toMatchObject({ code: 'permission-denied' })
    expect(error.outcome).toBe('unknown')
    here.ec2.allow('DescribeVolumesModifications')
    await here.grow('20Gi')
    expect(modifications(here)).toEqual({ [one]: 1 })
    expect(here.ec2.volume(one).size).toBe(20)
  })

  test('a session that expires leaves what was begun, and a later run joins it', async () => {
    const here = world({ modifying: 20_000 })
    const run = here.failure('20Gi')
    void here.clock.sleep(5000).then(() => here.ec2.expire('AKIAIOSFODNN7EXAMPLE'))
    expect(await run).toMatchObject({ code: 'authentication-failed', outcome: 'unknown', layer: 'volume' })
    const credentials = { accessKeyId: 'AKIARENEWED', secretAccessKey }
    const { requestHandler } = here.ec2
    const client = new EC2Client({ region: 'eu-west-1', credentials, maxAttempts: 1, requestHandler })
    const { clock } = here
    const report = await expand({ volume: ebs({ client, clock }).volume(one), to: '20Gi', clock })
    expect(report.layers[0]?.after).toBe(20n * 2n ** 30n)
    expect(modifications(here)).toEqual({ [one]: 1 })
  })

  test('a failed modification is an end, and not one of the next run', async () => {
    const here = world({ volumes: { [one]: { size: 10, failing: 1 } } })
    const error = await here.failure('20Gi')
    expect(error).toMatchObject({ code: 'backend-failed', outcome: 'unchanged' })
    expect(error.message).toContain('as it was')
    await here.grow('20Gi')
    expect(here.ec2.volume(one)).toMatchObject({ size: 20, modifications: 2 })
  })

  test('a change by another tool that is large enough is joined, a smaller one is not overrun', async () => {
    const here = world({ modifying: 5000 })
    here.ec2.modifyElsewhere(one, { size: 40 })
    await here.grow('30Gi')
    expect(modifications(here)).toEqual({})
    expect(here.ec2.volume(one).size).toBe(40)
    here.ec2.modifyElsewhere(two, { size: 15 })
    expect(await here.failure('30Gi', two)).toMatchObject({ code: 'too-soon', outcome: 'unchanged' })
  })

  test('another tool that comes between the look and the change wins, and is not shrunk', async () => {
    const here = world({ modifying: 5000 })
    here.ec2.trouble('ModifyVolume', { slow: 1000 })
    const run = here.grow('20Gi')
    void here.clock.sleep(500).then(() => here.ec2.modifyElsewhere(one, { size: 50 }))
    await run
    expect(modifications(here)).toEqual({})
    expect(here.ec2.volume(one).size).toBe(50)
  })

  test('reads that lag behind make no second modification', async () => {
    const here = world({ modifying: 2000, staleBy: 1500 })
    await here.clock.sleep(10_000)
    here.ec2.trouble('ModifyVolume', 'lost')
    await here.grow('20Gi')
    expect(modifications(here)).toEqual({ [one]: 1 })
  })

  test('a wall clock that is wrong by hours changes nothing but the time that is told', async () => {
    const clock = virtualClock({ auto: true })
    const wrong = { now: () => clock.now(), date: () => new Date(clock.date().getTime() - 5 * hour) }
    const here = world({ clock, provider: { clock: wrong } })
    await here.grow('20Gi')
    await here.grow('20Gi')
    expect(modifications(here)).toEqual({ [one]: 1 })
  })
})

describe('lost answers and failures on the way', () => {
  test.each([1, 3])(
    '%i lost answers to an accepted modification: it was accepted once, and is joined',
    async (times) => {
      const here = world()
      here.ec2.trouble('ModifyVolume', 'lost', times)
      await here.grow('20Gi')
      expect(modifications(here)).toEqual({ [one]: 1 })
    },
  )

  test.each(['reset', { code: 'InternalError', status: 500 }, { code: 'Unavailable', status: 503 }] as const)(
    '%j before anything is done is repeated',
    async (what) => {
      const here = world()
      here.ec2.trouble('DescribeVolumes', what, 2)
      here.ec2.trouble('DescribeVolumesModifications', what)
      here.ec2.trouble('ModifyVolume', what, 2)
      await here.grow('20Gi')
      expect(modifications(here)).toEqual({ [one]: 1 })
    },
  )

  test('answers that are lost for good leave the outcome unknown', async () => {
    const here = world()
    here.ec2.trouble('ModifyVolume', 'lost', 1)
    here.ec2.trouble('DescribeVolumes', { slow: 200 })
    const run = here.failure('20Gi')
    void here.clock.sleep(250).then(() => here.ec2.trouble('DescribeVolumesModifications', 'reset', 100))
    expect(await run).toMatchObject({ code: 'backend-unreachable', outcome: 'unknown', retryable: true })
    expect(modifications(here)).toEqual({ [one]: 1 })
  })

  test('throttled for a minute: nobody sees it', async () => {
    const here = world()
    const slow = { code: 'RequestLimitExceeded', status: 503 }
    here.ec2.trouble('ModifyVolume', slow, 6)
    here.ec2.trouble('DescribeVolumesModifications', slow, 4)
    await here.grow('20Gi')
    expect(modifications(here)).toEqual({ [one]: 1 })
  })

  test('one id that was never modified, and one that is missing, are no others’ trouble', async () => {
    const here = world()
    await here.grow('20Gi')
    const states = await here.expander.read([one, missing, two], {})
    expect(states).toMatchObject([{ key: one, size: 20n * GiB }, { code: 'not-found' }, { key: two, size: 10n * GiB }])
  })
})

test('no secret is in any error, event, plan or report', async () => {
  const here = world()
  const shown: unknown[] = []
  here.ec2.deny('ModifyVolume')
  shown.push(await here.failure('20Gi'))
  here.ec2.allow('ModifyVolume')
  here.ec2.trouble('DescribeVolumes', { code: 'AuthFailure', status: 401, message: `key ${secretAccessKey}` })
  shown.push(await here.failure('20Gi'))
  const run = expandMany([here.request('20Gi'), here.request('20Gi', missing)])
  for await (const event of run) shown.push(event)
  shown.push(await run, await plan(here.request('30Gi', two)))
  const text = shown.map((value) => `${JSON.stringify(jsonSafe(value))} ${inspect(value, { depth: 20 })}`).join('\n')
  expect(text).toContain('ec2:ModifyVolume')
  for (const secret of [secretAccessKey, sessionToken]) expect(text).not.toContain(secret)
})
