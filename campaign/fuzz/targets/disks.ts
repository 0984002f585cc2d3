import { resizers } from '../../../src/filesystems/index.ts'
import { layers } from '../../../src/layers/index.ts'
import type { Growth } from '../../../src/layers/layer.ts'
import { luks } from '../../../src/layers/luks/index.ts'
import { lvm } from '../../../src/layers/lvm/index.ts'
import { partition } from '../../../src/layers/partition/index.ts'
import { stackOf } from '../../../src/layers/stack.ts'
import { bytes, maxSize } from '../../../src/size.ts'
import { type Disk, deviceOf, mountOn, readAt, snapshotOf } from '../disk.ts'
import { digitsIn, type Exact, exactAt, NumberToken, readExactly, wholeIn } from '../exact-json.ts'
import {
  castagnoli,
  extSuperblock,
  fitExt,
  fitGpt,
  fitLuks2,
  fitXfs,
  gptOf,
  luks1Header,
  luks2Header,
  luksUuid,
  lvmLabel,
  mbrOf,
  type Part,
  viewOf,
  xfsSuperblock,
} from '../images.ts'
import { filesystemsOn, foreignMarks, marksOn } from '../marks.ts'
import { jsonOf, mutateBytes, mutatedTree, type Tree } from '../mutate.ts'
import type { Random } from '../random.ts'
import { attempt, promise, type Target, target } from '../target.ts'

const mib = 1024n * 1024n

interface DiskCase {
  readonly disk: Disk
  /** Bytes that the device is to have. */
  readonly available: bigint
  readonly mounted: string | undefined
}

function sizeOfDisk(random: Random): bigint {
  const size = random.pick([64n, 100n, 512n, 4096n, 1_048_576n]) * mib
  if (random.oneIn(20)) return random.whole(62)
  return random.oneIn(6) ? size + random.whole(18) : size
}

function availableOn(random: Random, size: bigint): bigint {
  const more = size + random.whole(random.pick([12, 22, 30, 41]))
  const chosen = random.pick([size, more, more, more, size * 2n, size / 2n, size - 1n])
  return chosen > maxSize || chosen < 0n ? size : chosen
}

type Piece = Disk['pieces'][number]

/** One of the kinds of content, sound or damaged, with or without checksums that fit the damage. */
function filesystemPieces(random: Random, size: bigint): Piece[] {
  const pieces: Piece[] = []
  const spans = random.oneIn(3) ? size - random.whole(25) : size
  const blocks = (spans > 0n ? spans : size) / 4096n
  const kind = random.below(8)
  if (kind < 4 || kind === 6) {
    const superblock = extSuperblock(random, 1n)
    const blockSize = 1024n << BigInt(viewOf(superblock).getUint32(0x18, true))
    const own = extSuperblock(random, blocks)
    const sound = random.oneIn(3)
      ? own
      : resized(own, (spans > 0n ? spans : size) / (1024n << BigInt(viewOf(own).getUint32(0x18, true))))
    if (!random.oneIn(6) && blockSize > 0n) damage(random, sound, fitExt)
    pieces.push({ at: 1024n, bytes: sound })
  }
  if (kind === 4 || kind === 5 || kind === 6) {
    const blockSize = random.pick([512, 1024, 4096, 4096, 65_536])
    const sector = xfsSuperblock(random, (spans > 0n ? spans : size) / BigInt(blockSize), blockSize)
    const sound = kind === 6 ? sector.slice(0, 512) : sector
    if (!random.oneIn(6)) damage(random, sound, fitXfs, 264)
    pieces.unshift({ at: 0n, bytes: sound })
  }
  if (kind === 7) pieces.push({ at: BigInt(random.below(2048)), bytes: random.bytes(random.pick([512, 1024, 4096])) })
  if (random.oneIn(4)) {
    const mark = random.pick(foreignMarks)
    for (const at of mark.at(size)) if (at >= 0n) pieces.push({ at, bytes: mark.bytes })
  }
  return pieces
}

/** The number of blocks, with the inodes that so many groups have. */
function resized(superblock: Uint8Array, blocks: bigint): Uint8Array {
  const view = viewOf(superblock)
  const [first, perGroup, perGroupInodes] = [
    view.getUint32(0x14, true),
    view.getUint32(0x20, true),
    view.getUint32(0x28, true),
  ]
  const groups = (blocks - BigInt(first) + BigInt(perGroup) - 1n) / BigInt(perGroup)
  view.setUint32(0x04, Number(BigInt.asUintN(32, blocks)), true)
  if (view.getUint32(0x60, true) & 0x80) view.setUint32(0x150, Number(BigInt.asUintN(32, blocks >> 32n)), true)
  view.setUint32(0x00, Number(BigInt.asUintN(32, groups * BigInt(perGroupInodes))), true)
  fitExt(superblock)
  return superblock
}

function damage(random: Random, sound: Uint8Array, seal: (bytes: Uint8Array) => void, to: number = sound.length): void {
  mutateBytes(random, sound, 0, Math.min(to, sound.length))
  // What a writer that is itself mistaken leaves has sums that fit.
  if (!random.oneIn(3)) seal(sound)
}

function checkGrowth(growth: Growth, size: bigint, available: bigint): boolean {
  const { after, commands, findings } = growth
  promise(after >= 0n && after <= maxSize, () => `it would have ${after} bytes`)
  promise(after >= size, () => `it would shrink from ${size} to ${after} bytes`)
  for (const each of findings)
    promise(!/NaN|undefined|\[object/.test(each.message) && each.message.length < 3000, () =>
      each.message.slice(0, 300),
    )
  if (commands.length === 0) return false
  promise(after > size, () => `commands that grow nothing: ${after}`)
  promise(after <= available, () => `it would have ${after} of ${available} bytes`)
  return true
}

const filesystems: Target = target<DiskCase>({
  name: 'superblocks',
  promise:
    'a filesystem is named, measured and grown only as a decoder of its own reads the same bytes, never under a mark of something else, and never beyond its device',
  cases: 12_000,
  make(random) {
    const size = sizeOfDisk(random)
    return {
      disk: { size, pieces: filesystemPieces(random, size) },
      available: availableOn(random, size),
      mounted: random.oneIn(3) ? random.pick(['ext4', 'xfs']) : undefined,
    }
  },
  check({ disk, available, mounted }) {
    const device = deviceOf(disk, mounted === undefined ? {} : { mounts: [mountOn(mounted)] })
    const snapshot = snapshotOf([device])
    const { filesystem, findings } = stackOf(snapshot, device.id, 'host', { layers, resizers })
    const [marks, named] = [marksOn(disk), filesystemsOn(disk, castagnoli)]
    if (filesystem === undefined) {
      promise(
        findings.some(({ severity }) => severity === 'blocker'),
        () => 'nothing says why there is no filesystem',
      )
      return marks.length > 0 ? 'foreign' : 'refused'
    }
    const { resizer, measured } = filesystem
    promise(marks.length === 0, () => `${measured.type} was named under the mark of ${marks.join(' and ')}`)
    promise(named.length === 1, () => `${measured.type} was named where there are ${named.length}`)
    const [own] = named
    promise(
      own?.family === resizer.name && own.intact,
      () => `${measured.type} was named, and not ${JSON.stringify(own?.family)}`,
    )
    promise(measured.size === own.size, () => `${measured.size} bytes were measured, and not ${own.size}`)
    promise(measured.size > 0n && measured.size <= maxSize, () => `${measured.size} bytes`)
    const growth = resizer.grow(device, snapshot, { available: bytes(available), offline: true })
    const grows = checkGrowth(growth, measured.size, available)
    if (available < measured.size)
      promise(
        !grows && growth.findings.some(({ severity }) => severity === 'blocker'),
        () => 'its end is missing, and nothing says so',
      )
    return grows ? `${resizer.name} grows` : `${resizer.name} stays`
  },
  simpler: function* ({ disk, available, mounted }) {
    for (const [index] of disk.pieces.entries()) {
      yield { available, mounted, disk: { ...disk, pieces: disk.pieces.filter((_, other) => other !== index) } }
    }
  },
  show: showDisk,
})

function showDisk({ disk, ...rest }: { readonly disk: Disk }): string {
  const pieces = disk.pieces.map(
    ({ at, bytes: piece }) =>
      `${at}: ${Buffer.from(piece.subarray(0, 1024))
        .toString('hex')
        .replace(/^(00){32,}/, '…')
        .replace(/(00)+$/, '')}`,
  )
  return `${disk.size} bytes, ${JSON.stringify(rest, (_, value: unknown) => (typeof value === 'bigint' ? `${value}` : value))}\n${pieces.join('\n')}`
}

interface TableCase extends DiskCase {
  readonly sector: bigint
  readonly shown: readonly Part[]
  /** Which of the shown ones is grown. */
  readonly chosen: number
}

function tableCase(random: Random): TableCase {
  const sector = random.pick([512n, 512n, 4096n])
  const size = ((random.pick([64n, 100n, 2n ** 21n, 2n ** 24n]) * mib) / sector) * sector
  const sectors = size / sector
  const unit = mib / sector
  const count = random.between(1, 4)
  const parts = Array.from({ length: count }, (_, index): Part => {
    const start = unit * (1n + BigInt(index) * 10n)
    return { number: random.oneIn(5) ? count - index : index + 1, start, end: start + unit * 10n - 1n }
  }).filter(({ number }, index, all) => all.findIndex((other) => other.number === number) === index)
  const pieces: Piece[] = []
  if (random.oneIn(2)) {
    const { header, entries, backup } = gptOf(parts, sectors, sector)
    const mbr = mbrOf([[0xee, 1, Number(sectors > 0xffffffffn ? 0xffffffffn : sectors - 1n)]])
    const copies = entries.slice()
    const hits = random.oneIn(6) ? 0 : random.between(1, 2)
    for (let hit = 0; hit < hits; hit += 1) {
      const [victim, to] = random.pick([
        [header, 92],
        [entries, 128 * 4],
        [backup, 92],
        [mbr, 512],
        [copies, 128 * 4],
      ] as const)
      mutateBytes(random, victim, 0, to)
    }
    if (random.oneIn(2)) copies.set(entries)
    if (!random.oneIn(3)) {
      fitGpt(header, entries)
      fitGpt(backup, copies)
    }
    const length = (BigInt(entries.length) + sector - 1n) / sector
    pieces.push({ at: 0n, bytes: mbr }, { at: sector, bytes: header }, { at: 2n * sector, bytes: entries })
    pieces.push({ at: (sectors - 1n - length) * sector, bytes: copies }, { at: (sectors - 1n) * sector, bytes: backup })
  } else {
    const used = parts.filter(({ number }) => number <= 4).sort((a, b) => a.number - b.number)
    const rows = [1, 2, 3, 4].map((number) => used.find((part) => part.number === number))
    const record = mbrOf(
      rows.map((part) =>
        part === undefined
          ? [0, 0, 0]
          : [random.oneIn(6) ? 5 : 0x83, Number(part.start), Number(part.end - part.start + 1n)],
      ),
    )
    if (!random.oneIn(5)) mutateBytes(random, record, random.oneIn(3) ? 0 : 440, 512)
    pieces.push({ at: 0n, bytes: record })
    for (const part of used) {
      if (!random.oneIn(3)) continue
      const link = mbrOf([
        [0x83, 2048, 4096],
        [random.pick([0, 5, 5, 0x0f]), random.pick([0, 1, 8192, 20_480, 0xffffffff]), 4096],
      ])
      if (random.oneIn(3)) mutateBytes(random, link, 440, 512)
      pieces.push({ at: part.start * 512n, bytes: link })
    }
  }
  return {
    disk: { size, pieces },
    sector,
    shown: parts,
    chosen: random.below(parts.length),
    available: availableOn(random, size),
    mounted: undefined,
  }
}

/** A partition as the table has it, in bytes, by a reading of its own; undefined when the table is not sound. */
function partitionIn(
  disk: Disk,
  sector: bigint,
  number: number,
): { readonly start: bigint; readonly end: bigint; readonly others: readonly bigint[] } | undefined {
  const record = viewOf(readAt(disk, 0n, 512))
  if (record.getUint16(510, true) !== 0xaa55) return undefined
  const types = [0, 1, 2, 3].map((index) => record.getUint8(446 + index * 16 + 4))
  if (!types.includes(0xee)) {
    const rows = [0, 1, 2, 3].flatMap((index) => {
      const [first, count] = [
        BigInt(record.getUint32(446 + index * 16 + 8, true)),
        BigInt(record.getUint32(446 + index * 16 + 12, true)),
      ]
      return types[index] === 0 || count === 0n
        ? []
        : [{ number: index + 1, start: first * sector, end: (first + count) * sector }]
    })
    const own = rows.find((row) => row.number === number)
    // Logical partitions are read by the library alone; whether one is behind the grown one is checked by the primaries around them.
    return own === undefined
      ? undefined
      : { ...own, others: rows.filter((row) => row !== own).map(({ start }) => start) }
  }
  const header = Uint8Array.from(readAt(disk, sector, 512))
  const view = viewOf(header)
  const [length, count, size] = [view.getUint32(12, true), view.getUint32(80, true), view.getUint32(84, true)]
  if (Buffer.from(header.subarray(0, 8)).toString('latin1') !== 'EFI PART' || length < 92 || length > 512)
    return undefined
  const entries = readAt(disk, view.getBigUint64(72, true) * sector, Math.min(count * size, 2 ** 20))
  const stored = view.getUint32(16, true)
  view.setUint32(16, 0, true)
  if (sum32(header.subarray(0, length)) !== stored || sum32(entries) !== view.getUint32(88, true)) return undefined
  const rows = Array.from({ length: count }, (_, index) => index).flatMap((index) => {
    const entry = entries.subarray(index * size, index * size + size)
    if (entry.subarray(0, 16).every((byte) => byte === 0)) return []
    const fields = viewOf(entry)
    return [
      {
        number: index + 1,
        start: fields.getBigUint64(32, true) * sector,
        end: (fields.getBigUint64(40, true) + 1n) * sector,
      },
    ]
  })
  const own = rows.find((row) => row.number === number)
  return own === undefined ? undefined : { ...own, others: rows.filter((row) => row !== own).map(({ start }) => start) }
}

/** CRC-32 of ISO 3309 bit by bit. */
function sum32(content: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of content) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
  }
  return ~crc >>> 0
}

const tables: Target = target<TableCase>({
  name: 'partition-tables',
  promise:
    'a partition is measured and grown only as both the table, read independently, and the kernel have it, only when it is the last, and never beyond its disk',
  cases: 3000,
  make: tableCase,
  check({ disk, sector, shown, chosen, available }) {
    const units = sector / 512n
    const rows = shown.flatMap(({ number, start, end }): [string, string][] => [
      [`vda${number}/partition`, `${number}`],
      [`vda${number}/start`, `${start * units}`],
      [`vda${number}/size`, `${(end - start + 1n) * units}`],
    ])
    const whole = deviceOf(disk, {
      partitions: shown.map(({ number }) => `vda${number}`),
      attributes: { diskseq: '9', 'queue/logical_block_size': `${sector}`, ...Object.fromEntries(rows) },
    })
    const own = shown[chosen]
    if (own === undefined) return 'nothing shown'
    const length = (own.end - own.start + 1n) * sector
    const part = deviceOf(
      { size: length, pieces: [] },
      {
        ...{ id: `254:${own.number}`, name: `vda${own.number}`, path: `/dev/vda${own.number}`, below: [whole.id] },
        attributes: { partition: `${own.number}`, start: `${own.start * units}` },
      },
    )
    const snapshot = snapshotOf([part, whole])
    const state = partition.measure(part, snapshot)
    const entry = partitionIn(disk, sector, own.number)
    promise(state.size > 0n && state.size <= length, () => `${state.size} bytes were measured of ${length}`)
    const growth = partition.grow(part, snapshot, { available: bytes(available), offline: true })
    const grows = checkGrowth(growth, state.size, available)
    if (!grows) return growth.findings.length > 0 ? 'refused' : 'stays'
    promise(entry !== undefined, () => 'it would be grown by a table that is not sound')
    promise(entry.start === own.start * sector, () => `it begins at ${entry.start} in the table`)
    promise(
      entry.others.every((start) => start < entry.start),
      () => 'it is not the last one',
    )
    promise(entry.start + growth.after <= available, () => 'it would end behind its disk')
    promise(
      shown.every((other) => other === own || other.start < own.start),
      () => 'the kernel shows another one behind it',
    )
    return 'grows'
  },
  show: showDisk,
})

interface LuksCase {
  readonly header: Uint8Array
  readonly version: 1 | 2
  readonly available: bigint
  readonly size: bigint
  readonly mapped: bigint
}

const segment: Tree = {
  type: 'crypt',
  offset: '16777216',
  size: 'dynamic',
  iv_tweak: '0',
  encryption: 'aes-xts-plain64',
  sector_size: 512,
}

const headers: Target = target<LuksCase>({
  name: 'luks-headers',
  promise:
    'a container grows only by a header whose checksum fits and whose only segment, read independently, says so, to what is behind its data offset',
  cases: 6000,
  make(random) {
    const size = random.pick([64n, 256n, 4096n]) * mib
    const version = random.oneIn(3) ? 1 : 2
    const json: Tree = {
      ...{ keyslots: {}, tokens: {}, digests: {}, segments: { '0': segment } },
      config: {
        json_size: '12288',
        keyslots_size: '16744448',
        ...(random.oneIn(8) ? { requirements: { mandatory: ['online-reencrypt'] } } : {}),
      },
    }
    const header = version === 1 ? luks1Header() : luks2Header(jsonOf(random, mutatedTree(random, json)))
    if (random.oneIn(2)) {
      mutateBytes(random, header, 0, random.pick([208, 512, header.length]))
      if (random.oneIn(2)) fitLuks2(header)
    }
    return {
      header,
      version,
      size,
      available: availableOn(random, size),
      mapped: size - (version === 1 ? 2n : 16n) * mib,
    }
  },
  check({ header, version, available, size, mapped }) {
    const disk: Disk = { size, pieces: [{ at: 0n, bytes: header }] }
    const below = deviceOf(disk, { holders: ['dm-0'] })
    const mapping = deviceOf(
      { size: mapped, pieces: [] },
      {
        ...{ id: '253:0', name: 'dm-0', path: '/dev/dm-0', below: [below.id] },
        attributes: {
          'dm/name': 'vault',
          'dm/uuid': `CRYPT-LUKS${version}-${luksUuid.replaceAll('-', '')}-vault`,
          'dm/suspended': '0',
        },
      },
    )
    const snapshot = snapshotOf([mapping, below])
    promise(luks.measure(mapping, snapshot).size === mapped, () => 'a mapping is as large as the kernel shows it')
    const growth = luks.grow(mapping, snapshot, { available: bytes(available), offline: true })
    if (!checkGrowth(growth, mapped, available)) return growth.findings.length > 0 ? 'refused' : 'stays'
    const view = viewOf(header)
    const words = (at: number, length: number): string =>
      Buffer.from(header.subarray(at, at + length))
        .toString('latin1')
        .split('\0')[0] ?? ''
    promise(words(0, 6) === 'LUKS\xba\xbe' && view.getUint16(6) === version, () => 'it has no mark')
    promise(words(168, 40).toLowerCase() === luksUuid, () => 'it is the header of another container')
    if (version === 1) {
      promise(
        growth.after === available - BigInt(view.getUint32(104)) * 512n - (available % 512n),
        () => `${growth.after}`,
      )
      return 'LUKS1 grows'
    }
    const length = Number(view.getBigUint64(8))
    const copy = header.slice(0, length)
    fitLuks2(copy)
    promise(
      length <= header.length && words(72, 32) === 'sha256' && Buffer.from(copy).equals(header.subarray(0, length)),
      () => 'its checksum does not fit',
    )
    const json = readExactly(Buffer.from(header.subarray(4096, length)).toString('utf8').split('\0')[0] ?? '')
    const segments = exactAt(json, 'segments')
    promise(segments instanceof Map && segments.size === 1, () => 'it has not one segment')
    const [only] = [...(segments as ReadonlyMap<string, Exact>).values()]
    const [offset, sectors] = [digitsIn(exactAt(only, 'offset')), exactAt(only, 'sector_size')]
    const unit = sectors instanceof NumberToken ? wholeIn(sectors) : 512n
    promise(
      exactAt(only, 'type') === 'crypt' && exactAt(only, 'size') === 'dynamic' && offset !== undefined,
      () => 'its segment is no plain one',
    )
    const mandatory = exactAt(json, 'config', 'requirements', 'mandatory')
    promise(
      mandatory === undefined || mandatory === null || (Array.isArray(mandatory) && mandatory.length === 0),
      () => 'it requires more',
    )
    promise(
      unit !== undefined && growth.after === available - offset && growth.after % unit === 0n,
      () => `${growth.after} of ${available} behind ${offset}`,
    )
    return 'LUKS2 grows'
  },
  show: ({ header, ...rest }) =>
    showDisk({ disk: { size: rest.size, pieces: [{ at: 0n, bytes: header }] }, ...rest } as never),
})

const group = '4waWyS-4nnq-720q-k1qE-1gTl-yphy-4BAsjs'
const volume = 'eQlKc8-ow5r-RIRn-IRNc-iyo2-MCmp-tNh8UA'
const physical = 'mGFhbR-eUmL-lOO9-yXNZ-t296-W9Cb-iTMAV7'
const compact = (uuid: string): string => uuid.replaceAll('-', '')
const extent = 4_194_304n

const report: Tree = {
  report: [
    {
      vg: [
        {
          ...{ vg_uuid: group, vg_name: 'data', vg_exported: '', vg_partial: '', vg_clustered: '', vg_shared: '' },
          ...{ vg_permissions: 'writeable', vg_extent_size: `${extent}`, vg_allocation_policy: 'normal' },
        },
      ],
      pv: [
        {
          ...{
            pv_uuid: physical,
            pv_name: '/dev/vda',
            pv_major: '254',
            pv_minor: '0',
            pe_start: '1048576',
            pv_pe_count: '15',
          },
          ...{
            pv_pe_alloc_count: '3',
            pv_mda_count: '1',
            pv_allocatable: 'allocatable',
            pv_missing: '',
            pv_duplicate: '',
          },
        },
      ],
      lv: [
        { lv_uuid: volume, lv_name: 'w', lv_size: '12582912', lv_attr: '-wi-ao----', lv_allocation_policy: 'inherit' },
      ],
      pvseg: [],
      seg: [{ lv_uuid: volume, segtype: 'linear', stripes: '1', seg_start_pe: '0', seg_pe_ranges: '/dev/vda:0-2' }],
    },
    { pv: [], pvseg: [] },
  ],
  log: [],
}

interface LvmCase {
  readonly report: string
  readonly label: Uint8Array
  readonly available: bigint
  readonly wanted: bigint | undefined
}

const volumes: Target = target<LvmCase>({
  name: 'lvm',
  promise:
    'a logical volume grows only by a report and a label that bear it, to a number of extents for which its physical volume, read independently, has the room',
  cases: 8000,
  make(random) {
    const label = lvmLabel(compact(physical), 64n * mib, [
      [1_048_576n, 0n],
      [0n, 0n],
      [4096n, 1_044_480n],
      [0n, 0n],
    ])
    if (random.oneIn(3)) mutateBytes(random, label)
    const text = jsonOf(random, mutatedTree(random, report))
    const available = random.oneIn(4) ? availableOn(random, 64n * mib) : random.pick([64n, 128n, 1024n]) * mib
    return { report: text, label, available, wanted: random.oneIn(4) ? random.whole(34) : undefined }
  },
  check({ report: text, label, available, wanted }) {
    const below = deviceOf({ size: 64n * mib, pieces: [{ at: 512n, bytes: label }] }, { holders: ['dm-0'] })
    const size = 3n * extent
    const mapping = deviceOf(
      { size, pieces: [] },
      {
        ...{ id: '253:0', name: 'dm-0', path: '/dev/dm-0', below: [below.id] },
        attributes: { 'dm/name': 'data-w', 'dm/uuid': `LVM-${compact(group)}${compact(volume)}`, 'dm/suspended': '0' },
      },
    )
    const snapshot = { ...snapshotOf([mapping, below]), lvm: { ok: true, value: text } as const }
    const found = attempt(() => lvm.measure(mapping, snapshot))
    promise('value' in found && found.value.size === size, () => 'a mapping is as large as the kernel shows it')
    const context = {
      available: bytes(available),
      offline: true,
      ...(wanted === undefined ? {} : { wanted: bytes(wanted) }),
    }
    const growth = lvm.grow(mapping, snapshot, context)
    const { after, commands, findings } = growth
    promise(after >= size && after <= maxSize, () => `it would have ${after} bytes`)
    for (const each of findings)
      promise(!/NaN|undefined|\[object/.test(each.message) && each.message.length < 3000, () =>
        each.message.slice(0, 300),
      )
    if (commands.length === 0) return findings.length > 0 ? 'refused' : 'stays'
    const json = readExactly(text) ?? readExactly(text.replace(/,(\s*\])/g, '$1'))
    const groups = exactAt(json, 'report')
    const own = (Array.isArray(groups) ? (groups as readonly Exact[]) : []).find(
      (each) => said(each, 'vg', 'vg_uuid') === compact(group),
    )
    promise(own !== undefined, () => 'the report does not have its group')
    const rows = (name: string): readonly Exact[] => (exactAt(own, name) as readonly Exact[] | undefined) ?? []
    const lv = rows('lv').find((row) => compactOf(exactAt(row, 'lv_uuid')) === compact(volume))
    const pv = rows('pv').find((row) => exactAt(row, 'pv_major') === '254' && exactAt(row, 'pv_minor') === '0')
    const number = (row: Exact | undefined, name: string): bigint => {
      const value = digitsIn(exactAt(row, name))
      promise(value !== undefined, () => `${name} is no number, and it would be grown`)
      return value
    }
    const unit = number(exactAt(own, 'vg', 0), 'vg_extent_size')
    const used = number(pv, 'pv_pe_alloc_count')
    const capacity = (available - number(pv, 'pe_start')) / unit
    const shown = number(pv, 'pv_pe_count')
    const most = capacity - shown > 0n ? capacity : shown
    const now = number(lv, 'lv_size') / unit
    for (const { exec } of commands) {
      promise(
        exec[0] === 'lvm' && ['pvresize', 'lvextend', 'lvchange'].includes(exec[1] ?? ''),
        () => `it runs ${exec.join(' ')}`,
      )
      for (const [index, argument] of exec.entries()) {
        const option = argument.startsWith('-')
        promise(
          !option || ['--config', '--extents', '--refresh'].includes(argument),
          () => `${JSON.stringify(argument)} would be an option`,
        )
        promise(
          argument !== '--extents' || exec[index + 1] === `${after / unit}`,
          () => `${exec.join(' ')} for ${after} bytes`,
        )
      }
      if (exec[1] === 'lvextend')
        promise(
          after / unit > now && after / unit - now <= most - used,
          () => `${after / unit} extents, with ${now} of it and ${used} of ${most} in use`,
        )
    }
    promise(after % unit === 0n && after > 0n, () => `${after} bytes are no whole extents of ${unit}`)
    return 'grows'
  },
  show: ({ report: text, label, ...rest }) =>
    `${text}\n${showDisk({ disk: { size: 64n * mib, pieces: [{ at: 512n, bytes: label }] }, ...rest } as never)}`,
})

function compactOf(value: Exact | undefined): string {
  return typeof value === 'string' ? compact(value) : ''
}

function said(block: Exact, list: string, field: string): string {
  return compactOf(exactAt(block, list, 0, field))
}

export const diskTargets: readonly Target[] = [filesystems, tables, headers, volumes]
