import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { DeviceSnapshot } from '../../src/hosts/host.ts'
import { type Content, contentFindings, furtherRanges, identify } from '../../src/layers/signatures.ts'
import { GiB, KiB, MiB } from '../../src/size.ts'
import { deviceSnapshot, memoryDevice, probed } from '../filesystems/snapshot.ts'
import { superblockOf } from '../filesystems/xfs/superblock-bytes.ts'

const size = 64n * MiB + 3n * 512n

type Piece = readonly [offset: bigint | number, content: Uint8Array | string]

function bytesOf(content: Uint8Array | string): Uint8Array {
  return typeof content === 'string' ? Uint8Array.from(content, (character) => character.charCodeAt(0)) : content
}

/** A device that is blank but for these pieces. */
function deviceOf(pieces: readonly Piece[], part: Partial<DeviceSnapshot> = {}): DeviceSnapshot {
  const length = part.size ?? size
  const read = (offset: bigint, count: number): Uint8Array => {
    const result = new Uint8Array(count)
    for (const [at, content] of pieces) {
      for (const [index, byte] of bytesOf(content).entries()) {
        const position = BigInt(at) + BigInt(index) - offset
        if (position >= 0n && position < BigInt(count)) result[Number(position)] = byte
      }
    }
    return result
  }
  return deviceSnapshot({
    size: memoryDevice(new Uint8Array(0), length).size,
    ...part,
    probe: { ok: true, value: probed(length, read) },
  })
}

function u32(value: number, little = true): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value, little)
  return bytes
}

function join(...parts: readonly (Uint8Array | string)[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...bytesOf(part)]))
}

/** The first fields of an ext superblock of `blocks` blocks of 4 KiB. */
function ext(blocks: number, incompat = 0x2c2): Piece {
  const superblock = new Uint8Array(1024)
  const view = new DataView(superblock.buffer)
  view.setUint32(4, blocks, true)
  view.setUint32(0x18, 2, true)
  view.setUint16(0x38, 0xef53, true)
  view.setUint32(0x4c, 1, true)
  view.setUint32(0x60, incompat, true)
  view.setUint32(0x168, 9, true)
  return [1024, superblock]
}

const wholeExt = ext(Number(size / 4096n))

function mbr(...entries: readonly (readonly [flag: number, type: number, start: number, length: number])[]): Piece {
  const table = entries.map(([flag, type, start, length]) =>
    join(Uint8Array.of(flag, 0, 0, 0, type, 0, 0, 0), u32(start), u32(length)),
  )
  const filled = new Uint8Array(66)
  filled.set(join(...table))
  filled.set([0x55, 0xaa], 64)
  return [446, filled]
}

const md1 = join(u32(0xa92b4efc), u32(1), new Uint8Array(96))
const md090 = join(u32(0xa92b4efc), u32(0), u32(90), u32(0))
const zfs = join(Uint8Array.of(1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1), 'xxxxversionxxxxnamexxxtxg')
const fat = join('\u00eb<\u0090mkfs.fat', Uint8Array.of(0, 2, 4, 1, 0, 2))

const filesystem = (family: 'ext' | 'xfs'): Content => ({ kind: 'filesystem', family })
const layer = (name: 'luks' | 'lvm' | 'partition-table'): Content => ({ kind: 'layer', name })

describe('what it is', () => {
  test.each<[string, readonly Piece[], Content]>([
    ['a blank device', [], { kind: 'blank' }],
    ['something else', [[700, 'hello']], { kind: 'unknown' }],
    ['ext', [wholeExt], filesystem('ext')],
    ['XFS', [[0, superblockOf()]], filesystem('xfs')],
    ['LUKS', [[0, 'LUKS\u00ba\u00be\0\u0002']], layer('luks')],
    [
      'LVM',
      [
        [512, 'LABELONE'],
        [512 + 24, 'LVM2 001'],
      ],
      layer('lvm'),
    ],
    ['a GPT', [[512, 'EFI PART'], mbr([0, 0xee, 1, 0xffffffff])], layer('partition-table')],
    ['a GPT with sectors of 4 KiB', [[4096, 'EFI PART'], mbr([0, 0xee, 1, 100])], layer('partition-table')],
    ['an MBR', [mbr([0x80, 0x83, 2048, 4096])], layer('partition-table')],
    ['an MBR without partitions', [mbr()], layer('partition-table')],
    ['an MBR with nonsense in it', [mbr([0x17, 0x83, 2048, 4096])], { kind: 'unknown' }],
    ['a backup GPT alone', [[size - 512n, 'EFI PART']], layer('partition-table')],
  ])('%s', (_, pieces, expected) => {
    expect(identify(deviceOf(pieces))).toEqual(expected)
  })
})

describe('recognised and not handled', () => {
  test.each<[string, readonly Piece[]]>([
    ['a Linux RAID (md 1.0)', [wholeExt, [((size / 512n - 16n) / 8n) * 8n * 512n, md1]]],
    ['a Linux RAID (md 1.1)', [[0, md1]]],
    ['a Linux RAID (md 1.2)', [[4096, md1]]],
    ['a Linux RAID (md 0.90)', [wholeExt, [(size / 65_536n) * 65_536n - 65_536n, md090]]],
    ['DRBD', [wholeExt, [(size / 4096n) * 4096n - 4096n + 60n, u32(0x8374026b, false)]]],
    [
      'DRBD',
      [
        [0, superblockOf()],
        [(size / 4096n) * 4096n - 4096n + 60n, u32(0x8374026d, false)],
      ],
    ],
    ['ZFS', [[16_384, zfs]]],
    ['ZFS', [wholeExt, [(size / 262_144n) * 262_144n - 262_144n + 16_384n, zfs]]],
    ['a firmware RAID (Intel)', [wholeExt, [size - 1024n, 'Intel Raid ISM Cfg Sig. 1.3.00']]],
    ['a firmware RAID (NVIDIA)', [[size - 1024n, 'NVIDIA  ']]],
    ['a firmware RAID (DDF)', [mbr([0, 0x83, 1, 9]), [size - 512n, u32(0xde11de11, false)]]],
    [
      'a bcache device',
      [
        [
          4096 + 24,
          Uint8Array.of(0xc6, 0x85, 0x73, 0xf6, 0x4e, 0x1a, 0x45, 0xca, 0x82, 0x65, 0xf5, 0x7f, 0x48, 0xba, 0x6d, 0x81),
        ],
      ],
    ],
    ['swap space', [[4086, 'SWAPSPACE2']]],
    ['swap space', [[16_374, 'SWAPSPACE2']]],
    ['a hibernation image', [[4086, 'S1SUSPEND']]],
    ['btrfs', [[65_536 + 64, '_BHRfS_M']]],
    ['GFS2', [[65_536, Uint8Array.of(1, 0x16, 0x19, 0x70, 0, 0, 0, 1)]]],
    ['OCFS2', [[8192, 'OCFSV2']]],
    ['f2fs', [[1024, u32(0xf2f52010)]]],
    ['ReiserFS', [[65_536 + 52, 'ReIsEr2Fs']]],
    ['NTFS', [[0, '\u00ebR\u0090NTFS    '], mbr()]],
    [
      'FAT',
      [
        [0, fat],
        [54, 'FAT16   '],
        [510, Uint8Array.of(0x55, 0xaa)],
      ],
    ],
    [
      'FAT',
      [
        [0, fat],
        [82, 'FAT32   '],
        [446, 'Remove disks or other media and press any key'],
        [510, '\u0055\u00aa'],
      ],
    ],
    ['ISO 9660', [[32_769, 'CD001']]],
    ['JFS', [[32_768, 'JFS1']]],
    ['squashfs', [[0, 'hsqs']]],
    ['NILFS2', [[1024, join(u32(2), '\0\0', Uint8Array.of(0x34, 0x34, 0x18, 1))]]],
    ['Ceph BlueStore', [[0, 'bluestore block device\n']]],
    ['VDO', [[0, 'dmvdo001']]],
    ['Stratis', [[516, '!Stra0tis\u0086\u00ff\u0002^Arh']]],
    ['an external ext journal', [ext(1000, 0x8)]],
  ])('%s', (name, pieces) => {
    expect(identify(deviceOf(pieces))).toEqual({ kind: 'unhandled', name })
  })

  test('a member that was made larger: its metadata is behind the filesystem now, not at the end', () => {
    const small = Number((8n * MiB) / 4096n)
    for (const [content, offset] of [
      [md1, 8n * MiB + 4096n],
      [md090, 8n * MiB],
      [join(new Uint8Array(60), u32(0x8374026b, false)), 8n * MiB + 36_864n],
    ] as const) {
      expect(identify(deviceOf([ext(small), [offset, content]]))).toMatchObject({
        kind: 'unhandled',
        name: expect.stringContaining('when it was smaller'),
      })
    }
    expect(identify(deviceOf([ext(small)]))).toEqual(filesystem('ext'))
  })

  test('a volume of LVM that is only a part of another one', () => {
    const uuid = `LVM-${'a'.repeat(64)}`
    const named = (suffix: string): Content =>
      identify(deviceOf([wholeExt], { attributes: { 'dm/uuid': `${uuid}${suffix}`, 'dm/name': 'vg-pool_tdata' } }))
    expect(named('-tdata')).toEqual({ kind: 'unhandled', name: 'LVM itself (vg-pool_tdata)' })
    expect(named('')).toEqual(filesystem('ext'))
  })
})

describe('when more than one thing fits', () => {
  test.each<[string, readonly Piece[], readonly string[]]>([
    ['ext and an MBR', [wholeExt, mbr([0x80, 0x83, 2048, 4096])], ['an ext filesystem', 'a partition table']],
    ['ext and a GPT', [wholeExt, [512, 'EFI PART']], ['an ext filesystem', 'a partition table']],
    ['ext and LUKS', [wholeExt, [0, 'LUKS\u00ba\u00be']], ['an ext filesystem', 'LUKS']],
    [
      'XFS and swap',
      [
        [0, superblockOf()],
        [4086, 'SWAPSPACE2'],
      ],
      ['XFS', 'swap space'],
    ],
  ])('%s', (_, pieces, names) => {
    const device = deviceOf(pieces)
    const content = identify(device)
    expect(content).toEqual({ kind: 'ambiguous', names })
    expect(contentFindings(device, content)).toMatchObject([{ code: 'ambiguous-content', severity: 'blocker' }])
  })

  test('a boot signature or a left-over backup GPT does not make a filesystem ambiguous', () => {
    expect(identify(deviceOf([wholeExt, mbr()]))).toEqual(filesystem('ext'))
    expect(identify(deviceOf([wholeExt, [446, 'boot code that is no table'], [510, '\u0055\u00aa']]))).toEqual(
      filesystem('ext'),
    )
    expect(identify(deviceOf([wholeExt, [size - 512n, 'EFI PART']]))).toEqual(filesystem('ext'))
  })
})

describe('findings', () => {
  const device = deviceSnapshot({})

  test.each<[Content, string | undefined]>([
    [filesystem('ext'), undefined],
    [layer('luks'), 'unhandled-content'],
    [{ kind: 'unhandled', name: 'ZFS' }, 'unhandled-content'],
    [{ kind: 'held', holders: ['md0'] }, 'in-use'],
    [{ kind: 'blank' }, 'no-filesystem'],
    [{ kind: 'unknown' }, 'unknown-content'],
    [{ kind: 'unreadable', errno: 'EIO' }, 'unknown-content'],
    [{ kind: 'unreadable', errno: 'EACCES' }, 'permission-denied'],
  ])('%j', (content, code) => {
    expect(contentFindings(device, content).map((finding) => finding.code)).toEqual(code === undefined ? [] : [code])
  })

  test('what cannot be read is not blank, and what is held is held', () => {
    const failed = deviceSnapshot({ probe: { ok: false, errno: 'EIO', message: 'read error' } })
    expect(identify(failed)).toEqual({ kind: 'unreadable', errno: 'EIO' })
    expect(identify(deviceSnapshot({}))).toEqual({ kind: 'unknown' })
    expect(identify(deviceOf([wholeExt], { holders: ['md0'] }))).toEqual({ kind: 'held', holders: ['md0'] })
  })
})

describe('further ranges', () => {
  const rangesOf = (pieces: readonly Piece[]): readonly { offset: bigint; length: number }[] => {
    const { probe } = deviceOf(pieces)
    return probe.ok ? furtherRanges(probe.value, size) : []
  }

  test('the block of the multiple-mount protection', () => {
    expect(rangesOf([ext(Number(size / 4096n), 0x3c2)])).toEqual([{ offset: 36_864n, length: 1024 }])
  })

  test('what lies behind a smaller filesystem', () => {
    expect(rangesOf([ext(Number((8n * MiB) / 4096n))])).toEqual([{ offset: 8n * MiB, length: 131_072 }])
    expect(rangesOf([ext(Number((size - 100n * KiB) / 4096n))])).toEqual([])
  })

  test('never outside of the device, whatever the bytes say', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1024, maxLength: 2048 }), fc.bigInt(0n, GiB), (content, end) => {
        const superblock = join(new Uint8Array(1024), content)
        superblock.set([0x53, 0xef], 1024 + 0x38)
        for (const { offset, length } of furtherRanges([{ offset: 0n, bytes: superblock }], end)) {
          expect(offset >= 0n && offset + BigInt(length) <= end).toBe(true)
        }
      }),
    )
  })
})

test('no bytes make it throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 4096 }), fc.nat(200_000), (content, length) => {
      const device = memoryDevice(content, BigInt(length))
      expect(contentFindings(device, identify(device)).every(({ severity }) => severity === 'blocker')).toBe(true)
    }),
  )
})
