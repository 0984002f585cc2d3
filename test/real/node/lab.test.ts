import { describe, expect, test } from 'vitest'
import { expand } from '../../../src/index.ts'
import { MiB } from '../../../src/size.ts'
import { sizeOf } from '../../lab/node/guest.ts'
import { labDisk } from '../../lab/node/volume.ts'
import { until } from '../support/commands.ts'
import { expectGuestContent, writeGuestContent } from './support/content.ts'
import { Node } from './support/node.ts'
import { intactGuestRecords, startGuestWriter } from './support/writer.ts'

// What all tests on the node stand on: its disks are really grown, from outside, while they are mounted and written to.

const from = 320n * MiB
const to = 640n * MiB

describe('a disk of the node grows while it is in use', () => {
  test.each(['virtio', 'scsi'] as const)('by %s, with XFS on the whole disk', async (bus) => {
    const node = await Node.forTest()
    const { shell } = node
    const disk = await node.plug({ bus, size: from })
    await shell.run('mkfs.xfs', '-q', disk.device)
    const mountPoint = await node.mount(disk.device)
    const content = await writeGuestContent(shell, mountPoint)
    const records = `${mountPoint}/records`
    const writer = await startGuestWriter(shell, records)

    expect(await expand({ volume: labDisk(disk), to: `${to}` })).toMatchObject({ changed: true })
    expect(await sizeOf(disk)).toBe(to)
    await until('the new size in the node', async () => (await node.sizeOf(disk.device)) === to)
    await shell.run('xfs_growfs', '-d', mountPoint)

    const after = writer.confirmed()
    await until('a record after the growth', () => writer.confirmed() > after)
    const confirmed = await writer.stop()
    const blocks = await shell.run('stat', '--file-system', '--format=%b %S', mountPoint)
    const [count = 0n, size = 0n] = blocks.split(' ').map(BigInt)
    expect(count * size).toBeGreaterThan(from)
    await shell.run('umount', mountPoint)
    await shell.run('xfs_repair', '-n', disk.device)
    await shell.run('mount', disk.device, mountPoint)
    await expectGuestContent(shell, mountPoint, content)
    expect(await intactGuestRecords(shell, records)).toBeGreaterThanOrEqual(confirmed)
  })

  test('by NVMe, which the node is told of by its own kernel', async () => {
    const node = await Node.forTest()
    const disk = await node.plug({ bus: 'scsi', size: from })
    const serial = 'vol0123456789abcdef0'
    const nvme = await node.nvmeOver(disk, serial)
    expect(await node.sizeOf(nvme.device)).toBe(from)
    const names = await node.shell.run('ls', '/dev/disk/by-id')
    expect(names.split('\n')).toContain(`nvme-Amazon_Elastic_Block_Store_${serial}`)
    const { guest } = node
    await expand({
      volume: labDisk({ ...disk, serial, nvme: { address: guest.address, revalidate: nvme.revalidate } }),
      to: `${to}`,
    })
    await until('the new size of the NVMe disk', async () => (await node.sizeOf(nvme.device)) === to)
  })
})

test('the names under /dev/disk/by-id are those that clouds give', async () => {
  const node = await Node.forTest()
  await node.plug({ bus: 'virtio', size: MiB, serial: '4b645da7-8643-11e8-9' })
  await node.plug({
    ...{ bus: 'scsi', size: MiB, serial: 'persistent-disk-1' },
    properties: { vendor: 'Google', product: 'PersistentDisk', device_id: 'persistent-disk-1' },
  })
  const names = await node.shell.run('ls', '/dev/disk/by-id')
  expect(names.split('\n')).toEqual(
    expect.arrayContaining(['virtio-4b645da7-8643-11e8-9', 'scsi-0Google_PersistentDisk_persistent-disk-1']),
  )
})

test('after a reset the node has its disks, and what was on them', async () => {
  const node = await Node.forTest()
  const disk = await node.plug({ bus: 'virtio', size: from })
  await node.shell.run('mkfs.ext4', '-q', disk.device)
  await node.shell.run('sync')
  await node.guest.reset()
  const again = await Node.forTest()
  const type = await again.shell.run('blkid', '-o', 'value', '-s', 'TYPE', `/dev/disk/by-id/virtio-${disk.serial}`)
  expect(type).toBe('ext4')
})
