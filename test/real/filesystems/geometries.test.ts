import { createHash, randomBytes } from 'node:crypto'
import * as fs from 'node:fs'
import { describe, expect, test } from 'vitest'
import { ext } from '../../../src/filesystems/ext/index.ts'
import { xfs } from '../../../src/filesystems/xfs/index.ts'
import { withScratch } from '../../filesystems/snapshot.ts'
import { extGeometries, type Geometry, xfsGeometries } from './geometries.ts'
import { blockersOf, grow, make, run, withLoop, withMount } from './growing.ts'

// ext4 as a host of the image has no files of 16 TiB; tmpfs has.
const scratchOf = ({ large }: Geometry): string | undefined => (large === true ? '/dev/shm' : undefined)
const onImages = { timeout: 600_000 }

/** Some files of random bytes, with the digest of each. */
function files(directory: string): ReadonlyMap<string, string> {
  fs.mkdirSync(directory)
  const digests = new Map<string, string>()
  for (const [index, length] of [100, 5000, 70_000, 400_000].entries()) {
    const content = randomBytes(length)
    fs.writeFileSync(`${directory}/file-${index}`, content)
    digests.set(`file-${index}`, digest(content))
  }
  return digests
}

function digest(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex')
}

describe('ext2, ext3 and ext4, offline on images', onImages, () => {
  test.each(extGeometries)('$name', async (geometry) => {
    await withScratch(async (directory) => {
      const image = `${directory}/disk.img`
      const digests = files(`${directory}/files`)
      make(geometry, image, '-d', `${directory}/files`)
      const { growth, before, after } = await grow(ext, { image }, { offline: true })
      expect(blockersOf(growth)).toEqual(geometry.refusedOffline === undefined ? [] : [geometry.refusedOffline])
      expect(after).toBe(geometry.refusedOffline === undefined ? growth.after : before)
      expect(after).toBeGreaterThanOrEqual(before)
      run('e2fsck', '-fn', image)
      for (const [name, expected] of digests) {
        run('debugfs', '-R', `dump /${name} ${directory}/${name}`, image)
        expect(digest(fs.readFileSync(`${directory}/${name}`))).toBe(expected)
      }
      // Nothing is left to do, and the tool agrees.
      if (geometry.refusedOffline === undefined) {
        expect((await grow(ext, { image }, { offline: true })).growth.commands).toEqual([])
      }
    }, scratchOf(geometry))
  })
})

describe('XFS', onImages, () => {
  // Kernels can be built without version 4; the runs in User-Mode Linux have one that is not.
  const known = xfsGeometries.filter(({ version4 }) => version4 !== true)

  test.each(known)('$name, on an image and then mounted', async (geometry) => {
    await withScratch(async (directory) => {
      const image = `${directory}/disk.img`
      make(geometry, image)
      const offline = await grow(xfs, { image }, { offline: true })
      expect(blockersOf(offline.growth)).toEqual([])
      expect(offline.after).toBe(offline.growth.after)
      run('xfs_repair', '-n', image)

      const digests = files(`${directory}/files`)
      await withLoop(image, (device) =>
        withMount(device, `${directory}/mount`, async (mountPoint) => {
          for (const name of digests.keys()) fs.copyFileSync(`${directory}/files/${name}`, `${mountPoint}/${name}`)
          fs.truncateSync(image, Number(geometry.to + 300n * 1024n * 1024n))
          run('losetup', '--set-capacity', device)
          const online = await grow(xfs, { path: mountPoint })
          expect(blockersOf(online.growth)).toEqual([])
          expect(online.after).toBe(online.growth.after)
          expect(online.after).toBeGreaterThan(offline.after)
          expect((await grow(xfs, { device })).growth.commands).toEqual([])
          for (const [name, expected] of digests)
            expect(digest(fs.readFileSync(`${mountPoint}/${name}`))).toBe(expected)
        }),
      )
      run('xfs_repair', '-n', image)
    }, scratchOf(geometry))
  })
})
