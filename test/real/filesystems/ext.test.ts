import * as fs from 'node:fs'
import { describe, expect, test } from 'vitest'
import { ext } from '../../../src/filesystems/ext/index.ts'
import { localHost } from '../../../src/hosts/local/index.ts'
import { GiB, KiB, MiB } from '../../../src/size.ts'
import { withScratch } from '../../filesystems/snapshot.ts'
import { blockersOf, carryOut, grow, look, lookAtOwn, make, resize, run, withLoop, withMount } from './growing.ts'

const geometry = { name: 'ext4', mkfs: ['mkfs.ext4', '-q', '-F'], from: 64n * MiB, to: 200n * MiB }
const offline = { offline: true }
const checked = ['e2fsck', 'resize2fs']

function programs(commands: readonly { readonly exec: readonly string[] }[]): readonly (string | undefined)[] {
  return commands.map(({ exec }) => exec[0])
}

describe('ext4 offline on this kernel', () => {
  test('one that was mounted since its last check is checked and grown', async () => {
    await withScratch(async (directory) => {
      const image = `${directory}/disk.img`
      make(geometry, image)
      await withLoop(image, async (device) => {
        // Times in the superblock are of whole seconds.
        await new Promise((resolve) => setTimeout(resolve, 1100))
        await withMount(device, `${directory}/mount`, async () => {})
        const { growth, after } = await grow(ext, { device }, offline)
        expect(programs(growth.commands)).toEqual(checked)
        expect(after).toBe(geometry.to)
        run('e2fsck', '-fn', device)
      })
    })
  })

  test('a journal that was not written back is replayed, and what e2fsck corrects is no failure', async () => {
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
      const { growth, after } = await grow(ext, { image: crashed }, offline)
      expect(programs(growth.commands)).toEqual(checked)
      expect(after).toBe(geometry.to)
      run('e2fsck', '-fn', crashed)
      expect(run('debugfs', '-R', 'cat /file', crashed)).toBe('kept')
    })
  })

  test('recorded errors without damage are cleared by the check', async () => {
    await withScratch(async (directory) => {
      const image = `${directory}/disk.img`
      make(geometry, image)
      run('debugfs', '-w', '-R', 'set_super_value state 3', image)
      const { growth, after } = await grow(ext, { image }, offline)
      expect(growth.findings).toContainEqual(
        expect.objectContaining({ code: 'filesystem-damaged', severity: 'warning' }),
      )
      expect(after).toBe(geometry.to)
    })
  })

  test('damage that e2fsck does not repair unasked ends it before resize2fs, with the cause', async () => {
    await withScratch(async (directory) => {
      const image = `${directory}/disk.img`
      make(geometry, image)
      run('debugfs', '-w', '-R', 'set_super_value state 3', image)
      run('debugfs', '-w', '-R', 'clri <2>', image)
      const { device, snapshot } = await lookAtOwn({ image })
      const growth = ext.grow(device, snapshot, { available: device.size, offline: true })
      const [check, growing] = await carryOut(growth)
      expect(check).toMatchObject({ ended: 'exited', ok: false })
      expect(growing?.ended).toBe('skipped')
      const again = await look({ image })
      const error = check === undefined ? undefined : ext.diagnose(check, device, again.device, again.snapshot)
      expect(error).toMatchObject({ code: 'filesystem-damaged' })
    })
  })

  test.each(['a?b=c.img', "it's $(touch x) `y`.img", '-f.img', 'two\nlines.img'])(
    'an image with the name %j grows',
    async (name) => {
      await withScratch(async (directory) => {
        // What a tool would open instead, if it took the name for more than a name.
        fs.writeFileSync(`${directory}/a`, 'untouched')
        const image = `${directory}/${name}`
        resize(`${directory}/plain`, geometry.from)
        run('mkfs.ext4', '-q', '-F', `${directory}/plain`)
        run('debugfs', '-w', '-R', 'set_super_value state 0', `${directory}/plain`)
        fs.renameSync(`${directory}/plain`, image)
        resize(image, geometry.to)
        const { growth, after } = await grow(ext, { image }, offline)
        expect(growth.commands).toHaveLength(2)
        expect(after).toBe(geometry.to)
        expect(fs.readFileSync(`${directory}/a`, 'utf8')).toBe('untouched')
        expect(fs.readdirSync(directory).length).toBe(2)
      })
    },
  )

  test('a truncated image is not touched', async () => {
    await withScratch(async (directory) => {
      const image = `${directory}/disk.img`
      make({ ...geometry, to: geometry.from - 4n * KiB }, image)
      const { growth, before, after } = await grow(ext, { image }, offline)
      expect(blockersOf(growth)).toEqual(['filesystem-larger-than-device'])
      expect(after).toBe(before)
    })
  })
})

describe('what the tools say, and what it means', () => {
  const host = localHost()

  test('busy is not damaged', async () => {
    await withScratch(async (directory) => {
      const image = `${directory}/disk.img`
      make(geometry, image)
      await withLoop(image, async (device) => {
        const { device: seen, snapshot } = await lookAtOwn({ device })
        const held = fs.openSync(device, fs.constants.O_RDONLY | fs.constants.O_EXCL)
        try {
          for (const argv of [
            ['resize2fs', device],
            ['e2fsck', '-f', '-p', device],
          ]) {
            const result = await host.exec(argv)
            expect(ext.diagnose(result, seen, seen, snapshot)).toMatchObject({ code: 'in-use', outcome: 'unchanged' })
          }
        } finally {
          fs.closeSync(held)
        }
        const busy = { ...seen, users: { ...(await look({ device })).device.users, exclusive: 'busy' } } as typeof seen
        expect(blockersOf(ext.grow(busy, snapshot, { available: GiB, offline: true }))).toEqual(['in-use'])
      })
    })
  })

  test.each([
    ['a journal that is dirty', 'state 0', 'stale-plan'],
    ['recorded errors', 'state 3', 'filesystem-damaged'],
  ])('%s', async (_, value, code) => {
    await withScratch(async (directory) => {
      const image = `${directory}/disk.img`
      make(geometry, image)
      const before = await lookAtOwn({ image })
      run('debugfs', '-w', '-R', `set_super_value ${value}`, image)
      const result = await host.exec(['resize2fs', image])
      const after = await lookAtOwn({ image })
      expect(ext.diagnose(result, before.device, after.device, after.snapshot)).toMatchObject({ code })
    })
  })

  test('a superblock that does not fit its checksum', async () => {
    await withScratch(async (directory) => {
      const image = `${directory}/disk.img`
      make(geometry, image)
      const before = await lookAtOwn({ image })
      const file = fs.openSync(image, 'r+')
      fs.writeSync(file, Uint8Array.of(1, 2, 3), 0, 3, 1024 + 0x178)
      fs.closeSync(file)
      const result = await host.exec(['resize2fs', image])
      const after = await lookAtOwn({ image })
      expect(ext.diagnose(result, before.device, after.device, after.snapshot)).toMatchObject({
        code: 'filesystem-damaged',
      })
    })
  })

  test('the limit of 32 bits', async () => {
    await withScratch(async (directory) => {
      const image = `${directory}/disk.img`
      make({ ...geometry, mkfs: [...geometry.mkfs, '-b', '1024', '-O', '^64bit'], to: 5n * 1024n * GiB }, image)
      const { device, snapshot } = await lookAtOwn({ image })
      const growth = ext.grow(device, snapshot, { available: device.size, offline: true })
      expect(blockersOf(growth)).toContain('limit-exceeded')
      const result = await host.exec(['resize2fs', image])
      expect(ext.diagnose(result, device, device, snapshot)).toMatchObject({ code: 'limit-exceeded' })
    })
  })

  test('online, the right that is missing is foreseen, and the text of resize2fs understood', async () => {
    await withScratch(async (directory) => {
      const image = `${directory}/disk.img`
      make(geometry, image)
      await withLoop(image, (loop) =>
        withMount(loop, `${directory}/mount`, async () => {
          const { device, snapshot } = await look({ device: loop })
          const growth = ext.grow(device, snapshot, { available: device.size, offline: false })
          const capable = ((snapshot.system.capabilities >> 24n) & 1n) === 1n
          expect(blockersOf(growth)).toEqual(capable ? [] : ['permission-denied'])
          const result = await host.exec(['resize2fs', loop])
          const error = ext.diagnose(result, device, device, snapshot)
          if (capable) expect(error).toBeUndefined()
          else expect(error).toMatchObject({ code: 'permission-denied', outcome: 'unchanged' })
        }),
      )
    })
  })
})
