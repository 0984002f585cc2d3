import { isExt, isJournalDevice, mmpRange, superblockIn } from '../filesystems/ext/superblock.ts'
import { fieldsOf } from '../filesystems/fields.ts'
import { backupRanges } from '../filesystems/xfs/backups.ts'
import type { Finding } from '../findings.ts'
import type { DeviceSnapshot, ProbedRange } from '../hosts/host.ts'
import { luksRange } from './luks/header.ts'
import { tableRanges } from './partition/ranges.ts'
import { bytesAt } from './probe.ts'

/** What a device holds, judged from both of its ends and from sysfs. */
export type Content =
  | { readonly kind: 'filesystem'; readonly family: 'ext' | 'xfs' }
  /** Something on which other layers stand. */
  | { readonly kind: 'layer'; readonly name: 'luks' | 'lvm' | 'partition-table' }
  /** Recognised, and nothing that is grown here. */
  | { readonly kind: 'unhandled'; readonly name: string }
  /** A filesystem that other devices have been built upon. */
  | { readonly kind: 'held'; readonly holders: readonly string[] }
  | { readonly kind: 'ambiguous'; readonly names: readonly string[] }
  | { readonly kind: 'blank' }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'unreadable'; readonly errno: string }

/** A mark at the start of a device. */
interface Mark {
  readonly name: string
  readonly content: Content
}

type Bytes = Uint8Array
const ascii = (text: string): Bytes => new TextEncoder().encode(text)

interface Magic {
  readonly name: string
  readonly offset: number
  readonly bytes: Bytes
}

/** Recognised and not handled: where their mark is, and what it is. From the kernel's headers of each, and the documents of the projects outside of it. */
const magics: readonly Magic[] = [
  ...[4086, 8182, 16_374].flatMap((offset) => [
    { name: 'swap space', offset, bytes: ascii('SWAPSPACE2') },
    { name: 'swap space', offset, bytes: ascii('SWAP-SPACE') },
    { name: 'a hibernation image', offset, bytes: ascii('S1SUSPEND') },
    { name: 'a hibernation image', offset, bytes: ascii('S2SUSPEND') },
    { name: 'a hibernation image', offset, bytes: ascii('LINHIB0001') },
  ]),
  { name: 'btrfs', offset: 65_536 + 64, bytes: ascii('_BHRfS_M') },
  { name: 'GFS2', offset: 65_536, bytes: Uint8Array.of(0x01, 0x16, 0x19, 0x70, 0, 0, 0, 1) },
  ...[1024, 2048, 4096, 8192].map((offset) => ({ name: 'OCFS2', offset, bytes: ascii('OCFSV2') })),
  { name: 'f2fs', offset: 1024, bytes: Uint8Array.of(0x10, 0x20, 0xf5, 0xf2) },
  { name: 'EROFS', offset: 1024, bytes: Uint8Array.of(0xe2, 0xe1, 0xf5, 0xe0) },
  ...['ReIsErFs', 'ReIsEr2Fs', 'ReIsEr3Fs'].map((text) => ({
    name: 'ReiserFS',
    offset: 65_536 + 52,
    bytes: ascii(text),
  })),
  { name: 'ReiserFS', offset: 8192 + 52, bytes: ascii('ReIsErFs') },
  { name: 'Reiser4', offset: 65_536, bytes: ascii('ReIsEr4') },
  { name: 'NTFS', offset: 3, bytes: ascii('NTFS    ') },
  { name: 'exFAT', offset: 3, bytes: ascii('EXFAT   ') },
  { name: 'BitLocker', offset: 3, bytes: ascii('-FVE-FS-') },
  { name: 'squashfs', offset: 0, bytes: ascii('hsqs') },
  { name: 'cramfs', offset: 0, bytes: Uint8Array.of(0x45, 0x3d, 0xcd, 0x28) },
  { name: 'HFS+', offset: 1024, bytes: ascii('H+\0\u0004') },
  { name: 'HFS+', offset: 1024, bytes: ascii('HX\0\u0005') },
  { name: 'ISO 9660', offset: 32_768 + 1, bytes: ascii('CD001') },
  { name: 'UDF', offset: 32_768 + 1, bytes: ascii('BEA01') },
  { name: 'JFS', offset: 32_768, bytes: ascii('JFS1') },
  { name: 'a bcache device', offset: 4096 + 24, bytes: hexBytes('c68573f64e1a45ca8265f57f48ba6d81') },
  { name: 'bcachefs', offset: 4096 + 24, bytes: hexBytes('c68573f666ce90a9d96a60cf803df7ef') },
  { name: 'Ceph BlueStore', offset: 0, bytes: ascii('bluestore block device') },
  { name: 'VDO', offset: 0, bytes: ascii('dmvdo001') },
  { name: 'Stratis', offset: 516, bytes: hexBytes('21537472613074697386ff025e417268') },
]

const md = 0xa92b4efc
const ddf = 0xde11de11
const drbdMagics: ReadonlySet<number> = new Set([0x8374026a, 0x8374026b, 0x8374026c, 0x8374026d])

/**
 * What the device holds. Metadata at its end, of a RAID or a replication below which the start looks like a plain filesystem, wins over everything: growing a member
 * destroys what it is a member of.
 */
export function identify(device: DeviceSnapshot): Content {
  if (!device.probe.ok) return { kind: 'unreadable', errno: device.probe.errno }
  const whole = partOf(device)
  if (whole !== undefined) return { kind: 'unhandled', name: whole }
  const marks = startMarks(device)
  const [only] = marks
  if (only !== undefined && marks.length > 1) return { kind: 'ambiguous', names: marks.map(({ name }) => name) }
  if (only?.content.kind === 'filesystem' && device.holders.length > 0) {
    return { kind: 'held', holders: device.holders }
  }
  if (only !== undefined) return only.content
  if (hasBackupGpt(device)) return { kind: 'layer', name: 'partition-table' }
  if (device.probe.value.length === 0) return { kind: 'unknown' }
  return device.probe.value.every(({ bytes }) => isZero(bytes)) ? { kind: 'blank' } : { kind: 'unknown' }
}

/** What the device is a part of, by its metadata: a RAID, a replication, a volume of LVM that is none of a user's. */
export function partOf(device: DeviceSnapshot): string | undefined {
  return internalVolume(device) ?? memberName(device)
}

/** A stretch that others name. */
export interface FurtherRange {
  readonly offset: bigint
  readonly length: number
  /** To be read past the kernel's cache of the device, which a mounted filesystem writes past as well. Failing at that is no failure of the look. */
  readonly direct?: true
}

/**
 * What the fixed ranges alone can name: the multiple-mount-protection block of an ext filesystem; what lies right behind a filesystem that is smaller than its device,
 * where a RAID's metadata stays when a member has been made larger; the backup superblocks of XFS; and, where the start shows no filesystem, the descriptors of optical media and JFS at 32 KiB, and
 * the parts of a partition table that lie elsewhere. Asked again with what it named, until it names nothing more: each logical partition names only the next one.
 */
export function furtherRanges(ranges: readonly ProbedRange[], size: bigint): readonly FurtherRange[] {
  const further: FurtherRange[] = []
  const mmp = mmpRange(ranges)
  if (mmp !== undefined) further.push(mmp)
  const luks = luksRange(ranges)
  if (luks !== undefined) further.push(luks)
  const end = filesystemEnd(ranges)
  // The last 128 KiB of the device are read anyway.
  if (end !== undefined && end + 131_072n < size) further.push({ offset: end, length: behindLength })
  further.push(...backupRanges(ranges))
  if (end === undefined) further.push({ offset: 32_768n, length: 2048 }, ...tableRanges(within(ranges), size))
  return further.filter(({ offset, length }) => offset >= 0n && offset + BigInt(length) <= size)
}

/** Those of {@link furtherRanges} that are not among the ranges yet: what to read next, until there is nothing more. */
export function unreadRanges(ranges: readonly ProbedRange[], size: bigint): ReturnType<typeof furtherRanges> {
  return furtherRanges(ranges, size).filter(
    ({ offset, length, direct }) =>
      !ranges.some(
        (range) =>
          range.offset === offset &&
          range.direct === direct &&
          // What cannot be read past the cache is not asked for again.
          (direct === true || range.bytes.length === length),
      ),
  )
}

function within(ranges: readonly ProbedRange[]): (offset: bigint, length: number) => Uint8Array | undefined {
  return (offset, length) => {
    const range = ranges.find(
      ({ offset: start, bytes }) => start <= offset && offset + BigInt(length) <= start + BigInt(bytes.length),
    )
    return range?.bytes.subarray(Number(offset - range.offset), Number(offset - range.offset) + length)
  }
}

const behindLength = 131_072

/** Why the device's content cannot be grown as a filesystem; empty when it is one that can. */
export function contentFindings(device: DeviceSnapshot, content: Content): readonly Finding[] {
  const { path } = device
  const blocked = (code: Finding['code'], message: string, remedy: string): readonly Finding[] => [
    { code, severity: 'blocker', layer: 'device', message, remedy },
  ]
  switch (content.kind) {
    case 'filesystem':
      return []
    case 'layer':
      return blocked(
        'unhandled-content',
        `${path} holds ${layerNames[content.name]}, not a filesystem.`,
        'Name the device, partition, mapping or logical volume that has the filesystem, or its mount point.',
      )
    case 'unhandled':
      return blocked(
        'unhandled-content',
        `${path} belongs to ${content.name}, which is recognised and not handled.`,
        'Grow it with the tools of that system. If it is only left over from an earlier use, remove its mark with wipefs.',
      )
    case 'held':
      return blocked(
        'in-use',
        `${path} is held by ${content.holders.join(', ')}: it is part of something else as well.`,
        'Grow what holds it instead.',
      )
    case 'ambiguous':
      return blocked(
        'ambiguous-content',
        `${path} carries the marks of more than one kind of content: ${content.names.join(' and ')}.`,
        'Find out which one is true, and remove the mark of the other with wipefs.',
      )
    case 'blank':
      return blocked(
        'no-filesystem',
        `${path} is blank where filesystems have their marks.`,
        'Make a filesystem on it first.',
      )
    case 'unknown':
      return blocked(
        'unknown-content',
        `What ${path} holds was not recognised as anything that can be grown.`,
        'Look at it with wipefs or file -s. If it should be a filesystem, its superblock is damaged: repair it first.',
      )
    case 'unreadable':
      return blocked(
        content.errno === 'EACCES' || content.errno === 'EPERM' ? 'permission-denied' : 'unknown-content',
        `${path} could not be read (${content.errno}).`,
        'Run this with the right to read the device; with an I/O error, look into the kernel log first.',
      )
    default:
      return content satisfies never
  }
}

const layerNames = { luks: 'LUKS', lvm: 'an LVM physical volume', 'partition-table': 'a partition table' } as const

/** Parts of LVM that are never a user's own: thin pools' data, snapshots' stores, RAID legs. */
function internalVolume({ attributes }: DeviceSnapshot): string | undefined {
  const uuid = attributes['dm/uuid'] ?? ''
  return /^LVM-[A-Za-z0-9]{64}-./.test(uuid) ? `LVM itself (${attributes['dm/name'] ?? uuid})` : undefined
}

function startMarks(device: DeviceSnapshot): readonly Mark[] {
  const marks: Mark[] = []
  const add = (name: string, content: Content): void => {
    if (!marks.some((mark) => mark.name === name)) marks.push({ name, content })
  }
  const unhandled = (name: string): void => add(name, { kind: 'unhandled', name })
  const superblock = bytesAt(device, 1024, 1024)
  if (isExt(superblock)) {
    if (isJournalDevice(superblock)) unhandled('an external ext journal')
    else add('an ext filesystem', { kind: 'filesystem', family: 'ext' })
  }
  if (startsWith(device, 0, ascii('XFSB'))) add('XFS', { kind: 'filesystem', family: 'xfs' })
  if (startsWith(device, 0, hexBytes('4c554b53babe')) || startsWith(device, 0, hexBytes('534b554cbabe'))) {
    add('LUKS', { kind: 'layer', name: 'luks' })
  }
  for (const sector of [0, 512, 1024, 1536]) {
    if (startsWith(device, sector, ascii('LABELONE')) && startsWith(device, sector + 24, ascii('LVM2 001'))) {
      add('an LVM physical volume', { kind: 'layer', name: 'lvm' })
    }
  }
  for (const { name, offset, bytes } of magics) if (startsWith(device, offset, bytes)) unhandled(name)
  if (isFat(device)) unhandled('FAT')
  if (isNilfs(superblock)) unhandled('NILFS2')
  const plain = marks.length === 0
  if (hasGpt(device) || hasMbr(device, plain)) add('a partition table', { kind: 'layer', name: 'partition-table' })
  return marks
}

/** The name of what the device is a member of, by its metadata at the end, at the start, or behind a filesystem that once ended where the device did. */
function memberName(device: DeviceSnapshot): string | undefined {
  const { size } = device
  for (const [offset, version] of [
    [0n, '1.1'],
    [4096n, '1.2'],
    [((size / 512n - 16n) / 8n) * 8n * 512n, '1.0'],
  ] as const) {
    if (isMd1(at(device, offset, 104))) return `a Linux RAID (md ${version})`
  }
  if (isMd090(at(device, (size / 65_536n) * 65_536n - 65_536n, 16))) return 'a Linux RAID (md 0.90)'
  if (isDrbd(at(device, (size / 4096n) * 4096n - 4096n, 64))) return 'DRBD'
  if (isZfs(device)) return 'ZFS'
  const sectors = size / 512n
  if (startsWith(device, (sectors - 2n) * 512n, ascii('Intel Raid ISM Cfg Sig.'))) return 'a firmware RAID (Intel)'
  if (startsWith(device, (sectors - 2n) * 512n, ascii('NVIDIA'))) return 'a firmware RAID (NVIDIA)'
  for (const sector of [sectors - 1n, sectors - 257n]) {
    const header = at(device, sector * 512n, 4)
    if (header !== undefined && (fieldsOf(header, 'big').u32(0) === ddf || fieldsOf(header, 'little').u32(0) === ddf)) {
      return 'a firmware RAID (DDF)'
    }
  }
  return memberBehind(device)
}

/** RAID metadata does not move when its member becomes larger: then it is right behind the filesystem, and growing that would overwrite it. */
function memberBehind(device: DeviceSnapshot): string | undefined {
  if (!device.probe.ok) return undefined
  const end = filesystemEnd(device.probe.value)
  if (end === undefined) return undefined
  const start = ((end + 4095n) / 4096n) * 4096n
  for (let offset = start; offset < end + BigInt(behindLength); offset += 4096n) {
    if (isMd1(at(device, offset, 104))) return 'a Linux RAID (md 1.0) that was made on it when it was smaller'
    if (offset % 65_536n === 0n && isMd090(at(device, offset, 16))) {
      return 'a Linux RAID (md 0.90) that was made on it when it was smaller'
    }
    if (isDrbd(at(device, offset, 64))) return 'DRBD, which was made on it when it was smaller'
  }
  return undefined
}

function filesystemEnd(ranges: readonly ProbedRange[]): bigint | undefined {
  const ext = superblockIn(ranges)
  if (ext !== undefined) return ext.blocks * BigInt(ext.blockSize)
  const start = ranges.find(({ offset, bytes }) => offset === 0n && bytes.length >= 16)
  if (start === undefined) return undefined
  const fields = fieldsOf(start.bytes, 'big')
  return fields.u32(0) === 0x58465342 ? fields.u64(8) * BigInt(fields.u32(4)) : undefined
}

/** Version 1 of md's superblock (include/uapi/linux/raid/md_p.h of the kernel). */
function isMd1(superblock: Bytes | undefined): boolean {
  if (superblock === undefined) return false
  const fields = fieldsOf(superblock, 'little')
  return fields.u32(0) === md && fields.u32(4) === 1
}

/** Version 0.90, in the byte order of the machine that made it. */
function isMd090(superblock: Bytes | undefined): boolean {
  if (superblock === undefined) return false
  return (['little', 'big'] as const).some((order) => {
    const fields = fieldsOf(superblock, order)
    return fields.u32(0) === md && fields.u32(4) === 0
  })
}

/** DRBD's internal metadata of versions 7 to 9: its superblock is the last 4 KiB. */
function isDrbd(superblock: Bytes | undefined): boolean {
  return superblock !== undefined && drbdMagics.has(fieldsOf(superblock, 'big').u32(60))
}

/** The name-value list of a ZFS label begins 16 KiB into each of the four labels. */
function isZfs(device: DeviceSnapshot): boolean {
  const end = (device.size / 262_144n) * 262_144n
  return [0n, end - 524_288n, end - 262_144n].some((label) => {
    const list = label < 0n ? undefined : at(device, label + 16_384n, 512)
    if (list === undefined || list[0] !== 1 || (list[1] ?? 2) > 1) return false
    const text = new TextDecoder('latin1').decode(list)
    return text.includes('version') && (text.includes('txg') || text.includes('pool_guid') || text.includes('name'))
  })
}

function hasGpt(device: DeviceSnapshot): boolean {
  return [512, 1024, 2048, 4096].some((offset) => startsWith(device, offset, ascii('EFI PART')))
}

function hasBackupGpt(device: DeviceSnapshot): boolean {
  return [512n, 4096n].some((sector) => startsWith(device, (device.size / sector) * sector - sector, ascii('EFI PART')))
}

/**
 * A partition table in sector 0. The boot signature alone says little: boot sectors of filesystems have it too. A table has only entries that make sense, and at least
 * one of them.
 *
 * @param alone nothing else was recognised: then an empty table is one too
 */
function hasMbr(device: DeviceSnapshot, alone: boolean): boolean {
  const sector = bytesAt(device, 0, 512)
  if (sector === undefined || sector[510] !== 0x55 || sector[511] !== 0xaa) return false
  const fields = fieldsOf(sector, 'little')
  const sectors = device.size / 512n
  let used = 0
  for (const offset of [446, 462, 478, 494]) {
    const entry = fields.bytes(offset, 16)
    if (isZero(entry)) continue
    const [flag, type] = [fields.u8(offset), fields.u8(offset + 4)]
    const [start, length] = [fields.u32(offset + 8), fields.u32(offset + 12)]
    if ((flag !== 0 && flag !== 0x80) || type === 0 || start === 0 || length === 0 || BigInt(start) >= sectors)
      return false
    used += 1
  }
  return used > 0 || (alone && isZero(sector.subarray(446, 510)))
}

function isFat(device: DeviceSnapshot): boolean {
  const sector = bytesAt(device, 0, 512)
  if (sector === undefined) return false
  const fields = fieldsOf(sector, 'little')
  const [sectorSize, perCluster, fats] = [fields.u16(11), fields.u8(13), fields.u8(16)]
  if (![512, 1024, 2048, 4096].includes(sectorSize) || perCluster === 0 || (perCluster & (perCluster - 1)) !== 0)
    return false
  if (fats !== 1 && fats !== 2) return false
  return (
    startsWith(device, 54, ascii('FAT')) ||
    startsWith(device, 82, ascii('FAT32')) ||
    startsWith(device, 54, ascii('MSDOS'))
  )
}

/** Its mark has only two bytes: the revision and the structure's length have to fit as well. */
function isNilfs(superblock: Bytes | undefined): boolean {
  if (superblock === undefined) return false
  const fields = fieldsOf(superblock, 'little')
  const length = fields.u16(8)
  return fields.u16(6) === 0x3434 && fields.u32(0) === 2 && length >= 256 && length <= 1024
}

function startsWith(device: DeviceSnapshot, offset: number | bigint, expected: Bytes): boolean {
  const found = at(device, BigInt(offset), expected.length)
  return found?.every((byte, index) => byte === expected[index]) === true
}

function at(device: DeviceSnapshot, offset: bigint, length: number): Bytes | undefined {
  return offset < 0n ? undefined : bytesAt(device, offset, length)
}

function isZero(bytes: Bytes): boolean {
  return bytes.every((byte) => byte === 0)
}

function hexBytes(digits: string): Bytes {
  const pairs = digits.match(/../g) ?? []
  return Uint8Array.from(pairs, (pair) => Number.parseInt(pair, 16))
}
