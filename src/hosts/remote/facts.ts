import { lvmReport } from '../../layers/lvm/command.ts'
import { failure } from '../errno.ts'
import type { ExecResult, ReadResult, StatfsValue } from '../host.ts'
import type { FileStats } from '../storage/source.ts'
import type { Frame } from './frames.ts'
import type { Item } from './request.ts'
import { decodeLine, decodeStat, decodeStatfs, resultOf, textOf, type Value, valueAt } from './values.ts'

/** What the look at all processes has shown. */
export interface UserFacts {
  readonly openers: readonly { readonly pid: number; readonly writable: boolean }[]
  /** One process of each mount namespace other than the script's own. */
  readonly spaces: readonly number[]
  /** Processes that could not be looked at. */
  readonly unseen: readonly { readonly pid: number; readonly uid: number }[]
  /** Lines of /proc/PID/maps that name the inode, with their process. */
  readonly maps: readonly { readonly pid: number; readonly line: string }[]
  readonly pidNamespace: string
  readonly exclusive: string
}

/**
 * What is known of another machine at one time. Asking for what is not known notes it as wanted: it is then fetched, and the question is asked again. So the
 * meaning of the facts is decided in one place, and what the script collects beforehand only saves round trips.
 */
export class Facts {
  readonly #known = new Map<string, unknown>()
  readonly #wanted = new Map<string, Item>()

  /** The items that would fetch what was asked for and is not known. */
  get wanted(): readonly Item[] {
    return [...this.#wanted.values()]
  }

  /** To be called before the questions are asked anew. */
  forgetWanted(): void {
    this.#wanted.clear()
  }

  text(path: string): string | undefined {
    const result = this.#fact<ReadResult<string>>(`text ${path}`, ['text', path])
    return result?.ok === true ? result.value : undefined
  }

  bytes(path: string): Uint8Array | undefined {
    const result = this.#fact<ReadResult<Uint8Array>>(`bytes ${path}`, ['bytes', path])
    return result?.ok === true ? result.value : undefined
  }

  list(path: string): readonly string[] {
    return this.#fact<readonly string[]>(`list ${path}`, ['list', path]) ?? []
  }

  stat(path: string): ReadResult<FileStats> {
    return this.#fact<Look>(`stat ${path}`, ['look', path])?.stats ?? unknown
  }

  realpath(path: string): ReadResult<string> {
    return this.#fact<Look>(`stat ${path}`, ['look', path])?.realpath ?? unknown
  }

  statfs(path: string): ReadResult<StatfsValue> {
    return this.#fact<ReadResult<StatfsValue>>(`statfs ${path}`, ['sizes', path]) ?? unknown
  }

  range(path: string, offset: bigint, length: number): ReadResult<Uint8Array> {
    const item = ['stretch', path, `${offset}`, `${length}`]
    return this.#fact<ReadResult<Uint8Array>>(`range ${offset} ${length} ${path}`, item) ?? unknown
  }

  /** The same, as the disk has it; nothing where it cannot be read past the kernel's cache. */
  direct(path: string, offset: bigint, length: number): Uint8Array {
    const result = this.#fact<ReadResult<Uint8Array>>(`direct ${offset} ${length} ${path}`, [
      ...['direct', path, `${offset}`, `${length}`],
    ])
    return result?.ok === true ? result.value : new Uint8Array()
  }

  writable(path: string): boolean {
    return this.#fact<boolean>(`writable ${path}`, ['writable', path]) === true
  }

  /** KiB of a page; undefined when the kernel does not tell. */
  page(): number | undefined {
    return this.#fact<number | undefined>('page ', ['page'])
  }

  /** How the report of LVM ended. */
  lvm(): ExecResult {
    const value = this.#fact<Value>('lvm ', ['lvm'])
    const base = { argv: lvmReport, ok: value?.ok === true, milliseconds: 0 }
    const [stdout, stderr] = [textOf(value?.body ?? new Uint8Array()), value?.words ?? '']
    return { ...base, stdout, stderr, ended: value?.missing === true ? 'missing' : 'exited' }
  }

  /** @param of `block` and its number, or `file` and its path */
  users(kind: 'block' | 'file', of: string, ino: bigint, node: string): UserFacts | undefined {
    return this.#fact<UserFacts>(`users ${kind} ${of}`, ['users', kind, of, `${ino}`, node])
  }

  #fact<T>(key: string, item: Item): T | undefined {
    if (this.#known.has(key)) return this.#known.get(key) as T
    this.#wanted.set(key, item)
    return undefined
  }

  /** Takes what frames tell: each fact begins with its kind and what it is about. A later one of the same replaces an earlier one. */
  learn(frames: readonly Frame[]): void {
    frames.forEach(({ fields, body }, index) => {
      const [mark, kind = ''] = fields
      if (mark !== 'k') return
      const about = [...fields.slice(2), textOf(body)].join(' ')
      this.#known.set(`${kind} ${about}`, decode(kind, frames, index + 1))
    })
  }
}

interface Look {
  readonly stats: ReadResult<FileStats>
  readonly realpath: ReadResult<string>
}

const unknown = failure('EAGAIN', 'not known yet')

function decode(kind: string, frames: readonly Frame[], index: number): unknown {
  const value = valueAt(frames, index)
  switch (kind) {
    case 'text':
      return resultOf(value, textOf)
    case 'bytes':
    case 'range':
    case 'direct':
      return resultOf(pastTheEnd(value.words) ? { ...value, ok: true } : value, (body) => body)
    case 'list':
      return textOf(value.body)
        .split('/')
        .filter((name) => name !== '')
    case 'stat': {
      const stats = resultOf(value, decodeStat)
      return { stats, realpath: resultOf(valueAt(frames, index + 2), decodeLine) } satisfies Look
    }
    case 'statfs':
      return resultOf(value, decodeStatfs)
    case 'lvm':
      return value
    case 'writable':
      return textOf(value.body) === '1'
    case 'page':
      return Number(textOf(value.body)) || undefined
    case 'users':
      return decodeUsers(frames, index)
    default:
      return undefined
  }
}

/** What dd says when a range begins behind the end, where there is nothing to read and nothing wrong. */
export function pastTheEnd(words: string): boolean {
  return words.includes('cannot skip')
}

function decodeUsers(frames: readonly Frame[], start: number): UserFacts {
  const openers: UserFacts['openers'][number][] = []
  let [spaces, unseen, maps]: [readonly number[], UserFacts['unseen'], UserFacts['maps']] = [[], [], []]
  let [pidNamespace, exclusive] = ['', '']
  for (const { fields, body } of frames.slice(start)) {
    const [mark, kind, ...rest] = fields
    if (mark !== 'u') break
    const lines = textOf(body)
      .split('\n')
      .filter((line) => line !== '')
    if (kind === 'open') openers.push({ pid: Number(rest[0]), writable: rest[1] === '1' })
    if (kind === 'spaces') spaces = rest.map(Number)
    if (kind === 'pids') pidNamespace = rest.join(' ')
    if (kind === 'exclusive') exclusive = textOf(body)
    if (kind === 'unseen') unseen = lines.flatMap(decodeUnseen)
    if (kind === 'maps') maps = lines.flatMap(decodeMap)
  }
  return { openers, spaces, unseen, maps, pidNamespace, exclusive }
}

function decodeUnseen(line: string): UserFacts['unseen'] {
  const match = /^\/proc\/(\d+) (\d+)$/.exec(line)
  return match === null ? [] : [{ pid: Number(match[1]), uid: Number(match[2]) }]
}

function decodeMap(text: string): UserFacts['maps'] {
  const match = /^\/proc\/(\d+)\/maps:(.*)$/.exec(text)
  return match === null ? [] : [{ pid: Number(match[1]), line: match[2] ?? '' }]
}
