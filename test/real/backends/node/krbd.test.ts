import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { rbd } from '../../../../providers/rbd/index.ts'
import { expand, plan } from '../../../../src/index.ts'
import type { CephLab } from '../../../lab/ceph/ceph.ts'
import { Guest } from '../../../lab/node/guest.ts'
import { hostAt } from '../../node/support/host.ts'
import { expanderFor, failureOf, grow, makeImage, mebibytes, sizeOf, stateOf } from '../rbd/images.ts'
import { sharedCeph } from '../support/ceph.ts'
import { bring, map, unmap } from './krbd.ts'

let lab: CephLab
let guest: Guest

beforeAll(async () => {
  lab = await sharedCeph()
  guest = await Guest.start()
})

afterAll(() => guest?.stop())

test('XFS on an image that the kernel has mapped, in use: grown by one call, and found by its id among others', async () => {
  const shell = await guest.shell()
  onTestFinished(() => shell.end())
  await bring(lab, guest.address)
  const spec = await makeImage(lab, { size: 384 })
  const other = await makeImage(lab, { size: 384 })
  const devices = [await map(lab, shell, other), await map(lab, shell, spec)]
  const device = devices[1] ?? ''
  onTestFinished(async () => {
    for (const each of devices) await unmap(shell, each)
  })
  await shell.run('mkfs.xfs', '-q', device)
  await shell.run('mount', '--mkdir', device, '/run/krbd')
  onTestFinished(async () => void (await shell.attempt(['umount', '/run/krbd'])))
  await shell.run('dd', 'if=/dev/urandom', 'of=/run/krbd/data', 'bs=1M', 'count=32', 'conv=fsync', 'status=none')
  const sum = await shell.run('sha256sum', '/run/krbd/data')

  const expander = expanderFor(lab)
  const { users = [], findings } = await stateOf(expander, spec)
  expect(users.map(({ description }) => description)).toEqual([expect.stringContaining("the kernel's rbd")])
  expect(findings).toEqual([])

  const host = hostAt(guest.address)
  onTestFinished(async () => void (await host.close?.()))
  const volume = rbd({ cluster: { conf: lab.conf, user: 'cinder' } }).volume(spec)
  const report = await expand({ volume, host, to: '640Mi' })
  expect(await sizeOf(lab, spec)).toBe(mebibytes(640))
  expect(await sizeOf(lab, other)).toBe(mebibytes(384))
  expect(await shell.run('blockdev', '--getsize64', device)).toBe(`${mebibytes(640)}`)
  const blocks = await shell.run('stat', '-f', '-c', '%b %S', '/run/krbd')
  const [count = 0, size = 0] = blocks.split(' ').map(Number)
  expect(count * size).toBeGreaterThan(Number(mebibytes(600)) - 64 * 2 ** 20)
  expect(await shell.run('sha256sum', '/run/krbd/data')).toBe(sum)
  expect(JSON.stringify(report)).toContain(device)

  // The path of one image with the name of the other: refused, before anything is grown.
  const wrong = rbd({ cluster: { conf: lab.conf, user: 'cinder' } }).volume(other)
  const refused = await failureOf(Promise.resolve(plan({ volume: wrong, host, path: '/run/krbd', to: '700Mi' })))
  expect(refused).toMatchObject({ code: 'identity-mismatch', outcome: 'unchanged' })

  // A growth by somebody else is seen by the device without a word from here.
  await grow(expander, spec, mebibytes(704))
  await expect
    .poll(async () => await shell.run('blockdev', '--getsize64', device), { timeout: 60_000 })
    .toBe(`${mebibytes(704)}`)
  await shell.run('umount', '/run/krbd')
  await shell.run('xfs_repair', '-n', device)
})
