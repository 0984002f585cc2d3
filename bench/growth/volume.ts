import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readSync, rmSync, statfsSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { GrowthCase } from './cases.ts'

const gibibyte = 1024 ** 3

/** A sparse image as large as the filesystem will be, with a filesystem on it that is smaller: there is always something to grow into. */
export class ScratchVolume {
  readonly image: string
  readonly mountPoint: string
  /** The loop device, or the image itself where nothing is mounted. */
  readonly device: string
  readonly growthCase: GrowthCase
  #mounted = false

  constructor(directory: string, growthCase: GrowthCase) {
    const { filesystem, online, from, to } = growthCase
    this.growthCase = growthCase
    this.image = join(directory, `${filesystem}-${from}-${to}.img`)
    this.mountPoint = join(directory, `${filesystem}-${from}-${to}`)
    mkdirSync(this.mountPoint, { recursive: true })
    writeFileSync(this.image, '')
    truncateSync(this.image, to * gibibyte)
    this.device = online ? run('losetup', '--find', '--show', this.image) : this.image
  }

  /** A new filesystem of the size before; all that it wrote is on the disk, so that no growth pays for what came before it. */
  remake(): void {
    const { filesystem, online, from } = this.growthCase
    this.#unmount()
    if (filesystem === 'xfs') runWhenFree('mkfs.xfs', '-q', '-f', '-d', `size=${from}g`, this.device)
    else runWhenFree('mkfs.ext4', '-q', '-F', this.device, `${from}g`)
    if (online) {
      // ext4 would initialise inode tables in the background, at moments of its own.
      const options = filesystem === 'ext4' ? ['-o', 'noinit_itable'] : []
      run('mount', ...options, this.device, this.mountPoint)
      this.#mounted = true
      run('sync', '-f', this.mountPoint)
    }
    run('sync', '-f', this.image)
  }

  /** @throws {Error} when the filesystem does not have the size after the growth */
  requireGrown(): void {
    const size = this.#mounted ? mountedSize(this.mountPoint) : extSize(this.image)
    // A mounted filesystem does not count its own metadata.
    if (size < this.growthCase.to * gibibyte * 0.9)
      throw new Error(`${this.device} has ${size} bytes: it did not grow.`)
  }

  dispose(): void {
    this.#unmount()
    if (this.device !== this.image) run('losetup', '--detach', this.device)
    rmSync(this.image)
  }

  #unmount(): void {
    if (this.#mounted) run('umount', this.mountPoint)
    this.#mounted = false
  }
}

function mountedSize(path: string): number {
  const { blocks, bsize } = statfsSync(path)
  return blocks * bsize
}

/** Of an unmounted ext4: s_blocks_count_lo and s_log_block_size. */
function extSize(image: string): number {
  const superblock = Buffer.alloc(1024)
  const fd = openSync(image, 'r')
  try {
    readSync(fd, superblock, 0, superblock.length, 1024)
  } finally {
    closeSync(fd)
  }
  return superblock.readUInt32LE(4) * (1024 << superblock.readUInt32LE(0x18))
}

/** Others who looked at all mounts may have the device for a moment longer. */
function runWhenFree(program: string, ...args: string[]): string {
  for (const end = performance.now() + 60_000; ; ) {
    try {
      return run(program, ...args)
    } catch (error) {
      const isBusy = error instanceof Error && /busy|in use/.test(error.message)
      if (!isBusy || performance.now() > end) throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50)
    }
  }
}

function run(program: string, ...args: string[]): string {
  return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim()
}
