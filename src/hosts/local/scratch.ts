import * as fs from 'node:fs'
import { VolumeExpansionError } from '../../errors.ts'
import { outputLimit } from '../command.ts'
import { errnoOf } from '../errno.ts'
import { memoryMagics } from '../filesystem-types.ts'
import { statNow } from './files.ts'

// O_TMPFILE holds O_DIRECTORY, whose bit is the architecture's own; O_EXCL: the file can never be given a name.
const { O_RDWR, O_APPEND, O_EXCL, O_DIRECTORY } = fs.constants
const unnamed = 0o20000000 | O_DIRECTORY | O_RDWR | O_APPEND | O_EXCL

/**
 * Makes the files that detached tools write to: in memory, so that a message never waits for the disk that is being grown, and without a name, so that nobody can
 * plant, read or replace them, and nothing stays behind whichever of the two processes dies first.
 */
export class ScratchFiles {
  readonly #given: string | undefined
  #directory: string | undefined

  /** @param directory where to make them; left out: the usual places for tmpfs are tried */
  constructor(directory?: string) {
    this.#given = directory
  }

  /**
   * An open descriptor.
   * @throws {VolumeExpansionError} `permission-denied`: there is no writable tmpfs; nothing was begun
   */
  open(): number {
    if (this.#directory !== undefined) {
      const fd = tryOpen(this.#directory)
      if (typeof fd === 'number') return fd
    }
    const failures: string[] = []
    for (const directory of this.#given === undefined ? usualPlaces() : [this.#given]) {
      const fd = isInMemory(directory) ? tryOpen(directory) : 'it is not on a tmpfs'
      if (typeof fd === 'number') {
        this.#directory = directory
        return fd
      }
      failures.push(`${directory}: ${fd}`)
    }
    throw new VolumeExpansionError(
      'permission-denied',
      `There is no tmpfs to keep the output of a detached tool in (${failures.join('; ')}).`,
      {
        layer: 'host',
        outcome: 'unchanged',
        remedy: 'Mount a tmpfs at /run or /dev/shm, or give localHost() the runtimeDirectory of one that is writable.',
      },
    )
  }
}

function usualPlaces(): readonly string[] {
  const uid = process.geteuid?.() ?? 0
  const own = process.env['XDG_RUNTIME_DIR']
  const places = own?.startsWith('/') === true ? [own, `/run/user/${uid}`] : [`/run/user/${uid}`]
  // /dev is a devtmpfs nearly everywhere, and the last resort of root in a container without any other.
  return uid === 0 ? ['/run', '/dev/shm', ...places, '/dev'] : [...places, '/dev/shm']
}

function isInMemory(directory: string): boolean {
  if (statNow(directory) === undefined) return false
  return memoryMagics.has(fs.statfsSync(directory, { bigint: true }).type)
}

function tryOpen(directory: string): number | string {
  try {
    return fs.openSync(directory, unnamed, 0o600)
  } catch (thrown) {
    return errnoOf(thrown)
  }
}

/** The last part of what was written to a scratch file. */
export function lastPart(fd: number): string {
  const size = fs.fstatSync(fd).size
  if (size === 0) return ''
  const start = Math.max(0, size - outputLimit)
  const bytes = Buffer.allocUnsafe(size - start)
  const count = fs.readSync(fd, bytes, 0, bytes.length, start)
  return bytes.toString('utf8', 0, count)
}
