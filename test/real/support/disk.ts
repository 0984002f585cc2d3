import { createHash } from 'node:crypto'
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { onTestFinished } from 'vitest'
import { attempt, run, until } from './commands.ts'

export interface DiskOptions {
  /** Of the image's file. */
  readonly name?: string
  /** On a tmpfs, whose files may be larger than those of the usual filesystems. */
  readonly inMemory?: boolean
  /** A directory for it, such as one on another disk. */
  readonly within?: string
}

/** A directory for one test. */
export function scratchDirectory(parent: string): string {
  const directory = fs.mkdtempSync(join(parent, 'volume-expander-'))
  onTestFinished(() => fs.rmSync(directory, { recursive: true }))
  return directory
}

/** A sparse image of one test, with the loop devices and mounts that the test gives it; all of them end with the test. */
export class Disk {
  readonly directory: string
  readonly image: string
  readonly #devices: string[] = []
  readonly #mounts: string[] = []

  constructor(size: bigint, { name = 'disk.img', inMemory = false, within }: DiskOptions = {}) {
    this.directory = scratchDirectory(within ?? (inMemory ? '/dev/shm' : tmpdir()))
    this.image = join(this.directory, name)
    fs.closeSync(fs.openSync(this.image, 'wx'))
    this.resize(size)
    onTestFinished(() => this.#release())
  }

  /** A second image with the same content; of a mounted filesystem, as a power cut would leave it. */
  copy(name = 'copy.img'): Disk {
    const copy = new Disk(1n, { name, inMemory: this.directory.startsWith('/dev/shm') })
    if (this.#mounts.length > 0) run('sync', '-f', this.mountPoint)
    run('cp', '--sparse=always', '--', this.image, copy.image)
    return copy
  }

  /** The newest loop device, else the image itself. */
  get device(): string {
    return this.#devices.at(-1) ?? this.image
  }

  /** A name of the same thing that no tool takes for anything else: mke2fs and e2fsck take what follows a question mark for options. */
  get harmless(): string {
    if (this.#devices.length > 0 || /^[\w./-]+$/.test(this.image)) return this.device
    const link = join(this.directory, 'link')
    if (!fs.existsSync(link)) fs.symlinkSync(basename(this.image), link)
    return link
  }

  get mountPoint(): string {
    const [first] = this.#mounts
    if (first === undefined) throw new Error(`${this.image} is not mounted.`)
    return first
  }

  /** Bytes of the image. */
  get size(): bigint {
    return fs.statSync(this.image, { bigint: true }).size
  }

  /** Sets the size of the image, and lets its loop devices look at it again. */
  resize(size: bigint): void {
    fs.truncateSync(this.image, Number(size))
    for (const device of this.#devices) run('losetup', '--set-capacity', device)
  }

  mkfs([program = '', ...args]: readonly string[], ...blocks: readonly string[]): void {
    run(program, ...args, this.harmless, ...blocks)
  }

  /** Attaches a loop device. They are few, and other programs use them too. */
  async attach(...options: readonly string[]): Promise<string> {
    const device = await until('a free loop device', () => {
      const { code, answer } = attempt('losetup', '--find', '--show', ...options, '--', this.image)
      return code === 0 ? answer : undefined
    })
    this.#devices.push(device)
    return device
  }

  /** Mounts it, with a loop device if it has none; at a directory of its own. */
  async mount(options: readonly string[] = [], name = `mounted-${this.#mounts.length}`): Promise<string> {
    if (this.#devices.length === 0) await this.attach()
    const point = join(this.directory, name)
    fs.mkdirSync(point, { recursive: true })
    run('mount', ...(options.length === 0 ? [] : ['-o', options.join(',')]), '--', this.device, point)
    this.#mounts.push(point)
    return point
  }

  /** A second mount of what is mounted already. */
  bind(options: readonly string[] = []): string {
    const point = join(this.directory, `bound-${this.#mounts.length}`)
    fs.mkdirSync(point)
    run('mount', '--bind', '--', this.mountPoint, point)
    this.#mounts.push(point)
    if (options.length > 0) run('mount', '-o', ['remount', 'bind', ...options].join(','), '--', point)
    return point
  }

  async unmount(): Promise<void> {
    for (let point = this.#mounts.at(-1); point !== undefined; point = this.#mounts.at(-1)) {
      await unmounted(point)
      this.#mounts.pop()
    }
  }

  async detach(): Promise<void> {
    for (let device = this.#devices.at(-1); device !== undefined; device = this.#devices.at(-1)) {
      run('losetup', '--detach', device)
      this.#devices.pop()
    }
  }

  /** Writes bytes into the image, behind everybody's back. */
  write(offset: bigint, bytes: Uint8Array): void {
    const fd = fs.openSync(this.image, 'r+')
    fs.writeSync(fd, bytes, 0, bytes.length, Number(offset))
    fs.closeSync(fd)
  }

  read(offset: bigint, length: number): Buffer {
    const bytes = Buffer.alloc(length)
    const fd = fs.openSync(this.image, 'r')
    fs.readSync(fd, bytes, 0, length, Number(offset))
    fs.closeSync(fd)
    return bytes
  }

  /** Differs when anything was written to an image that is not mounted, or when its size changed. */
  fingerprint(): string {
    for (const device of this.#devices) run('blockdev', '--flushbufs', device)
    const { size, mtimeNs, blocks } = fs.statSync(this.image, { bigint: true })
    const length = Number(size < 2n ** 20n ? size : 2n ** 20n)
    const head = createHash('sha256').update(this.read(0n, length)).digest('hex')
    return this.#mounts.length > 0 ? `${size}` : `${size} ${blocks} ${mtimeNs} ${head}`
  }

  async #release(): Promise<void> {
    await this.unmount()
    await this.detach()
  }
}

/** Something may still have it open for a moment: an indexer, the last moments of a writer. */
async function unmounted(point: string): Promise<void> {
  await until(`umount of ${JSON.stringify(point)}`, () => {
    const { code, said } = attempt('umount', '--', point)
    return code === 0 || /not mounted/.test(said)
  })
}
