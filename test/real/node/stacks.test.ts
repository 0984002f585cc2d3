import { expect, onTestFinished, test } from 'vitest'
import { expand, type Host, type LayerKind } from '../../../src/index.ts'
import { MiB } from '../../../src/size.ts'
import { labDisk } from '../../lab/node/volume.ts'
import { expectGrownOnNode, FilesystemInUse } from './support/growth.ts'
import { hostAt } from './support/host.ts'
import { Node } from './support/node.ts'
import { passphrase } from './support/requests.ts'
import { logicalVolumeOn, luksOn, partitionOn } from './support/stacks.ts'

// Every stack that people have on a node, grown from outside while a process writes to it: the disk by the emulator, everything on it over SSH.

const from = 320n * MiB
const to = 512n * MiB
const ext4 = ['mkfs.ext4', '-q', '-F']
const xfs = ['mkfs.xfs', '-q', '-f']

async function start(): Promise<{ readonly node: Node; readonly host: Host }> {
  const node = await Node.forTest()
  const host = hostAt(node.guest.address)
  onTestFinished(() => host.close?.())
  return { node, host }
}

test.each<{ name: string; bus: 'virtio' | 'scsi'; label?: 'gpt' | 'dos'; mkfs: string[]; kinds: LayerKind[] }>([
  { name: 'virtio-blk, XFS', bus: 'virtio', mkfs: xfs, kinds: ['volume', 'device', 'filesystem'] },
  {
    name: 'virtio-scsi, ext3',
    bus: 'scsi',
    mkfs: ['mkfs.ext3', '-q', '-F'],
    kinds: ['volume', 'device', 'filesystem'],
  },
  {
    name: 'GPT, ext4',
    bus: 'virtio',
    label: 'gpt',
    mkfs: ext4,
    kinds: ['volume', 'device', 'partition', 'filesystem'],
  },
  { name: 'MBR, ext4', bus: 'scsi', label: 'dos', mkfs: ext4, kinds: ['volume', 'device', 'partition', 'filesystem'] },
])('$name', async ({ bus, label, mkfs, kinds }) => {
  const { node, host } = await start()
  const disk = await node.plug({ bus, size: from })
  const top = label === undefined ? disk.device : await partitionOn(node, disk.device, label)
  const filesystem = await FilesystemInUse.on(node, top, mkfs)
  await expectGrownOnNode({ volume: labDisk(disk), host, path: filesystem.mountPoint, to: `${to}` }, kinds)
  await filesystem.expectIntact()
})

test('GPT, LUKS2, LVM, ext4', async () => {
  const { node, host } = await start()
  const disk = await node.plug({ bus: 'virtio', size: from })
  const partition = await partitionOn(node, disk.device, 'gpt')
  const filesystem = await FilesystemInUse.on(node, await logicalVolumeOn(node, await luksOn(node, partition)), ext4)
  await expectGrownOnNode(
    {
      ...{ volume: labDisk(disk), host, path: filesystem.mountPoint, to: `${to}` },
      luksKey: async () => passphrase,
    },
    ['volume', 'device', 'partition', 'luks', 'lvm', 'filesystem'],
  )
  await filesystem.expectIntact()
})

test('LVM on two disks, one of which grows', async () => {
  const { node, host } = await start()
  const disks = [await node.plug({ bus: 'virtio', size: from }), await node.plug({ bus: 'scsi', size: from })] as const
  const filesystem = await FilesystemInUse.on(node, await logicalVolumeOn(node, disks[0].device, disks[1].device), ext4)
  const before = await node.sizeOf(disks[0].device)
  const request = { volume: labDisk(disks[1]), host, path: filesystem.mountPoint, to: `${to}` }
  const { changed } = await expand(request)
  expect(changed).toBe(true)
  expect(await node.sizeOf(disks[0].device)).toBe(before)
  await filesystem.expectIntact()
})

test('NVMe, GPT, XFS', async () => {
  const { node, host } = await start()
  const behind = await node.plug({ bus: 'scsi', size: from })
  const nvme = await node.nvmeOver(behind, 'vol0a1b2c3d4e5f60718')
  const filesystem = await FilesystemInUse.on(node, await partitionOn(node, nvme.device, 'gpt'), xfs)
  const reference = {
    ...{ name: behind.name, qmp: behind.qmp, serial: nvme.serial },
    nvme: { address: node.guest.address, revalidate: nvme.revalidate },
  }
  await expectGrownOnNode({ volume: labDisk(reference), host, path: filesystem.mountPoint, to: `${to}` }, [
    ...(['volume', 'device', 'partition', 'filesystem'] as const),
  ])
  await filesystem.expectIntact()
})
