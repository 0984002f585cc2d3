import { describe, expect, test } from 'vitest'
import type { DeviceHints } from '../../../src/hints.ts'
import { locate } from '../../../src/hosts/storage/locate.ts'
import type { FileStats, StorageSource } from '../../../src/hosts/storage/source.ts'
import { View } from '../../../src/hosts/storage/view.ts'

/** What krbd shows of an image that it has mapped. */
interface Mapped {
  readonly pool: string
  readonly pool_ns: string
  readonly name: string
  readonly image_id: string
  readonly cluster_fsid: string
  readonly current_snap: string
}

const image: Mapped = {
  ...{ pool: 'volumes', pool_ns: '', name: 'data', image_id: '10ab' },
  ...{ cluster_fsid: 'one-cluster', current_snap: '-' },
}

/** A machine with nothing but these disks, in sysfs alone. */
function machineWith(disks: readonly Mapped[]): StorageSource {
  const texts = new Map<string, string>()
  disks.forEach((disk, index) => {
    texts.set(`/sys/block/rbd${index}/dev`, `251:${index}\n`)
    const directory = `/sys/dev/block/251:${index}`
    texts.set(`${directory}/uevent`, `DEVNAME=rbd${index}\n`)
    texts.set(`${directory}/size`, '2048\n')
    for (const [name, value] of Object.entries(disk)) texts.set(`${directory}/device/${name}`, `${value}\n`)
  })
  const list = (path: string): readonly string[] => {
    const below = [...texts.keys()].filter((each) => each.startsWith(`${path}/`))
    return [...new Set(below.map((each) => each.slice(path.length + 1).split('/')[0] ?? ''))]
  }
  const node = (path: string): FileStats | undefined => {
    const index = /^\/dev\/rbd(\d+)$/.exec(path)?.[1]
    if (index === undefined) return undefined
    return {
      type: 'block',
      dev: '0:5',
      rdev: `251:${index}`,
      ino: 1n,
      size: 0n,
      mode: 0o660,
      uid: 0,
      gid: 0,
    } as FileStats
  }
  const source: Partial<StorageSource> = { text: (path) => texts.get(path), list, node }
  return source as StorageSource
}

async function found(disks: readonly Mapped[], hints: DeviceHints): Promise<readonly string[]> {
  const located = await locate({ hints }, new View(machineWith(disks)))
  return located.found.map(({ path }) => path)
}

describe('a device by its attributes', () => {
  const attributes = {
    'device/pool': 'volumes',
    'device/image_id': '10ab',
    'device/cluster_fsid': 'one-cluster',
    'device/current_snap': '-',
  }

  test('is the one that has all of them', async () => {
    const others: Mapped[] = [
      { ...image, cluster_fsid: 'another-cluster' },
      { ...image, image_id: '10ac' },
      { ...image, pool: 'backups' },
      { ...image, current_snap: 'before' },
    ]
    expect(await found([...others, image], { attributes })).toEqual(['/dev/rbd4'])
    expect(await found(others, { attributes })).toEqual([])
  })

  test('is every one of several, so that nobody guesses', async () => {
    expect(await found([image, image], { attributes })).toEqual(['/dev/rbd0', '/dev/rbd1'])
  })

  test('may have an attribute that is empty, and has to have one that is asked for', async () => {
    expect(await found([image], { attributes: { ...attributes, 'device/pool_ns': '' } })).toEqual(['/dev/rbd0'])
    expect(await found([image], { attributes: { ...attributes, 'device/wwid': '' } })).toEqual([])
  })

  test('is nothing when nothing is asked for', async () => {
    expect(await found([image], { attributes: {} })).toEqual([])
    expect(await found([image], {})).toEqual([])
  })
})
