import { onAbort } from '../abort.ts'
import { abortedError } from '../errors.ts'
import { checkArgv, checkExecOptions, checkPath } from './command.ts'
import type {
  BatchItem,
  BatchOptions,
  BatchResults,
  ExecItem,
  ExecResult,
  ExpectItem,
  ExpectResult,
  FileRead,
  RangeRead,
  ReadItem,
  ReadResult,
  StatRead,
  StatValue,
  StorageTarget,
} from './host.ts'

/** What a host that does one thing after the other has to know: one read, and one command. */
export interface BatchExecutor {
  read(item: ReadItem, signal: AbortSignal | undefined): Promise<ReadResult<unknown>>
  execute(item: ExecItem, signal: AbortSignal | undefined): Promise<ExecResult>
}

/**
 * Carries out a batch in order, by the skip rule of the contract. An abort rejects at once, without waiting for a read that hangs or a command that goes on.
 *
 * @throws {TypeError} for a malformed item, before the first one is done
 * @throws {VolumeExpansionError} `aborted`: outcome `unchanged` while no command had begun, `unknown` from then on
 */
export async function runBatch<const Items extends readonly BatchItem[]>(
  items: Items,
  options: BatchOptions,
  executor: BatchExecutor,
): Promise<BatchResults<Items>> {
  for (const item of items) checkItem(item)
  const progress: Progress = { begun: false }
  const work = (): Promise<unknown[]> => carryOut(items, options.signal, executor, progress)
  const results = await untilAborted(options.signal, progress, work)
  // One result per item, in order and of the item's own kind: what the mapped type says and the compiler cannot follow.
  return results as unknown as BatchResults<Items>
}

/** Whether a command has begun: from then on an abort no longer means that nothing happened. */
export interface Progress {
  begun: boolean
}

/** Does the work, or rejects with `aborted` as soon as the signal is; the work itself has to look at the signal, too. */
export async function untilAborted<T>(
  signal: AbortSignal | undefined,
  progress: Progress,
  work: () => Promise<T>,
): Promise<T> {
  if (signal === undefined) return work()
  if (signal.aborted) throw abortedError(signal, 'host', 'unchanged')
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(abortedError(signal, 'host', progress.begun ? 'unknown' : 'unchanged'))
    const forget = onAbort(signal, stop)
    work().then(resolve, reject).finally(forget)
  })
}

async function carryOut(
  items: readonly BatchItem[],
  signal: AbortSignal | undefined,
  executor: BatchExecutor,
  progress: Progress,
): Promise<unknown[]> {
  const results: unknown[] = []
  let failed = false
  for (const item of items) {
    if (signal?.aborted === true) break
    if ('read' in item) {
      results.push(await executor.read(item, signal))
    } else if ('expect' in item) {
      const result = judge(item, await executor.read(item.expect, signal))
      failed ||= !result.ok
      results.push(result)
    } else if (failed) {
      results.push(skipped(item.exec))
    } else {
      progress.begun = true
      const result = await executor.execute(item, signal)
      failed = !result.ok
      results.push(result)
    }
  }
  return results
}

/** The result of a command that was not begun because of what happened before it. */
export function skipped(argv: readonly string[]): ExecResult {
  return { argv, ended: 'skipped', ok: false, stdout: '', stderr: '', milliseconds: 0 }
}

/** Compares what was read with what is expected; a read that failed expects nothing and is never equal. */
function judge(item: ExpectItem, result: ReadResult<unknown>): ExpectResult {
  if (!result.ok) return { ok: false }
  const found = comparable(item.expect, result.value)
  return { ok: found === item.equals, found }
}

/** The text that a read is compared by: a file's trimmed, a range's in hexadecimal, a stat's as `dev:ino:rdev`. */
export function comparable(item: FileRead | RangeRead | StatRead, value: unknown): string {
  switch (item.read) {
    case 'file':
      return (value as string).trim()
    case 'range':
      return Buffer.from(value as Uint8Array).toString('hex')
    case 'stat': {
      const { dev, ino, rdev } = value as StatValue
      return `${dev}:${ino}:${rdev}`
    }
    default:
      return item satisfies never
  }
}

/** @throws {TypeError} when an item is none of the contract's */
export function checkItem(item: BatchItem): void {
  if ('exec' in item) {
    checkArgv(item.exec)
    checkExecOptions(item)
  } else if ('expect' in item) {
    if (typeof item.equals !== 'string') throw new TypeError('An expectation compares with a string.')
    checkRead(item.expect)
  } else {
    checkRead(item)
  }
}

// The longest range that is read in one piece: far beyond any superblock, and small enough to never hurt.
const longestRange = 64 * 1024 * 1024

function checkRead(item: ReadItem): void {
  switch (item.read) {
    case 'file':
    case 'stat':
    case 'statfs':
      checkPath(item.path, `A read of a ${item.read}`)
      return
    case 'range':
      checkPath(item.path, 'A read of a range')
      if (typeof item.offset !== 'bigint' || item.offset < 0n)
        throw new TypeError('The offset of a range is a bigint of 0 or more.')
      if (!Number.isInteger(item.length) || item.length < 0 || item.length > longestRange) {
        throw new TypeError(`The length of a range is an integer from 0 to ${longestRange}.`)
      }
      return
    case 'tools':
      if (item.names.some((name) => !isFileName(name))) {
        throw new TypeError('A tool is given by its name, without a directory.')
      }
      return
    case 'storage':
      checkTarget(item.at)
      return
    default:
      throw new TypeError(`There is no such item: ${JSON.stringify(item satisfies never)}`)
  }
}

function isFileName(name: unknown): boolean {
  return typeof name === 'string' && /^[^/\0]+$/.test(name) && name !== '.' && name !== '..'
}

function checkTarget(target: StorageTarget): void {
  if ('path' in target) checkPath(target.path, 'A place in the storage')
  else if ('device' in target) checkPath(target.device, 'A device')
  else if ('image' in target) checkPath(target.image, 'An image')
  else {
    if (target.hints.path !== undefined) checkPath(target.hints.path, 'A device')
    if (target.hints.image !== undefined) checkPath(target.hints.image, 'An image')
    if (target.hints.byId?.some((name) => !isFileName(name)) === true) {
      throw new TypeError('A name under /dev/disk/by-id is given without a directory.')
    }
    for (const [name, value] of Object.entries(target.hints.attributes ?? {})) {
      if (!/^\w+(?:\/\w+)?$/.test(name))
        throw new TypeError('An attribute is a name below the device in sysfs, such as device/pool.')
      if (typeof value !== 'string' || /[\0\n]/.test(value))
        throw new TypeError('The value of an attribute is one line of text.')
    }
  }
}
