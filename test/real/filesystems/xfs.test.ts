import { spawn } from 'node:child_process'
import { once } from 'node:events'
import * as fs from 'node:fs'
import * as os from 'node:os'
import { describe, expect, test } from 'vitest'
import { resizerCases } from '../../../src/conformance/resizers.ts'
import { xfs } from '../../../src/filesystems/xfs/index.ts'
import { localHost } from '../../../src/hosts/local/index.ts'
import { bytes, GiB, KiB, MiB } from '../../../src/size.ts'
import { withScratch } from '../../filesystems/snapshot.ts'
import { blockersOf, carryOut, grow, look, lookAtOwn, make, resize, run, withLoop, withMount } from './growing.ts'

const geometry = { name: 'xfs', mkfs: ['mkfs.xfs', '-q', '-f'], from: 320n * MiB, to: GiB }

/** A process in a mount namespace of its own that has the device mounted there, and nowhere else. */
async function mountElsewhere<Value>(device: string, type: string, use: () => Promise<Value>): Promise<Value> {
  const script = 'mount -t "$2" "$1" /mnt && echo ready && exec sleep 300'
  const child = spawn('unshare', ['--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', device, type], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  try {
    await once(child.stdout, 'data')
    return await use()
  } finally {
    child.kill()
    await once(child, 'exit')
  }
}

function mountTable(): string {
  return fs.readFileSync('/proc/self/mountinfo', 'utf8')
}

describe('XFS on this kernel', () => {
  test('an offline growth leaves no mount, no loop device and no trace in the mount table behind', async () => {
    await withScratch(async (directory) => {
      const image = `${directory}/it's a "disk" $(touch x)\n?=.img`
      make(geometry, image)
      const mounts = mountTable()
      const { growth, after } = await grow(xfs, { image }, { offline: true })
      expect(growth.commands).toHaveLength(1)
      expect(after).toBe(GiB)
      expect(mountTable()).toBe(mounts)
      expect(run('losetup', '--associated', image)).toBe('')
      run('xfs_repair', '-n', image)
    })
  })

  test('a filesystem without a free block grows, online and offline', async () => {
    await withScratch(async (directory) => {
      const image = `${directory}/disk.img`
      make({ ...geometry, to: 330n * MiB }, image)
      const fill = async (mountPoint: string): Promise<void> => {
        const file = fs.openSync(`${mountPoint}/${fs.readdirSync(mountPoint).length}`, 'w')
        const chunk = new Uint8Array(Number(MiB))
        try {
          for (;;) fs.writeSync(file, chunk)
        } catch (error) {
          expect(error).toMatchObject({ code: 'ENOSPC' })
        } finally {
          fs.closeSync(file)
        }
      }
      await withLoop(image, (device) =>
        withMount(device, `${directory}/mount`, async (mountPoint) => {
          await fill(mountPoint)
          const { growth, after } = await grow(xfs, { path: mountPoint })
          expect(after).toBe(growth.after)
          await fill(mountPoint)
        }),
      )
      resize(image, 400n * MiB)
      const { after } = await grow(xfs, { image }, { offline: true })
      expect(after).toBe(400n * MiB)
      run('xfs_repair', '-n', image)
    })
  })

  test('a mounted filesystem is measured by the kernel, where its superblock on the device is out of date', async () => {
    await withScratch(async (directory) => {
      const image = `${directory}/disk.img`
      make(geometry, image)
      await withLoop(image, (device) =>
        withMount(device, `${directory}/mount`, async () => {
          await grow(xfs, { device })
          const { device: seen, snapshot } = await look({ device })
          expect(xfs.measure(seen, snapshot)).toMatchObject({ size: GiB, facts: { measuredBy: 'kernel' } })
          const unmounted = { ...seen, mounts: [] }
          expect(xfs.measure(unmounted, snapshot).size).toBeLessThanOrEqual(GiB)
        }),
      )
    })
  })

  test('a filesystem of which only a directory is mounted grows by a private mount of its root', async () => {
    await withScratch(async (directory) => {
      const image = `${directory}/disk.img`
      make(geometry, image)
      await withLoop(image, async (device) => {
        const [whole, part] = [`${directory}/whole`, `${directory}/part of it`]
        fs.mkdirSync(whole)
        fs.mkdirSync(part)
        run('mount', device, whole)
        fs.mkdirSync(`${whole}/sub`)
        run('mount', '--bind', `${whole}/sub`, part)
        run('umount', whole)
        try {
          const mounts = mountTable()
          const { growth, after } = await grow(xfs, { path: part })
          expect(growth.commands[0]?.exec[0]).toBe('unshare')
          expect(after).toBe(GiB)
          expect(mountTable()).toBe(mounts)
        } finally {
          run('umount', part)
        }
      })
    })
  })

  test('a filesystem that is mounted only in another mount namespace grows there, online', async () => {
    await withScratch(async (directory) => {
      const image = `${directory}/disk.img`
      make(geometry, image)
      await withLoop(image, async (device) => {
        await mountElsewhere(device, 'xfs', async () => {
          const { device: seen, snapshot } = await look({ device })
          const growth = xfs.grow(seen, snapshot, { available: seen.size, offline: false })
          expect(blockersOf(growth)).toEqual([])
          expect(growth.findings).toMatchObject([{ code: 'mounted-elsewhere', severity: 'note' }])
          for (const result of await carryOut(growth)) expect(result).toMatchObject({ ok: true })
        })
        const { device: seen, snapshot } = await look({ device })
        expect(xfs.measure(seen, snapshot).size).toBe(GiB)
      })
    })
  })

  test('a clone with the UUID of a mounted filesystem grows', async () => {
    await withScratch(async (directory) => {
      const [image, clone] = [`${directory}/disk.img`, `${directory}/clone.img`]
      make(geometry, image)
      fs.copyFileSync(image, clone)
      await withLoop(image, (device) =>
        withMount(device, `${directory}/mount`, async () => {
          const { after } = await grow(xfs, { image: clone }, { offline: true })
          expect(after).toBe(GiB)
        }),
      )
    })
  })

  test('a log that was not written back is replayed by the growth', async () => {
    await withScratch(async (directory) => {
      const [image, crashed] = [`${directory}/disk.img`, `${directory}/crashed.img`]
      make(geometry, image)
      await withLoop(image, (device) =>
        withMount(device, `${directory}/mount`, async (mountPoint) => {
          fs.writeFileSync(`${mountPoint}/file`, 'kept')
          run('sync', '-f', mountPoint)
          run('cp', '--sparse=always', image, crashed)
        }),
      )
      const { after } = await grow(xfs, { image: crashed }, { offline: true })
      expect(after).toBe(GiB)
      run('xfs_repair', '-n', crashed)
    })
  })

  test('a mount point that something else covers by now is not grown', async () => {
    await withScratch(async (directory) => {
      const [image, other] = [`${directory}/disk.img`, `${directory}/other.img`]
      make(geometry, image)
      make(geometry, other)
      await withLoop(image, (device) =>
        withMount(device, `${directory}/mount`, async (mountPoint) => {
          const { device: seen, snapshot } = await lookAtOwn({ device })
          const growth = xfs.grow(seen, snapshot, { available: seen.size, offline: false })
          await withLoop(other, (covering) =>
            withMount(covering, mountPoint, async () => {
              await expect(carryOut(growth)).rejects.toThrow()
              const { blocks, bsize } = fs.statfsSync(mountPoint)
              expect(BigInt(blocks * bsize)).toBeLessThan(geometry.from)
            }),
          )
        }),
      )
    })
  })

  test('what the kernel says of a read-only mount and of a truncated device was foreseen', async () => {
    await withScratch(async (directory) => {
      const image = `${directory}/disk.img`
      make(geometry, image)
      await withLoop(image, async (device) => {
        await withMount(
          device,
          `${directory}/mount`,
          async () => {
            const { device: seen, snapshot } = await look({ device })
            const growth = xfs.grow(seen, snapshot, { available: seen.size, offline: false })
            expect(blockersOf(growth)).toEqual(['read-only'])
            expect(growth.commands).toEqual([])
          },
          '-o',
          'ro',
        )
      })
      resize(image, geometry.from - 64n * KiB)
      const { growth } = await grow(xfs, { image }, { offline: true })
      expect(blockersOf(growth)).toEqual(['filesystem-larger-than-device'])
    })
  })
})

describe('the contract of resizers', () => {
  const cases = resizerCases({
    resizer: xfs,
    host: localHost(),
    from: bytes(320n * MiB),
    to: GiB,
    async makeImage(size) {
      const path = `${fs.mkdtempSync(`${os.tmpdir()}/volume-expander-`)}/disk.img`
      make({ ...geometry, from: size, to: size }, path)
      return path
    },
    async setSize(path, size) {
      resize(path, size)
    },
    async realSize(path) {
      const text = run('xfs_db', '-r', '-c', 'sb 0', '-c', 'print dblocks blocksize', path)
      const [blocks, blockSize] = [/dblocks = (\d+)/.exec(text)?.[1], /blocksize = (\d+)/.exec(text)?.[1]]
      return bytes(BigInt(blocks ?? -1) * BigInt(blockSize ?? 1))
    },
    async removeImage(path) {
      fs.rmSync(path.slice(0, path.lastIndexOf('/')), { recursive: true })
    },
  })

  test.each(cases.map((each) => ({ ...each })))('$name', (each) => each.run())
})
