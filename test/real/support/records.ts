import { createHash, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'

const recordSize = 512
const numberSize = 8
const sumSize = 32

/** A record of 512 bytes: its number, something random, and a checksum over both. */
export function recordOf(number: number): Buffer {
  const body = Buffer.concat([Buffer.alloc(numberSize), randomBytes(recordSize - numberSize - sumSize)])
  body.writeBigUInt64LE(BigInt(number))
  return Buffer.concat([body, sumOf(body)])
}

/** How many records are in the file from its start, in order and intact. */
export function intactRecords(path: string): number {
  const content = readFileSync(path)
  for (let number = 0; ; number += 1) {
    const record = content.subarray(number * recordSize, (number + 1) * recordSize)
    if (record.length < recordSize || record.readBigUInt64LE() !== BigInt(number)) return number
    if (!sumOf(record.subarray(0, recordSize - sumSize)).equals(record.subarray(recordSize - sumSize))) return number
  }
}

function sumOf(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest()
}
