import { createHash } from 'node:crypto'
import { fieldsOf } from '../../filesystems/fields.ts'
import type { DeviceSnapshot, ProbedRange } from '../../hosts/host.ts'
import { bytesAt } from '../probe.ts'

/**
 * What a LUKS header says about where the data are. Formats: LUKS On-Disk Format Specification 1.2.3, and LUKS2 On-Disk Format Specification 1.1 (a binary header
 * of 4096 bytes, then JSON up to `hdr_size`).
 */
export interface LuksHeader {
  readonly version: 1 | 2
  /** As it is written: 8-4-4-4-12 digits. */
  readonly uuid: string
  /** Bytes before the data. */
  readonly offset: bigint
  /** The last byte of the data is decided by the device (`dynamic`), or fixed in the header. */
  readonly size: 'dynamic' | bigint
  /** Bytes of an encryption sector; data are a multiple of it. */
  readonly sectorSize: number
  /** Why this layer is not to be grown; undefined for nothing. */
  readonly obstacle?: LuksObstacle
}

export type LuksObstacle = 'integrity' | 'reencryption' | 'several-segments' | 'unknown-requirement'

/** A header that cannot be used: `none` when there is no mark at all. */
export type LuksHeaderFailure = { readonly failure: 'none' | 'damaged' | 'unreadable'; readonly reason: string }

/** Where the UUID is in both versions: the same place, as text. */
export const uuidField = { offset: 168, length: 40 } as const

const magic = '4c554b53babe'
const binaryHeader = 4096
/** The largest that the format allows. */
const longestHeader = 4 * 1024 * 1024

/** The JSON of a LUKS2 header that reaches beyond what is read of every device. */
export function luksRange(
  ranges: readonly ProbedRange[],
): { readonly offset: bigint; readonly length: number } | undefined {
  const start = ranges.find(({ offset }) => offset === 0n)?.bytes
  if (start === undefined || start.length < binaryHeader || !hasMagic(start) || fieldsOf(start, 'big').u16(6) !== 2) {
    return undefined
  }
  const size = fieldsOf(start, 'big').u64(8)
  if (size <= BigInt(start.length) || size > BigInt(longestHeader)) return undefined
  return { offset: BigInt(start.length), length: Number(size) - start.length }
}

export function readLuksHeader(device: DeviceSnapshot): LuksHeader | LuksHeaderFailure {
  if (!device.probe.ok) return { failure: 'unreadable', reason: device.probe.errno }
  const binary = bytesAt(device, 0, binaryHeader)
  if (binary === undefined || !hasMagic(binary)) return { failure: 'none', reason: 'there is no LUKS header' }
  const fields = fieldsOf(binary, 'big')
  const uuid = fields.text(uuidField.offset, uuidField.length)
  const version = fields.u16(6)
  if (version === 1) {
    return { version, uuid, offset: BigInt(fields.u32(104)) * 512n, size: 'dynamic', sectorSize: 512 }
  }
  if (version !== 2) return { failure: 'damaged', reason: `its version is ${version}` }
  const size = fields.u64(8)
  if (size <= BigInt(binaryHeader) || size > BigInt(longestHeader)) {
    return { failure: 'damaged', reason: `its length is given as ${size} bytes` }
  }
  const header = wholeHeader(device, Number(size))
  if (header === undefined) return { failure: 'unreadable', reason: 'not all of it was read' }
  if (!isIntact(header)) return { failure: 'damaged', reason: 'its checksum does not fit' }
  const text = fieldsOf(header, 'big').text(binaryHeader, header.length - binaryHeader)
  try {
    return { version, uuid, ...segmentOf(JSON.parse(text)) }
  } catch (error) {
    return { failure: 'damaged', reason: error instanceof TypeError ? error.message : 'its JSON cannot be read' }
  }
}

function hasMagic(header: Uint8Array): boolean {
  return Buffer.from(header.subarray(0, 6)).toString('hex') === magic
}

/** The header may be in two probed pieces, one right behind the other. */
function wholeHeader(device: DeviceSnapshot, size: number): Uint8Array | undefined {
  const whole = bytesAt(device, 0, size)
  if (whole !== undefined || !device.probe.ok) return whole
  const start = device.probe.value.find(({ offset }) => offset === 0n)?.bytes
  if (start === undefined || start.length >= size) return undefined
  const rest = bytesAt(device, start.length, size - start.length)
  if (rest === undefined) return undefined
  const joined = new Uint8Array(size)
  joined.set(start)
  joined.set(rest, start.length)
  return joined
}

/** The checksum covers the whole header with its own field as zeros. One of an algorithm that is not known proves nothing: then the header is not believed. */
function isIntact(header: Uint8Array): boolean {
  const algorithm = fieldsOf(header, 'big').text(72, 32)
  const [at, length] = [448, 64]
  const zeroed = Uint8Array.from(header)
  zeroed.fill(0, at, at + length)
  try {
    const sum = createHash(algorithm).update(zeroed).digest()
    return sum.equals(header.subarray(at, at + Math.min(sum.length, length)))
  } catch {
    return false
  }
}

type Segment = Pick<LuksHeader, 'offset' | 'size' | 'sectorSize' | 'obstacle'>

/** @throws {TypeError} when the JSON is not shaped as the format has it */
function segmentOf(json: unknown): Segment {
  const segments = Object.entries(objectIn(objectIn(json, 'the header')['segments'], 'segments'))
  const config = objectIn(objectIn(json, 'the header')['config'], 'config')
  const required = config['requirements'] === undefined ? {} : objectIn(config['requirements'], 'requirements')
  const mandatory = required['mandatory'] ?? []
  if (!Array.isArray(mandatory)) throw new TypeError('its requirements are malformed')
  const [first] = segments
  if (first === undefined) throw new TypeError('it has no segment')
  const segment = objectIn(first[1], 'a segment')
  const size = segment['size'] === 'dynamic' ? 'dynamic' : whole(segment['size'], 'the size of its segment')
  const obstacle = obstacleOf(mandatory, segments.length, segment)
  return {
    offset: whole(segment['offset'], 'the offset of its segment'),
    size,
    sectorSize: sectorSizeOf(segment),
    ...(obstacle === undefined ? {} : { obstacle }),
  }
}

function obstacleOf(
  mandatory: readonly unknown[],
  count: number,
  segment: Readonly<Record<string, unknown>>,
): LuksObstacle | undefined {
  if (mandatory.some((name) => typeof name === 'string' && /reencrypt/.test(name))) return 'reencryption'
  if (mandatory.length > 0) return 'unknown-requirement'
  if (segment['integrity'] !== undefined) return 'integrity'
  if (count > 1 || segment['type'] !== 'crypt') return 'several-segments'
  return undefined
}

function sectorSizeOf(segment: Readonly<Record<string, unknown>>): number {
  const size = segment['sector_size']
  if (size === undefined) return 512
  if (typeof size !== 'number' || ![512, 1024, 2048, 4096].includes(size))
    throw new TypeError('its sectors are malformed')
  return size
}

function objectIn(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new TypeError(`${what} is malformed`)
  return value as Readonly<Record<string, unknown>>
}

/** Numbers beyond 32 bits are texts in this JSON. */
function whole(value: unknown, what: string): bigint {
  if (typeof value !== 'string' || !/^\d{1,19}$/.test(value)) throw new TypeError(`${what} is malformed`)
  return BigInt(value)
}
