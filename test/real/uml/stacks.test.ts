import { join } from 'node:path'
import { expect, test } from 'vitest'
import { file } from '../../../providers/file/index.ts'
import { expand, localHost } from '../../../src/index.ts'
import { expectSound } from '../support/checks.ts'
import { run } from '../support/commands.ts'
import { expectContent, writeContent } from '../support/content.ts'
import {
  groupOn,
  luksOn,
  lvm,
  mounted,
  passphrase,
  refusalOf,
  sizeOf,
  unmounted,
  watchFor,
  withInput,
  withKey,
} from '../support/mappings.ts'
import { PartitionedDisk } from '../support/partitions.ts'
import { intactRecords, startWriter } from '../support/writer.ts'

const MiB = 2n ** 20n
const device = '/dev/mapper/stack-data'

/** GPT → LUKS2 → LVM → ext4, mounted. */
async function stack(): Promise<{ readonly disk: PartitionedDisk; readonly mountPoint: string }> {
  const disk = new PartitionedDisk(96n * MiB, ['label: gpt', 'size=8MiB', 'type=linux'])
  await disk.attach()
  const container = luksOn(disk.partition(2), { name: 'inner', type: 'luks2' })
  groupOn('stack', [container])
  lvm('lvcreate', '--quiet', '--name', 'data', '--extents', '100%FREE', 'stack')
  run('mkfs.ext4', '-q', device)
  return { disk, mountPoint: mounted(device) }
}

const luksKey = async (): Promise<Uint8Array> => new TextEncoder().encode(passphrase)

test('GPT, LUKS2, LVM and ext4 grow in one run, while a writer runs', async () => {
  const { disk, mountPoint } = await stack()
  const content = writeContent(mountPoint)
  const writer = await startWriter(join(mountPoint, 'records'))
  const seen = watchFor(passphrase)
  const request = { volume: file().volume(disk.disk.image), host: localHost(), to: '192Mi', luksKey }
  expect(await refusalOf(expand({ ...request, luksKey: async () => 'canary-that-is-wrong' }))).toMatchObject({
    ...{ layer: 'luks', outcome: 'unchanged' },
  })
  expect(disk.disk.size).toBe(96n * MiB)
  const report = await expand(request)
  expect(report.layers.map(({ kind }) => kind)).toEqual(['volume', 'device', 'partition', 'luks', 'lvm', 'filesystem'])
  expect(report.actions.map(({ layer, status }) => [layer, status])).toEqual(
    ['volume', 'device', 'partition', 'luks', 'lvm', 'filesystem'].map((layer) => [layer, 'done']),
  )
  // 9 MiB before the partition, 1 MiB behind it, 16 MiB of LUKS, 1 MiB of LVM, and whole extents of 4 MiB.
  expect(report.layers.at(-1)?.after).toBe(164n * MiB)
  expect(seen()).toEqual([])
  expect(await expand(request)).toMatchObject({ changed: false, actions: [] })
  const confirmed = await writer.stop()
  await unmounted(mountPoint)
  expectSound(device, 'ext')
  const again = mounted(device)
  expectContent(again, content)
  expect(intactRecords(join(again, 'records'))).toBeGreaterThanOrEqual(confirmed)
})

test('a run that died between LUKS and LVM is finished by the next, which asks for no key', async () => {
  const { disk, mountPoint } = await stack()
  disk.disk.resize(192n * MiB)
  run('sgdisk', '--move-second-header', disk.loop)
  withInput(', +\n', 'sfdisk', '--force', '--no-reread', '--partno', '2', disk.loop)
  run('partx', '--update', '--nr', '2', disk.loop)
  withKey('cryptsetup', 'resize', '--key-file', '-', 'inner')
  expect(sizeOf('/dev/mapper/inner')).toBeGreaterThan(160n * MiB)
  const report = await expand({ host: localHost(), path: mountPoint, to: 'fill' })
  expect(report.actions.map(({ layer }) => layer)).toEqual(['lvm', 'filesystem'])
  expect(report.layers.at(-1)?.after).toBe(164n * MiB)
})
