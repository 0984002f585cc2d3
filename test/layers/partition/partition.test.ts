import { describe, expect, test } from 'vitest'
import { type LayerExample, layerCases } from '../../../src/conformance/index.ts'
import type { Growth, GrowthContext } from '../../../src/layers/layer.ts'
import { crc32 } from '../../../src/layers/partition/crc32.ts'
import { partition } from '../../../src/layers/partition/index.ts'
import { type Bytes, bytes, MiB } from '../../../src/size.ts'
import { virtio } from '../device/snapshots.ts'
import { diskSize, gpt, mbr, type Part, type PartitionedSnapshot, partitioned } from './disks.ts'

const two: readonly Part[] = [
  { number: 1, start: 2048n, end: 18_431n },
  { number: 2, start: 18_432n, end: 129_023n },
]
const wholeMbr: readonly Part[] = [two[0] as Part, { number: 2, start: 18_432n, end: 131_071n }]
const primaries: readonly Part[] = [
  { number: 1, start: 2048n, end: 18_431n },
  { number: 2, start: 18_432n, end: 131_071n, type: 5 },
]
const logicals: readonly Part[] = [
  { number: 5, start: 20_480n, end: 40_959n },
  { number: 6, start: 43_008n, end: 131_071n },
]
/** The kernel shows two sectors of an extended partition, for boot loaders. */
const logicalsShown: readonly Part[] = [{ number: 2, start: 18_432n, end: 18_433n }, ...logicals]
const large4k: readonly Part[] = [{ number: 1, start: 256n, end: 16_127n }]

const shapes = {
  gpt: () => partitioned(gpt(two), two),
  mbr: () => partitioned(mbr(wholeMbr), wholeMbr),
  logical: () => partitioned(mbr(primaries, logicals), [...primaries, ...logicals], { shown: logicalsShown }),
  'gpt 4k': () => partitioned(gpt(large4k, { sector: 4096n }), large4k, { sector: 4096n }),
}

function grow(
  at: PartitionedSnapshot,
  number: number,
  available: bigint,
  context: Partial<GrowthContext> = {},
): Growth {
  const backendUsers = { known: true, others: [] }
  const given = { available: bytes(available), offline: false, backendUsers, ...context }
  return partition.grow(at.partition(number), at.snapshot, given)
}

function codes({ findings }: Growth): readonly string[] {
  return findings.map(({ code, severity }) => `${severity} ${code}`)
}

/** Number, sectors before and after, as the script gets them. */
function parameters({ commands }: Growth): readonly string[] {
  return commands[0]?.exec.slice(4) ?? []
}

describe('the layer suite', () => {
  const example = (name: string, at: PartitionedSnapshot, number: number): LayerExample => ({
    ...{ name, device: at.partition(number), snapshot: at.snapshot },
    ...{ full: diskSize as Bytes, roomy: (2n * diskSize) as Bytes },
  })
  const setup = {
    layer: partition,
    examples: [
      example('GPT', shapes.gpt(), 2),
      example('MBR', shapes.mbr(), 2),
      example('logical', shapes.logical(), 6),
      example('GPT on sectors of 4096 bytes', shapes['gpt 4k'](), 1),
    ],
    others: [{ name: 'disk', device: virtio, snapshot: shapes.gpt().snapshot }],
  }
  test.each(layerCases(setup))('$name', ({ run }) => run())
})

describe('where the last partition ends', () => {
  test('in a GPT before the other copy, at a whole MiB', () => {
    const growth = grow(shapes.gpt(), 2, 128n * MiB)
    expect(growth.after).toBe(127n * MiB - 18_432n * 512n)
    expect(parameters(growth)).toEqual([
      ...['/dev/vda', '2', '110592', `${(127n * MiB) / 512n - 18_432n}`, '/sys/class/block/vda2/size', '110592'],
      ...[`${(127n * MiB) / 512n - 18_432n}`, '', '', ''],
    ])
    expect(growth.commands[0]).toMatchObject({ detached: true, lock: ['/dev/vda'] })
  })

  test('in an MBR where the disk does', () => {
    expect(grow(shapes.mbr(), 2, 128n * MiB).after).toBe(128n * MiB - 18_432n * 512n)
  })

  test('with the extended one around it', () => {
    const growth = grow(shapes.logical(), 6, 128n * MiB)
    expect(growth.after).toBe(128n * MiB - 43_008n * 512n)
    expect(parameters(growth).slice(-3)).toEqual(['2', '112640', `${(128n * MiB) / 512n - 18_432n}`])
  })

  test('on sectors of 4096 bytes the table counts those, and the kernel 512', () => {
    const growth = grow(shapes['gpt 4k'](), 1, 128n * MiB)
    expect(growth.after).toBe(126n * MiB)
    expect(parameters(growth)).toEqual([
      ...['/dev/vda', '1', '15872', `${(126n * MiB) / 4096n}`, '/sys/class/block/vda1/size', '126976'],
      ...[`${(126n * MiB) / 512n}`, '', '', ''],
    ])
  })

  test('what was asked for, and no more', () => {
    expect(grow(shapes.gpt(), 2, 128n * MiB, { wanted: bytes(80n * MiB) }).after).toBe(80n * MiB)
    expect(grow(shapes.gpt(), 2, 128n * MiB, { wanted: bytes(80n * MiB + 1n) }).after).toBe(80n * MiB + 4096n)
    expect(grow(shapes.gpt(), 2, 128n * MiB, { wanted: bytes(500n * MiB) }).after).toBe(118n * MiB)
    expect(grow(shapes.gpt(), 2, 128n * MiB, { wanted: bytes(MiB) }).commands).toEqual([])
  })

  test('a last one with a lower number', () => {
    const turned = [
      { number: 1, start: 65_536n, end: 98_303n },
      { number: 2, start: 2048n, end: 34_815n },
    ]
    const at = partitioned(gpt(turned), turned)
    expect(grow(at, 1, 128n * MiB).after).toBe(95n * MiB)
    expect(codes(grow(at, 2, 128n * MiB))).toEqual(['blocker partition-not-last'])
  })
})

describe('a growth that stopped in the middle', () => {
  const larger: readonly Part[] = [two[0] as Part, { number: 2, start: 18_432n, end: 260_095n }]
  const size = 128n * MiB

  test('the table is larger than what the kernel shows', () => {
    const at = partitioned(gpt(larger, { size }), larger, { size, shown: two })
    expect(partition.measure(at.partition(2), at.snapshot).size).toBe(110_592n * 512n)
    expect(parameters(grow(at, 2, size)).slice(2, 7)).toEqual([
      ...['241664', '241664', '/sys/class/block/vda2/size', '110592', '241664'],
    ])
  })

  test('the kernel shows more than the table', () => {
    const at = partitioned(gpt(two, { size, last: diskSize / 512n - 1n }), two, { size, shown: larger })
    expect(partition.measure(at.partition(2), at.snapshot).size).toBe(110_592n * 512n)
    expect(parameters(grow(at, 2, size)).slice(2, 7)).toEqual([
      ...['110592', '241664', '/sys/class/block/vda2/size', '241664', '241664'],
    ])
  })

  test('the other copy of the GPT was written, and the first was not', () => {
    const pieces = gpt(two, { size })
    for (const [offset, bytes] of gpt(larger, { size })) if (offset > diskSize) pieces.set(offset, bytes)
    const at = partitioned(pieces, two, { size })
    expect(codes(grow(at, 2, size))).toEqual([])
    expect(grow(at, 2, size).after).toBe(241_664n * 512n)
  })

  test('nothing is left to do once both are as large as the disk', () => {
    const at = partitioned(gpt(larger, { size }), larger, { size })
    expect(grow(at, 2, size)).toMatchObject({ after: 241_664n * 512n, commands: [], findings: [] })
  })
})

describe('refused', () => {
  const spoilt = (offset: bigint, at: number, byte = 0xff, pieces = gpt(two)): PartitionedSnapshot => {
    const piece = pieces.get(offset)
    if (piece === undefined) throw new TypeError('There is nothing to spoil.')
    piece[at] = byte
    return partitioned(pieces, two)
  }

  test.each([
    ['the header', 512n, 60],
    ['the entries', 1024n, 150],
    ['the copy of the header', diskSize - 512n, 60],
    ['the copy of the entries', diskSize - 33n * 512n, 150],
    ['the mark of the header', 512n, 0],
  ])('a GPT with a damaged byte in %s', (_where, offset, at) => {
    expect(codes(grow(spoilt(offset, at), 2, 128n * MiB))).toEqual(['blocker partition-table-damaged'])
  })

  test('a hybrid MBR', () => {
    expect(codes(grow(spoilt(0n, 446 + 16 + 4, 0x83), 2, 128n * MiB))).toEqual(['blocker partition-table-damaged'])
  })

  test('a GPT that no protective MBR stands before', () => {
    const pieces = gpt(two).set(0n, mbr(two).get(0n) ?? new Uint8Array())
    expect(codes(grow(partitioned(pieces, two), 2, 128n * MiB))).toEqual(['blocker partition-table-damaged'])
  })

  test('copies that contradict each other', () => {
    const pieces = gpt(two)
    const other = gpt([{ number: 1, start: 4096n, end: 18_431n }, two[1] as Part])
    for (const [offset, bytes] of other) if (offset > MiB) pieces.set(offset, bytes)
    expect(codes(grow(partitioned(pieces, two), 2, 128n * MiB))).toEqual(['blocker partition-table-damaged'])
  })

  test('a disk that was made smaller', () => {
    const at = partitioned(gpt(two, { size: 2n * diskSize }), two)
    expect(codes(grow(at, 2, 256n * MiB))).toEqual(['blocker partition-table-damaged'])
  })

  test('partitions that overlap', () => {
    const overlapping = [{ number: 1, start: 2048n, end: 20_000n }, two[1] as Part]
    expect(codes(grow(partitioned(gpt(overlapping), overlapping), 2, 128n * MiB))).toEqual([
      'blocker partition-table-damaged',
    ])
  })

  test('a broken chain of logical partitions', () => {
    const pieces = mbr(primaries, logicals)
    pieces.delete(40_960n * 512n)
    const at = partitioned(pieces, [...primaries, ...logicals], { shown: logicalsShown })
    expect(codes(grow(at, 6, 128n * MiB))).toEqual(['blocker partition-table-damaged'])
  })

  test('a chain of logical partitions that leads in a circle', () => {
    const pieces = mbr(primaries, logicals)
    pieces.set(40_960n * 512n, pieces.get(18_432n * 512n) ?? new Uint8Array())
    const at = partitioned(pieces, [...primaries, ...logicals], { shown: logicalsShown })
    expect(codes(grow(at, 6, 128n * MiB))).toEqual(['blocker partition-table-damaged'])
  })

  test('a table that shows the partition elsewhere', () => {
    const shown = [two[0] as Part, { number: 2, start: 20_480n, end: 129_023n }]
    expect(codes(grow(partitioned(gpt(two), two, { shown }), 2, 128n * MiB))).toEqual([
      'blocker partition-table-damaged',
    ])
  })

  test('what the table cannot count', () => {
    expect(codes(grow(shapes.mbr(), 2, 2n ** 41n))).toEqual([])
    expect(codes(grow(shapes.mbr(), 2, 2n ** 41n + MiB))).toEqual(['blocker limit-exceeded'])
    expect(codes(grow(shapes.gpt(), 2, 2n ** 41n + MiB))).toEqual([])
  })

  test('read-only disks, and users without the right', () => {
    expect(codes(grow(partitioned(gpt(two), two, { readOnly: true }), 2, 128n * MiB))).toEqual(['blocker read-only'])
    expect(codes(grow(partitioned(gpt(two), two, { capabilities: 0n }), 2, 128n * MiB))).toEqual([
      'blocker permission-denied',
    ])
  })
})

describe('a partition with another one behind it', () => {
  test('does not stand in the way where it need not grow', () => {
    expect(codes(grow(shapes.gpt(), 1, diskSize))).toEqual([])
    const noVolume = partition.grow(shapes.gpt().partition(1), shapes.gpt().snapshot, {
      available: bytes(128n * MiB),
      offline: false,
    })
    expect(codes(noVolume)).toEqual(['note partition-not-last'])
  })

  test('is refused by the name of what is behind it', () => {
    const [finding] = grow(shapes.gpt(), 1, 128n * MiB).findings
    expect(finding?.message).toContain('behind it on /dev/vda is vda2')
    expect(codes(grow(shapes.gpt(), 1, diskSize, { wanted: bytes(20n * MiB) }))).toEqual(['blocker partition-not-last'])
  })

  test('that only the kernel shows', () => {
    const shown = [...two, { number: 9, start: 129_024n, end: 129_535n }]
    expect(codes(grow(partitioned(gpt(two), two, { shown }), 2, 128n * MiB))).toEqual(['blocker partition-not-last'])
  })
})

test('a damaged copy is only a warning where nothing has to grow', () => {
  const pieces = gpt(two)
  pieces.delete(diskSize - 512n)
  expect(codes(grow(partitioned(pieces, two), 2, diskSize))).toEqual(['warning partition-table-damaged'])
})

test('what is written over is expected right before', () => {
  const { expect: items } = grow(shapes.logical(), 6, 128n * MiB)
  expect(items.map(({ expect: read }) => ('offset' in read ? `${read.path} ${read.offset}` : read.path))).toEqual([
    ...['/sys/class/block/vda6/dev', '/sys/class/block/vda6/start', '/sys/class/block/vda/dev'],
    ...['/sys/class/block/vda/diskseq', '/dev/vda 446', `/dev/vda ${18_432 * 512 + 446}`],
    `/dev/vda ${40_960 * 512 + 446}`,
  ])
})

test('the checksum is the one of the check value', () => {
  expect(crc32(new TextEncoder().encode('123456789'))).toBe(0xcbf43926)
})

describe('a table that the kernel does not bear out', () => {
  const first: Part = { number: 1, start: 2048n, end: 18_431n }

  test('a partition that ends behind its disk is not grown to there', () => {
    const at = partitioned(mbr([{ ...first, end: 2n ** 31n }]), [first])
    expect(codes(grow(at, 1, diskSize * 2n))).toEqual(['blocker identity-mismatch'])
    expect(grow(at, 1, diskSize * 2n).commands).toEqual([])
  })

  test('one that the kernel shows within it forbids it', () => {
    const at = partitioned(mbr([{ ...first, end: 100_000n }]), [first, { number: 2, start: 18_432n, end: 40_959n }])
    expect(codes(grow(at, 1, diskSize * 2n))).toEqual(['blocker partition-table-damaged'])
  })

  test('one that ends before it begins has the size that the kernel shows', () => {
    const at = partitioned(gpt([{ ...first, end: 1000n }]), [first])
    expect(partition.measure(at.partition(1), at.snapshot).size).toBe(16_384n * 512n)
  })
})
