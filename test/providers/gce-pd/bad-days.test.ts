import { afterEach, describe, expect, test } from 'vitest'
import { volumeOf } from '../../../src/expander.ts'
import { expand } from '../../../src/index.ts'
import { bytes, GiB } from '../../../src/size.ts'
import { d1, failureOf, type World, type WorldOptions, worldOf, zone } from './world.ts'

const worlds: World[] = []
afterEach(async () => {
  for (const world of worlds.splice(0)) await world.stop()
})

async function made(options: WorldOptions = {}): Promise<World> {
  const world = await worldOf(options)
  worlds.push(world)
  return world
}

const ref = { zone, disk: 'd1' }
const resizes = ({ emulator }: World): readonly number[] => emulator.mutations.flatMap(({ sizeGb }) => sizeGb ?? [])

describe('a good day', () => {
  test('a disk grows with one change, and few requests', async () => {
    const world = await made()
    const report = await world.grow(ref, '20Gi')
    expect(report.layers[0]).toMatchObject({ kind: 'volume', before: 10n * GiB, after: 20n * GiB })
    expect(world.emulator.sizeOf(d1)).toBe(20)
    expect(resizes(world)).toEqual([20])
    // Look (operations, disk, type), resize, wait, look.
    expect(world.emulator.calls.byMethod).toEqual({
      'zoneOperations.list': 1,
      'disks.get': 2,
      'diskTypes.get': 1,
      'disks.resize': 1,
      'zoneOperations.wait': 1,
    })
  })

  test('a regional disk grows', async () => {
    const world = await made({ disks: [{ name: 'r1', region: 'europe-west1', sizeGb: 200 }] })
    await world.grow({ region: 'europe-west1', disk: 'r1' }, '300Gi')
    expect(world.emulator.sizeOf('regions/europe-west1/disks/r1')).toBe(300)
    expect(world.emulator.calls.byMethod['regionOperations.wait']).toBe(1)
  })

  test('a disk that is large enough is left alone', async () => {
    const world = await made()
    await world.grow(ref, '10Gi')
    expect(world.emulator.mutations).toEqual([])
  })
})

describe('refused before anything is changed', () => {
  test('shrinking', async () => {
    const world = await made()
    const request = { size: bytes(5n * GiB), options: undefined, requestId: crypto.randomUUID() }
    await world.drive(world.expander.expand(ref, request))
    expect(world.emulator.mutations).toEqual([])
    expect(world.emulator.sizeOf(d1)).toBe(10)
  })

  test('above the limit of the disk type', async () => {
    const world = await made()
    const error = await failureOf(world.grow(ref, '65537Gi'))
    expect(error).toMatchObject({ code: 'limit-exceeded', outcome: 'unchanged' })
    expect(String(error)).toContain('validDiskSize')
    expect(world.emulator.mutations).toEqual([])
  })

  test('a limit from the table is a dated one where types may not be read', async () => {
    const world = await made({ denied: ['compute.diskTypes.get'] })
    expect(await failureOf(world.grow(ref, '65537Gi'))).toMatchObject({ code: 'dated-limit', outcome: 'unchanged' })
    await world.grow(ref, '20Gi')
    expect(world.emulator.sizeOf(d1)).toBe(20)
  })

  test('a disk that does not exist', async () => {
    const world = await made()
    expect(await failureOf(world.grow({ zone, disk: 'nope' }, '20Gi'))).toMatchObject({
      code: 'not-found',
      outcome: 'unchanged',
    })
  })

  test('a name that two zones have, without a zone', async () => {
    const other = 'europe-west1-c'
    const disks = [zone, other].map((where) => ({ name: 'd1', zone: where, sizeGb: 10 }))
    const world = await made({ disks })
    expect(() => volumeOf(world.expander, { disk: 'd1' })).toThrow(
      expect.objectContaining({ code: 'invalid-reference' }),
    )
    await world.grow({ zone: other, disk: 'd1' }, '20Gi')
    expect([world.emulator.sizeOf(d1), world.emulator.sizeOf(`zones/${other}/disks/d1`)]).toEqual([10, 20])
  })

  test.each(['CREATING', 'RESTORING', 'FAILED', 'DELETING', 'UNAVAILABLE'] as const)(
    'a disk that is %s',
    async (status) => {
      const world = await made({ disks: [{ name: 'd1', zone, sizeGb: 10, status }] })
      expect(await failureOf(world.grow(ref, '20Gi'))).toMatchObject({ code: 'wrong-state', outcome: 'unchanged' })
      expect(world.emulator.mutations).toEqual([])
    },
  )

  test.each(['compute.disks.get', 'compute.zoneOperations.list'])(
    'without %s, which the waiting needs',
    async (permission) => {
      const world = await made({ denied: [permission] })
      const error = await failureOf(world.grow(ref, '20Gi'))
      expect(error).toMatchObject({ code: 'permission-denied', outcome: 'unchanged', retryable: false })
      expect(JSON.stringify(error)).toContain(permission)
      expect(world.emulator.mutations).toEqual([])
    },
  )

  test('without the right to resize', async () => {
    const world = await made({ denied: ['compute.disks.resize'] })
    const error = await failureOf(world.grow(ref, '20Gi'))
    expect(error).toMatchObject({ code: 'permission-denied', outcome: 'unchanged' })
    expect(error).toHaveProperty('remedy', expect.stringContaining('compute.disks.resize'))
  })

  test('with credentials that have expired', async () => {
    const world = await made({ tokens: ['fresh'], token: () => 'stale-secret' })
    const error = await failureOf(world.grow(ref, '20Gi'))
    expect(error).toMatchObject({ code: 'authentication-failed', outcome: 'unchanged' })
    expect(JSON.stringify(error)).not.toContain('stale-secret')
  })

  test('above a quota', async () => {
    const world = await made({ quotas: [{ metric: 'SSD_TOTAL_GB', region: 'europe-west1', limit: 15 }] })
    const error = await failureOf(world.grow(ref, '20Gi'))
    expect(error).toMatchObject({ code: 'quota-exceeded', outcome: 'unchanged' })
    expect(String(error)).toContain('SSD_TOTAL_GB')
  })
})

describe('on the way', () => {
  test('a token that runs out is renewed once', async () => {
    let token = 'old'
    const world = await made({
      tokens: ['new'],
      token: () => {
        const given = token
        token = 'new'
        return given
      },
    })
    await world.grow(ref, '20Gi')
    expect(world.emulator.sizeOf(d1)).toBe(20)
  })

  test('credentials that expire during the growth leave it unknown, and the next run finds it', async () => {
    const world = await made({ tokens: ['token'] })
    const run = world.start(ref, '20Gi')
    const error = failureOf(world.drive(run))
    await untilAccepted(world)
    world.emulator.setTokens([])
    expect(await error).toMatchObject({ code: 'authentication-failed', outcome: 'unknown' })
    world.emulator.setTokens(undefined)
    await world.grow(ref, '20Gi')
    expect(resizes(world)).toEqual([20])
  })

  test('a right that is taken away after the change leaves it unknown', async () => {
    const world = await made()
    const error = failureOf(world.drive(world.start(ref, '20Gi')))
    await untilAccepted(world)
    world.emulator.deny('compute.zoneOperations.get', 'compute.zoneOperations.list')
    expect(await error).toMatchObject({ code: 'permission-denied', outcome: 'unknown' })
  })

  test('operations that may be listed and not got are enough', async () => {
    const world = await made({ denied: ['compute.zoneOperations.get'] })
    await world.grow(ref, '20Gi')
    expect(resizes(world)).toEqual([20])
  })

  test('waiting that returns at once becomes a loop that rests', async () => {
    const world = await made({ waitTime: 0, operationTime: 60_000 })
    await world.grow(ref, '20Gi')
    expect(world.emulator.sizeOf(d1)).toBe(20)
    expect(world.emulator.calls.byMethod['zoneOperations.wait']).toBeLessThan(40)
  })

  test('an operation that takes longer than one wait', async () => {
    const world = await made({ waitTime: 1000, operationTime: 10_000 })
    await world.grow(ref, '20Gi')
    expect(world.emulator.sizeOf(d1)).toBe(20)
  })

  test('a deadline of our own ends the waiting as unknown, and the next run joins what is under way', async () => {
    const world = await made({ operationTime: 100_000, waitTime: 1000 })
    const error = await failureOf(world.grow(ref, '20Gi', { timeouts: { backend: 30_000 } }))
    expect(error).toMatchObject({ code: 'timeout', outcome: 'unknown', retryable: true })
    await world.grow(ref, '20Gi')
    expect(resizes(world)).toEqual([20])
  })

  test.each([
    ['QUOTA_EXCEEDED', 'quota-exceeded'],
    ['REGION_QUOTA_EXCEEDED', 'quota-exceeded'],
    ['RATE_LIMIT_EXCEEDED', 'throttled'],
    ['RESOURCE_OPERATION_RATE_EXCEEDED', 'throttled'],
    ['ZONE_RESOURCE_POOL_EXHAUSTED', 'pool-full'],
    ['RESOURCE_IN_USE_BY_ANOTHER_RESOURCE', 'conflicting-change'],
    ['INVALID_USAGE', 'wrong-state'],
    ['UNSUPPORTED_OPERATION', 'wrong-state'],
    ['INTERNAL_ERROR', 'backend-failed'],
    ['SOMETHING_NEW', 'backend-failed'],
  ])('an operation that is DONE with %s is %s, and nothing grew', async (native, code) => {
    const world = await made()
    world.emulator.faults.add('disks.resize', { kind: 'operation-error', code: native, message: 'no' })
    const error = await failureOf(world.grow(ref, '20Gi'))
    expect(error).toMatchObject({ code, outcome: 'unchanged' })
    expect(String(error)).toContain(native)
    expect(world.emulator.sizeOf(d1)).toBe(10)
    // The failure was the end of that growth and not of the disk's.
    await world.grow(ref, '20Gi')
    expect(world.emulator.sizeOf(d1)).toBe(20)
  })

  test('an operation that failed before it was answered is tried again as another request', async () => {
    const world = await made({ operationTime: 0 })
    world.emulator.faults.add('disks.resize', { kind: 'operation-error', code: 'RESOURCE_OPERATION_RATE_EXCEEDED' }, 2)
    await world.grow(ref, '20Gi')
    expect(world.emulator.sizeOf(d1)).toBe(20)
    const ids = world.emulator.mutations.map(({ requestId }) => requestId)
    expect(new Set(ids).size).toBe(3)
  })

  test('rates that are exceeded are waited for, and nobody sees it', async () => {
    const world = await made({ rates: { mutate: { perMinute: 1 }, read: { perMinute: 3 }, list: { perMinute: 2 } } })
    await world.grow(ref, '20Gi')
    await world.grow(ref, '30Gi')
    expect(world.emulator.sizeOf(d1)).toBe(30)
    expect(world.emulator.calls.throttled).toBeGreaterThan(0)
    expect(resizes(world)).toEqual([20, 30])
  })

  test('throttled for a minute', async () => {
    const world = await made()
    world.emulator.faults.add('disks.resize', { kind: 'status', status: 403, reason: 'rateLimitExceeded' }, 8)
    world.emulator.faults.add(
      'disks.get',
      { kind: 'status', status: 429, reason: 'rateLimitExceeded', retryAfter: 5 },
      4,
    )
    await world.grow(ref, '20Gi')
    expect(world.emulator.sizeOf(d1)).toBe(20)
  })

  test.each([
    ['the connection breaks before the change', { kind: 'reset' }],
    ['the answer is lost after the change', { kind: 'lost-answer' }],
    ['the service answers 503', { kind: 'status', status: 503 }],
  ] as const)('%s: one change all the same', async (_name, fault) => {
    const world = await made()
    world.emulator.faults.add('disks.resize', fault, 2)
    await world.grow(ref, '20Gi')
    expect(world.emulator.sizeOf(d1)).toBe(20)
    expect(world.emulator.mutations).toHaveLength(1)
  })

  test('every answer to the change is lost: unknown, and another process joins it', async () => {
    const world = await made({ operationTime: 60_000 })
    world.emulator.faults.add('disks.resize', { kind: 'lost-answer' }, 100)
    expect(await failureOf(world.grow(ref, '20Gi'))).toMatchObject({ code: 'backend-unreachable', outcome: 'unknown' })
    const elsewhere = volumeOf(world.elsewhere(), ref)
    world.emulator.faults.clear()
    await world.drive(expand({ volume: elsewhere, to: '20Gi', clock: world.clock, random: () => 0.5 }))
    expect(world.emulator.mutations).toHaveLength(1)
    expect(world.emulator.sizeOf(d1)).toBe(20)
  })

  test('reads that break are repeated', async () => {
    const world = await made()
    world.emulator.faults.add('disks.get', { kind: 'reset' }, 2)
    world.emulator.faults.add('zoneOperations.wait', { kind: 'status', status: 502 }, 3)
    await world.grow(ref, '20Gi')
    expect(resizes(world)).toEqual([20])
  })

  test('another tool grows it further meanwhile: it stays as large as that', async () => {
    const world = await made()
    await world.state(ref)
    world.emulator.growDisk(d1, 50)
    await world.drive(
      world.expander.expand(ref, { size: bytes(20n * GiB), options: undefined, requestId: crypto.randomUUID() }),
    )
    expect(world.emulator.sizeOf(d1)).toBe(50)
    expect(world.emulator.mutations).toEqual([])
  })

  test('another tool’s change under way is waited for', async () => {
    const world = await made({ operationTime: 30_000 })
    const other = world.elsewhere()
    await world.drive(other.expand(ref, { size: bytes(15n * GiB), options: undefined, requestId: crypto.randomUUID() }))
    expect(await world.state(ref)).toMatchObject({ phase: 'growing', size: 10n * GiB })
    await world.grow(ref, '20Gi')
    expect(world.emulator.sizeOf(d1)).toBe(20)
    expect(resizes(world)).toEqual([15, 20])
  })

  test('deleted meanwhile', async () => {
    const world = await made()
    const error = failureOf(world.drive(world.start(ref, '20Gi')))
    await untilAccepted(world)
    world.emulator.removeDisk(d1)
    expect(await error).toMatchObject({ code: 'not-found', outcome: 'unknown' })
  })

  test.each(['1999-01-01T00:00:00Z', '2099-12-31T23:59:59Z'])(
    'clocks that disagree (%s) change nothing',
    async (date) => {
      const world = await made({ date: new Date(date) })
      await world.grow(ref, '20Gi')
      expect(resizes(world)).toEqual([20])
    },
  )

  test('an abort ends the waiting; the next run joins', async () => {
    const world = await made({ operationTime: 60_000 })
    const abort = new AbortController()
    const error = failureOf(world.drive(world.start(ref, '20Gi', { signal: abort.signal })))
    await untilAccepted(world)
    abort.abort(new Error('enough'))
    expect(await error).toMatchObject({ code: 'aborted', outcome: 'unknown' })
    await world.grow(ref, '20Gi')
    expect(resizes(world)).toEqual([20])
  })
})

describe('Hyperdisk', () => {
  const hyperdisk = (type: string, sizeGb: number): WorldOptions => ({ disks: [{ name: 'd1', zone, sizeGb, type }] })

  test.each([
    ['hyperdisk-balanced', 4, '5Gi', 2500],
    ['hyperdisk-balanced', 4, '20Gi', 3000],
    ['hyperdisk-extreme', 64, '65Gi', 130],
  ])('%s of %i GiB to %s needs %i IOPS in the same change', async (type, sizeGb, to, provisionedIops) => {
    const world = await made(hyperdisk(type, sizeGb))
    await world.grow(ref, to)
    expect(world.emulator.mutations).toMatchObject([{ method: 'update', provisionedIops }])
  })

  test('IOPS that suffice already are left alone', async () => {
    const world = await made(hyperdisk('hyperdisk-balanced', 10))
    await world.grow(ref, '20Gi')
    expect(world.emulator.mutations).toMatchObject([{ method: 'resize', sizeGb: 20 }])
  })

  test('IOPS that are asked for go with the size', async () => {
    const world = await made(hyperdisk('hyperdisk-balanced', 10))
    await world.grow(ref, '20Gi', { options: { iops: 5000 } })
    expect(world.emulator.mutations).toMatchObject([{ method: 'update', sizeGb: 20, provisionedIops: 5000 }])
  })

  test('IOPS that somebody lowered after they were read are found out', async () => {
    const world = await made(hyperdisk('hyperdisk-balanced', 10))
    await world.state(ref)
    world.emulator.setDisk({ name: 'd1', zone, sizeGb: 10, type: 'hyperdisk-balanced', provisionedIops: 2000 })
    const request = { size: bytes(20n * GiB), options: undefined, requestId: crypto.randomUUID() }
    await world.drive(world.expander.expand(ref, request))
    expect(world.emulator.mutations).toMatchObject([{ method: 'update', sizeGb: 20, provisionedIops: 3000 }])
  })
})

async function untilAccepted(world: World): Promise<void> {
  while (world.emulator.mutations.length === 0) await new Promise((resolve) => setImmediate(resolve))
}
