import * as fs from 'node:fs'
import { join } from 'node:path'
import { attempt, run, until } from '../../test/real/support/commands.ts'
import type { Subject } from './subjects.ts'

/** An image on tmpfs, which holds whatever a crash left of it. */
export class Image {
  readonly path: string
  #device: string | undefined

  constructor(path: string) {
    this.path = path
  }

  static make(path: string, size: bigint): Image {
    fs.closeSync(fs.openSync(path, 'w'))
    fs.truncateSync(path, Number(size))
    return new Image(path)
  }

  copyTo(path: string): Image {
    run('cp', '--sparse=always', '--', this.path, path)
    return new Image(path)
  }

  get size(): bigint {
    return fs.statSync(this.path, { bigint: true }).size
  }

  get device(): string {
    if (this.#device === undefined) throw new Error(`${this.path} is not attached.`)
    return this.#device
  }

  attach(): string {
    this.#device = attachLoop(this.path, '--partscan')
    return this.#device
  }

  async detach(): Promise<void> {
    if (this.#device !== undefined) await detachLoop(this.#device)
    this.#device = undefined
  }

  remove(): void {
    fs.rmSync(this.path)
  }
}

export function attachLoop(over: string, ...options: readonly string[]): string {
  return run('losetup', '--find', '--show', ...options, '--', over)
}

export async function detachLoop(device: string): Promise<void> {
  await until(`losetup --detach ${device}`, () => attempt('losetup', '--detach', device).code === 0)
  // What still had it open lets the kernel detach it later.
  const backing = `/sys/block/${device.replace('/dev/', '')}/loop`
  await until(`the end of ${device}`, () => !fs.existsSync(backing))
}

export function mount(device: string, directory: string): string {
  const point = join(directory, 'mounted')
  fs.mkdirSync(point, { recursive: true })
  run('mount', '--', device, point)
  return point
}

export async function unmount(point: string): Promise<void> {
  await until(`umount of ${point}`, () => {
    const { code, said } = attempt('umount', '--', point)
    return code === 0 || /not mounted|no mount point/.test(said)
  })
}

/** What the filesystem's own tool finds wrong with it while it is not mounted; undefined when there is nothing. */
export function faultOf({ family }: Pick<Subject, 'family'>, device: string): string | undefined {
  const { code, said } = family === 'ext' ? attempt('e2fsck', '-f', '-n', device) : attempt('xfs_repair', '-n', device)
  return code === 0 ? undefined : `${family === 'ext' ? 'e2fsck -fn' : 'xfs_repair -n'} ended with ${code}: ${said}`
}

/** Bytes of an unmounted filesystem, by its superblock. */
export function sizeOnDisk({ family }: Pick<Subject, 'family'>, device: string): bigint {
  const bytes = Buffer.alloc(4096)
  const fd = fs.openSync(device, 'r')
  fs.readSync(fd, bytes, 0, bytes.length, 0)
  fs.closeSync(fd)
  // The ext superblock begins at 1024; the filesystems here are small enough for the lower half of the count.
  if (family === 'ext') return BigInt(bytes.readUInt32LE(1024 + 4)) << BigInt(10 + bytes.readUInt32LE(1024 + 24))
  return bytes.readBigUInt64BE(8) * BigInt(bytes.readUInt32BE(4))
}
