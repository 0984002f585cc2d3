import { expect, onTestFinished, test } from 'vitest'
import { expand, type Host } from '../../../src/index.ts'
import { MiB } from '../../../src/size.ts'
import { sizeOf } from '../../lab/node/guest.ts'
import { labDisk } from '../../lab/node/volume.ts'
import { until } from '../support/commands.ts'
import { expectGrownOnNode, FilesystemInUse, failureOf } from './support/growth.ts'
import { hostAt } from './support/host.ts'
import { Node, type PluggedDisk } from './support/node.ts'

// A running multipathd, and two ways to one disk: the node is told of a new size on the first, and has to look again by itself on the second.

const from = 320n * MiB
const to = 640n * MiB

interface Map {
  readonly node: Node
  readonly host: Host
  readonly disk: PluggedDisk
  readonly paths: readonly [string, string]
  readonly device: string
}

async function map(digits: string): Promise<Map> {
  const node = await Node.forTest()
  const { shell } = node
  const host = hostAt(node.guest.address)
  onTestFinished(() => host.close?.())
  await shell.run('modprobe', '--all', 'dm-multipath', 'dm-service-time')
  await shell.run('multipathd')
  onTestFinished(async () => {
    await shell.run('multipathd', 'shutdown')
  })
  const properties = { 'share-rw': true, wwn: `0x${digits}` }
  const disk = await node.plug({ bus: 'scsi', size: from, properties })
  const second = await node.addPath(disk, { bus: 'scsi-deaf', properties })
  const device = `/dev/mapper/3${digits}`
  onTestFinished(async () => {
    // Without the paths the daemon would make the map again.
    await until('the end of the map', async () => (await shell.attempt(['multipath', '-f', device])).code === 0)
  })
  await until('a map over both paths', async () => {
    const { stdout } = await shell.attempt(['dmsetup', 'deps', '-o', 'devname', device])
    return [disk.device, second].every((path) => stdout.includes(path.replace('/dev/', '')))
  })
  await node.settled()
  return { node, host, disk, paths: [disk.device, second], device }
}

test('a map grows once both of its paths have been looked at again', async () => {
  const { node, host, disk, paths, device } = await map('5000c500a1b2c3d4')
  const filesystem = await FilesystemInUse.on(node, device, ['mkfs.xfs', '-q', '-f'])
  await expectGrownOnNode({ volume: labDisk(disk), host, path: filesystem.mountPoint, to: `${to}` }, [
    ...(['volume', 'device', 'device', 'multipath', 'filesystem'] as const),
  ])
  for (const path of paths) expect(await node.sizeOf(path), path).toBe(to)
  await filesystem.expectIntact()
})

test('a map with a path that is offline is refused before its disk grows', async () => {
  const { node, host, disk, paths, device } = await map('5000c500a1b2c3d5')
  await node.shell.run('mkfs.xfs', '-q', '-f', device)
  const path = await node.mount(device)
  const state = `/sys/class/block/${paths[1].replace('/dev/', '')}/device/state`
  await node.shell.write(state, 'offline\n')
  onTestFinished(() => node.shell.write(state, 'running\n'))
  const error = await failureOf(expand({ volume: labDisk(disk), host, path, to: `${to}` }))
  expect(error).toMatchObject({ code: 'wrong-state', layer: 'multipath', outcome: 'unchanged' })
  expect(error.message).toContain(paths[1])
  expect(await sizeOf(disk)).toBe(from)
})
