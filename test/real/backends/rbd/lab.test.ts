import { readFile } from 'node:fs/promises'
import { beforeAll, expect, test } from 'vitest'
import type { CephLab } from '../../../lab/ceph/ceph.ts'
import { sharedCeph } from '../support/ceph.ts'

let lab: CephLab

beforeAll(async () => {
  lab = await sharedCeph()
})

test('everybody who asks is given the same cluster', async () => {
  const again = await sharedCeph()
  expect(again.fsid).toBe(lab.fsid)
  expect((await lab.ceph('fsid')).trim()).toBe(lab.fsid)
})

test('the user of Cinder makes images, and the reader does not', async () => {
  const as = (user: string): readonly string[] => ['--id', user, '--size', '1M', 'volumes/lab']
  await expect(lab.rbd('create', ...as('reader'))).rejects.toThrow('Operation not permitted')
  await lab.rbd('create', ...as('cinder'))
  expect(await lab.rbd('--id', 'reader', 'ls', 'volumes')).toContain('lab')
  await lab.rbd('rm', '--no-progress', 'volumes/lab')
})

test('a frozen daemon goes on where it was', async () => {
  const state = async (): Promise<string | undefined> =>
    (await readFile(`/proc/${lab.part('osd').pid}/stat`, 'utf8')).split(') ')[1]?.[0]
  lab.freeze('osd')
  try {
    await expect.poll(state).toBe('T')
  } finally {
    lab.thaw('osd')
  }
  await expect.poll(state).not.toBe('T')
  expect(await lab.rbd('ls', 'volumes')).toBeDefined()
})
