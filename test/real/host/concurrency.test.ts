import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { countedByNode } from '../../../bench/growth/processes.ts'
import { file } from '../../../providers/file/index.ts'
import { expand, localHost } from '../../../src/index.ts'
import { GiB, MiB, TiB } from '../../../src/size.ts'
import { expectSound } from '../support/checks.ts'
import { attempt, until } from '../support/commands.ts'
import { Disk } from '../support/disk.ts'
import { follow } from '../support/follow.ts'
import { LibraryProcess } from '../support/library.ts'
import { expectGrown, expectNothingToDo, failureOf, filesystemOf } from '../support/outcomes.ts'
import { type RunningTool, toolOn } from '../support/tools.ts'

// Two at once, deaths, deadlines and aborts: a disk is never grown by two, and no tool is ever killed.

const host = localHost()
const xfs = ['mkfs.xfs', '-q', '-f'] as const

async function mountedXfs(): Promise<Disk> {
  const disk = new Disk(320n * MiB)
  disk.mkfs(xfs)
  disk.resize(GiB)
  await disk.mount()
  return disk
}

/** An image whose growth takes long enough to meet the tool at its work. */
function slowDisk(): Disk {
  const disk = new Disk(4n * GiB, { inMemory: true })
  disk.mkfs(['mkfs.ext4', '-q', '-F'])
  disk.resize(3n * TiB)
  return disk
}

/** resize2fs at its work, kept from ending for now. */
async function pausedTool(disk: Disk): Promise<RunningTool> {
  const tool = await toolOn('resize2fs', disk.image)
  tool.pause()
  onTestFinished(async () => {
    tool.resume()
    await tool.ended()
  })
  return tool
}

function isLocked(path: string): boolean {
  return attempt('flock', '--nonblock', path, 'true').code === 1
}

/** Another tool, which holds the lock until the file `go` is there; grows the filesystem then, when it is told how. */
async function lockedTool(
  disk: Disk,
  ...then: readonly string[]
): Promise<{ readonly child: ChildProcess; go(): void }> {
  const [begun, go] = [join(disk.directory, 'begun'), join(disk.directory, 'go')]
  const script = 'touch "$1"; until [ -e "$2" ]; do sleep 0.05; done; shift 2; "$@"'
  const child = spawn('flock', ['--no-fork', disk.device, 'sh', '-c', script, 'sh', begun, go, ...then], {
    stdio: 'ignore',
  })
  const ended = once(child, 'exit')
  onTestFinished(async () => {
    writeFileSync(go, '')
    await ended
  })
  await until('the lock', () => existsSync(begun))
  return { child, go: () => writeFileSync(go, '') }
}

describe('two at once', () => {
  test('in one process: one grows, the other one finds it grown', async () => {
    const disk = await mountedXfs()
    const request = { host, path: disk.mountPoint, to: 'fill' } as const
    let changed: readonly boolean[] = []
    const processes = await countedByNode(async () => {
      changed = (await Promise.all([expand(request), expand(request), expand(request)])).map((report) => report.changed)
    })
    expect(changed.filter(Boolean)).toEqual([true])
    expect(processes).toBe(1)
  })

  test('in one process, from the volume on', async () => {
    const disk = await mountedXfs()
    const request = { volume: file().volume(disk.image), host, to: '2Gi' } as const
    const reports = await Promise.all([expand(request), expand({ ...request, to: '3Gi' })])
    expect(reports.map((report) => filesystemOf(report)?.after)).toEqual([2n * GiB, 3n * GiB])
    await expectNothingToDo({ ...request, to: '3Gi' })
  })

  test('in two processes', async () => {
    const disk = await mountedXfs()
    const request = { path: disk.mountPoint, to: 'fill' }
    const ends = await Promise.all([new LibraryProcess(request), new LibraryProcess(request)].map((each) => each.end()))
    expect(ends.map((event) => event?.type)).toEqual(['succeeded', 'succeeded'])
    await expectNothingToDo({ host, path: disk.mountPoint, to: 'fill' })
    await disk.unmount()
    expectSound(disk.device, 'xfs')
  })

  test('in two processes, offline', async () => {
    const disk = new Disk(64n * MiB)
    disk.mkfs(['mkfs.ext4', '-q', '-F'])
    disk.resize(GiB)
    const request = { device: disk.image, to: 'fill', offline: true }
    const ends = await Promise.all([new LibraryProcess(request), new LibraryProcess(request)].map((each) => each.end()))
    // The one that comes second may meet the other one's tool: refused then, with a reason, and never grown twice.
    const failures = ends.filter((event) => event?.type === 'failed')
    for (const { error } of failures.flatMap((event) => event ?? [])) {
      expect(error).toMatchObject({ code: 'in-use', outcome: 'unchanged' })
    }
    expect(failures.length).toBeLessThan(2)
    expectSound(disk.image, 'ext')
    await expectNothingToDo({ host, device: disk.image, to: 'fill', offline: true })
  })
})

describe('a tool that somebody else runs', () => {
  test('is waited for, and nothing is left to be done', async () => {
    const disk = await mountedXfs()
    const tool = await lockedTool(disk, 'xfs_growfs', '-d', disk.mountPoint)
    const run = follow(expand({ host, path: disk.mountPoint, to: 'fill' }))
    await run.seen('waiting')
    tool.go()
    expect(filesystemOf(await run.report)?.after).toBe(GiB)
    await expectNothingToDo({ host, path: disk.mountPoint, to: 'fill' })
  })

  test('is waited for no longer than was said', async () => {
    const disk = await mountedXfs()
    await lockedTool(disk, 'true')
    const error = await failureOf(expand({ host, path: disk.mountPoint, to: 'fill', timeouts: { lock: 300 } }))
    expect(error).toMatchObject({ code: 'tool-running', layer: 'device', outcome: 'unchanged', retryable: true })
    expect(error.message).toMatch(/\(pid \d+\)/)
  })

  test('offline, that does something else: the growth comes after it', async () => {
    const disk = new Disk(64n * MiB)
    disk.mkfs(['mkfs.ext4', '-q', '-F'])
    disk.resize(GiB)
    const tool = await lockedTool(disk, 'true')
    const run = follow(expand({ host, device: disk.image, to: 'fill', offline: true }))
    await run.seen('waiting')
    tool.go()
    expect(await run.report).toMatchObject({ changed: true })
    expectSound(disk.image, 'ext')
  })
})

describe('offline growth whose caller dies', () => {
  test('goes on by itself with its lock; the next run waits for it and finds everything done', async () => {
    const disk = slowDisk()
    const caller = new LibraryProcess({ device: disk.image, to: 'fill', offline: true })
    const tool = await pausedTool(disk)
    await caller.kill()
    expect(tool.isRunning()).toBe(true)
    expect(isLocked(disk.image)).toBe(true)
    let report: unknown
    const processes = await countedByNode(async () => {
      const run = follow(expand({ host, device: disk.image, to: 'fill', offline: true }))
      await run.seen('waiting')
      tool.resume()
      report = await run.report
    })
    expect(report).toMatchObject({ changed: false })
    expect(processes).toBe(0)
    expect(isLocked(disk.image)).toBe(false)
    expectSound(disk.image, 'ext')
  })
})

describe('a deadline', () => {
  test('ends the waiting, not the tool; the next run joins it', async () => {
    const disk = slowDisk()
    const request = { host, device: disk.image, to: 'fill', offline: true } as const
    const first = failureOf(expand({ ...request, timeouts: { tool: 1000 } }))
    const tool = await pausedTool(disk)
    const error = await first
    expect(error).toMatchObject({ code: 'timeout', layer: 'filesystem', outcome: 'unknown' })
    expect(error.remedy).toContain('Run this again')
    expect(tool.isRunning()).toBe(true)
    const second = follow(expand(request))
    await second.seen('waiting')
    tool.resume()
    expect(await second.report).toMatchObject({ changed: false })
    expectSound(disk.image, 'ext')
  })
})

describe('an abort', () => {
  test('in the middle of a growth: unknown, the tool goes on, the next run joins it', async () => {
    const disk = slowDisk()
    const request = { host, device: disk.image, to: 'fill', offline: true } as const
    const abort = new AbortController()
    const first = failureOf(expand({ ...request, signal: abort.signal }))
    const tool = await pausedTool(disk)
    const reason = new Error('enough')
    abort.abort(reason)
    const error = await first
    expect(error).toMatchObject({ code: 'aborted', outcome: 'unknown', cause: reason })
    expect(error.report).toMatchObject({ actions: [{ layer: 'filesystem', status: 'failed' }] })
    expect(tool.isRunning()).toBe(true)
    const second = follow(expand(request))
    await second.seen('waiting')
    tool.resume()
    expect(await second.report).toMatchObject({ changed: false })
    expectSound(disk.image, 'ext')
  })

  test('before anything was begun: unchanged', async () => {
    const disk = await mountedXfs()
    const tool = await lockedTool(disk, 'true')
    const abort = new AbortController()
    const run = follow(expand({ host, path: disk.mountPoint, to: 'fill', signal: abort.signal }))
    await run.seen('waiting')
    abort.abort()
    expect(await failureOf(run.report)).toMatchObject({ code: 'aborted', outcome: 'unchanged' })
    tool.go()
    await expectGrown({ host, path: disk.mountPoint, to: 'fill' })
  })
})
