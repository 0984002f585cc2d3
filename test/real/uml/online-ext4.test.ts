import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, statfsSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

const mebibyte = 1024 * 1024

function run(program: string, ...args: string[]): string {
  return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim()
}

describe('the lab has what online growth of ext filesystems needs', () => {
  let directory: string
  let image: string
  let mountPoint: string
  let device: string | undefined

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'online-ext-'))
    image = join(directory, 'disk.img')
    mountPoint = join(directory, 'mnt')
    mkdirSync(mountPoint)
    writeFileSync(image, '')
    truncateSync(image, 64 * mebibyte)
  })

  afterEach(() => {
    if (device !== undefined) {
      run('umount', mountPoint)
      run('losetup', '--detach', device)
      device = undefined
    }
    rmSync(directory, { recursive: true })
  })

  test.each(['ext3', 'ext4'])('%s grows while it is mounted, and keeps what is on it', (type) => {
    run(`mkfs.${type}`, '-q', image)
    device = run('losetup', '--find', '--show', image)
    run('mount', device, mountPoint)
    const content = 'kept '.repeat(100_000)
    writeFileSync(join(mountPoint, 'file'), content)
    const before = statfsSync(mountPoint)

    truncateSync(image, 256 * mebibyte)
    run('losetup', '--set-capacity', device)
    run('resize2fs', device)

    const after = statfsSync(mountPoint)
    expect(before.blocks * before.bsize).toBeLessThan(64 * mebibyte)
    expect(after.blocks * after.bsize).toBeGreaterThan(200 * mebibyte)
    expect(run('cat', join(mountPoint, 'file'))).toBe(content.trim())
    run('umount', mountPoint)
    expect(run('e2fsck', '-fn', device)).not.toMatch(/FIXED|WARNING/)
    run('mount', device, mountPoint)
  })

  test('the kernel has every capability and device-mapper', () => {
    const capabilities = /^CapEff:\s*([0-9a-f]+)$/m.exec(run('cat', '/proc/self/status'))?.[1]
    const resource = 24n
    expect((BigInt(`0x${capabilities}`) >> resource) & 1n).toBe(1n)
    expect(run('cat', '/proc/devices')).toContain('device-mapper')
  })
})
