import { bytes } from '../../size.ts'
import { deviceId } from '../device-number.ts'
import { failure } from '../errno.ts'
import type { ReadResult, StatfsValue, StatValue } from '../host.ts'
import type { FileStats } from '../storage/source.ts'
import { errnoOfMessage } from './errno.ts'
import type { Frame } from './frames.ts'

/** What a command of the script said, and how it ended. */
export interface Value {
  readonly ok: boolean
  readonly body: Uint8Array
  readonly words: string
  /** The shell found no such program. */
  readonly missing?: boolean
}

/** The value at a place in the frames: a `v` with the bytes, and an `s` with the exit code and the words that were said. */
export function valueAt(frames: readonly Frame[], index: number): Value {
  const [body, end] = [frames[index], frames[index + 1]]
  if (body?.fields[0] !== 'v' || end?.fields[0] !== 's')
    return { ok: false, body: new Uint8Array(), words: 'no answer' }
  const code = end.fields[1]
  return { ok: code === '0', body: whole(body), words: textOf(end.body), missing: code === '127' }
}

/** With the zeros put back that were only counted: those before, and how many bytes there are in all. */
function whole({ fields: [, before, length], body }: Frame): Uint8Array {
  if (before === undefined || length === undefined) return body
  const bytes = Buffer.alloc(Number(length))
  bytes.set(body, Number(before))
  return bytes
}

export function textOf(body: Uint8Array): string {
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8')
}

/** The value, or why it is none. */
export function resultOf<T>(value: Value, decode: (body: Uint8Array) => T | undefined): ReadResult<T> {
  if (!value.ok) return failure(errnoOfMessage(value.words), value.words.trim())
  const decoded = decode(value.body)
  return decoded === undefined ? failure('EIO', 'the answer was not understood') : { ok: true, value: decoded }
}

const types: ReadonlyMap<number, FileStats['type']> = new Map([
  [0o100000, 'file'],
  [0o040000, 'directory'],
  [0o060000, 'block'],
  [0o020000, 'character'],
])

/** `%f %D %t %T %i %s %u` of stat(1). */
export function decodeStat(body: Uint8Array): FileStats | undefined {
  const match = /^([0-9a-f]+) ([0-9a-f]+) ([0-9a-f]+) ([0-9a-f]+) (\d+) (\d+) (\d+)\n?$/.exec(textOf(body))
  if (match === null) return undefined
  const [, rawMode = '', dev = '', major = '', minor = '', ino = '', size = '', uid = ''] = match
  const mode = Number.parseInt(rawMode, 16)
  return {
    type: types.get(mode & 0o170000) ?? 'other',
    dev: deviceId(BigInt(`0x${dev}`)),
    rdev: `${Number.parseInt(major, 16)}:${Number.parseInt(minor, 16)}`,
    ino: BigInt(ino),
    size: BigInt(size),
    mode: mode & 0o7777,
    uid: Number(uid),
  }
}

/** `%t %s %b %f %a` of stat --file-system. */
export function decodeStatfs(body: Uint8Array): StatfsValue | undefined {
  const match = /^([0-9a-f]+) (\d+) (\d+) (\d+) (\d+)\n?$/.exec(textOf(body))
  if (match === null) return undefined
  const [, type = '', blockSize = '', blocks = '', free = '', available = ''] = match
  return {
    type: BigInt(`0x${type}`),
    blockSize: BigInt(blockSize),
    blocks: BigInt(blocks),
    free: BigInt(free),
    available: BigInt(available),
  }
}

/** A stat and the path without links, as the contract has them together. */
export function statValue(stats: ReadResult<FileStats>, realpath: ReadResult<string>): ReadResult<StatValue> {
  if (!stats.ok) return stats
  if (!realpath.ok) return realpath
  const size = bytes(stats.value.type === 'file' ? stats.value.size : 0n)
  return { ok: true, value: { ...stats.value, size, realpath: realpath.value } }
}

/** What a program has printed as a line of its own. */
export function decodeLine(body: Uint8Array): string {
  return textOf(body).replace(/\n$/, '')
}
