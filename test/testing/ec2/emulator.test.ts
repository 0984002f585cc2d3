import {
  CreateSnapshotCommand,
  DescribeSnapshotsCommand,
  DescribeVolumesCommand,
  DescribeVolumesModificationsCommand,
  EC2Client,
  ModifyVolumeCommand,
} from '@aws-sdk/client-ec2'
import { describe, expect, test } from 'vitest'
import { type Ec2Emulator, type Ec2Options, ec2Emulator, startEc2 } from '../../../src/testing/ec2/index.ts'
import { type VirtualClock, virtualClock } from '../../../src/testing/index.ts'

const one = 'vol-00000000000000001'
const two = 'vol-00000000000000002'
const hour = 3_600_000

interface World {
  readonly clock: VirtualClock
  readonly ec2: Ec2Emulator
  readonly client: EC2Client
}

function clientOf(options: object, region = 'eu-west-1', accessKeyId = 'AKIDONE'): EC2Client {
  const credentials = { accessKeyId, secretAccessKey: 'secret' }
  return new EC2Client({ region, credentials, maxAttempts: 1, ...options })
}

function world(options: Ec2Options = {}): World {
  const clock = virtualClock({ auto: true })
  const volumes = options.volumes ?? { [one]: { size: 10 }, [two]: { size: 20, type: 'gp2' as const } }
  const ec2 = ec2Emulator({ clock, ...options, volumes })
  return { clock, ec2, client: clientOf({ requestHandler: ec2.requestHandler }) }
}

const modify = (client: EC2Client, size: number, more: object = {}, id = one) =>
  client.send(new ModifyVolumeCommand({ VolumeId: id, Size: size, ...more }))

async function newest(client: EC2Client) {
  const { VolumesModifications = [] } = await client.send(new DescribeVolumesModificationsCommand({ VolumeIds: [one] }))
  return VolumesModifications.at(-1)
}

async function sizeOf(client: EC2Client): Promise<number | undefined> {
  const { Volumes = [] } = await client.send(new DescribeVolumesCommand({ VolumeIds: [one] }))
  return Volumes[0]?.Size
}

describe('a modification', () => {
  test('is modifying, then optimizing with its new size, then completed', async () => {
    const { clock, ec2, client } = world({ modifying: 2000, optimizing: hour })
    const { VolumeModification } = await modify(client, 30, { Iops: 4000, Throughput: 250 })
    expect(VolumeModification).toMatchObject({
      ...{ VolumeId: one, ModificationState: 'modifying', OriginalSize: 10, TargetSize: 30, Progress: 0 },
      ...{ OriginalIops: 3000, TargetIops: 4000, TargetThroughput: 250, StartTime: expect.any(Date) },
    })
    expect(await sizeOf(client)).toBe(10)
    await clock.advance(2000)
    expect(await newest(client)).toMatchObject({ ModificationState: 'optimizing' })
    expect(await sizeOf(client)).toBe(30)
    await clock.advance(hour / 2)
    expect((await newest(client))?.Progress).toBeGreaterThan(40)
    await clock.advance(hour / 2)
    expect(await newest(client)).toMatchObject({ ModificationState: 'completed', Progress: 100 })
    expect(ec2.accepted).toMatchObject([
      { action: 'ModifyVolume', volumeId: one, size: 30, iops: 4000, accessKeyId: 'AKIDONE' },
    ])
  })

  test('that fails leaves the volume as it was', async () => {
    const { clock, client } = world({ volumes: { [one]: { size: 10, failing: 1 } } })
    await modify(client, 30)
    await clock.advance(2000)
    expect(await newest(client)).toMatchObject({ ModificationState: 'failed', StatusMessage: expect.any(String) })
    expect(await sizeOf(client)).toBe(10)
  })

  test('is refused until the one before is completed, and after four in 24 hours', async () => {
    const { clock, client } = world({ optimizing: hour })
    for (let size = 11; size <= 14; size += 1) {
      await modify(client, size)
      await expect(modify(client, size + 1)).rejects.toMatchObject({ name: 'IncorrectModificationState' })
      await clock.advance(10_000)
      await expect(modify(client, size + 1)).rejects.toMatchObject({ name: 'IncorrectModificationState' })
      await clock.advance(hour)
    }
    await expect(modify(client, 20)).rejects.toMatchObject({ name: 'VolumeModificationRateExceeded' })
    await clock.advance(20 * hour)
    await modify(client, 20)
  })

  test('that changes nothing counts as well', async () => {
    const { clock, ec2, client } = world({ optimizing: hour })
    await modify(client, 10)
    await clock.advance(2 * hour)
    expect(ec2.accepted).toHaveLength(1)
    const { VolumesModifications } = await client.send(new DescribeVolumesModificationsCommand({ VolumeIds: [one] }))
    expect(VolumesModifications).toHaveLength(1)
  })

  test.each([
    [{ size: 9 }, {}, 'InvalidParameterValue'],
    [{ size: 65_537 }, {}, 'InvalidParameterValue'],
    [{ size: 16_385 }, { VolumeType: 'gp2' }, 'InvalidParameterValue'],
    [{ size: 100 }, { VolumeType: 'st1' }, 'InvalidParameterValue'],
    [{ size: 20 }, { VolumeType: 'gp9' }, 'UnknownVolumeType'],
    [{ size: 20 }, { VolumeType: 'gp2', Iops: 4000 }, 'InvalidParameterCombination'],
    [{ size: 20 }, { VolumeType: 'io1', Throughput: 250 }, 'InvalidParameterCombination'],
    [{ size: 20 }, { Iops: 90_000 }, 'InvalidParameterValue'],
    [{ size: 10 }, { Iops: 6000 }, 'InvalidParameterValue'],
    [{ size: 20 }, { Throughput: 1000 }, 'InvalidParameterValue'],
  ])('to %j with %j is refused as %s', async ({ size }, more, name) => {
    const { ec2, client } = world()
    await expect(modify(client, size, more)).rejects.toMatchObject({ name, $metadata: { httpStatusCode: 400 } })
    expect(ec2.accepted).toEqual([])
  })

  test('above the quota is refused', async () => {
    const { client } = world({ quota: 40, volumes: { [one]: { size: 10 }, [two]: { size: 20 } } })
    await expect(modify(client, 21)).rejects.toMatchObject({ name: 'VolumeModificationSizeLimitExceeded' })
    await modify(client, 20)
  })

  test('of a volume that a service manages, or that is in another state, is refused', async () => {
    const { client } = world({
      volumes: { [one]: { size: 10, managedBy: 'eks.amazonaws.com' }, [two]: { size: 1, status: 'error' } },
    })
    await expect(modify(client, 21)).rejects.toMatchObject({ name: 'OperationNotPermitted' })
    await expect(modify(client, 21, {}, two)).rejects.toMatchObject({ name: 'IncorrectState' })
  })
})

describe('reads', () => {
  test('one id that was never modified fails the whole call; a filter leaves it out', async () => {
    const { client } = world()
    await modify(client, 20)
    const byIds = client.send(new DescribeVolumesModificationsCommand({ VolumeIds: [one, two] }))
    await expect(byIds).rejects.toMatchObject({ name: 'InvalidVolumeModification.NotFound' })
    const Filters = [{ Name: 'volume-id', Values: [one, two] }]
    const { VolumesModifications } = await client.send(new DescribeVolumesModificationsCommand({ Filters }))
    expect(VolumesModifications).toMatchObject([{ VolumeId: one }])
    const many = Array.from({ length: 201 }, (_, index) => `vol-${index}`)
    const tooMany = client.send(
      new DescribeVolumesModificationsCommand({ Filters: [{ Name: 'volume-id', Values: many }] }),
    )
    await expect(tooMany).rejects.toMatchObject({ name: 'InvalidParameterValue' })
  })

  test('have pages, and the whole history', async () => {
    const { clock, client } = world({ optimizing: hour })
    for (let size = 11; size < 17; size += 1) {
      await modify(client, size)
      await clock.advance(7 * hour)
    }
    const sizes: (number | undefined)[] = []
    let NextToken: string | undefined
    do {
      const answer = await client.send(new DescribeVolumesModificationsCommand({ MaxResults: 5, NextToken }))
      sizes.push(...(answer.VolumesModifications ?? []).map(({ TargetSize }) => TargetSize))
      NextToken = answer.NextToken
    } while (NextToken !== undefined)
    expect(sizes).toEqual([11, 12, 13, 14, 15, 16])
  })

  test('show attachments, encryption, multi-attach and who manages a volume', async () => {
    const attachments = [{ instanceId: 'i-<&">\u0007', device: '/dev/sdf', deleteOnTermination: true }]
    const { client } = world({
      volumes: {
        [one]: { size: 8, type: 'io2', iops: 500, encrypted: true, multiAttach: true, attachments, managedBy: 'eks' },
      },
    })
    const { Volumes } = await client.send(
      new DescribeVolumesCommand({ Filters: [{ Name: 'volume-id', Values: ['vol-*'] }] }),
    )
    expect(Volumes).toMatchObject([
      {
        ...{ VolumeId: one, Size: 8, State: 'in-use', VolumeType: 'io2', Iops: 500, Encrypted: true },
        ...{ MultiAttachEnabled: true, Operator: { Managed: true, Principal: 'eks' } },
        Attachments: [{ InstanceId: 'i-<&">\uFFFD', Device: '/dev/sdf', State: 'attached', DeleteOnTermination: true }],
      },
    ])
  })

  test('lag behind when they are told to', async () => {
    const { clock, ec2, client } = world({ modifying: 1000 })
    ec2.setStaleBy(3000)
    await clock.advance(5000)
    await modify(client, 20)
    await expect(newest(client)).rejects.toMatchObject({ name: 'InvalidVolumeModification.NotFound' })
    await clock.advance(3500)
    expect(await newest(client)).toMatchObject({ ModificationState: 'modifying' })
    expect(await sizeOf(client)).toBe(10)
    expect(ec2.volume(one)).toMatchObject({ size: 20, modificationState: 'optimizing' })
  })

  test('know no volume of another region, and none that does not exist', async () => {
    const { ec2, client } = world()
    const elsewhere = clientOf({ requestHandler: ec2.requestHandler }, 'us-east-1')
    await expect(sizeOf(elsewhere)).rejects.toMatchObject({ name: 'InvalidVolume.NotFound' })
    await expect(modify(client, 5, {}, 'vol-0ffffffffffffffff')).rejects.toMatchObject({
      name: 'InvalidVolume.NotFound',
    })
    await expect(modify(client, 5, {}, 'disk')).rejects.toMatchObject({ name: 'InvalidParameterValue' })
  })
})

describe('trouble', () => {
  test('a lost answer is a change that was accepted; a reset is none', async () => {
    const { ec2, client } = world()
    ec2.trouble('ModifyVolume', 'reset')
    await expect(modify(client, 20)).rejects.toMatchObject({ code: 'ECONNRESET' })
    expect(ec2.accepted).toHaveLength(0)
    ec2.trouble('ModifyVolume', 'lost')
    await expect(modify(client, 20)).rejects.toMatchObject({ code: 'ECONNRESET' })
    expect(ec2.accepted).toHaveLength(1)
  })

  test('errors, denials, sessions that have expired, and dry runs', async () => {
    const { ec2, client } = world()
    ec2.trouble('DescribeVolumes', { code: 'InternalError', status: 500 })
    await expect(sizeOf(client)).rejects.toMatchObject({ name: 'InternalError', $metadata: { httpStatusCode: 500 } })
    ec2.deny('ModifyVolume')
    await expect(modify(client, 20)).rejects.toMatchObject({ name: 'UnauthorizedOperation' })
    await expect(modify(client, 20, { DryRun: true })).rejects.toMatchObject({ name: 'UnauthorizedOperation' })
    ec2.allow('ModifyVolume')
    await expect(modify(client, 20, { DryRun: true })).rejects.toMatchObject({
      ...{ name: 'DryRunOperation', $metadata: { httpStatusCode: 412 } },
    })
    ec2.expire('AKIDONE')
    await expect(modify(client, 20)).rejects.toMatchObject({ name: 'RequestExpired' })
    expect(ec2.accepted).toEqual([])
  })

  test('every action has the bucket that is documented for it', async () => {
    const { clock, ec2, client } = world({ throttles: {} })
    const burst = async (count: number, send: () => Promise<unknown>): Promise<number> => {
      const results = await Promise.allSettled(Array.from({ length: count }, send))
      return results.filter(({ status }) => status === 'fulfilled').length
    }
    expect(await burst(60, () => sizeOf(client))).toBe(50)
    const Filters = [{ Name: 'volume-id', Values: [one] }]
    expect(await burst(110, () => client.send(new DescribeVolumesCommand({ Filters })))).toBe(100)
    expect(
      await burst(60, () => modify(client, 1).catch(({ name }) => expect(name).toBe('InvalidParameterValue'))),
    ).toBe(50)
    await clock.advance(1000)
    expect(await burst(30, () => client.send(new DescribeVolumesCommand({ Filters })))).toBe(20)
    expect(ec2.calls('AKIDONE')).toMatchObject({ throttled: 40, byAction: { ModifyVolume: 60 } })
  })
})

test('snapshots are pending, then completed, and can be found by their tags', async () => {
  const { clock, client } = world({ snapshotTime: 4000 })
  const TagSpecifications = [{ ResourceType: 'snapshot' as const, Tags: [{ Key: 'Name', Value: 'before' }] }]
  const made = await client.send(new CreateSnapshotCommand({ VolumeId: one, TagSpecifications }))
  expect(made).toMatchObject({ State: 'pending', VolumeSize: 10, Progress: '0%' })
  await clock.advance(2000)
  const Filters = [{ Name: 'tag:Name', Values: ['before'] }]
  const { Snapshots } = await client.send(new DescribeSnapshotsCommand({ Filters }))
  expect(Snapshots).toMatchObject([{ SnapshotId: made.SnapshotId, State: 'pending', Progress: '50%' }])
  await clock.advance(2000)
  const again = await client.send(new DescribeSnapshotsCommand({ SnapshotIds: [`${made.SnapshotId}`] }))
  expect(again.Snapshots?.[0]?.State).toBe('completed')
  const missing = client.send(new DescribeSnapshotsCommand({ SnapshotIds: ['snap-0'] }))
  await expect(missing).rejects.toMatchObject({ name: 'InvalidSnapshot.NotFound' })
})

test('over a real connection it is the same', async () => {
  const ec2 = await startEc2({ volumes: { [one]: { size: 10 } }, modifying: 0 })
  try {
    const client = clientOf({ endpoint: ec2.url })
    expect(await sizeOf(client)).toBe(10)
    ec2.trouble('ModifyVolume', 'lost')
    await expect(modify(client, 12)).rejects.toMatchObject({ code: 'ECONNRESET' })
    expect(await sizeOf(client)).toBe(12)
    await expect(modify(client, 13)).rejects.toMatchObject({ name: 'IncorrectModificationState' })
    expect(ec2.accepted).toHaveLength(1)
    client.destroy()
  } finally {
    await ec2.stop()
  }
})
