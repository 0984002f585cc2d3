import type { DeviceSnapshot, MountSnapshot, ProbedRange, StorageSnapshot } from '../../src/hosts/host.ts'
import { probeRanges, resolveRange } from '../../src/layers/probe.ts'
import { type FurtherRange, unreadRanges } from '../../src/layers/signatures.ts'
import { bytes } from '../../src/size.ts'
import { promise } from './target.ts'

/** A disk of which only some pieces hold anything: everything else is zero. */
export interface Disk {
  readonly size: bigint
  readonly pieces: readonly { readonly at: bigint; readonly bytes: Uint8Array }[]
}

export function readAt({ size, pieces }: Disk, offset: bigint, length: number): Uint8Array {
  const found = new Uint8Array(
    offset >= size ? 0 : Number(size - offset < BigInt(length) ? size - offset : BigInt(length)),
  )
  const end = offset + BigInt(found.length)
  for (const { at, bytes: piece } of pieces) {
    const pieceEnd = at + BigInt(piece.length)
    if (pieceEnd <= offset || at >= end) continue
    const from = at > offset ? at : offset
    const to = pieceEnd < end ? pieceEnd : end
    found.set(piece.subarray(Number(from - at), Number(to - at)), Number(from - offset))
  }
  return found
}

const mostRounds = 300

/** What a host reads of a disk: the fixed ranges, and what they name, until nothing more is named. */
function probeOf(disk: Disk): readonly ProbedRange[] {
  const { size } = disk
  const read = ({ offset, length, direct }: FurtherRange): ProbedRange => {
    promise(
      offset >= 0n && length > 0 && offset + BigInt(length) <= size,
      () => `${length} bytes at ${offset} of ${size} would be read`,
    )
    promise(length <= 8 * 2 ** 20, () => `${length} bytes would be read at once`)
    return { offset, bytes: readAt(disk, offset, length), ...(direct && { direct }) }
  }
  const ranges = probeRanges
    .map((range) => resolveRange(range, size))
    .filter((range) => range !== undefined)
    .map(read)
  for (let round = 0; ; round += 1) {
    const further = unreadRanges(ranges, size)
    if (further.length === 0) return ranges
    promise(round < mostRounds, () => 'what was read names more without end')
    ranges.push(...further.map(read))
  }
}

export function deviceOf(disk: Disk, part: Partial<DeviceSnapshot> = {}): DeviceSnapshot {
  return {
    ...{ id: '254:0', kind: 'block', path: '/dev/vda', name: 'vda', size: bytes(disk.size), readOnly: false },
    ...{ attributes: { diskseq: '9' }, below: [], holders: [], partitions: [], mounts: [], locks: [] },
    probe: { ok: true, value: probeOf(disk) },
    users: {
      complete: true,
      exclusive: 'free',
      foreignMounts: [],
      openers: [],
      loops: [],
      localBacking: true,
      swap: false,
    },
    ...part,
  }
}

export function snapshotOf(devices: readonly DeviceSnapshot[]): StorageSnapshot {
  return {
    system: { kernel: '6.12.0', uid: 0, capabilities: (1n << 41n) - 1n, pageSize: 4096 },
    found: devices.slice(0, 1).map(({ id }) => id),
    devices,
  }
}

export function mountOn(type: string): MountSnapshot {
  return {
    ...{
      mountPoint: '/data',
      dev: '254:0',
      root: '/',
      type,
      source: '/dev/vda',
      options: ['rw'],
      superOptions: ['rw'],
    },
    statfs: { ok: false, errno: 'ENOENT', message: 'not looked at' },
  }
}
