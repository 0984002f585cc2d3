import { probeRanges } from '../../layers/probe.ts'
import { comparable, skipped } from '../batch.ts'
import { deviceNumber } from '../device-number.ts'
import { judgeFlock, withoutFlockLines } from '../flock.ts'
import type {
  BatchItem,
  ExecItem,
  ExecResult,
  ExpectItem,
  ExpectResult,
  RangeRead,
  ReadItem,
  StorageTarget,
} from '../host.ts'
import { deviceAttributes, normalizeWwn } from '../sysfs.ts'
import { pastTheEnd } from './facts.ts'
import type { Frame } from './frames.ts'
import type { Item } from './request.ts'
import { decodeLine, decodeStat, decodeStatfs, resultOf, statValue, textOf, valueAt } from './values.ts'

/** What the script looks for below a block device's directory. */
export const sysfsAttributes: readonly string[] = Object.entries(deviceAttributes).flatMap(([below, names]) =>
  names.map((name) => (below === '' ? name : `${below}/${name}`)),
)

/** The stretches that every host reads, as the script takes them. */
export const probeParameters: readonly string[] = probeRanges.map(
  ({ from, offset, align, length }) => `${from}:${offset}:${align ?? 1}:${length}`,
)

/** An item of a batch, as the script takes it. */
export function itemOf(item: BatchItem): Item {
  if ('exec' in item) return execItem(item)
  if ('expect' in item) return expectItem(item)
  return readItem(item)
}

function execItem({ exec, detached, deadline, accept, stdin, lock = [] }: ExecItem): Item {
  // In the same order everywhere, so that two runs never hold one each and want the other.
  const locks = [...lock].sort()
  const parameters = [
    ...[detached === true ? '1' : '', deadline === undefined ? '-' : seconds(deadline)],
    ...[(accept ?? [0]).join(' '), stdin === undefined ? '' : '1', stdin ?? ''],
    ...[`${locks.length}`, `${exec.length}`, ...locks, ...exec],
  ]
  return ['exec', `${parameters.length}`, ...parameters]
}

function seconds(milliseconds: number): string {
  // sleep of some systems knows no exponent.
  return (Math.min(milliseconds, 2 ** 31) / 1000).toFixed(3)
}

function expectItem({ expect, equals }: ExpectItem): Item {
  switch (expect.read) {
    case 'file':
      return ['expect-file', expect.path, Buffer.from(equals).toString('hex')]
    case 'range': {
      const { unit, skip, count } = exactUnits(expect)
      return ['expect-range', expect.path, `${unit}`, `${skip}`, `${count}`, equals]
    }
    case 'stat':
      return ['expect-stat', expect.path, statNumbers(equals)]
    default:
      return expect satisfies never
  }
}

/** An expected `dev:ino:rdev` as stat(1) prints its parts; what is none is equal to nothing. */
function statNumbers(equals: string): string {
  const match = /^(\d+:\d+):(\d+):(\d+):(\d+)$/.exec(equals)
  const dev = match === null ? undefined : deviceNumber(match[1] ?? '')
  if (match === null || dev === undefined) return 'none'
  const [, , ino = '', major = '', minor = ''] = match
  return `${dev.toString(16)}:${ino}:${BigInt(major).toString(16)}:${BigInt(minor).toString(16)}`
}

/** The largest pieces in which exactly this range can be read. */
function exactUnits({ offset, length }: Pick<RangeRead, 'offset' | 'length'>): {
  readonly unit: bigint
  readonly skip: bigint
  readonly count: bigint
} {
  let unit = 65_536n
  while (offset % unit !== 0n || BigInt(length) % unit !== 0n) unit /= 2n
  return { unit, skip: offset / unit, count: BigInt(length) / unit }
}

/** Pieces of a fair size that cover a range. */
function coveringUnits({ offset, length }: Pick<RangeRead, 'offset' | 'length'>): {
  readonly unit: bigint
  readonly skip: bigint
  readonly count: bigint
} {
  const unit = length > 65_536 ? 65_536n : 512n
  const skip = offset / unit
  return { unit, skip, count: length === 0 ? 0n : (offset + BigInt(length) - 1n) / unit - skip + 1n }
}

function readItem(item: ReadItem): Item {
  switch (item.read) {
    case 'file':
    case 'stat':
    case 'statfs':
      return [item.read, item.path]
    case 'range': {
      const { unit, skip, count } = coveringUnits(item)
      return ['range', item.path, `${unit}`, `${skip}`, `${count}`]
    }
    case 'tools':
      return ['tools', `${item.names.length}`, ...item.names]
    case 'storage': {
      const parameters = [item.locks === true ? '1' : '', ...targetParameters(item.at)]
      return ['storage', `${parameters.length}`, ...parameters]
    }
    default:
      return item satisfies never
  }
}

function targetParameters(target: StorageTarget): readonly string[] {
  if ('path' in target) return ['path', target.path]
  if ('device' in target) return ['device', target.device]
  if ('image' in target) return ['image', target.image]
  const { path = '', image = '', serial = '', serialCutAt, wwn = '', byId = [], attributes = {} } = target.hints
  const marks = Object.entries(attributes).flat()
  // What every device that may fit begins with: which of them fits is judged here.
  const start = serial.trim().slice(0, serialCutAt)
  return ['hints', path, image, start, normalizeWwn(wwn), `${marks.length}`, ...marks, ...byId]
}

/** The result of an item, of its own kind. */
export function resultsOf(item: BatchItem, frames: readonly Frame[]): unknown {
  if ('exec' in item) return execResult(item, frames)
  if ('expect' in item) return expectResult(item, frames)
  return readResult(item, frames)
}

function readResult(item: ReadItem, frames: readonly Frame[]): unknown {
  const value = valueAt(frames, 0)
  switch (item.read) {
    case 'file':
      return resultOf(value, textOf)
    case 'range': {
      const { unit, skip } = coveringUnits(item)
      const start = Number(item.offset - skip * unit)
      const found = pastTheEnd(value.words) ? { ...value, ok: true } : value
      return resultOf(found, (body) => body.subarray(start, start + item.length))
    }
    case 'stat':
      return statValue(resultOf(value, decodeStat), resultOf(valueAt(frames, 2), decodeLine))
    case 'statfs':
      return resultOf(value, decodeStatfs)
    case 'tools': {
      const paths = item.names.map((name, index): [string, string | undefined] => {
        const path = textOf(valueAt(frames, 2 * index).body)
        return [name, path === '' ? undefined : path]
      })
      return { ok: true, value: Object.fromEntries(paths) }
    }
    default:
      return undefined
  }
}

function expectResult({ expect }: ExpectItem, frames: readonly Frame[]): ExpectResult {
  const [frame] = frames
  const verdict = frame?.fields[1]
  if (frame === undefined || verdict === undefined) return { ok: false }
  return { ok: verdict === '1', found: foundBy(expect, textOf(frame.body)) }
}

function foundBy(expect: ExpectItem['expect'], text: string): string {
  if (expect.read === 'range') return text
  if (expect.read === 'file') return comparable(expect, Buffer.from(text, 'hex').toString('utf8'))
  const [dev = '', ino = '', major = '', minor = ''] = text.split(':')
  const stats = decodeStat(Buffer.from(`0 ${dev} ${major} ${minor} ${ino} 0 0`))
  return stats === undefined ? text : `${stats.dev}:${stats.ino}:${stats.rdev}`
}

const signalNames: Readonly<Record<number, string>> = {
  ...{ 1: 'SIGHUP', 2: 'SIGINT', 3: 'SIGQUIT', 4: 'SIGILL', 5: 'SIGTRAP', 6: 'SIGABRT', 7: 'SIGBUS', 8: 'SIGFPE' },
  ...{ 9: 'SIGKILL', 10: 'SIGUSR1', 11: 'SIGSEGV', 12: 'SIGUSR2', 13: 'SIGPIPE', 14: 'SIGALRM', 15: 'SIGTERM' },
  ...{ 24: 'SIGXCPU', 25: 'SIGXFSZ', 31: 'SIGSYS' },
}

function execResult(item: ExecItem, frames: readonly Frame[]): ExecResult {
  const begun = frames.find(({ fields }) => fields[0] === 'b')
  const result = frames.find(({ fields }) => fields[0] === 'r')
  const [, said = 'lost', rawCode = '-', own = '-'] = result?.fields ?? []
  const isWhole = begun !== undefined && ['o', 'e'].every((mark) => frames.some(({ fields }) => fields[0] === mark))
  // An end without its code, or without what the command has written, was not seen as it was.
  const how = isEnd(said) && !(isWhole && /^\d{1,3}$/.test(rawCode)) ? 'lost' : said
  const output = (mark: string): string =>
    textOf(frames.find(({ fields }) => fields[0] === mark)?.body ?? new Uint8Array())
  const [stdout, stderr] = [withoutFlockLines(output('o')), withoutFlockLines(output('e'))]
  const milliseconds = begun === undefined || result === undefined ? 0 : result.at - begun.at
  const group = own === '-' ? {} : { ownControlGroup: own === '1' }
  const base = { argv: item.exec, stdout, stderr, milliseconds }
  const notBegun = (ended: 'locked' | 'missing' | 'refused', words = stderr): ExecResult => ({
    ...{ ...base, ended, ok: false, stdout: '', stderr: words },
  })
  switch (how) {
    case 'skipped':
      return skipped(item.exec)
    case 'lacking':
      return { ...notBegun('missing', `${stderr}: not found`), argv: [stderr] }
    case 'missing':
    case 'refused':
      return notBegun(how)
    case 'locked':
      return notBegun('locked')
    case 'unlockable':
      return notBegun('refused', `${(item.lock ?? []).join(', ')}: cannot be locked`)
    case 'killed':
    case 'exited':
      return { ...base, ...ending(item, how, Number(rawCode), stderr), ...group }
    default:
      return { ...base, ended: 'running', ok: false, ...group }
  }
}

function isEnd(how: string): how is 'killed' | 'exited' {
  return how === 'killed' || how === 'exited'
}

// A shell shows the signal n as the code 128 + n. A tool that exits with such a code by itself is told apart only where the caller accepts the code.
function ending(
  { lock = [], accept = [0] }: ExecItem,
  how: 'killed' | 'exited',
  code: number,
  stderr: string,
): Pick<ExecResult, 'ended' | 'ok' | 'exitCode' | 'signal'> {
  const signal = code > 128 && !accept.includes(code) ? (signalNames[code - 128] ?? `SIG${code - 128}`) : undefined
  const by = signal === undefined ? { exitCode: code } : { signal }
  if (how === 'killed') return { ended: 'killed', ok: false, ...by }
  const unbegun = lock.length > 0 ? judgeFlock(code, stderr) : undefined
  if (unbegun !== undefined) return { ended: unbegun, ok: false }
  if (signal !== undefined) return { ended: 'signalled', ok: false, signal }
  return { ended: 'exited', ok: accept.includes(code), exitCode: code }
}
