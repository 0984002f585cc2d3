import { execFile } from 'node:child_process'
import { mkdtemp, open, readFile, rm, stat, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { fileExpander } from '../../../providers/file/expander.ts'
import { type AttachedVolume, providerCases } from '../../../src/conformance/index.ts'
import type { VolumeState } from '../../../src/expander.ts'
import type { DeviceSnapshot } from '../../../src/hosts/host.ts'
import { device } from '../../../src/layers/device/index.ts'
import type { Growth } from '../../../src/layers/layer.ts'
import { type Bytes, bytes, MiB } from '../../../src/size.ts'
import { allCapabilities, deviceOf, snapshotOf } from '../../layers/device/snapshots.ts'

// Loop devices of the running kernel: needs root.

const run = promisify(execFile)
const expander = fileExpander()
let directory: string
let files = 0

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'volume-expander-device-'))
})

afterAll(() => rm(directory, { recursive: true, force: true }))

async function makeFile(size: bigint): Promise<string> {
  files += 1
  const path = join(directory, `-- a "disk" $(x)\n${files}.img`)
  const handle = await open(path, 'wx')
  await handle.truncate(Number(size))
  await handle.close()
  return path
}

/** Attaches the file for as long as the test runs; other tests use the few loop devices too. */
async function attach(path: string, ...options: readonly string[]): Promise<string> {
  for (let tries = 0; ; tries += 1) {
    try {
      const { stdout } = await run('losetup', ['--find', '--show', ...options, path])
      const loop = stdout.trim()
      onTestFinished(async () => void (await run('losetup', ['--detach', loop])))
      return loop
    } catch (error) {
      if (tries >= 50) throw error
      await sleep(200)
    }
  }
}

/** The device as sysfs shows it. */
async function look(loop: string): Promise<DeviceSnapshot> {
  const name = basename(loop)
  const attribute = (path: string): Promise<string> => readFile(`/sys/class/block/${name}/${path}`, 'utf8')
  const names = ['diskseq', 'loop/backing_file', 'loop/offset', 'loop/sizelimit']
  const texts = await Promise.all(
    names.map(async (path) => [path, (await attribute(path)).replace(/\n$/, '')] as const),
  )
  return deviceOf({
    id: (await attribute('dev')).trim(),
    name,
    path: loop,
    size: bytes(BigInt(await attribute('size')) * 512n),
    readOnly: (await attribute('ro')).trim() === '1',
    attributes: Object.fromEntries(texts),
  })
}

async function state(path: string): Promise<VolumeState> {
  const [outcome] = await expander.read([path], {})
  if (outcome === undefined || outcome instanceof Error) throw outcome
  return outcome
}

async function growFile(path: string, size: bigint): Promise<Bytes> {
  await expander.expand(path, { size: size as Bytes, options: undefined, requestId: 'one' })
  return (await state(path)).size
}

function growthOf(candidate: DeviceSnapshot, available: Bytes): Growth {
  return device.grow(candidate, snapshotOf([candidate], allCapabilities), {
    available,
    offline: false,
    backendUsers: { known: true, others: [] },
  })
}

async function carryOut({ expect: expectations, commands }: Growth): Promise<void> {
  for (const { expect: read, equals } of expectations) {
    expect((await readFile(read.path, 'utf8')).trim()).toBe(equals)
  }
  for (const { exec } of commands) {
    const [program = '', ...rest] = exec
    await run(program, rest)
  }
}

describe('a loop device over a file volume', () => {
  test.each<[string, readonly string[], bigint]>([
    ['as it is', [], 0n],
    ['with an offset', ['--offset', `${MiB}`], MiB],
    ['with sectors of 4 KiB', ['--sector-size', '4096'], 0n],
    ['with a size limit that is not reached', ['--sizelimit', `${1024n * MiB}`], 0n],
  ])('%s follows the volume by the planned command', async (_, options, offset) => {
    const path = await makeFile(64n * MiB)
    const loop = await attach(path, ...options)
    const before = await look(loop)
    expect(growthOf(before, (await state(path)).size)).toMatchObject({ after: before.size, commands: [], findings: [] })

    const growth = growthOf(before, await growFile(path, 80n * MiB))
    expect(growth.findings).toEqual([])
    // The kernel does not tell the device that its file has grown.
    expect((await look(loop)).size).toBe(before.size)
    await carryOut(growth)

    const after = await look(loop)
    expect(after.size).toBe(growth.after)
    expect(after.size).toBe(80n * MiB - offset)
    // The marks that a plan was approved for outlive the growth.
    expect(device.measure(after, snapshotOf([after])).identity).toEqual(
      device.measure(before, snapshotOf([before])).identity,
    )
    expect(growthOf(after, (await state(path)).size).commands).toEqual([])
  })

  test('shows whole sectors of a file of any size', async () => {
    const path = await makeFile(64n * MiB)
    const loop = await attach(path)
    const growth = growthOf(await look(loop), await growFile(path, 80n * MiB + 1001n))
    await carryOut(growth)
    expect((await look(loop)).size).toBe(growth.after)
    expect(growth.after).toBe(80n * MiB + 512n)
  })

  test('stays within its size limit, which the plan knows', async () => {
    const path = await makeFile(64n * MiB)
    const loop = await attach(path, '--sizelimit', `${32n * MiB}`)
    const before = await look(loop)
    expect(before.size).toBe(32n * MiB)
    const growth = growthOf(before, await growFile(path, 80n * MiB))
    expect(growth.findings).toMatchObject([{ code: 'limit-exceeded', severity: 'blocker' }])
    await run('losetup', ['--set-capacity', loop])
    expect((await look(loop)).size).toBe(32n * MiB)
  })

  test('is refused when it is read-only, or larger than its file', async () => {
    const path = await makeFile(64n * MiB)
    const readOnly = await look(await attach(path, '--read-only'))
    expect(growthOf(readOnly, bytes(80n * MiB)).findings).toMatchObject([{ code: 'read-only' }])
    const cut = await makeFile(64n * MiB)
    const loop = await attach(cut)
    await truncate(cut, Number(32n * MiB))
    expect(growthOf(await look(loop), (await state(cut)).size).findings).toMatchObject([{ code: 'identity-mismatch' }])
  })

  test('needs the capability that the plan asks for', async () => {
    const path = await makeFile(64n * MiB)
    const loop = await attach(path)
    const growth = growthOf(await look(loop), await growFile(path, 80n * MiB))
    const without = ['--bounding-set', '-sys_admin', '--', ...(growth.commands[0]?.exec ?? [])]
    await expect(run('setpriv', without)).rejects.toThrow(/Operation not permitted/)
    expect((await look(loop)).size).toBe(64n * MiB)
  })

  test('is among the users of the volume, by whatever name it was attached', async () => {
    const path = await makeFile(64n * MiB)
    expect((await state(path)).users ?? []).toEqual([])
    const loop = await attach(path)
    const { users } = await state(path)
    // Left out while a loop device of somebody else has a file that is gone.
    if (users !== undefined) expect(users).toEqual([{ kind: 'loop', description: loop, isDevice: true }])
    else expect((await run('losetup', ['--list', '--noheadings', '--raw'])).stdout).toContain('(deleted)')
  })
})

describe('file() as hosts see it', () => {
  const attached = async (): Promise<AttachedVolume<string>> => {
    const ref = await makeFile(64n * MiB)
    const loop = await attach(ref)
    return {
      ref,
      measure: async () => (await stat(ref, { bigint: true })).size,
      grow: (size) => truncate(ref, Number(size)),
      seen: async () => (await look(loop)).size,
    }
  }
  const cases = providerCases({
    expander,
    volume: attached,
    attached,
    missing: '/nowhere/missing.img',
    malformed: ['disk.img'],
    pause: () => sleep(20),
  })
  for (const { name, run: examine } of cases.filter(({ name }) => name.startsWith('hosts: '))) test(name, examine)
})
