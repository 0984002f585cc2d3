import { createHash } from 'node:crypto'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { attempt, run, until } from './commands.ts'
import { Disk } from './disk.ts'

/** A disk with a partition table, which the kernel reads. */
export class PartitionedDisk {
  readonly disk: Disk
  readonly #options: readonly string[]
  #loop: string | undefined

  /**
   * @param table as sfdisk reads it
   * @param options of losetup
   */
  constructor(size: bigint, table: readonly string[], options: readonly string[] = []) {
    this.disk = new Disk(size)
    this.#options = options
    if (options.length === 0) writeTable(this.disk.image, table)
  }

  /** The whole disk, attached with its partitions. */
  async attach(table?: readonly string[]): Promise<string> {
    this.#loop = await this.disk.attach('--partscan', ...this.#options)
    if (table !== undefined) writeTable(this.#loop, table)
    return this.#loop
  }

  get loop(): string {
    if (this.#loop === undefined) throw new Error('The disk is not attached.')
    return this.#loop
  }

  partition(number: number): string {
    return `${this.loop}p${number}`
  }

  /** Bytes of a partition by the kernel. */
  shown(number: number): bigint {
    const name = this.partition(number).slice('/dev/'.length)
    return BigInt(fs.readFileSync(`/sys/class/block/${name}/size`, 'utf8').trim()) * 512n
  }

  /** Sectors of a partition by the table, and the last of them. */
  inTable(number: number): { readonly start: bigint; readonly size: bigint } {
    const { partitiontable } = JSON.parse(run('sfdisk', '--json', this.loop)) as Dump
    const entry = partitiontable.partitions.find(({ node }) => node === this.partition(number))
    if (entry === undefined) throw new Error(`There is no partition ${number}.`)
    return { start: BigInt(entry.start), size: BigInt(entry.size) }
  }

  /** Differs when the table, its copy, the image's size or what the kernel shows was changed; a mounted filesystem writes elsewhere. */
  state(): string {
    run('blockdev', '--flushbufs', this.loop)
    const { size } = this.disk
    const sum = createHash('sha256')
      .update(this.disk.read(0n, 34 * 512))
      .update(this.disk.read(size - 33n * 512n, 33 * 512))
    return [size, sum.digest('hex'), run('lsblk', '--raw', '--bytes', this.loop)].join(' ')
  }

  async mount(number: number): Promise<string> {
    const point = join(this.disk.directory, `mounted-${number}`)
    fs.mkdirSync(point)
    run('mount', '--', this.partition(number), point)
    onTestFinished(() => this.unmount(point))
    return point
  }

  async unmount(point: string): Promise<void> {
    await until(`umount of ${point}`, () => {
      const { code, said } = attempt('umount', '--', point)
      return code === 0 || /not mounted/.test(said)
    })
  }
}

interface Dump {
  readonly partitiontable: {
    readonly partitions: readonly { readonly node: string; readonly start: number; readonly size: number }[]
  }
}

function writeTable(device: string, table: readonly string[]): void {
  run('sh', '-c', 'printf "%s\\n" "$2" | sfdisk --quiet --wipe never "$1"', 'sh', device, table.join('\n'))
}
