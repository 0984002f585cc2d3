import { createHash, randomBytes } from 'node:crypto'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { intactRecords, recordOf } from '../../test/real/support/records.ts'

/** Files by name, with the SHA-256 of what was written to them. */
type Content = ReadonlyMap<string, string>

/** Milliseconds between two records: the machine has one processor, and others want it. */
const pause = 20

/** What somebody would miss: files that were there before, and records that are written and synced all the time. */
export class Belongings {
  readonly #content: Content
  #durable = 0
  #writing: Promise<void> | undefined
  #ended = false

  private constructor(content: Content) {
    this.#content = content
  }

  /** Writes the files, and the first record. */
  static put(directory: string): Belongings {
    const content = new Map<string, string>()
    for (const [name, size] of [
      ['empty', 0],
      ['one block', 4096],
      ['larger', 1_500_000],
    ] as const) {
      const bytes = randomBytes(size)
      const fd = fs.openSync(join(directory, name), 'w')
      fs.writeSync(fd, bytes)
      fs.fsyncSync(fd)
      fs.closeSync(fd)
      content.set(name, sumOf(bytes))
    }
    fs.closeSync(fs.openSync(join(directory, 'records'), 'wx'))
    fs.closeSync(syncedDirectory(directory))
    return new Belongings(content)
  }

  /** Records whose fsync has returned. */
  get durable(): number {
    return this.#durable
  }

  /** Writes and syncs one record after the other until {@link rest}. */
  write(directory: string, onDurable: (records: number) => void | Promise<void> = () => {}): void {
    this.#ended = false
    this.#writing = this.#write(directory, onDurable)
    this.#writing.catch(() => {})
  }

  async #write(directory: string, onDurable: (records: number) => void | Promise<void>): Promise<void> {
    const path = join(directory, 'records')
    const file = await fs.promises.open(path, 'r+')
    try {
      for (let number = intactRecords(path); !this.#ended; number += 1) {
        const record = recordOf(number)
        await file.write(record, 0, record.length, number * record.length)
        await file.sync()
        this.#durable = number + 1
        await onDurable(this.#durable)
        await sleep(pause)
      }
    } finally {
      await file.close()
    }
  }

  /** Stops writing. Rejects with the error of a write or an fsync that failed. */
  async rest(): Promise<void> {
    this.#ended = true
    await this.#writing
    this.#writing = undefined
  }

  /** What is missing or other than it was; at least so many records have to be there. */
  missing(directory: string, records: number = this.#durable): readonly string[] {
    const found = intactRecords(join(directory, 'records'))
    const lost = [...this.#content].flatMap(([name, sum]) => {
      const now = sumOf(fs.readFileSync(join(directory, name)))
      return now === sum ? [] : [`the file "${name}" is not what it was`]
    })
    return found >= records ? lost : [...lost, `${found} records are there, ${records} had been synced`]
  }
}

function syncedDirectory(path: string): number {
  const fd = fs.openSync(path, 'r')
  fs.fsyncSync(fd)
  return fd
}

function sumOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
