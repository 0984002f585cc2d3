import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { countedByNode } from '../../../bench/growth/processes.ts'
import { file } from '../../../providers/file/index.ts'
import { expand, localHost, type Plan, plan } from '../../../src/index.ts'
import { GiB, KiB, MiB, TiB } from '../../../src/size.ts'
import { expectSound } from '../support/checks.ts'
import { attempt, run } from '../support/commands.ts'
import { expectContent, fillUp, writeContent } from '../support/content.ts'
import { Disk } from '../support/disk.ts'
import { mountElsewhere } from '../support/elsewhere.ts'
import { follow } from '../support/follow.ts'
import { LibraryProcess } from '../support/library.ts'
import { hostileNames } from '../support/names.ts'
import { codesOf, expectGrown, expectNothingToDo, expectRefused, failureOf, filesystemOf } from '../support/outcomes.ts'
import { toolOn } from '../support/tools.ts'
import { tracesOf } from '../support/traces.ts'
import { expectGrowthUnderWriter } from '../support/under-writer.ts'

// What the kernel does to whoever grows ext3 and ext4 while they are mounted, case by case.

const host = localHost()
const ext4 = ['mkfs.ext4', '-q', '-F'] as const
// Inode tables that the kernel initialises in the background would fill the memory that the images are in.
const quiet = ['noinit_itable'] as const

/** A mounted filesystem that is smaller than its device. */
async function mountedWith(mkfs: readonly string[], from: bigint, to: bigint): Promise<Disk> {
  const disk = new Disk(from)
  disk.mkfs(mkfs)
  disk.resize(to)
  await disk.mount(quiet)
  return disk
}

const fill = (disk: Disk): { host: typeof host; path: string; to: 'fill' } => ({
  host,
  path: disk.mountPoint,
  to: 'fill',
})

describe.each(['ext3', 'ext4'])('%s, mounted', (type) => {
  test('grown online by one process, and then there is nothing to do', async () => {
    const disk = await mountedWith([`mkfs.${type}`, '-q', '-F'], 64n * MiB, 200n * MiB)
    const content = writeContent(disk.mountPoint)
    const grown = await expectGrown(fill(disk))
    expect(grown.processes).toBe(1)
    expect(filesystemOf(grown.report)).toMatchObject({ before: 64n * MiB, after: 200n * MiB })
    expectContent(disk.mountPoint, content)
    await disk.unmount()
    expectSound(disk.device, 'ext')
  })

  test('100% full: it grows', async () => {
    const disk = await mountedWith([`mkfs.${type}`, '-q', '-F', '-m', '0'], 32n * MiB, 128n * MiB)
    fillUp(disk.mountPoint)
    await expectGrown(fill(disk))
    const content = writeContent(disk.mountPoint)
    await disk.unmount()
    expectSound(disk.device, 'ext')
    expectContent(await disk.mount(), content)
  })

  test('volume, loop device and filesystem grow under a writer', async () => {
    await expectGrowthUnderWriter({
      ...{ mkfs: [`mkfs.${type}`, '-q', '-F'], family: 'ext', mountOptions: quiet },
      ...{ from: 128n * MiB, to: type === 'ext4' ? 20n * GiB : 2n * GiB },
    })
  })
})

describe('what looks the same to resize2fs', () => {
  test('error flag: damaged', async () => {
    const disk = new Disk(64n * MiB)
    disk.mkfs(ext4)
    run('debugfs', '-w', '-R', 'set_super_value state 2', disk.image)
    disk.resize(200n * MiB)
    await disk.mount(quiet)
    expect(attempt('resize2fs', disk.device).said).toContain('Permission denied to resize filesystem')
    const { error } = await expectRefused(disk, fill(disk), 'filesystem-damaged')
    expect(error.remedy).toContain('e2fsck')
    const volume = file().volume(disk.image)
    await expectRefused(disk, { volume, host, to: '1Gi' }, 'filesystem-damaged')
  })

  test('missing capability: a right', async () => {
    const disk = await mountedWith(ext4, 64n * MiB, 200n * MiB)
    const withoutRight = ['setpriv', '--bounding-set=-sys_resource'] as const
    const [program, ...options] = withoutRight
    expect(attempt(program, ...options, 'resize2fs', disk.device).said).toContain(
      'Permission denied to resize filesystem',
    )
    const last = await new LibraryProcess({ path: disk.mountPoint, to: 'fill' }, withoutRight).end()
    expect(last).toMatchObject({
      type: 'failed',
      error: { code: 'permission-denied', outcome: 'unchanged', message: expect.stringContaining('CAP_SYS_RESOURCE') },
    })
    await expectGrown(fill(disk))
  })
})

describe('no room for group descriptors', () => {
  test.each([
    ['no resize_inode', ['-O', '^resize_inode'], 64n * MiB, 20n * GiB],
    ['reserved descriptors exhausted', ['-b', '4096', '-E', 'resize=4000000'], 100n * MiB, 20n * GiB],
  ] as const)('%s: refused unless it is accepted, and then a permanent change', async (_name, options, from, to) => {
    const disk = await mountedWith([...ext4, ...options], from, to)
    const features = (): string => run('dumpe2fs', '-h', disk.device).match(/^Filesystem features:.*$/m)?.[0] ?? ''
    const before = features()
    const { plan: planned } = await expectRefused(disk, fill(disk), 'ext4-meta-bg-conversion')
    // This kernel has the fix of the fault that such a growth met before: its release says so.
    expect(run('uname', '-r')).toMatch(/^6\.1\.(8[4-9]|9\d|[1-9]\d\d)/)
    expect(codesOf(planned)).not.toContain('kernel-too-old')
    expect(features()).toBe(before)
    expect(before).not.toContain('meta_bg')
    const volume = file().volume(disk.image)
    await expectRefused(disk, { volume, host, to: `${to + 10n * MiB}` }, 'ext4-meta-bg-conversion')
    const grown = await expectGrown({ ...fill(disk), accept: ['ext4-meta-bg-conversion'] })
    expect(grown.report.findings).toMatchObject([{ code: 'ext4-meta-bg-conversion', accepted: true }])
    expect(features()).toContain('meta_bg')
    await disk.unmount()
    expectSound(disk.device, 'ext')
  })
})

describe('what the kernel or the format does not allow', () => {
  test.each([
    ['ext4 without 64bit', [...ext4, '-b', '4096', '-O', '^64bit']],
    ['ext3', ['mkfs.ext3', '-q', '-F', '-b', '4096']],
  ])('%s beyond 16 TiB: refused, on the device and by the volume', async (_name, mkfs) => {
    const disk = await mountedWith(mkfs, 64n * MiB, 16n * TiB + 4n * KiB)
    await expectRefused(disk, fill(disk), 'limit-exceeded')
    await expectRefused(disk, { volume: file().volume(disk.image), host, to: '17Ti' }, 'limit-exceeded')
  })

  test('bigalloc: online it grows', async () => {
    const disk = await mountedWith([...ext4, '-O', 'bigalloc', '-C', '65536'], 256n * MiB, GiB)
    await expectGrown(fill(disk))
    await disk.unmount()
    expectSound(disk.device, 'ext')
  })

  test('sparse_super2: refused', async () => {
    const disk = await mountedWith([...ext4, '-O', 'sparse_super2,^resize_inode'], 300n * MiB, GiB)
    const { error } = await expectRefused(disk, fill(disk), 'unsupported-feature')
    expect(error.remedy).toContain('offline: true')
  })

  test('read-only filesystem: refused', async () => {
    const disk = new Disk(64n * MiB)
    disk.mkfs(ext4)
    disk.resize(200n * MiB)
    await disk.mount(['ro'])
    await expectRefused(disk, fill(disk), 'read-only')
  })

  test('read-only mount before a writable one: grown all the same, and both stay as they are', async () => {
    const disk = await mountedWith(ext4, 64n * MiB, 200n * MiB)
    run('mount', '-o', 'remount,bind,ro', disk.mountPoint)
    await expectRefused(disk, fill(disk), 'read-only')
    disk.bind(['rw'])
    expect(attempt('resize2fs', disk.device).said).toContain('Read-only file system')
    const before = tracesOf(disk)
    await expectGrown(fill(disk))
    expect(tracesOf(disk)).toEqual(before)
  })

  test('same size: success, unchanged, no process', async () => {
    const disk = await mountedWith(ext4, 64n * MiB, 64n * MiB)
    expect((await expectNothingToDo(fill(disk))).findings).toEqual([])
  })

  test('larger than its device, mounted: a truncated device', async () => {
    const disk = await mountedWith(ext4, 64n * MiB, 64n * MiB)
    disk.resize(48n * MiB)
    await expectRefused(disk, fill(disk), 'filesystem-larger-than-device')
    disk.resize(64n * MiB)
  })

  test('mounted only in another mount namespace: found, and grown online', async () => {
    const disk = new Disk(64n * MiB)
    disk.mkfs(ext4)
    disk.resize(200n * MiB)
    const device = await disk.attach()
    const before = tracesOf(disk)
    const end = await mountElsewhere(disk)
    const grown = await expectGrown({ host, device, to: 'fill' })
    expect(codesOf(grown.plan)).toContain('mounted-elsewhere')
    expect(tracesOf(disk)).toEqual(before)
    await end()
    expectSound(device, 'ext')
  })
})

test.each(hostileNames.map((name) => ({ name, shown: JSON.stringify(name) })))(
  'mounted at $shown',
  async ({ name }) => {
    const disk = new Disk(32n * MiB, { name })
    disk.mkfs(ext4)
    const mountPoint = await disk.mount(quiet, `mounted ${name}`)
    await expectGrown({ volume: file().volume(disk.image), host, path: mountPoint, to: '64Mi' })
  },
)

describe('two at once, deaths and deadlines', () => {
  /** Large enough that the kernel is seen at its work. */
  const slow = (): Promise<Disk> => mountedWith(ext4, GiB, 1000n * GiB)

  test('two in one process: one grows, the other one finds it grown', async () => {
    const disk = await mountedWith(ext4, 64n * MiB, 2n * GiB)
    let changed: readonly boolean[] = []
    const processes = await countedByNode(async () => {
      changed = (await Promise.all([expand(fill(disk)), expand(fill(disk))])).map((report) => report.changed)
    })
    expect(changed.filter(Boolean)).toEqual([true])
    expect(processes).toBe(1)
  })

  test('plans made while the kernel grows it never take the superblock for damaged', async () => {
    const disk = await slow()
    const plans: Plan[] = []
    const growing = follow(expand(fill(disk)))
    await growing.seen('action-started')
    let grown = false
    void growing.report.finally(() => {
      grown = true
    })
    while (!grown) plans.push(await plan(fill(disk)))
    expect(plans.length).toBeGreaterThan(0)
    expect(plans.flatMap(codesOf).filter((code) => code !== 'ext4-lazy-init')).toEqual([])
    expect(await growing.report).toMatchObject({ changed: true })
  })

  test('kill -9 in the middle: the growth goes on with its lock, and the next run does what is left', async () => {
    const disk = await slow()
    const caller = new LibraryProcess({ path: disk.mountPoint, to: 'fill' })
    const tool = await toolOn('resize2fs', disk.device)
    await caller.kill()
    expect(tool.isRunning()).toBe(true)
    expect(attempt('flock', '--nonblock', disk.device, 'true').code).toBe(1)
    const run = follow(expand(fill(disk)))
    const report = await run.report
    // Either it was not done when it was looked at, and then it was waited for; or it was.
    const planned = run.events.flatMap((event) => (event.type === 'planned' ? event.plan.actions : []))
    expect(run.events.some(({ type }) => type === 'waiting')).toBe(planned.length > 0)
    await tool.ended()
    expect(filesystemOf(report)?.after).toBe(1000n * GiB)
    await expectNothingToDo(fill(disk))
    await disk.unmount()
    expectSound(disk.device, 'ext')
  })

  test('a deadline: unknown, the tool goes on, and the next run joins it', async () => {
    const disk = await slow()
    const first = expand({ ...fill(disk), timeouts: { tool: 200 } })
    const tool = await toolOn('resize2fs', disk.device)
    const error = await failureOf(first)
    expect(error.code).toBe('timeout')
    expect(['unknown', 'changed']).toContain(error.outcome)
    await tool.ended()
    expect(readFileSync('/proc/self/mounts', 'utf8')).toContain(disk.mountPoint)
    await expectNothingToDo(fill(disk))
  })
})
