import { createHash } from 'node:crypto'
import type { DeviceSnapshot, ProbedRange } from '../../../src/hosts/host.ts'
import { deviceOf, mib } from '../device/snapshots.ts'

export const uuid = '2541fe89-22b8-4257-931a-b75330863c29'

export interface Luks2Details {
  readonly uuid?: string
  readonly headerSize?: number
  readonly segments?: object
  readonly requirements?: readonly string[]
}

export const segment = {
  type: 'crypt',
  // 16 MiB
  offset: '16777216',
  size: 'dynamic',
  iv_tweak: '0',
  encryption: 'aes-xts-plain64',
  sector_size: 512,
} as const

/** The header of a LUKS2 container, with its checksum. */
export function luks2(details: Luks2Details = {}): Uint8Array {
  const size = details.headerSize ?? 16_384
  const header = Buffer.alloc(size)
  header.write('LUKS\xba\xbe', 0, 'latin1')
  header.writeUInt16BE(2, 6)
  header.writeBigUInt64BE(BigInt(size), 8)
  header.write('sha256', 72)
  header.write(details.uuid ?? uuid, 168)
  const requirements = details.requirements === undefined ? {} : { requirements: { mandatory: details.requirements } }
  const json = {
    keyslots: {},
    tokens: {},
    segments: details.segments ?? { '0': segment },
    digests: {},
    config: { json_size: `${size - 4096}`, keyslots_size: '16744448', ...requirements },
  }
  header.write(JSON.stringify(json), 4096)
  createHash('sha256').update(header).digest().copy(header, 448)
  return header
}

/** The header of a LUKS1 container whose data begin at 2 MiB. */
export function luks1(): Uint8Array {
  const header = Buffer.alloc(4096)
  header.write('LUKS\xba\xbe', 0, 'latin1')
  header.writeUInt16BE(1, 6)
  header.writeUInt32BE(4096, 104)
  header.write(uuid, 168)
  return header
}

/** The device below, as a host reads it: its first 20 KiB, and what else is named. */
export function below(header: Uint8Array, further: readonly ProbedRange[] = []): DeviceSnapshot {
  const bytes = new Uint8Array(20 * 1024)
  bytes.set(header.subarray(0, bytes.length))
  return deviceOf({
    id: '7:0',
    name: 'loop0',
    path: '/dev/loop0',
    size: mib(64),
    attributes: { diskseq: '13' },
    holders: ['dm-0'],
    probe: { ok: true, value: [{ offset: 0n, bytes }, ...further] },
  })
}

/** The open mapping. */
export function mapping(version: 1 | 2, details: Partial<DeviceSnapshot> = {}): DeviceSnapshot {
  return deviceOf({
    id: '254:0',
    name: 'dm-0',
    path: '/dev/dm-0',
    size: mib(version === 1 ? 62 : 48),
    below: ['7:0'],
    attributes: {
      'dm/name': 'vault',
      'dm/uuid': `CRYPT-LUKS${version}-${uuid.replaceAll('-', '')}-vault`,
      'dm/suspended': '0',
    },
    ...details,
  })
}
