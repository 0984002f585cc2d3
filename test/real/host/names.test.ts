import { existsSync, readdirSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { file } from '../../../providers/file/index.ts'
import { localHost } from '../../../src/index.ts'
import { GiB, MiB } from '../../../src/size.ts'
import { expectSound } from '../support/checks.ts'
import { run } from '../support/commands.ts'
import { expectContent, writeContent } from '../support/content.ts'
import { Disk } from '../support/disk.ts'
import { hostileNames } from '../support/names.ts'
import { expectGrown } from '../support/outcomes.ts'
import { tracesOf } from '../support/traces.ts'

// Names that a shell, a tool's parser or a table of mounts would take for something else.

const host = localHost()

describe.each(hostileNames.map((name) => ({ name, shown: JSON.stringify(name) })))('$shown', ({ name }) => {
  test('an ext4 image, offline', async () => {
    const disk = new Disk(64n * MiB, { name })
    disk.mkfs(['mkfs.ext4', '-q', '-F'])
    // It has to be checked first, so that both tools are given the name.
    await disk.mount()
    await disk.unmount()
    await disk.detach()
    run('tune2fs', '-T', '20200101', disk.harmless)
    await expectGrown({ volume: file().volume(disk.image), host, to: '200Mi', offline: true })
    expectSound(disk.harmless, 'ext')
    expect(readdirSync(disk.directory).filter((entry) => entry.startsWith('pwned'))).toEqual([])
  })

  test('an XFS image, offline', async () => {
    const disk = new Disk(320n * MiB, { name })
    disk.mkfs(['mkfs.xfs', '-q', '-f'])
    const before = tracesOf(disk)
    await expectGrown({ volume: file().volume(disk.image), host, to: '1Gi', offline: true })
    expect(tracesOf(disk)).toEqual(before)
    expectSound(disk.harmless, 'xfs')
  })

  test('an XFS that is mounted there', async () => {
    const disk = new Disk(320n * MiB, { name })
    disk.mkfs(['mkfs.xfs', '-q', '-f'])
    const mountPoint = await disk.mount([], `mounted ${name}`)
    const content = writeContent(mountPoint)
    const grown = await expectGrown({ volume: file().volume(disk.image), host, path: mountPoint, to: '1Gi' })
    expect(grown.report.layers.map(({ kind, after }) => [kind, after])).toEqual([
      ['volume', GiB],
      ['device', GiB],
      ['filesystem', GiB],
    ])
    expectContent(mountPoint, content)
    expect(existsSync('/pwned')).toBe(false)
  })
})
