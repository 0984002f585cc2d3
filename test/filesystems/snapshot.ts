import * as fs from 'node:fs'
import * as os from 'node:os'
import type {
  DeviceSnapshot,
  MountSnapshot,
  ProbedRange,
  StorageSnapshot,
  SystemSnapshot,
  UsersSnapshot,
} from '../../src/hosts/host.ts'
import { probeRanges, resolveRange } from '../../src/layers/probe.ts'
import { furtherRanges } from '../../src/layers/signatures.ts'
import { bytes } from '../../src/size.ts'

/** All capabilities, on a kernel without known faults. */
const capableSystem: SystemSnapshot = {
  kernel: '6.12.0',
  uid: 0,
  capabilities: (1n << 41n) - 1n,
  pageSize: 4096,
}

/** Nobody has it, and everybody could be looked at. */
export const nobody: UsersSnapshot = {
  complete: true,
  foreignMounts: [],
  openers: [],
  loops: [],
  localBacking: true,
  swap: false,
}

/** Reads what a host reads of a device, by a function that gives `length` bytes at `offset`. */
export function probed(size: bigint, read: (offset: bigint, length: number) => Uint8Array): readonly ProbedRange[] {
  const fixed = probeRanges.map((range) => resolveRange(range, size)).filter((range) => range !== undefined)
  const first = fixed.map(({ offset, length }) => ({ offset, bytes: read(offset, length) }))
  const further = furtherRanges(first, size).map(({ offset, length, direct }): ProbedRange => {
    return { offset, bytes: read(offset, length), ...(direct && { direct }) }
  })
  return [...first, ...further]
}

/** An image file as a host would see it, unused by anybody. */
export function imageSnapshot(path: string): DeviceSnapshot {
  const fd = fs.openSync(path, 'r')
  try {
    const stats = fs.fstatSync(fd, { bigint: true })
    const read = (offset: bigint, length: number): Uint8Array => {
      const buffer = new Uint8Array(length)
      return buffer.subarray(0, fs.readSync(fd, buffer, 0, length, offset))
    }
    const dev = `${(stats.dev >> 8n) & 0xfffn}:${(stats.dev & 0xffn) | ((stats.dev >> 12n) & 0xfff00n)}`
    return deviceSnapshot({
      id: `image:${dev}:${stats.ino}`,
      kind: 'image',
      path,
      name: path,
      size: bytes(stats.size),
      probe: { ok: true, value: probed(stats.size, read) },
      users: nobody,
    })
  } finally {
    fs.closeSync(fd)
  }
}

/** A device that is nothing but these bytes, followed by zeros up to its size. */
export function memoryDevice(content: Uint8Array, size: bigint = BigInt(content.length)): DeviceSnapshot {
  const read = (offset: bigint, length: number): Uint8Array => {
    const result = new Uint8Array(length)
    const from = Number(offset)
    if (from < content.length) result.set(content.subarray(from, Math.min(content.length, from + length)))
    return result
  }
  return deviceSnapshot({ size: bytes(size), probe: { ok: true, value: probed(size, read) } })
}

export function deviceSnapshot(part: Partial<DeviceSnapshot>): DeviceSnapshot {
  return {
    id: '7:0',
    kind: 'block',
    path: '/dev/loop0',
    name: 'loop0',
    size: bytes(0),
    readOnly: false,
    attributes: {},
    below: [],
    holders: [],
    partitions: [],
    probe: { ok: true, value: [] },
    mounts: [],
    locks: [],
    ...part,
  }
}

export function storageOf(device: DeviceSnapshot, system: Partial<SystemSnapshot> = {}): StorageSnapshot {
  return { system: { ...capableSystem, ...system }, found: [device.id], devices: [device] }
}

export function mountSnapshot(part: Partial<MountSnapshot>): MountSnapshot {
  return {
    mountPoint: '/data',
    dev: '7:0',
    root: '/',
    type: 'ext4',
    source: '/dev/loop0',
    options: ['rw', 'relatime'],
    superOptions: ['rw'],
    statfs: { ok: false, errno: 'ENOENT', message: 'not looked at' },
    ...part,
  }
}

/** Runs `use` with a directory of its own that is gone afterwards. */
export async function withScratch<Value>(
  use: (directory: string) => Promise<Value> | Value,
  parent: string = os.tmpdir(),
): Promise<Value> {
  const directory = fs.mkdtempSync(`${parent}/volume-expander-`)
  try {
    return await use(directory)
  } finally {
    fs.rmSync(directory, { recursive: true, force: true })
  }
}
