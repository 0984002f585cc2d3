import * as fs from 'node:fs'
import { probeRanges, resolveRange } from '../../layers/probe.ts'
import { furtherRanges } from '../../layers/signatures.ts'
import type { ProbedRange, ReadResult } from '../host.ts'
import { failure, readFailure } from './errno.ts'
import { close, open, openForReading, readRange } from './files.ts'

/**
 * Reads the stretches of a device or image that every host reads, and then those that they point to.
 *
 * @param isIt whether what was opened is still what was looked for
 */
export async function probe(
  path: string,
  size: bigint,
  isIt: (stats: fs.BigIntStats) => boolean,
): Promise<ReadResult<readonly ProbedRange[]>> {
  try {
    const fd = await open(path, openForReading)
    try {
      if (!isIt(fs.fstatSync(fd, { bigint: true }))) {
        return failure('ENXIO', `${path} is not the device that was looked for`)
      }
      const fixed = probeRanges.map((range) => resolveRange(range, size)).filter((range) => range !== undefined)
      const ranges = await readRanges(fd, fixed)
      return { ok: true, value: [...ranges, ...(await readRanges(fd, furtherRanges(ranges, size)))] }
    } finally {
      await close(fd)
    }
  } catch (thrown) {
    return readFailure(thrown)
  }
}

// One after the other: a disk that hangs then holds one thread of the pool, and not all of them.
async function readRanges(
  fd: number,
  ranges: readonly { readonly offset: bigint; readonly length: number }[],
): Promise<readonly ProbedRange[]> {
  const probed: ProbedRange[] = []
  for (const { offset, length } of ranges) probed.push({ offset, bytes: await readRange(fd, offset, length) })
  return probed
}
