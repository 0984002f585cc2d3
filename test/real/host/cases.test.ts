import { spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { file } from '../../../providers/file/index.ts'
import { expand, localHost, plan } from '../../../src/index.ts'
import { GiB, KiB, MiB, TiB } from '../../../src/size.ts'
import { expectSound } from '../support/checks.ts'
import { attempt, run, until } from '../support/commands.ts'
import { expectContent, fillUp, writeContent } from '../support/content.ts'
import { Disk } from '../support/disk.ts'
import { mountElsewhere } from '../support/elsewhere.ts'
import {
  codesOf,
  expectGrown,
  expectNothingToDo,
  expectRefused,
  failureOf,
  filesystemOf,
  programsOf,
} from '../support/outcomes.ts'
import { tracesOf } from '../support/traces.ts'

// What filesystems and kernels do to whoever grows them, case by case: on this machine's kernel, without the right to grow ext filesystems online.

const host = localHost()
const ext4 = ['mkfs.ext4', '-q', '-F'] as const
const xfs = ['mkfs.xfs', '-q', '-f'] as const
const fill = { host, to: 'fill' } as const
const offline = { ...fill, offline: true } as const

/** A filesystem that is smaller than its image. */
function diskWith(mkfs: readonly string[], from: bigint, to: bigint): Disk {
  const disk = new Disk(from)
  disk.mkfs(mkfs)
  disk.resize(to)
  return disk
}

async function mountedXfs(options: readonly string[] = [], from = 320n * MiB, to: bigint = GiB): Promise<Disk> {
  const disk = diskWith([...xfs, ...options], from, to)
  await disk.mount()
  return disk
}

describe('ext, offline', () => {
  test('mounted since its last fsck: checked first', async () => {
    const disk = diskWith(ext4, 64n * MiB, 200n * MiB)
    const content = writeContent(await disk.mount())
    await disk.unmount()
    run('tune2fs', '-T', '20200101', disk.device)
    const grown = await expectGrown({ ...offline, device: disk.device })
    expect(programsOf(grown.plan)).toEqual(['e2fsck', 'resize2fs'])
    expect(grown.processes).toBe(2)
    expectSound(disk.device, 'ext')
    expectContent(await disk.mount(), content)
  })

  test('never mounted: the check is left out', async () => {
    const disk = diskWith(ext4, 64n * MiB, 200n * MiB)
    const grown = await expectGrown({ ...offline, device: disk.device })
    expect(programsOf(grown.plan)).toEqual(['resize2fs'])
    expect(grown.processes).toBe(1)
    expect(codesOf(grown.plan)).toEqual(['offline-not-crash-safe'])
    expect(filesystemOf(grown.report)).toMatchObject({ before: 64n * MiB, after: 200n * MiB })
    expectSound(disk.device, 'ext')
  })

  test('dirty journal: replayed first', async () => {
    const disk = new Disk(64n * MiB)
    disk.mkfs(ext4)
    const content = writeContent(await disk.mount())
    const dirty = disk.copy()
    dirty.resize(200n * MiB)
    expect(run('dumpe2fs', '-h', dirty.image)).toContain('needs_recovery')
    const grown = await expectGrown({ ...offline, device: dirty.image })
    expect(programsOf(grown.plan)).toEqual(['e2fsck', 'resize2fs'])
    expectSound(dirty.image, 'ext')
    expectContent(await dirty.mount(), content)
  })

  test('error flag: a warning, and repaired first', async () => {
    const disk = diskWith(ext4, 64n * MiB, 200n * MiB)
    run('debugfs', '-w', '-R', 'set_super_value state 2', disk.image)
    const grown = await expectGrown({ ...offline, device: disk.image })
    expect(grown.plan.findings.find(({ code }) => code === 'filesystem-damaged')?.severity).toBe('warning')
    expect(programsOf(grown.plan)).toEqual(['e2fsck', 'resize2fs'])
    expectSound(disk.image, 'ext')
  })

  test('damage that e2fsck does not repair without being asked', async () => {
    const disk = diskWith(ext4, 64n * MiB, 200n * MiB)
    run('debugfs', '-w', '-R', 'set_super_value state 2', disk.image)
    run('debugfs', '-w', '-R', 'clri <2>', disk.image)
    const error = await failureOf(expand({ ...offline, device: disk.image }))
    expect(error).toMatchObject({ code: 'filesystem-damaged', layer: 'filesystem' })
    expect(error.remedy).toContain('e2fsck')
    expect(run('dumpe2fs', '-h', disk.image)).toContain(`Block count:              ${(64n * MiB) / KiB}`)
  })

  test.each([
    ['ext4 without 64bit', ['mkfs.ext4', '-q', '-F', '-b', '4096', '-O', '^64bit']],
    ['ext3', ['mkfs.ext3', '-q', '-F', '-b', '4096']],
  ])('%s beyond 16 TiB: refused up front', async (_name, mkfs) => {
    const disk = new Disk(64n * MiB, { inMemory: true })
    disk.mkfs(mkfs)
    disk.resize(16n * TiB + 4n * KiB)
    await expectRefused(disk, { ...offline, device: disk.image }, 'limit-exceeded')
  })

  test('bigalloc: refused, online only', async () => {
    const disk = diskWith([...ext4, '-O', 'bigalloc', '-C', '65536'], 256n * MiB, GiB)
    const { error } = await expectRefused(disk, { ...offline, device: disk.image }, 'unsupported-feature')
    expect(error.remedy).toContain('Mount it')
  })

  test('sparse_super2: offline it grows', async () => {
    const disk = diskWith([...ext4, '-O', 'sparse_super2,^resize_inode'], 300n * MiB, GiB)
    await expectGrown({ ...offline, device: disk.image })
    expectSound(disk.image, 'ext')
  })

  test('same size: success, unchanged, no process', async () => {
    const disk = diskWith(ext4, 64n * MiB, 64n * MiB)
    const planned = await expectNothingToDo({ ...offline, device: disk.image })
    expect(planned.findings).toEqual([])
    // Nothing is written, so nothing has to be allowed.
    await expectNothingToDo({ ...fill, device: disk.image })
  })

  test('larger than its device: refused, and no tool is let near it', async () => {
    const disk = diskWith(ext4, 64n * MiB, 48n * MiB)
    await expectRefused(disk, { ...offline, device: disk.image }, 'filesystem-larger-than-device')
    const device = await disk.attach()
    await expectRefused(disk, { ...offline, device }, 'filesystem-larger-than-device')
    const volume = file().volume(disk.image)
    await expectRefused(disk, { volume, host, to: `${56n * MiB}`, offline: true }, 'filesystem-larger-than-device')
  })

  test('smaller than what is there was asked for: refused', async () => {
    const disk = diskWith(ext4, 64n * MiB, 64n * MiB)
    const volume = file().volume(disk.image)
    await expectRefused(disk, { volume, host, to: '32Mi', offline: true }, 'would-shrink', 'volume')
    await expectRefused(disk, { host, device: disk.image, to: '32Mi', offline: true }, 'would-shrink', 'device')
  })

  test('not allowed to write offline: refused, the file is not grown', async () => {
    const disk = diskWith(ext4, 64n * MiB, 200n * MiB)
    await expectRefused(disk, { ...fill, device: disk.image }, 'needs-offline')
    await expectRefused(disk, { volume: file().volume(disk.image), host, to: '1Gi' }, 'needs-offline')
  })

  test('bad superblock checksum: damaged', async () => {
    const disk = diskWith(ext4, 64n * MiB, 200n * MiB)
    disk.write(1024n + 0x3fcn, Uint8Array.of(1, 2, 3, 4))
    expect(attempt('resize2fs', disk.image).said).toContain('checksum does not match')
    await expectRefused(disk, { ...offline, device: disk.image }, 'filesystem-damaged')
    await expectRefused(
      disk,
      { volume: file().volume(disk.image), host, to: '1Gi', offline: true },
      'filesystem-damaged',
    )
  })

  test('a superblock that was torn in the middle: damaged', async () => {
    const disk = diskWith(ext4, 64n * MiB, 200n * MiB)
    disk.write(1024n + 512n, new Uint8Array(512))
    await expectRefused(disk, { ...offline, device: disk.image }, 'filesystem-damaged')
  })

  test('bad magic: not recognised', async () => {
    const disk = diskWith(ext4, 64n * MiB, 200n * MiB)
    disk.write(1024n + 0x38n, Uint8Array.of(0, 0))
    expect(attempt('resize2fs', disk.image).said).toContain('Bad magic number')
    await expectRefused(disk, { ...offline, device: disk.image }, 'unknown-content', 'device')
  })

  test('multiple-mount protection that is active: in use by the node that it names', async () => {
    const disk = new Disk(64n * MiB)
    disk.mkfs([...ext4, '-O', 'mmp', '-E', 'mmp_update_interval=1'])
    const device = await disk.attach()
    await disk.mount()
    // What another machine with the same disk would see.
    const elsewhere = disk.copy()
    elsewhere.resize(200n * MiB)
    const { error } = await expectRefused(elsewhere, { ...offline, device: elsewhere.image }, 'in-use')
    expect(error.message).toContain(`node ${run('uname', '-n')} as ${device.split('/').at(-1)}`)
    await disk.unmount()
    await disk.detach()
    disk.resize(200n * MiB)
    await expectGrown({ ...offline, device: disk.image })
    expectSound(disk.image, 'ext')
  })
})

describe('ext, mounted on a kernel that does not let this user grow it', () => {
  test('missing capability: said before anything is grown', async () => {
    const disk = diskWith(ext4, 64n * MiB, 200n * MiB)
    const mountPoint = await disk.mount()
    expect(attempt('resize2fs', disk.device).said).toContain('Permission denied to resize filesystem')
    const { error } = await expectRefused(disk, { ...fill, path: mountPoint }, 'permission-denied')
    expect(error.message).toContain('CAP_SYS_RESOURCE')
    const volume = file().volume(disk.image)
    await expectRefused(disk, { volume, host, to: '1Gi' }, 'permission-denied')
    expect(disk.size).toBe(200n * MiB)
  })

  test('same size: success without that capability', async () => {
    const disk = diskWith(ext4, 64n * MiB, 64n * MiB)
    await expectNothingToDo({ ...fill, path: await disk.mount() })
  })

  test('read-only: the filesystem, and the mount', async () => {
    const disk = diskWith(ext4, 64n * MiB, 200n * MiB)
    await disk.mount(['ro'])
    await expectRefused(disk, { ...fill, path: disk.mountPoint }, 'read-only')
    await disk.unmount()
    await disk.mount()
    run('mount', '-o', 'remount,bind,ro', disk.mountPoint)
    await expectRefused(disk, { ...fill, path: disk.mountPoint }, 'read-only')
  })

  test('mounted only in another mount namespace: the missing right, not corruption', async () => {
    const disk = diskWith(ext4, 64n * MiB, 200n * MiB)
    const device = await disk.attach()
    await mountElsewhere(disk)
    const { plan: planned } = await expectRefused(disk, { ...offline, device }, 'permission-denied')
    expect(codesOf(planned)).toContain('mounted-elsewhere')
  })
})

describe('XFS', () => {
  test('mounted: grown online by one process', async () => {
    const disk = await mountedXfs()
    const content = writeContent(disk.mountPoint)
    const grown = await expectGrown({ ...fill, path: disk.mountPoint })
    expect(grown.processes).toBe(1)
    expect(filesystemOf(grown.report)).toMatchObject({ before: 320n * MiB, after: GiB })
    expectContent(disk.mountPoint, content)
    await disk.unmount()
    expectSound(disk.device, 'xfs')
  })

  test('100% full: it grows', async () => {
    const disk = await mountedXfs()
    fillUp(disk.mountPoint)
    await expectGrown({ ...fill, path: disk.mountPoint })
    const content = writeContent(disk.mountPoint)
    await disk.unmount()
    expectSound(disk.device, 'xfs')
    expectContent(await disk.mount(), content)
  })

  test('backup superblocks that a power cut has left behind: told with what mends them, until they are', async () => {
    const disk = await mountedXfs()
    const groups = [80n, 160n, 240n].map((offset) => offset * MiB)
    const before = groups.map((offset) => disk.read(offset, 512))
    const content = writeContent(disk.mountPoint)
    const request = { ...fill, path: disk.mountPoint }
    expect((await expectGrown(request)).report.findings).toEqual([])
    await disk.unmount()
    await disk.detach()
    for (const [index, bytes] of before.entries()) disk.write(groups[index] ?? 0n, bytes)
    const repair = attempt('xfs_repair', '-n', '-f', disk.image)
    expect(repair).toMatchObject({ code: 1 })
    expect(repair.said).toContain('would reset bad sb for ag 1')
    await disk.mount()
    const { findings } = await expectNothingToDo(request)
    expect(findings).toMatchObject([{ code: 'backup-superblocks-behind', severity: 'warning' }])
    const commands = findings[0]?.remedy?.match(/xfs_growfs -m \d+ [^ ,]+(?=[,.])/g) ?? []
    expect(commands).toHaveLength(2)
    for (const command of commands) run('sh', '-c', command)
    expect((await expectNothingToDo(request)).findings).toEqual([])
    await disk.unmount()
    expectSound(disk.device, 'xfs')
    expectContent(await disk.mount(), content)
  })

  test('backup superblocks that were left behind: written by the next growth', async () => {
    const disk = await mountedXfs([], 320n * MiB, 512n * MiB)
    const old = disk.read(80n * MiB, 512)
    const request = { ...fill, path: disk.mountPoint }
    await expectGrown(request)
    await disk.unmount()
    await disk.detach()
    disk.write(80n * MiB, old)
    await disk.mount()
    disk.resize(GiB)
    expect(codesOf((await expectGrown(request)).plan)).toEqual(['backup-superblocks-behind'])
    await disk.unmount()
    expectSound(disk.device, 'xfs')
  })

  test('read-only: the filesystem', async () => {
    const disk = diskWith(xfs, 320n * MiB, GiB)
    await disk.mount(['ro'])
    expect(attempt('xfs_growfs', '-d', disk.mountPoint).said).toContain('Read-only file system')
    await expectRefused(disk, { ...fill, path: disk.mountPoint }, 'read-only')
    await expectRefused(disk, { volume: file().volume(disk.image), host, to: '2Gi' }, 'read-only')
  })

  test('read-only: one mount of two', async () => {
    const disk = await mountedXfs()
    run('mount', '-o', 'remount,bind,ro', disk.mountPoint)
    await expectRefused(disk, { ...fill, path: disk.mountPoint }, 'read-only')
    const writable = disk.bind(['rw'])
    const grown = await expectGrown({ ...fill, path: disk.mountPoint })
    expect(grown.plan.actions[0]?.commands).toEqual([['xfs_growfs', '-d', writable]])
  })

  test('only a part of it is mounted: grown by a private mount', async () => {
    const disk = await mountedXfs()
    mkdirSync(join(disk.mountPoint, 'part'))
    const part = join(disk.directory, 'part')
    mkdirSync(part)
    run('mount', '--bind', join(disk.mountPoint, 'part'), part)
    onTestFinished(() => void attempt('umount', part))
    await disk.unmount()
    const before = tracesOf(disk)
    await expectGrown({ ...fill, path: part })
    expect(tracesOf(disk)).toEqual(before)
    run('umount', part)
    expectSound(disk.device, 'xfs')
  })

  test.each(['a loop device', 'an image'])('not mounted, %s: offline, and no mount is left behind', async (kind) => {
    const disk = diskWith(xfs, 320n * MiB, GiB)
    const content = writeContent(await disk.mount())
    await disk.unmount()
    if (kind === 'an image') await disk.detach()
    await expectRefused(disk, { ...fill, device: disk.device }, 'needs-offline')
    const before = tracesOf(disk)
    const grown = await expectGrown({ ...offline, device: disk.device })
    expect(tracesOf(disk)).toEqual(before)
    expect(grown.plan.actions[0]?.summary).toContain('private mount namespace')
    expectSound(disk.device, 'xfs')
    expectContent(await disk.mount(), content)
  })

  test('dirty log: replayed by the private mount', async () => {
    const disk = await mountedXfs()
    const content = writeContent(disk.mountPoint)
    const dirty = disk.copy()
    expect(attempt('xfs_repair', '-n', '-f', dirty.image).said).toMatch(/log|unmount/i)
    await expectGrown({ ...offline, device: dirty.image })
    expectSound(dirty.image, 'xfs')
    expectContent(await dirty.mount(['nouuid']), content)
  })

  test('duplicate UUID: a snapshot grows beside its mounted twin, offline and online', async () => {
    const disk = await mountedXfs()
    const content = writeContent(disk.mountPoint)
    const [first, second] = [disk.copy('first.img'), disk.copy('second.img')]
    const device = await first.attach()
    expect(attempt('mount', device, '/mnt').code).toBe(32)
    const before = tracesOf(first)
    await expectGrown({ ...offline, device })
    expect(tracesOf(first)).toEqual(before)
    const twin = await second.mount(['nouuid'])
    await expectGrown({ ...fill, path: twin })
    expectContent(twin, content)
    await expectGrown({ ...fill, path: disk.mountPoint })
    for (const each of [first, second, disk]) {
      await each.unmount()
      expectSound(each.device, 'xfs')
    }
  })

  test('same size: success, unchanged, no process', async () => {
    const disk = await mountedXfs([], 320n * MiB, 320n * MiB)
    const planned = await expectNothingToDo({ ...fill, path: disk.mountPoint })
    expect(planned.findings).toEqual([])
  })

  test.each([4n, 196n, 252n])('%s KiB more: at its maximum, no process', async (more) => {
    const disk = await mountedXfs(['-d', 'agcount=4'], 400n * MiB, 400n * MiB + more * KiB)
    const planned = await expectNothingToDo({ ...fill, path: disk.mountPoint })
    expect(planned.findings).toMatchObject([{ code: 'at-maximum', severity: 'note' }])
    run('xfs_growfs', '-d', disk.mountPoint)
    await expectNothingToDo({ ...fill, path: disk.mountPoint })
  })

  test('256 KiB more: enough for another allocation group', async () => {
    const disk = await mountedXfs(['-d', 'agcount=4'], 400n * MiB, 400n * MiB + 256n * KiB)
    await expectGrown({ ...fill, path: disk.mountPoint })
  })

  test('smaller than what is there was asked for: refused', async () => {
    const disk = await mountedXfs()
    await expectRefused(disk, { host, path: disk.mountPoint, to: '500Mi' }, 'would-shrink', 'device')
    await expectRefused(disk, { volume: file().volume(disk.image), host, to: '500Mi' }, 'would-shrink', 'volume')
  })

  test('larger than its device, not mounted: a truncated device, and nothing is mounted', async () => {
    const disk = diskWith(xfs, 400n * MiB, 330n * MiB)
    const device = await disk.attach()
    expect(attempt('mount', device, '/mnt').code).toBe(32)
    await expectRefused(disk, { ...offline, device }, 'filesystem-larger-than-device')
  })

  test('larger than its device, mounted: a truncated device', async () => {
    const disk = diskWith(xfs, 400n * MiB, 400n * MiB)
    await disk.mount()
    disk.resize(330n * MiB)
    await expectRefused(disk, { ...fill, path: disk.mountPoint }, 'filesystem-larger-than-device')
    disk.resize(400n * MiB)
    await expectNothingToDo({ ...fill, path: disk.mountPoint })
  })

  test('grown behind the library: the kernel is believed, not the superblock', async () => {
    const disk = await mountedXfs()
    run('xfs_growfs', '-d', disk.mountPoint)
    const planned = await expectNothingToDo({ ...fill, path: disk.mountPoint })
    expect(planned.layers.at(-1)).toMatchObject({ kind: 'filesystem', size: GiB })
  })

  test('mounted only in another mount namespace: found, and grown online', async () => {
    const disk = diskWith(xfs, 320n * MiB, GiB)
    const device = await disk.attach()
    const before = tracesOf(disk)
    const end = await mountElsewhere(disk)
    const grown = await expectGrown({ ...fill, device })
    expect(codesOf(grown.plan)).toContain('mounted-elsewhere')
    expect(tracesOf(disk)).toEqual(before)
    await end()
    expectSound(device, 'xfs')
    expect((await plan({ ...fill, device })).layers.at(-1)).toMatchObject({ size: GiB })
  })

  test('bad superblock checksum: damaged', async () => {
    const disk = diskWith(xfs, 320n * MiB, GiB)
    disk.write(224n, Uint8Array.of(1, 2, 3, 4))
    await expectRefused(disk, { ...offline, device: disk.image }, 'filesystem-damaged')
  })
})

describe('held exclusively', () => {
  test.each([
    ['ext4', ext4],
    ['XFS', xfs],
  ])('%s: in use, not corrupt', async (_name, mkfs) => {
    const disk = diskWith(mkfs, 320n * MiB, GiB)
    const device = await disk.attach()
    const holder = spawn(process.execPath, [
      '-e',
      'fs.openSync(process.argv[1], fs.constants.O_RDONLY | fs.constants.O_EXCL); console.log("held"); setInterval(() => {}, 1e6)',
      device,
    ])
    onTestFinished(() => void holder.kill('SIGKILL'))
    await new Promise((resolve) => holder.stdout.once('data', resolve))
    const { error } = await expectRefused(disk, { ...offline, device }, 'in-use')
    expect(error.message).toContain(`node (pid ${holder.pid})`)
    expect(error.message).toContain('claimed exclusively')
    const ended = new Promise((resolve) => holder.once('exit', resolve))
    holder.kill('SIGKILL')
    await ended
    await expectGrown({ ...offline, device })
  })

  test('an image that a process has open: in use', async () => {
    const disk = diskWith(ext4, 64n * MiB, 200n * MiB)
    const fd = openSync(disk.image, 'r+')
    const holder = spawn('sleep', ['1000'], { stdio: ['ignore', 'ignore', 'ignore', fd] })
    closeSync(fd)
    onTestFinished(() => void holder.kill('SIGKILL'))
    const { error } = await expectRefused(disk, { ...offline, device: disk.image }, 'in-use')
    expect(error.message).toContain(`(pid ${holder.pid})`)
  })

  test('a process that is ending: waited for, and then it is known that nobody has it', async () => {
    const disk = diskWith(ext4, 64n * MiB, 200n * MiB)
    // A process that has written to a device sees that through when it ends, and here it cannot, as long as what is below is frozen. It has no namespaces and no
    // files any more that could be looked at.
    const below = await mountedXfs()
    const written = new Disk(16n * MiB, { within: below.mountPoint })
    const device = await written.attach()
    const child = spawn('sh', ['-c', 'exec 5<>"$1"; echo lost >&5; echo ready; read -r line', 'sh', device])
    const ended = new Promise((resolve) => child.once('exit', resolve))
    await new Promise((resolve) => child.stdout.once('data', resolve))
    run('fsfreeze', '--freeze', below.mountPoint)
    const thaw = (): unknown => attempt('fsfreeze', '--unfreeze', below.mountPoint)
    onTestFinished(() => void thaw())
    child.kill('SIGKILL')
    await until('the end to begin', () => attempt('readlink', `/proc/${child.pid}/ns/mnt`).code !== 0)
    const planned = plan({ ...offline, device: disk.image })
    setTimeout(thaw, 700)
    expect((await planned).findings).toMatchObject([{ code: 'offline-not-crash-safe' }])
    await ended
  })
})
