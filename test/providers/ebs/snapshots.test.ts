import { expect, test } from 'vitest'
import { growBackend, observeBackend, pipeline, snapshotBefore } from '../../../src/index.ts'
import { failureOf, one, type World, world } from './world.ts'

const grow = pipeline().use(observeBackend()).use(snapshotBefore()).use(growBackend())

function input({ request }: World, to: string): Parameters<typeof grow.run>[0] {
  return request(to) as Parameters<typeof grow.run>[0]
}

/** What was changed, in order. */
function actions({ ec2 }: World): readonly string[] {
  return ec2.accepted.map(({ action, volumeId }) => `${action} ${volumeId}`)
}

test('a snapshot is completed before the volume is modified, and the report names it', async () => {
  const here = world({ snapshotTime: 30_000 })
  const report = await grow.run(input(here, '20Gi'))
  expect(actions(here)).toEqual([`CreateSnapshot ${one}`, `ModifyVolume ${one}`])
  const [snapshot, modification] = here.ec2.accepted
  expect(modification?.at).toBeGreaterThanOrEqual((snapshot?.at ?? 0) + 30_000)
  expect(snapshot?.size).toBe(10)
  expect(report.actions[0]).toMatchObject({
    ...{ status: 'done', layer: 'volume' },
    details: { snapshot: expect.stringMatching(/^snap-[0-9a-f]{17}$/) },
  })
  expect(report.layers[0]).toMatchObject({ before: 10n * 2n ** 30n, after: 20n * 2n ** 30n })
})

test('nothing to grow, nothing made; and a plan makes none', async () => {
  const here = world()
  expect(await grow.run(input(here, '10Gi'))).toMatchObject({ changed: false, actions: [] })
  const plan = await grow.plan(input(here, '20Gi'))
  expect(plan.actions.map(({ calls }) => calls)).toEqual([['ebs snapshot'], ['ebs expand']])
  expect(actions(here)).toEqual([])
})

test('a lost answer makes no second snapshot', async () => {
  const here = world()
  here.ec2.trouble('CreateSnapshot', 'lost')
  await grow.run(input(here, '20Gi'))
  expect(actions(here)).toEqual([`CreateSnapshot ${one}`, `ModifyVolume ${one}`])
})

test.each(['CreateSnapshot', 'DescribeSnapshots'] as const)(
  'without the right to %s nothing is grown, and the right is named',
  async (action) => {
    const here = world()
    here.ec2.deny(action)
    const error = await failureOf(grow.run(input(here, '20Gi')))
    expect(error).toMatchObject({ code: 'permission-denied', layer: 'volume', outcome: 'unchanged' })
    expect(error.remedy).toContain(`ec2:${action}`)
    expect(actions(here)).toEqual([])
  },
)

test('throttled, it is made all the same, once', async () => {
  const here = world()
  here.ec2.trouble('CreateSnapshot', { code: 'RequestLimitExceeded', status: 503 }, 3)
  await grow.run(input(here, '20Gi'))
  expect(actions(here)).toEqual([`CreateSnapshot ${one}`, `ModifyVolume ${one}`])
})

test('the growth that fails after it says which snapshot there is', async () => {
  const here = world({ quota: 15 })
  const error = await failureOf(grow.run(input(here, '200Gi')))
  expect(error).toMatchObject({ code: 'quota-exceeded', outcome: 'unchanged' })
  expect(JSON.stringify(error.report)).toMatch(/snap-[0-9a-f]{17}/)
})
