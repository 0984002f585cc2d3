import * as fs from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ErrorCode, expand, localHost, type Report, VolumeExpansionError } from '../../src/index.ts'
import { seededRandom } from '../../src/testing/index.ts'
import { attempt, run } from '../../test/real/support/commands.ts'
import { type Around, hostWithin } from './calls.ts'
import { attachLoop, detachLoop, faultOf, Image, mount, sizeOnDisk, unmount } from './disk.ts'
import type { Subject, SubjectName } from './subjects.ts'
import { type Ending, told, World } from './world.ts'

export interface IoErrorOptions {
  readonly subject: Subject
  readonly seed: number
  /** For each kind of fault. */
  readonly runs: number
  /** On tmpfs. */
  readonly directory: string
  readonly say: (line: string) => void
}

export interface IoErrorResult {
  readonly subject: SubjectName
  readonly seed: number
  /** How the runs ended, by the fault: `done`, or code and outcome. */
  readonly ended: Readonly<Record<string, number>>
  /** How the run ended that came right after the errors had ended, while the filesystem was still mounted. */
  readonly next: Readonly<Record<string, number>>
  /** Filesystems that needed e2fsck or xfs_repair, or only to be mounted anew, before the growth was completed. */
  readonly needed: Readonly<Record<'nothing' | 'mount' | 'repair', number>>
  readonly failures: readonly string[]
  readonly seconds: number
}

interface Fault {
  readonly name: string
  /** The table of the mapping while it fails. */
  readonly table: (given: { readonly lower: string; readonly from: bigint; readonly to: bigint }) => string
  /** In the middle of the tool's work, not before it. */
  readonly middle: boolean
}

const MiB = 2n ** 20n
const mapping = 'crash-failing'
const sectors = (bytes: bigint): bigint => bytes / 512n
const linear: Fault['table'] = ({ lower, to }) => `0 ${sectors(to)} linear ${lower} 0`
const failingWrites: Fault['table'] = ({ lower, to }) => `0 ${sectors(to)} flakey ${lower} 0 0 3600 1 error_writes`

const faults: readonly Fault[] = [
  {
    name: 'the new room cannot be written or read',
    table: ({ lower, from, to }) =>
      `0 ${sectors(from)} linear ${lower} 0\n${sectors(from)} ${sectors(to - from)} error`,
    middle: false,
  },
  { name: 'writes fail from the beginning', table: failingWrites, middle: false },
  { name: 'writes fail from some moment on', table: failingWrites, middle: true },
  { name: 'everything fails from some moment on', table: ({ to }) => `0 ${sectors(to)} error`, middle: true },
]

/** Lets the disk fail while the filesystem on it grows, and looks whether the truth is told. */
export async function ioErrors({ subject, seed, runs, directory, say }: IoErrorOptions): Promise<IoErrorResult> {
  const began = performance.now()
  const random = seededRandom(seed)
  const ended: Record<string, number> = {}
  const next: Record<string, number> = {}
  const needed = { nothing: 0, mount: 0, repair: 0 }
  const failures: string[] = []
  for (const fault of faults) {
    for (let count = 0; count < runs; count += 1) {
      const to = subject.from + 16n * MiB * BigInt(4 + Math.floor(random() * 20))
      const delay = fault.middle ? random() * 150 : 0
      const seen = await fail(subject, fault, to, delay, directory)
      ended[`${fault.name}: ${seen.ended}`] = (ended[`${fault.name}: ${seen.ended}`] ?? 0) + 1
      next[seen.next] = (next[seen.next] ?? 0) + 1
      needed[seen.needed] += 1
      if (seen.problems.length > 0) {
        const about = { seed, fault: fault.name, count, to: `${to}`, delay, ended: seen.ended, next: seen.next }
        failures.push(`${subject.name} ${JSON.stringify(about)}: ${seen.problems.join('; ')}`)
        say(failures.at(-1) ?? '')
      }
    }
    say(`${subject.name}: ${fault.name}, ${runs} times`)
  }
  const seconds = Math.round((performance.now() - began) / 1000)
  return { subject: subject.name, seed, ended, next, needed, failures, seconds }
}

interface Seen {
  readonly ended: string
  readonly next: string
  readonly needed: 'nothing' | 'mount' | 'repair'
  readonly problems: readonly string[]
}

async function fail(subject: Subject, fault: Fault, to: bigint, delay: number, directory: string): Promise<Seen> {
  const image = Image.make(join(directory, 'failing.img'), subject.from)
  const world = World.make(subject, image, directory)
  const { belongings } = world
  await world.leave()
  fs.truncateSync(image.path, Number(to))
  run('modprobe', '-d', '/mnt/.modules', 'dm-flakey')
  const lower = attachLoop(image.path)
  const given = { lower, from: subject.from, to }
  run('dmsetup', 'create', mapping, '--table', linear(given))
  run('dmsetup', 'mknodes', mapping)
  // The filesystem is on a disk, as far as the library can see; the mapping below it is what fails.
  const disk = attachLoop(`/dev/mapper/${mapping}`, '--direct-io=on')
  let point = mount(disk, directory)
  belongings.write(point)
  const problems: string[] = []
  const shown = (): number => fs.statfsSync(point).blocks
  const before = shown()
  const failing: Promise<void>[] = []
  const around: Around = (call, make) => {
    if (call === 'resize2fs' || call === 'xfs_growfs') {
      if (fault.middle) failing.push(sleep(delay).then(() => exchange(fault.table(given))))
      else exchange(fault.table(given))
    }
    return make()
  }
  const ending = await settled(expand({ host: hostWithin(localHost(), around), path: point, to: 'fill' }))
  // What the kernel says right after the library has said it; a filesystem that was shut down says nothing.
  const grown = grownTo(shown, before)
  problems.push(...untruths(ending, subject.filling(to), grown))
  await Promise.all(failing)
  await belongings.rest().catch(() => {})
  exchange(linear(given))
  const following = await settled(expand({ host: localHost(), path: point, to: 'fill' }))
  if (following instanceof VolumeExpansionError && (following.remedy ?? '') === '') {
    problems.push(`the next run says no remedy for ${told(following)}`)
  }
  await unmount(point)
  let needed: Seen['needed'] = following instanceof VolumeExpansionError ? 'mount' : 'nothing'
  // The journal is replayed by a mount. What then is still wrong is repaired by the tool of the filesystem, as the remedy says.
  const first = attempt('mount', '--', disk, point)
  if (first.code === 0) await unmount(point)
  if (first.code !== 0 || faultOf(subject, disk) !== undefined) {
    needed = 'repair'
    const { code, said } = subject.family === 'ext' ? attempt('e2fsck', '-f', '-y', disk) : attempt('xfs_repair', disk)
    if (code > 1) problems.push(`the filesystem could not be repaired: ${said}`)
  }
  const bytes = sizeOnDisk(subject, disk)
  if (bytes < subject.from) problems.push(`the filesystem has ${bytes} bytes and had ${subject.from}`)
  point = mount(disk, directory)
  problems.push(...belongings.missing(point))
  let last = await settled(expand({ host: localHost(), path: point, to: 'fill' }))
  if (subject.family === 'ext' && last instanceof VolumeExpansionError && last.code === 'filesystem-damaged') {
    // The kernel has written into the superblock that there were errors; e2fsck -fn finds none, and only e2fsck takes the mark away.
    needed = 'repair'
    await unmount(point)
    const { code, said } = attempt('e2fsck', '-f', '-y', disk)
    if (code > 1) problems.push(`the filesystem could not be repaired: ${said}`)
    point = mount(disk, directory)
    last = await settled(expand({ host: localHost(), path: point, to: 'fill' }))
  }
  if (last instanceof VolumeExpansionError) problems.push(`the run after the errors ended with ${told(last)}`)
  problems.push(...belongings.missing(point))
  await unmount(point)
  const found = faultOf(subject, disk)
  if (found !== undefined) problems.push(found)
  const after = sizeOnDisk(subject, disk)
  if (after !== subject.filling(to)) problems.push(`the filesystem has ${after} bytes in the end`)
  await detachLoop(disk)
  run('dmsetup', 'remove', '--retry', mapping)
  await detachLoop(lower)
  image.remove()
  return { ended: nameOf(ending), next: nameOf(following), needed, problems }
}

/** Lets the mapping be another from now on; what is under way is not waited for. */
function exchange(table: string): void {
  run('dmsetup', 'suspend', '--noflush', '--nolockfs', mapping)
  run('dmsetup', 'reload', mapping, '--table', table)
  run('dmsetup', 'resume', mapping)
}

async function settled(running: PromiseLike<Report>): Promise<Ending> {
  try {
    return await running
  } catch (error) {
    if (error instanceof VolumeExpansionError) return error
    throw error
  }
}

function nameOf(ending: Ending): string {
  return ending instanceof VolumeExpansionError
    ? `${ending.code} (${ending.outcome})`
    : ending.changed
      ? 'done'
      : 'nothing to do'
}

function grownTo(shown: () => number, before: number): boolean | undefined {
  try {
    return shown() > before
  } catch {
    return undefined
  }
}

/** Codes that may be said of a disk that fails, and of what the kernel does then. */
const truths: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'io-error',
  'filesystem-damaged',
  'read-only',
  'tool-failed',
  'verification-failed',
])

/** What was said and is not so. */
function untruths(ending: Ending, filling: bigint, grown: boolean | undefined): readonly string[] {
  if (!(ending instanceof VolumeExpansionError)) {
    const after = ending.layers.find(({ kind }) => kind === 'filesystem')?.after
    return [
      ...(grown === true ? [] : ['success was reported, and the kernel shows no growth']),
      ...(after === filling ? [] : [`success was reported with ${after} bytes`]),
    ]
  }
  const { code, layer, outcome, remedy } = ending
  return [
    ...(truths.has(code) ? [] : [`that is not what was wrong: ${told(ending)}`]),
    ...(layer === 'filesystem' ? [] : [`the failure is said to be one of the layer ${layer}`]),
    ...(grown === true && outcome === 'unchanged' ? [`it has grown, and was reported as ${told(ending)}`] : []),
    ...((remedy ?? '') === '' ? [`there is no remedy for ${told(ending)}`] : []),
  ]
}
