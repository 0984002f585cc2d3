import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { type ComputeEmulator, type ComputeOptions, startCompute } from '../../../src/testing/compute/index.ts'
import { virtualClock } from '../../../src/testing/index.ts'
import type { OfficialClients } from './official-client.ts'

// The official client takes seconds to load, and much longer on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 120_000 })

let connect: (port: number, project: string) => OfficialClients
beforeAll(async () => {
  connect = (await import('./official-client.ts')).officialClients
})

const emulators: ComputeEmulator[] = []
afterEach(async () => {
  for (const emulator of emulators.splice(0)) await emulator.stop()
})

const zone = 'us-central1-a'
const at = { project: 'test-project', zone }
const d1 = `zones/${zone}/disks/d1`

async function made(
  options: ComputeOptions = {},
): Promise<{ readonly emulator: ComputeEmulator; readonly clients: OfficialClients }> {
  const emulator = await startCompute({ disks: [{ name: 'd1', zone, sizeGb: 10 }], ...options })
  emulators.push(emulator)
  return { emulator, clients: connect(emulator.port, emulator.project) }
}

interface Accepted {
  readonly latestResponse: { readonly name: string; readonly status: string }
}

async function resize(
  { disks }: OfficialClients,
  sizeGb: string,
  requestId: string = crypto.randomUUID(),
): Promise<string> {
  const [accepted] = await disks.resize({ ...at, disk: 'd1', requestId, disksResizeRequestResource: { sizeGb } })
  return (accepted as unknown as Accepted).latestResponse.name
}

async function failure(
  promise: Promise<unknown>,
): Promise<{ readonly status: unknown; readonly reason: unknown; readonly message: string }> {
  const error: unknown = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof Error)) throw new Error('It was expected to fail.')
  const body = error.message.startsWith('{') ? JSON.parse(error.message).error : undefined
  return { status: Reflect.get(error, 'code'), reason: body?.errors[0].reason, message: body?.message ?? error.message }
}

describe('through the official client', () => {
  test('a resize is RUNNING until its time is over, and the size changes only then', async () => {
    const clock = virtualClock()
    const { clients, emulator } = await made({ clock, operationTime: 5000 })
    const operation = await resize(clients, '20')
    const [running] = await clients.zoneOperations.get({ ...at, operation })
    expect(running).toMatchObject({ status: 'RUNNING', operationType: 'resizeDisk', progress: 0 })
    expect((await clients.disks.get({ ...at, disk: 'd1' }))[0]).toMatchObject({ status: 'READY', sizeGb: '10' })
    await clock.advance(5000)
    expect((await clients.zoneOperations.get({ ...at, operation }))[0]).toMatchObject({ status: 'DONE' })
    expect((await clients.disks.get({ ...at, disk: 'd1' }))[0]).toMatchObject({ sizeGb: '20' })
    expect(emulator.mutations).toMatchObject([{ method: 'resize', disk: d1, sizeGb: 20 }])
  })

  test('wait returns at DONE, after its own time, or at once', async () => {
    const done = await made({ operationTime: 50 })
    const operation = await resize(done.clients, '20')
    expect((await done.clients.zoneOperations.wait({ ...at, operation }))[0].status).toBe('DONE')
    const short = await made({ operationTime: 3_600_000, waitTime: 10 })
    const long = await resize(short.clients, '20')
    expect((await short.clients.zoneOperations.wait({ ...at, operation: long }))[0].status).toBe('RUNNING')
    const none = await made({ operationTime: 3_600_000, waitTime: 0 })
    const never = await resize(none.clients, '20')
    expect((await none.clients.zoneOperations.wait({ ...at, operation: never }))[0].status).toBe('RUNNING')
  })

  test('one requestId is one change', async () => {
    const { clients, emulator } = await made()
    const id = crypto.randomUUID()
    expect(await resize(clients, '20', id)).toBe(await resize(clients, '20', id))
    expect(emulator.mutations).toHaveLength(1)
    expect(await failure(resize(clients, '30', 'no uuid'))).toMatchObject({ status: 400, reason: 'invalid' })
    expect(await failure(resize(clients, '30', '00000000-0000-0000-0000-000000000000'))).toMatchObject({ status: 400 })
  })

  test('smaller, the same, and too large are refused; a change under way excludes the next', async () => {
    const { clients } = await made({ operationTime: 3_600_000 })
    for (const size of ['5', '10', '65537'])
      expect(await failure(resize(clients, size))).toMatchObject({ status: 400, reason: 'invalid' })
    await resize(clients, '20')
    expect(await failure(resize(clients, '30'))).toMatchObject({ status: 400, reason: 'resourceNotReady' })
  })

  test('an operation that is DONE with an error does not throw', async () => {
    const { clients, emulator } = await made()
    emulator.faults.add('disks.resize', { kind: 'operation-error', code: 'QUOTA_EXCEEDED', message: 'no more' })
    const operation = await resize(clients, '20')
    const [ended] = await clients.zoneOperations.get({ ...at, operation })
    expect(ended).toMatchObject({ status: 'DONE', error: { errors: [{ code: 'QUOTA_EXCEEDED', message: 'no more' }] } })
    expect(emulator.sizeOf(d1)).toBe(10)
  })

  test('lists have pages and filters', async () => {
    const names = ['a1', 'a2', 'a3', 'b1', 'b2']
    const { clients, emulator } = await made({ disks: names.map((name) => ({ name, zone, sizeGb: 10 })), pageSize: 2 })
    const listed = async (filter?: string): Promise<readonly unknown[]> =>
      (await clients.disks.list({ ...at, ...(filter === undefined ? {} : { filter }) }))[0].map(({ name }) => name)
    expect(await listed()).toEqual(names)
    expect(emulator.calls.byMethod['disks.list']).toBe(3)
    expect(await listed('name eq (a1|b2|c3)')).toEqual(['a1', 'b2'])
    expect(await listed('name eq a.*')).toEqual(['a1', 'a2', 'a3'])
    expect(await listed('name ne a.*')).toEqual(['b1', 'b2'])
    expect(await listed('(name = "a1") OR (name = "b1")')).toEqual(['a1', 'b1'])
    expect(await listed('(status = READY) (name != "a1")')).toEqual(['a2', 'a3', 'b1', 'b2'])
    expect(await failure(clients.disks.list({ ...at, filter: 'name ~ x' }))).toMatchObject({
      status: 400,
      reason: 'invalid',
    })
  })

  test('disks of all places, types, instances and regional disks', async () => {
    const disks = [
      { name: 'd1', zone, sizeGb: 10, attachments: [{ instance: 'vm', deviceName: 'data' }] },
      { name: 'r1', region: 'us-central1', sizeGb: 10 },
    ]
    const { clients } = await made({ disks })
    const scopes: string[] = []
    for await (const [scope, { disks: found = [] }] of clients.disks.aggregatedListAsync({ project: at.project })) {
      if (found !== null && found.length > 0) scopes.push(scope)
    }
    expect(scopes).toEqual([`zones/${zone}`, 'regions/us-central1'])
    expect((await clients.diskTypes.get({ ...at, diskType: 'pd-balanced' }))[0].validDiskSize).toBe('10GB-65536GB')
    expect((await clients.instances.get({ ...at, instance: 'vm' }))[0].disks).toMatchObject([
      { deviceName: 'data', interface: 'SCSI' },
    ])
    const region = { project: at.project, region: 'us-central1' }
    await clients.regionDisks.resize({ ...region, disk: 'r1', regionDisksResizeRequestResource: { sizeGb: 20 } })
    expect((await clients.regionDisks.get({ ...region, disk: 'r1' }))[0].sizeGb).toBe('20')
    expect((await clients.regionOperations.list(region))[0]).toHaveLength(1)
  })

  test('Hyperdisk needs its IOPS with its size', async () => {
    const { clients } = await made({ disks: [{ name: 'd1', zone, sizeGb: 64, type: 'hyperdisk-extreme' }] })
    const refused = await failure(resize(clients, '65'))
    expect(refused).toMatchObject({ status: 400, message: 'Requested provisioned IOPS cannot be smaller than 130.' })
    const diskResource = { name: 'd1', sizeGb: '65', provisionedIops: '130' }
    await clients.disks.update({ ...at, disk: 'd1', updateMask: 'sizeGb,provisionedIops', diskResource })
    expect((await clients.disks.get({ ...at, disk: 'd1' }))[0]).toMatchObject({ sizeGb: '65', provisionedIops: '130' })
    expect(await failure(clients.disks.update({ ...at, disk: 'd1', diskResource }))).toMatchObject({ status: 400 })
  })

  test('snapshots', async () => {
    const clock = virtualClock()
    const { clients } = await made({ clock, operationTime: 1000 })
    await clients.disks.createSnapshot({ ...at, disk: 'd1', snapshotResource: { name: 's1' } })
    expect((await clients.snapshots.get({ project: at.project, snapshot: 's1' }))[0].status).toBe('CREATING')
    await clock.advance(1000)
    expect((await clients.snapshots.get({ project: at.project, snapshot: 's1' }))[0]).toMatchObject({
      status: 'READY',
      diskSizeGb: '10',
    })
    const again = clients.disks.createSnapshot({ ...at, disk: 'd1', snapshotResource: { name: 's1' } })
    expect(await failure(again)).toMatchObject({ status: 409, reason: 'alreadyExists' })
  })

  test('denials name the permission, quotas the metric, and what is missing its path', async () => {
    const quotas = [{ metric: 'SSD_TOTAL_GB', region: 'us-central1', limit: 15 }] as const
    const { clients, emulator } = await made({ denied: ['compute.disks.resize'], quotas })
    const denied = await failure(resize(clients, '20'))
    expect(denied).toMatchObject({
      status: 403,
      reason: 'forbidden',
      message: expect.stringContaining('compute.disks.resize'),
    })
    emulator.allow('compute.disks.resize')
    expect(await failure(resize(clients, '20'))).toMatchObject({
      status: 403,
      reason: 'quotaExceeded',
      message: expect.stringContaining('SSD_TOTAL_GB'),
    })
    expect(await failure(clients.disks.get({ ...at, disk: 'nope' }))).toMatchObject({ status: 404, reason: 'notFound' })
    expect(await failure(clients.disks.get({ ...at, project: 'other', disk: 'd1' }))).toMatchObject({ status: 404 })
    emulator.setTokens(['secret'])
    expect(await failure(clients.disks.get({ ...at, disk: 'd1' }))).toMatchObject({ status: 401 })
  })

  test('rates: fixed minutes, and token buckets', async () => {
    const clock = virtualClock()
    const rates = { read: { perMinute: 2 }, list: { burst: 1, perSecond: 1 } }
    const { clients, emulator } = await made({ clock, rates })
    const get = (): Promise<unknown> => clients.disks.get({ ...at, disk: 'd1' })
    const list = (): Promise<unknown> => clients.disks.list(at)
    await get()
    await get()
    expect(await failure(get())).toMatchObject({ status: 403, reason: 'rateLimitExceeded' })
    await list()
    expect(await failure(list())).toMatchObject({ status: 403, reason: 'rateLimitExceeded' })
    await clock.advance(1000)
    await list()
    expect(await failure(get())).toMatchObject({ status: 403 })
    await clock.advance(60_000)
    await get()
    expect(emulator.calls.throttled).toBe(3)
  })

  test('5xx, resets, and answers that are lost after the change', async () => {
    const { clients, emulator } = await made()
    emulator.faults.add('disks.resize', { kind: 'status', status: 503 })
    expect(await failure(resize(clients, '20'))).toMatchObject({ status: 503 })
    emulator.faults.add('disks.resize', { kind: 'reset' })
    await failure(resize(clients, '20'))
    expect(emulator.mutations).toEqual([])
    emulator.faults.add('disks.resize', { kind: 'lost-answer' })
    await failure(resize(clients, '20'))
    expect(emulator.mutations).toHaveLength(1)
    expect(emulator.sizeOf(d1)).toBe(20)
  })
})

test('what is not emulated says so', async () => {
  const { emulator } = await made()
  const answer = await fetch(`${emulator.url}/compute/v1/projects/test-project/zones/${zone}/machineTypes`)
  expect(answer.status).toBe(404)
  expect(await answer.text()).toContain('is not emulated')
  expect(
    (await fetch(`${emulator.url}/compute/v1/projects/test-project/${d1}/resize`, { method: 'POST', body: '{' }))
      .status,
  ).toBe(400)
  await emulator.stop()
  await emulator.stop()
})
