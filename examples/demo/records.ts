import { createHash, randomFillSync } from 'node:crypto'
import { readFile } from 'node:fs/promises'

/** A record is its number, random bytes, and the SHA-256 of both. */
export const recordSize = 4096
const sumSize = 32

export function makeRecord(number: number): Buffer {
  const record = randomFillSync(Buffer.allocUnsafe(recordSize))
  record.writeBigUInt64BE(BigInt(number))
  sumOf(record).copy(record, recordSize - sumSize)
  return record
}

/** How many records from the start of the file are there, in order and intact. */
export async function intactRecords(path: string): Promise<number> {
  const content = await readFile(path)
  let intact = 0
  for (; (intact + 1) * recordSize <= content.length; intact += 1) {
    const record = content.subarray(intact * recordSize, (intact + 1) * recordSize)
    const isIntact = sumOf(record).equals(record.subarray(recordSize - sumSize))
    if (!isIntact || record.readBigUInt64BE() !== BigInt(intact)) break
  }
  return intact
}

function sumOf(record: Buffer): Buffer {
  return createHash('sha256')
    .update(record.subarray(0, recordSize - sumSize))
    .digest()
}
