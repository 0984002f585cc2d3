import { expect, onTestFinished, test } from 'vitest'
import { expand } from '../../../src/index.ts'
import { GiB } from '../../../src/size.ts'
import { sizeOf } from '../../lab/node/guest.ts'
import { labDisk } from '../../lab/node/volume.ts'
import { hostAt } from './support/host.ts'
import { Node } from './support/node.ts'
import { patient } from './support/requests.ts'

// As root may write into the last blocks, nothing is left for anybody; /tmp and /var/tmp are on it.
const fillUp = `free=$(stat --file-system --format='%f * %S' "$1") && fallocate --length $(($free)) "$1/filler" 2>/dev/null
for size in 1M 64K 4K; do while head -c "$size" /dev/zero >>"$1/filler" 2>/dev/null; do :; done; done
for number in $(seq 100); do echo full >"$1/filler-$number" 2>/dev/null || break; done
sync -f "$1"; stat --file-system --format=%f "$1"`

test('the root of the node, a partition with ext4 and no free block, grows without a byte being written to it', async () => {
  const node = await Node.forTest()
  const { shell, guest } = node
  const host = hostAt(guest.address)
  onTestFinished(() => host.close?.())
  onTestFinished(async () => {
    await shell.run('sh', '-c', 'rm -f /filler*')
  })
  // What is left nobody can have: ext4 keeps 2 %, at most 4096 clusters, for itself (fs/ext4/super.c, s_resv_clusters).
  expect(Number(await shell.run('sh', '-c', fillUp, 'fill', '/'))).toBeLessThanOrEqual(4096)
  expect((await shell.attempt(['sh', '-c', 'head -c 65536 /dev/zero >/tmp/more'])).code).not.toBe(0)
  await shell.run('rm', '-f', '/tmp/more')
  await shell.run('sh', '-c', 'sync; sleep 1; touch /run/mark')

  const from = await sizeOf(guest.rootDisk)
  const report = await expand({
    volume: labDisk(guest.rootDisk),
    host,
    path: '/',
    to: `${from + GiB}`,
    timeouts: patient,
  })

  expect(report.layers.map(({ kind }) => kind)).toEqual(['volume', 'device', 'partition', 'filesystem'])
  expect(report.layers.at(-1)?.after).toBeGreaterThan(from + GiB - GiB / 50n)
  // Of the root directory itself resize2fs changes the times: it makes an empty file there, and removes it, to see whether the root is read-only (e2fsprogs, lib/ext2fs/ismounted.c).
  const touched = await shell.run(
    'find',
    '/',
    '-mindepth',
    '1',
    '-xdev',
    '-fstype',
    'ext4',
    '(',
    '-newer',
    '/run/mark',
    '-o',
    '-cnewer',
    '/run/mark',
    ')',
  )
  expect(touched).toBe('')
  await shell.run('sh', '-c', 'head -c 1048576 /dev/zero >/tmp/more && rm /tmp/more')
})
