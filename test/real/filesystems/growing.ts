import { spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { expect } from 'vitest'
import type { FilesystemResizer } from '../../../src/filesystems/filesystem.ts'
import { commandEnvironment } from '../../../src/hosts/command.ts'
import type { DeviceSnapshot, ExecResult, StorageSnapshot, StorageTarget } from '../../../src/hosts/host.ts'
import { localHost } from '../../../src/hosts/local/index.ts'
import type { Growth, GrowthContext } from '../../../src/layers/layer.ts'
import type { Geometry } from './geometries.ts'

const host = localHost()

/** Runs a program that has to succeed, and returns its standard output. */
export function run(program: string, ...args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    encoding: 'utf8',
    env: commandEnvironment,
  })
  if (error !== undefined) throw error
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${status}: ${stderr}${stdout}`)
  return stdout.trim()
}

/** A sparse file of exactly so many bytes. */
export function resize(path: string, size: bigint): void {
  fs.closeSync(fs.openSync(path, 'a'))
  fs.truncateSync(path, Number(size))
}

/** Makes the filesystem of a geometry in a file, and gives the file its larger size. */
export function make(geometry: Geometry, path: string, ...extra: readonly string[]): void {
  resize(path, geometry.from)
  const [program = '', ...args] = geometry.mkfs
  run(program, ...args, ...extra, path)
  if (geometry.checkFirst === true) spawnSync('e2fsck', ['-f', '-y', path], { env: commandEnvironment })
  resize(path, geometry.to)
}

/** What the host sees of a target that has one device. */
export async function look(at: StorageTarget): Promise<{ device: DeviceSnapshot; snapshot: StorageSnapshot }> {
  const [seen] = await host.batch([{ read: 'storage', at }])
  if (!seen.ok) throw new Error(seen.message)
  const [device] = seen.value.devices
  if (device === undefined) throw new Error('nothing was found')
  return { device, snapshot: seen.value }
}

/**
 * The same, for an image or device that this test alone has made: exclusivity is then known, whatever processes of this machine could not be looked at.
 */
export async function lookAtOwn(at: StorageTarget): Promise<{ device: DeviceSnapshot; snapshot: StorageSnapshot }> {
  const { device, snapshot } = await look(at)
  if (device.users === undefined) return { device, snapshot }
  const own = { ...device, users: { ...device.users, complete: true, localBacking: true } }
  return { device: own, snapshot: { ...snapshot, devices: [own, ...snapshot.devices.slice(1)] } }
}

/** Carries a prescription out as the core does: expectations, then commands, in one batch. */
export async function carryOut({ expect: expectations, commands }: Growth): Promise<readonly ExecResult[]> {
  const results = await host.batch([...expectations, ...commands])
  for (const result of results.slice(0, expectations.length)) expect(result).toMatchObject({ ok: true })
  return results.slice(expectations.length) as readonly ExecResult[]
}

/** Grows what is at the target, and returns the size that was predicted and the one that was measured afterwards. */
export async function grow(
  resizer: FilesystemResizer,
  at: StorageTarget,
  context: Partial<GrowthContext> = {},
): Promise<{ growth: Growth; before: bigint; after: bigint }> {
  const { device, snapshot } = await lookAtOwn(at)
  const before = resizer.measure(device, snapshot).size
  const growth = resizer.grow(device, snapshot, { available: device.size, offline: false, ...context })
  for (const result of await carryOut(growth)) expect(result).toMatchObject({ ok: true })
  const again = await lookAtOwn(at)
  return { growth, before, after: resizer.measure(again.device, again.snapshot).size }
}

export function blockersOf(growth: Growth): readonly string[] {
  return growth.findings.filter(({ severity }) => severity === 'blocker').map(({ code }) => code)
}

/** A loop device over a file while `use` runs. Other tests use loop devices too: having none free is waited for. */
export async function withLoop<Value>(path: string, use: (device: string) => Promise<Value>): Promise<Value> {
  const device = await attach(path)
  try {
    return await use(device)
  } finally {
    run('losetup', '--detach', device)
  }
}

async function attach(path: string): Promise<string> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return run('losetup', '--find', '--show', path)
    } catch (error) {
      if (attempt >= 100) throw error
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
  }
}

/** A filesystem that is mounted while `use` runs. */
export async function withMount<Value>(
  device: string,
  directory: string,
  use: (mountPoint: string) => Promise<Value>,
  ...options: readonly string[]
): Promise<Value> {
  fs.mkdirSync(directory, { recursive: true })
  run('mount', ...options, device, directory)
  try {
    return await use(directory)
  } finally {
    run('umount', directory)
  }
}
