import * as fs from 'node:fs'
import { join } from 'node:path'
import { localHost } from '../../src/index.ts'
import { seededRandom } from '../../src/testing/index.ts'
import { run, until } from '../../test/real/support/commands.ts'
import { attachLoop, detachLoop, faultOf, Image, mount, sizeOnDisk, unmount } from './disk.ts'
import type { Belongings } from './records.ts'
import type { Subject, SubjectName } from './subjects.ts'
import { completed, endingOf, told, World } from './world.ts'
import { type LoggedWrite, type PowerState, parseWriteLog, powerStates } from './write-log.ts'

export interface PowerOptions {
  readonly subject: Subject
  readonly seed: number
  /** So many are replayed at the least. */
  readonly states: number
  /** Of one recording at the most; left out: all of them. */
  readonly ofRecording?: number
  /** On tmpfs. */
  readonly directory: string
  readonly say: (line: string) => void
}

export interface PowerResult {
  readonly subject: SubjectName
  readonly seed: number
  readonly recordings: number
  /** Entries of the logs: writes, flushes, discards, marks. */
  readonly entries: number
  readonly states: Readonly<Record<PowerState['kind'], number>>
  /** What the filesystem's size was after the journal had been replayed. */
  readonly sizes: Readonly<Record<'old' | 'between' | 'new', number>>
  /** States after the end of the run that had reported the growth, in which the filesystem had its old size all the same. */
  readonly oldAfterReport: number
  /** States of XFS whose backup superblocks were behind: the library told so and its remedy wrote them, or its growth did. */
  readonly backupsBehind: Readonly<Record<Exclude<Examined['backups'], undefined>, number>>
  readonly failures: readonly string[]
  readonly seconds: number
}

const MiB = 2n ** 20n
const recorded = 'crash-recorded'
const recordedDevice = `/dev/mapper/${recorded}`
const logSize = 1024n * MiB
const marks = { growing: 'growing', grown: 'grown', cut: 'cut' } as const
/** Records that are written before and after the growth. */
const around = 3

/** Records every write and flush of growths in use, and cuts the power at each flush, and between them. */
export async function powerCuts(options: PowerOptions): Promise<PowerResult> {
  const { subject, seed, say } = options
  const began = performance.now()
  const random = seededRandom(seed)
  const states = { flush: 0, prefix: 0, reordered: 0 }
  const sizes = { old: 0, between: 0, new: 0 }
  const failures: string[] = []
  const backupsBehind = { told: 0, overgrown: 0 }
  let [recordings, entries, oldAfterReport, total] = [0, 0, 0, 0]
  while (total < options.states) {
    const recording = await record(options, subject.from + 16n * MiB * BigInt(4 + Math.floor(random() * 20)))
    recordings += 1
    entries += recording.end
    const all = evenly(powerStates(recording.writes, recording.end, random), options.ofRecording)
    say(`${subject.name}: recorded ${recording.end} entries, ${all.length} states to replay`)
    const replay = new Replay(recording, options.directory)
    for (const [index, state] of all.entries()) {
      const { size, problems, backups } = await replay.examine(state)
      if (backups !== undefined) backupsBehind[backups] += 1
      states[state.kind] += 1
      total += 1
      if (size !== undefined) {
        sizes[size] += 1
        if (size === 'old' && state.whole > recording.at(marks.grown)) oldAfterReport += 1
      }
      if (problems.length > 0) {
        const kept = state.kept.map(({ write, length }) => `${write.offset}+${length}/${write.length}`)
        const { kind, whole } = state
        const marked = { growing: recording.at(marks.growing), grown: recording.at(marks.grown), end: recording.end }
        const about = { seed, recording: recordings, state: index, kind, whole, kept, size, ...marked }
        failures.push(`${subject.name} ${JSON.stringify(about)}: ${problems.join('; ')}`)
        say(failures.at(-1) ?? '')
      }
    }
    replay.end()
    recording.base.remove()
    recording.log.end()
    say(`${subject.name}: ${total} states replayed`)
  }
  const seconds = Math.round((performance.now() - began) / 1000)
  return {
    subject: subject.name,
    seed,
    recordings,
    entries,
    states,
    sizes,
    oldAfterReport,
    backupsBehind,
    failures,
    seconds,
  }
}

/** Some of them, from the first to the last. */
function evenly<Item>(items: readonly Item[], most: number = items.length): readonly Item[] {
  if (items.length <= most) return items
  return Array.from({ length: most }, (_, index) => Math.floor((index * items.length) / most)).flatMap((at) =>
    items.slice(at, at + 1),
  )
}

interface Recording {
  readonly subject: Subject
  readonly belongings: Belongings
  /** Bytes that the filesystem had before, and is to have. */
  readonly from: bigint
  readonly to: bigint
  /** The disk before the first entry; it has the new size already. */
  readonly base: Image
  readonly log: LogFile
  readonly writes: readonly LoggedWrite[]
  /** Entries before the cut. */
  readonly end: number
  /** The number of entries before a mark. */
  at(mark: string): number
}

/** Grows what is in use on a disk whose writes and flushes are recorded from the mount on. */
async function record({ subject, directory }: PowerOptions, to: bigint): Promise<Recording> {
  const image = Image.make(join(directory, 'recorded.img'), subject.from)
  const world = World.make(subject, image, directory)
  const { belongings } = world
  const { luksKey } = subject
  await world.leave()
  fs.truncateSync(image.path, Number(to))
  const base = image.copyTo(join(directory, 'base.img'))
  const log = Image.make(join(directory, 'log.img'), logSize)
  const lower = attachLoop(image.path)
  const logDevice = attachLoop(log.path)
  for (const module of ['dm-log-writes']) run('modprobe', '-d', '/mnt/.modules', module)
  run('dmsetup', 'create', recorded, '--table', `0 ${to / 512n} log-writes ${lower} ${logDevice}`)
  // No udev runs here.
  run('dmsetup', 'mknodes', recorded)
  const mark = (text: string): void => void run('dmsetup', 'message', recorded, '0', 'mark', text)
  // The kernel keeps nothing back in a cache of its own.
  const disk = attachLoop(recordedDevice, '--partscan', '--direct-io=on')
  const point = mount(subject.activate(disk), directory)
  belongings.write(point, (records) => mark(`records=${records}`))
  const further = async (): Promise<void> => {
    const wanted = belongings.durable + around
    await until('further records', () => belongings.durable >= wanted)
  }
  await further()
  mark(marks.growing)
  const report = await endingOf({
    host: localHost(),
    path: point,
    to: 'fill',
    ...(luksKey === undefined ? {} : { luksKey }),
  })
  mark(marks.grown)
  await further()
  mark(marks.cut)
  await belongings.rest()
  await unmount(point)
  await subject.deactivate()
  await detachLoop(disk)
  run('dmsetup', 'remove', '--retry', recorded)
  await detachLoop(lower)
  await detachLoop(logDevice)
  image.remove()
  if (report instanceof Error) throw new Error(`The recorded growth ended with ${told(report)}`)
  const file = new LogFile(log)
  const writes = parseWriteLog((offset, length) => file.read(offset, length))
  const at = (text: string): number => writes.findIndex((write) => write.mark === text)
  const sizes = { from: subject.filling(subject.from), to }
  return { subject, belongings, ...sizes, base, log: file, writes, end: at(marks.cut), at }
}

class LogFile {
  readonly #image: Image
  readonly #fd: number

  constructor(image: Image) {
    this.#image = image
    this.#fd = fs.openSync(image.path, 'r')
  }

  read(offset: number, length: number): Buffer {
    const bytes = Buffer.alloc(length)
    fs.readSync(this.#fd, bytes, 0, length, offset)
    return bytes
  }

  end(): void {
    fs.closeSync(this.#fd)
    this.#image.remove()
  }
}

interface Examined {
  /** Left out when it could not even be mounted. */
  readonly size?: 'old' | 'between' | 'new'
  readonly problems: readonly string[]
  /** The backup superblocks of XFS were behind, and what wrote them: the remedy that the library told, or its growth. Left out when they were not. */
  readonly backups?: 'told' | 'overgrown'
}

/** The kernel writes them after the growth is in its log, which does not cover them. */
function isBackupsBehind(fault: string | undefined): boolean {
  return fault !== undefined && /would reset bad sb for ag|would write modified primary superblock/.test(fault)
}

/** Goes through a log, and looks at copies of what is there after each power cut. */
class Replay {
  readonly #recording: Recording
  readonly #directory: string
  readonly #disk: Image
  #applied = 0

  constructor(recording: Recording, directory: string) {
    this.#recording = recording
    this.#directory = directory
    this.#disk = recording.base.copyTo(join(directory, 'replayed.img'))
  }

  /** In the order in which the states come. */
  async examine({ whole, kept, known }: PowerState): Promise<Examined> {
    const { writes } = this.#recording
    this.#apply(
      this.#disk,
      writes.slice(this.#applied, whole).map((write) => ({ write, length: write.length })),
    )
    this.#applied = whole
    const copy = this.#disk.copyTo(join(this.#directory, 'after-power-cut.img'))
    this.#apply(copy, kept)
    const records = writes.slice(0, known).flatMap(({ mark }) => {
      const [, count] = /^records=(\d+)$/.exec(mark ?? '') ?? []
      return count === undefined ? [] : [Number(count)]
    })
    try {
      return await this.#boot(copy, records.at(-1) ?? 0)
    } finally {
      copy.remove()
    }
  }

  /** As a machine comes back: the journal is replayed, somebody looks after everything, and runs the library again. */
  async #boot(image: Image, records: number): Promise<Examined> {
    const { subject, belongings, from, to } = this.#recording
    const problems: string[] = []
    let size: Examined['size']
    let point: string | undefined
    let backups: Examined['backups']
    try {
      const device = subject.activate(image.attach())
      const filling = subject.filling(to)
      const look = async (): Promise<string | undefined> => {
        await unmount(point ?? '')
        return faultOf(subject, device)
      }
      const found = (fault: string | undefined): void => void (fault !== undefined && problems.push(fault))
      point = mount(device, this.#directory)
      problems.push(...belongings.missing(point, records))
      // What has its new size, and shows it, is not changed by the next run: it is looked at once, after that.
      if (sizeOnDisk(subject, device) !== filling) {
        const fault = await look()
        if (isBackupsBehind(fault)) backups = 'overgrown'
        else found(fault)
        const bytes = sizeOnDisk(subject, device)
        size = bytes === from ? 'old' : bytes === filling ? 'new' : 'between'
        if (bytes < from || bytes > filling) problems.push(`the filesystem has ${bytes} bytes, neither old nor new`)
        point = mount(device, this.#directory)
      }
      const { grown, wrong, findings } = await completed({ subject, image }, to)
      size ??= 'new'
      if (size === 'new' && grown.includes('filesystem')) problems.push('it was grown once more')
      problems.push(...wrong, ...belongings.missing(point, records))
      const behind = findings.find(({ code }) => code === 'backup-superblocks-behind')
      if (behind !== undefined) {
        backups = 'told'
        const fault = await look()
        if (!isBackupsBehind(fault))
          problems.push(`the backups are said to be behind, and of them: ${fault ?? 'nothing'}`)
        point = mount(device, this.#directory)
        for (const [, percent = ''] of (behind.remedy ?? '').matchAll(/xfs_growfs -m (\d+)/g)) {
          run('xfs_growfs', '-m', percent, point)
        }
        const { findings: left } = await completed({ subject, image }, to)
        if (left.length > 0) problems.push(`after its remedy the library still says ${left[0]?.message}`)
        problems.push(...belongings.missing(point, records))
      }
      found(await look())
      const after = sizeOnDisk(subject, device)
      if (after !== filling) problems.push(`the filesystem has ${after} bytes in the end and was to have ${filling}`)
    } catch (error) {
      problems.push(
        error instanceof Error ? error.message : String(error),
        run('dmesg').split('\n').slice(-8).join('\n'),
      )
      if (point !== undefined) await unmount(point)
    }
    await subject.deactivate()
    await image.detach()
    return { ...(size === undefined ? {} : { size }), problems, ...(backups === undefined ? {} : { backups }) }
  }

  #apply(image: Image, writes: PowerState['kept']): void {
    const fd = fs.openSync(image.path, 'r+')
    for (const { write, length } of writes) {
      const bytes = write.data === undefined ? Buffer.alloc(length) : this.#recording.log.read(write.data, length)
      fs.writeSync(fd, bytes, 0, length, write.offset)
    }
    fs.closeSync(fd)
  }

  end(): void {
    this.#disk.remove()
  }
}
