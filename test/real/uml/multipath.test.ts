import { expect, onTestFinished, test } from 'vitest'
import { expand, localHost } from '../../../src/index.ts'
import { attempt, run, until } from '../support/commands.ts'
import { Disk } from '../support/disk.ts'
import { loadModules, mounted, refusalOf, sizeOf } from '../support/mappings.ts'

const MiB = 2n ** 20n

/** A map as multipath-tools make it, over two loop devices of one image. multipathd itself does not run here: it needs udev, and leaves loop devices alone. */
async function map(disk: Disk): Promise<{ readonly device: string; readonly paths: readonly [string, string] }> {
  loadModules('dm-multipath', 'dm-round-robin')
  const paths = [await disk.attach(), await disk.attach()] as const
  const numbers = paths.map((path) => run('lsblk', '--nodeps', '--noheadings', '--output', 'MAJ:MIN', path).trim())
  const groups = numbers.map((number) => `round-robin 0 1 1 ${number} 1`).join(' ')
  const table = `0 ${disk.size / 512n} multipath 0 0 2 1 ${groups}`
  run('dmsetup', 'create', 'mpatha', '--noudevsync', '--uuid', 'mpath-lab', '--table', table)
  run('dmsetup', 'mknodes', 'mpatha')
  onTestFinished(async () => {
    await until('the end of the map', () => attempt('dmsetup', 'remove', '--noudevsync', 'mpatha').code === 0)
  })
  return { device: '/dev/mapper/mpatha', paths }
}

test('a map whose paths have grown is handed to multipathd, and measured: without it nothing is reported as done', async () => {
  const disk = new Disk(64n * MiB)
  const { device } = await map(disk)
  run('mkfs.ext4', '-q', device)
  const path = mounted(device)
  expect(await expand({ host: localHost(), path, to: 'fill' })).toMatchObject({ changed: false, actions: [] })
  disk.resize(128n * MiB)
  const error = await refusalOf(expand({ host: localHost(), path, to: 'fill' }))
  expect(error).toMatchObject({ layer: 'multipath', outcome: 'unchanged' })
  expect(error.message).toMatch(/multipathd/)
  expect(sizeOf(device)).toBe(64n * MiB)
})

test('a path that still shows the old size is named before anything is done', async () => {
  const disk = new Disk(64n * MiB)
  const { device, paths } = await map(disk)
  run('mkfs.ext4', '-q', device)
  const path = mounted(device)
  run('truncate', '--size', `${128n * MiB}`, disk.image)
  run('losetup', '--set-capacity', paths[0])
  const error = await refusalOf(expand({ host: localHost(), path, to: 'fill' }))
  expect(error).toMatchObject({ code: 'identity-mismatch', layer: 'multipath', outcome: 'unchanged' })
  expect(error.message).toContain(paths[1])
})
