import * as fs from 'node:fs'
import { probeRanges, resolveRange } from '../../layers/probe.ts'
import { type FurtherRange, unreadRanges } from '../../layers/signatures.ts'
import { failure, readFailure } from '../errno.ts'
import type { ProbedRange, ReadResult } from '../host.ts'
import { identityOf } from '../storage/source.ts'
import { close, open, openForDirectReading, openForReading, readDirect, readRange, statsOf } from './files.ts'

/** What was read names further stretches; a chain of logical partitions is the longest way. */
const mostPasses = 256

/**
 * Reads the stretches of a device or image that every host reads, and then those that they point to.
 *
 * @param identity what was opened has to be it
 */
export async function probe(path: string, size: bigint, identity: string): Promise<ReadResult<readonly ProbedRange[]>> {
  try {
    const fd = await open(path, openForReading)
    try {
      if (!is(fd, identity)) {
        return failure('ENXIO', `${path} is not the device that was looked for`)
      }
      const fixed = probeRanges.map((range) => resolveRange(range, size)).filter((range) => range !== undefined)
      const ranges = [...(await readRanges(fd, fixed))]
      for (let pass = 0; pass < mostPasses; pass += 1) {
        const unread = unreadRanges(ranges, size)
        if (unread.length === 0) break
        const direct = unread.filter((range) => range.direct === true)
        ranges.push(
          ...(await readRanges(
            fd,
            unread.filter((range) => range.direct !== true),
          )),
        )
        if (direct.length > 0) ranges.push(...(await readDirectly(path, identity, direct)))
      }
      return { ok: true, value: ranges }
    } finally {
      await close(fd)
    }
  } catch (thrown) {
    return readFailure(thrown)
  }
}

function is(fd: number, identity: string): boolean {
  return identityOf(statsOf(fs.fstatSync(fd, { bigint: true }))) === identity
}

/** Some filesystems below an image cannot read past the cache: then nothing is known of these stretches, and all else is. */
async function readDirectly(
  path: string,
  identity: string,
  ranges: readonly FurtherRange[],
): Promise<readonly ProbedRange[]> {
  const fd = await open(path, openForDirectReading).catch(() => undefined)
  const isSame = fd !== undefined && is(fd, identity)
  const probed: ProbedRange[] = []
  for (const { offset, length } of ranges) {
    const bytes = isSame ? await readDirect(fd, offset, length).catch(() => nothing) : nothing
    probed.push({ offset, bytes, direct: true })
  }
  if (fd !== undefined) await close(fd)
  return probed
}

const nothing = new Uint8Array()

// One after the other: a disk that hangs then holds one thread of the pool, and not all of them.
async function readRanges(
  fd: number,
  ranges: readonly { readonly offset: bigint; readonly length: number }[],
): Promise<readonly ProbedRange[]> {
  const probed: ProbedRange[] = []
  for (const { offset, length } of ranges) probed.push({ offset, bytes: await readRange(fd, offset, length) })
  return probed
}
