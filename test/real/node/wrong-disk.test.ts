import { expect, onTestFinished, test } from 'vitest'
import { type ErrorCode, VolumeExpansionError } from '../../../src/errors.ts'
import { type ExpandRequest, expand, type Host, plan } from '../../../src/index.ts'
import { MiB } from '../../../src/size.ts'
import { sizeOf } from '../../lab/node/guest.ts'
import { labDisk } from '../../lab/node/volume.ts'
import { failureOf } from './support/growth.ts'
import { hostAt } from './support/host.ts'
import { Node, type PluggedDisk } from './support/node.ts'

// Users forgive a refusal, never the wrong disk: whatever does not fit is refused before a byte is written to any disk and before the backend is asked for anything.

const from = 64n * MiB
const to = `${128n * MiB}`
const ext4 = ['mkfs.ext4', '-q', '-F', '-E', 'lazy_itable_init=0,lazy_journal_init=0']

interface MountedDisk {
  readonly disk: PluggedDisk
  readonly mountPoint: string
}

async function start(): Promise<{ readonly node: Node; readonly host: Host }> {
  const node = await Node.forTest()
  const host = hostAt(node.guest.address)
  onTestFinished(() => host.close?.())
  return { node, host }
}

async function mountedDisk(node: Node, serial?: string): Promise<MountedDisk> {
  const disk = await node.plug({ bus: 'virtio', size: from, ...(serial === undefined ? {} : { serial }) })
  await node.shell.run(...ext4, disk.device)
  const mountPoint = await node.mount(disk.device)
  await node.shell.run('sync', '--file-system', mountPoint)
  return { disk, mountPoint }
}

/** Sectors that were ever written to the disks, and their sizes in the backend. */
async function traceOf(node: Node, disks: readonly PluggedDisk[]): Promise<readonly string[]> {
  return Promise.all(
    disks.map(async (disk) => {
      const counts = await node.shell.run('cat', `/sys/class/block/${disk.device.replace('/dev/', '')}/stat`)
      return `${disk.device}: ${counts.split(/\s+/)[6]} sectors written, ${await sizeOf(disk)} bytes`
    }),
  )
}

async function expectRefused(
  node: Node,
  disks: readonly PluggedDisk[],
  request: ExpandRequest,
  code: ErrorCode,
): Promise<void> {
  const before = await traceOf(node, disks)
  const error = await failureOf(expand(request))
  expect({ code: error.code, outcome: error.outcome }, error.message).toEqual({ code, outcome: 'unchanged' })
  expect(error.remedy).toMatch(/\w/)
  expect(await traceOf(node, disks)).toEqual(before)
}

test('two disks with one serial', async () => {
  const { node, host } = await start()
  const serial = 'the-same-serial'
  const [one, other] = [await mountedDisk(node, serial), await mountedDisk(node, serial)]
  await expectRefused(node, [one.disk, other.disk], { volume: labDisk(one.disk), host, to }, 'ambiguous')
})

test('a path that is on another disk than the volume', async () => {
  const { node, host } = await start()
  const [one, other] = [await mountedDisk(node), await mountedDisk(node)]
  const request = { volume: labDisk(one.disk), host, path: other.mountPoint, to }
  await expectRefused(node, [one.disk, other.disk], request, 'identity-mismatch')
})

test('disks whose serials were swapped: the name fits, and the serial is that of the other one', async () => {
  const { node, host } = await start()
  const [one, other] = [await mountedDisk(node), await mountedDisk(node)]
  const swapped = labDisk({ ...one.disk, serial: other.disk.serial, byId: [`virtio-${one.disk.serial}`] })
  await expectRefused(node, [one.disk, other.disk], { volume: swapped, host, to }, 'not-found')
})

test('a stale link under by-id, which leads to another disk', async () => {
  const { node, host } = await start()
  const [one, other] = [await mountedDisk(node), await mountedDisk(node)]
  const name = `virtio-${one.disk.serial}`
  await node.shell.run('ln', '--symbolic', '--force', '--no-dereference', other.disk.device, `/dev/disk/by-id/${name}`)
  onTestFinished(async () => {
    await node.shell.run('udevadm', 'trigger', '--settle', one.disk.device)
  })
  const request = { volume: labDisk({ ...one.disk, byId: [name] }), host, to }
  await expectRefused(node, [one.disk, other.disk], request, 'not-found')
})

test('a disk that was replaced by one with its serial between plan and act', async () => {
  const { node, host } = await start()
  const serial = 'replaced-disk'
  const first = await mountedDisk(node, serial)
  const approved = await plan({ volume: labDisk(first.disk), host, to })
  expect(approved.blocked).toBe(false)
  await node.shell.run('umount', first.mountPoint)
  await node.unplug(first.disk)
  const second = await mountedDisk(node, serial)
  // The plan names the volume by the name that the first disk had in the backend: as if the backend had given it to the second one.
  const json = JSON.parse(JSON.stringify(approved).replaceAll(first.disk.name, second.disk.name))
  const before = await traceOf(node, [second.disk])
  const error = await failureOf(expand({ volume: labDisk(second.disk), host, approved: json }))
  expect(error).toBeInstanceOf(VolumeExpansionError)
  expect({ code: error.code, outcome: error.outcome }, error.message).toEqual({
    code: 'stale-plan',
    outcome: 'unchanged',
  })
  expect(await traceOf(node, [second.disk])).toEqual(before)
})
