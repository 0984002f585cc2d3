import { describe, expect, test } from 'vitest'
import { type LoggedWrite, parseWriteLog, powerStates } from '../../../campaign/crash/write-log.ts'
import { seededRandom } from '../../../src/testing/index.ts'

const sector = 512

interface Entry {
  readonly sector?: number
  readonly data?: Buffer
  readonly sectors?: number
  readonly flags?: number
  readonly mark?: string
}

/** As struct log_write_super and struct log_write_entry of drivers/md/dm-log-writes.c lie on the device. */
function logOf(entries: readonly Entry[], { count = entries.length, version = 1n } = {}): Buffer {
  const head = Buffer.alloc(sector)
  head.writeBigUInt64LE(0x6a736677736872n, 0)
  head.writeBigUInt64LE(version, 8)
  head.writeBigUInt64LE(BigInt(count), 16)
  head.writeUInt32LE(sector, 24)
  const blocks = entries.flatMap(({ sector: at = 0, data, sectors, flags = 0, mark = '' }) => {
    const block = Buffer.alloc(sector)
    block.writeBigUInt64LE(BigInt(at), 0)
    block.writeBigUInt64LE(BigInt(sectors ?? (data?.length ?? 0) / sector), 8)
    block.writeBigUInt64LE(BigInt(flags), 16)
    block.writeBigUInt64LE(BigInt(mark.length), 24)
    block.write(mark, 32)
    return [block, ...(data === undefined ? [] : [data])]
  })
  return Buffer.concat([head, ...blocks])
}

const parsed = (log: Buffer): ReturnType<typeof parseWriteLog> =>
  parseWriteLog((offset, length) => log.subarray(offset, offset + length))

describe('the log of dm-log-writes', () => {
  test('has writes with their bytes, flushes, discards and marks, one after the other', () => {
    const log = logOf([
      { sector: 8, data: Buffer.alloc(2 * sector, 'a') },
      { flags: 1 },
      { sector: 100, sectors: 16, flags: 4 },
      { flags: 8, mark: 'records=7' },
      { sector: 3, data: Buffer.alloc(sector, 'b'), flags: 3 },
    ])
    const writes = parsed(log)
    expect(writes).toEqual([
      { offset: 8 * sector, length: 2 * sector, data: 2 * sector, flush: false, fua: false },
      { offset: 0, length: 0, data: undefined, flush: true, fua: false },
      { offset: 100 * sector, length: 16 * sector, data: undefined, flush: false, fua: false },
      { offset: 0, length: 0, data: undefined, flush: false, fua: false, mark: 'records=7' },
      { offset: 3 * sector, length: sector, data: 8 * sector, flush: true, fua: true },
    ])
    const bytes = writes.map(({ data, length }) =>
      data === undefined ? '' : log.toString('utf8', data, data + length).replaceAll(/(.)\1+/g, '$1'),
    )
    expect(bytes).toEqual(['a', '', '', '', 'b'])
  })

  test('ends where its superblock says, whatever lies behind', () => {
    expect(parsed(logOf([{ flags: 1 }, { flags: 1 }, { flags: 1 }], { count: 2 }))).toHaveLength(2)
  })

  test.each([
    ['no log', Buffer.alloc(sector), 'no log'],
    ['another version', logOf([], { version: 2n }), 'version 2'],
  ])('%s is refused', (_, log, message) => {
    expect(() => parsed(log)).toThrow(message)
  })
})

describe('what a power cut may leave', () => {
  const write = (block: number): LoggedWrite => ({
    ...{ offset: block * 4096 + 1024, length: 3 * 4096, data: 1, flush: false, fua: false },
  })
  const flush: LoggedWrite = { offset: 0, length: 0, data: undefined, flush: true, fua: false }
  const mark = (text: string): LoggedWrite => ({ ...flush, flush: false, mark: text })
  const writes = [write(1), flush, mark('a'), write(2), write(3), flush, mark('b'), write(4), write(5)]
  const statesOf = (seed: number, end = writes.length): ReturnType<typeof powerStates> =>
    powerStates(writes, end, seededRandom(seed))

  test('is at each flush all that came before it, and what had been confirmed until the next', () => {
    const states = statesOf(1).filter(({ kind }) => kind === 'flush')
    expect(states).toEqual([
      { kind: 'flush', whole: 2, kept: [], known: 5 },
      { kind: 'flush', whole: 6, kept: [], known: 9 },
    ])
  })

  test('is between two flushes any of the writes between them, and never one from behind the next', () => {
    const seen = new Set<string>()
    for (let seed = 0; seed < 200; seed += 1) {
      for (const { kind, whole, kept } of statesOf(seed).filter(({ kind }) => kind !== 'flush')) {
        const offsets = kept.map(({ write: { offset } }) => (offset - 1024) / 4096)
        const open = whole === 2 ? [2, 3] : [4, 5]
        expect(open).toEqual(expect.arrayContaining(offsets))
        if (kind === 'prefix') expect(offsets).toEqual(open.slice(0, offsets.length))
        for (const { length } of kept) {
          // Only between the physical sectors of the disk.
          expect([3072, 3072 + 4096, 3072 + 2 * 4096, 3 * 4096]).toContain(length)
          if (length < 3 * 4096) seen.add('torn')
        }
        seen.add(`${kind} ${offsets}`)
      }
    }
    // The later write without the earlier one, too.
    expect([...seen]).toEqual(
      expect.arrayContaining(['prefix 2', 'prefix 2,3', 'reordered 3', 'reordered 4,5', 'torn']),
    )
  })

  test('has nothing from after the cut, and is the same for the same seed', () => {
    expect(statesOf(1, 4).map(({ whole, known }) => [whole, known])).toEqual(expect.arrayContaining([[2, 4]]))
    expect(statesOf(1, 4).every(({ kept }) => kept.every((one) => one.write === writes[3]))).toBe(true)
    expect(statesOf(7)).toEqual(statesOf(7))
    expect(statesOf(7)).not.toEqual(statesOf(8))
  })
})
