import { type Disk, readAt } from './disk.ts'
import { viewOf } from './images.ts'

/**
 * Marks of what may lie on a device and is not grown here, by their places in the documents of each: kept apart from the library's own table, so that one can be held
 * against the other.
 */
interface Mark {
  readonly name: string
  readonly at: (size: bigint) => readonly bigint[]
  readonly bytes: Uint8Array
}

const start =
  (...offsets: readonly number[]) =>
  (): readonly bigint[] =>
    offsets.map(BigInt)
const text = (words: string): Uint8Array => Uint8Array.from(Buffer.from(words, 'latin1'))
const little = (value: number): Uint8Array => {
  const bytes = new Uint8Array(4)
  viewOf(bytes).setUint32(0, value, true)
  return bytes
}

export const foreignMarks: readonly Mark[] = [
  { name: 'btrfs', at: start(0x10040), bytes: text('_BHRfS_M') },
  { name: 'swap', at: start(0xff6), bytes: text('SWAPSPACE2') },
  { name: 'bcache', at: start(0x1018), bytes: Uint8Array.from(Buffer.from('c68573f64e1a45ca8265f57f48ba6d81', 'hex')) },
  { name: 'f2fs', at: start(0x400), bytes: little(0xf2f52010) },
  { name: 'NTFS', at: start(3), bytes: text('NTFS    ') },
  { name: 'exFAT', at: start(3), bytes: text('EXFAT   ') },
  { name: 'squashfs', at: start(0), bytes: text('hsqs') },
  { name: 'OCFS2', at: start(0x1000), bytes: text('OCFSV2') },
  { name: 'ReiserFS', at: start(0x10034), bytes: text('ReIsEr2Fs') },
  { name: 'BlueStore', at: start(0), bytes: text('bluestore block device') },
  { name: 'LUKS', at: start(0), bytes: text('LUKS\xba\xbe') },
  { name: 'BitLocker', at: start(3), bytes: text('-FVE-FS-') },
  { name: 'Intel RAID', at: (size) => [(size / 512n - 2n) * 512n], bytes: text('Intel Raid ISM Cfg Sig.') },
  { name: 'md 1.2', at: start(0x1000), bytes: Uint8Array.from([...little(0xa92b4efc), ...little(1)]) },
  { name: 'md 1.1', at: start(0), bytes: Uint8Array.from([...little(0xa92b4efc), ...little(1)]) },
  {
    name: 'md 1.0',
    at: (size) => [((size / 512n - 16n) / 8n) * 4096n],
    bytes: Uint8Array.from([...little(0xa92b4efc), ...little(1)]),
  },
  {
    name: 'md 0.90',
    at: (size) => [size - (size % 65_536n) - 65_536n],
    bytes: Uint8Array.from([...little(0xa92b4efc), ...little(0)]),
  },
  { name: 'DRBD', at: (size) => [size - (size % 4096n) - 4096n + 60n], bytes: Uint8Array.of(0x83, 0x74, 0x02, 0x6d) },
]

/** The names of the marks that the disk carries. */
export function marksOn(disk: Disk): readonly string[] {
  return foreignMarks
    .filter(({ at, bytes }) =>
      at(disk.size).some((offset) => offset >= 0n && Buffer.from(readAt(disk, offset, bytes.length)).equals(bytes)),
    )
    .map(({ name }) => name)
}

export interface Named {
  readonly family: 'ext' | 'xfs'
  /** Bytes that its superblock says. */
  readonly size: bigint
  /** Whether its checksum, where it has one, fits. */
  readonly intact: boolean
}

/** The filesystems whose superblock is there, read field by field from the documents of the kernel. */
export function filesystemsOn(disk: Disk, sum: (bytes: Uint8Array) => number): readonly Named[] {
  const found: Named[] = []
  const ext = readAt(disk, 1024n, 1024)
  if (ext.length === 1024 && viewOf(ext).getUint16(56, true) === 0xef53) {
    const view = viewOf(ext)
    const features = view.getUint32(76, true) === 0 ? [0, 0] : [view.getUint32(96, true), view.getUint32(100, true)]
    const [incompatible = 0, readOnly = 0] = features
    const high = incompatible & 0x80 ? BigInt(view.getUint32(336, true)) : 0n
    const blocks = high * 2n ** 32n + BigInt(view.getUint32(4, true))
    const shift = view.getUint32(24, true)
    const isJournal = (incompatible & 8) !== 0
    const intact = (readOnly & 0x400) === 0 || view.getUint32(1020, true) === sum(ext.subarray(0, 1020))
    // There are two revisions; what says that it is another one is none of them.
    if (shift < 7 && view.getUint32(76, true) < 2 && !isJournal)
      found.push({ family: 'ext', size: blocks * 2n ** BigInt(10 + shift), intact })
  }
  const xfs = readAt(disk, 0n, 512)
  if (xfs.length === 512 && Buffer.from(xfs.subarray(0, 4)).toString('latin1') === 'XFSB') {
    const view = viewOf(xfs)
    const sector = readAt(disk, 0n, view.getUint16(102))
    const isFive = (view.getUint16(100) & 15) === 5
    const copy = Uint8Array.from(sector)
    if (copy.length >= 228) copy.fill(0, 224, 228)
    const fits = copy.length >= 264 && (sum(copy) ^ 0xffffffff) >>> 0 === view.getUint32(224, true)
    found.push({ family: 'xfs', size: view.getBigUint64(8) * BigInt(view.getUint32(4)), intact: !isFive || fits })
  }
  return found
}
