import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { file } from '../../../providers/file/index.ts'
import { type ExpandRequest, expand, localHost, plan } from '../../../src/index.ts'
import { partitionExit, partitionGrowth } from '../../../src/layers/partition/script.ts'
import { expectSound } from '../support/checks.ts'
import { attempt, run, until } from '../support/commands.ts'
import { expectContent, writeContent } from '../support/content.ts'
import { PartitionedDisk } from '../support/partitions.ts'
import { intactRecords, startWriter } from '../support/writer.ts'

const MiB = 2n ** 20n
const linux = 'type=linux'

interface GrowthCase {
  readonly name: string
  readonly table: readonly string[]
  /** The partition that grows. */
  readonly number: number
  readonly mkfs: readonly string[]
  readonly family: 'ext' | 'xfs'
  readonly from: bigint
  readonly to: bigint
  /** Bytes at the end of the disk that no partition gets. */
  readonly kept: bigint
  readonly options?: readonly string[]
}

const ext4 = ['mkfs.ext4', '-q']
const cases: readonly GrowthCase[] = [
  {
    ...{ name: 'ext4 in a GPT', table: ['label: gpt', 'size=8MiB', linux], number: 2, mkfs: ext4, family: 'ext' },
    ...{ from: 64n * MiB, to: 256n * MiB, kept: MiB },
  },
  {
    ...{ name: 'ext4 in an MBR', table: ['label: dos', `size=8MiB,${linux}`, linux], number: 2, mkfs: ext4 },
    ...{ family: 'ext', from: 64n * MiB, to: 256n * MiB, kept: 0n },
  },
  {
    name: 'ext3 in a logical partition, the third of its chain',
    table: ['label: dos', `size=8MiB,${linux}`, 'type=extended', `size=4MiB,${linux}`, `size=4MiB,${linux}`, linux],
    ...{ number: 7, mkfs: ['mkfs.ext3', '-q'], family: 'ext', from: 64n * MiB, to: 256n * MiB, kept: 0n },
  },
  {
    ...{ name: 'XFS in a GPT', table: ['label: gpt', linux], number: 1, mkfs: ['mkfs.xfs', '-q'], family: 'xfs' },
    ...{ from: 400n * MiB, to: 800n * MiB, kept: MiB },
  },
  {
    ...{ name: 'ext4 in a GPT on sectors of 4096 bytes', table: ['label: gpt', 'size=8MiB', linux], number: 2 },
    ...{ mkfs: ext4, family: 'ext', from: 64n * MiB, to: 256n * MiB, kept: MiB, options: ['--sector-size', '4096'] },
  },
  {
    ...{ name: 'the last one by its place, whatever its number', number: 1, mkfs: ext4, family: 'ext' },
    ...{ table: ['label: gpt', '1: start=32MiB,size=16MiB', '2: start=1MiB,size=16MiB'], kept: MiB },
    ...{ from: 64n * MiB, to: 256n * MiB },
  },
]

async function grown(given: GrowthCase): Promise<PartitionedDisk> {
  const disk = new PartitionedDisk(given.from, given.table, given.options)
  await disk.attach(given.options === undefined ? undefined : given.table)
  const [program = '', ...args] = given.mkfs
  run(program, ...args, disk.partition(given.number))
  return disk
}

describe('a partition grows while it is mounted and written to', () => {
  test.each(cases)('$name', async (given) => {
    const disk = await grown(given)
    const point = await disk.mount(given.number)
    const content = writeContent(point)
    const writer = await startWriter(join(point, 'records'))
    const request: ExpandRequest = { volume: file().volume(disk.disk.image), host: localHost(), to: `${given.to}` }
    const planned = await plan(request)
    expect(planned.findings.filter(({ severity }) => severity === 'blocker')).toEqual([])
    const report = await expand(request)
    const after = writer.confirmed()
    await until('a record after the growth', () => writer.confirmed() > after + 10)
    const confirmed = await writer.stop()

    expect(report.layers.map(({ kind }) => kind)).toEqual(['volume', 'device', 'partition', 'filesystem'])
    const sector = given.options === undefined ? 512n : 4096n
    const { start, size } = disk.inTable(given.number)
    expect((start + size) * sector).toBe(given.to - given.kept)
    expect(disk.shown(given.number)).toBe(size * sector)
    const layers = report.layers.map(({ kind, after: is }) => [kind, is])
    expect(layers[2]).toEqual(['partition', size * sector])
    expect(planned.layers.map(({ kind, after: is }) => [kind, is])).toEqual(layers)
    expect(run('sfdisk', '--verify', disk.loop)).toMatch(/No errors/)
    if (given.table[0] === 'label: gpt') expect(run('sgdisk', '--verify', disk.loop)).toMatch(/No problems found/)

    const again = await expand(request)
    expect(again).toMatchObject({ changed: false, actions: [] })
    await disk.unmount(point)
    expectSound(disk.partition(given.number), given.family)
    run('mount', '--', disk.partition(given.number), point)
    expectContent(point, content)
    expect(intactRecords(join(point, 'records'))).toBeGreaterThanOrEqual(confirmed)
  })
})

describe('what an interrupted growth left is finished', () => {
  const gpt = cases[0] as GrowthCase
  const logical = cases[2] as GrowthCase
  const most = (disk: PartitionedDisk, to: bigint): bigint => (to - gpt.kept) / 512n - disk.inTable(2).start

  async function half(given: GrowthCase): Promise<{ readonly disk: PartitionedDisk; readonly point: string }> {
    const disk = await grown(given)
    const point = await disk.mount(given.number)
    disk.disk.resize(given.to)
    return { disk, point }
  }

  function resizeInTable(disk: PartitionedDisk, number: number, sectors: bigint): void {
    const script = 'echo "size=$3" | sfdisk --quiet --no-reread --no-tell-kernel --wipe never -N "$2" "$1"'
    run('sh', '-c', script, 'sh', disk.loop, `${number}`, `${sectors}`)
  }

  async function expectFinished({ disk, point }: Awaited<ReturnType<typeof half>>, given: GrowthCase): Promise<void> {
    const report = await expand({ host: localHost(), path: point, to: 'fill' })
    expect(report.changed).toBe(true)
    const { start, size } = disk.inTable(given.number)
    expect((start + size) * 512n).toBe(given.to - given.kept)
    expect(disk.shown(given.number)).toBe(size * 512n)
    expect(report.layers.at(-1)?.after).toBeGreaterThan(given.to - 40n * MiB)
    expect(await expand({ host: localHost(), path: point, to: 'fill' })).toMatchObject({ changed: false })
    await disk.unmount(point)
    expectSound(disk.partition(given.number), 'ext')
  }

  test('the disk is larger, and nothing else', async () => {
    await expectFinished(await half(gpt), gpt)
  })

  test('the table is written, and the kernel was not told', async () => {
    const state = await half(gpt)
    resizeInTable(state.disk, 2, most(state.disk, gpt.to))
    await expectFinished(state, gpt)
  })

  test('the kernel was told, and the filesystem did not grow', async () => {
    const state = await half(gpt)
    resizeInTable(state.disk, 2, most(state.disk, gpt.to))
    run('resizepart', state.disk.loop, '2', `${most(state.disk, gpt.to)}`)
    await expectFinished(state, gpt)
  })

  test('the kernel was told, and the table is an older one', async () => {
    const state = await half(gpt)
    run('resizepart', state.disk.loop, '2', `${most(state.disk, gpt.to)}`)
    await expectFinished(state, gpt)
  })

  test('the extended partition is larger, and the logical one in it is not', async () => {
    const state = await half(logical)
    const { start } = state.disk.inTable(2)
    resizeInTable(state.disk, 2, logical.to / 512n - start)
    await expectFinished(state, logical)
  })
})

describe('the kernel does not take the new size', () => {
  test('the table is put back, and says what it said', async () => {
    const disk = await grown(cases[0] as GrowthCase)
    await disk.mount(2)
    disk.disk.resize(256n * MiB)
    const before = disk.inTable(2)
    // What only the kernel knows of stands in the way.
    run('addpart', disk.loop, '9', `${(200n * MiB) / 512n}`, '2048')
    const [program = '', ...args] = partitionGrowth({
      disk: disk.loop,
      partition: { number: 2, before: before.size, after: before.size + 350_000n },
      shown: {
        path: `/sys/class/block/${disk.partition(2).slice(5)}/size`,
        before: before.size,
        after: before.size + 350_000n,
      },
    })
    const { code, said } = attempt(program, ...args)
    expect({ code, said }).toEqual({ code: partitionExit.putBack, said: expect.stringMatching(/was put back/) })
    expect(disk.inTable(2)).toEqual(before)
    expect(disk.shown(2)).toBe(before.size * 512n)
    expect(run('sgdisk', '--verify', disk.loop)).toMatch(/No problems found/)
  })

  test('what only the kernel shows behind the partition is named before anything is touched', async () => {
    const disk = await grown(cases[0] as GrowthCase)
    const point = await disk.mount(2)
    disk.disk.resize(256n * MiB)
    run('addpart', disk.loop, '9', `${(200n * MiB) / 512n}`, '2048')
    const planned = await plan({ host: localHost(), path: point, to: '200Mi' })
    expect(planned.findings[0]).toMatchObject({ code: 'partition-not-last', severity: 'blocker' })
  })
})

describe('refused, and nothing is written', () => {
  async function expectRefused(disk: PartitionedDisk, request: ExpandRequest, code: string): Promise<void> {
    const before = disk.state()
    const planned = await plan(request)
    const blockers = planned.findings.filter(({ severity }) => severity === 'blocker')
    expect(blockers[0]).toMatchObject({ code, remedy: expect.stringMatching(/\w/) })
    await expect(Promise.resolve(expand(request))).rejects.toMatchObject({ code, outcome: 'unchanged' })
    expect(disk.state()).toBe(before)
  }

  const volume = (disk: PartitionedDisk): ExpandRequest => {
    return { volume: file().volume(disk.disk.image), host: localHost(), to: `${disk.disk.size + 64n * MiB}` }
  }

  test('a partition that is not the last', async () => {
    const disk = await grown({ ...(cases[0] as GrowthCase), number: 1 })
    const point = await disk.mount(1)
    await expectRefused(disk, { ...volume(disk), path: point } as ExpandRequest, 'partition-not-last')
  })

  test('a GPT without its copy', async () => {
    const disk = await grown(cases[0] as GrowthCase)
    await disk.mount(2)
    disk.disk.write(disk.disk.size - 512n, new Uint8Array(512))
    await expectRefused(disk, volume(disk), 'partition-table-damaged')
  })

  test('a GPT whose first copy does not fit its checksum', async () => {
    const disk = await grown(cases[0] as GrowthCase)
    const point = await disk.mount(2)
    disk.disk.write(512n + 60n, Uint8Array.of(0xff))
    run('blockdev', '--flushbufs', disk.loop)
    await expectRefused(disk, { ...volume(disk), path: point } as ExpandRequest, 'partition-table-damaged')
  })

  test('a hybrid MBR', async () => {
    const disk = await grown(cases[0] as GrowthCase)
    await disk.mount(2)
    run('sgdisk', '--hybrid', '1', disk.loop)
    await expectRefused(disk, volume(disk), 'partition-table-damaged')
  })

  test('an MBR that cannot count so far', async () => {
    const disk = await grown(cases[1] as GrowthCase)
    await disk.mount(2)
    const request: ExpandRequest = { volume: file().volume(disk.disk.image), host: localHost(), to: '3Ti' }
    await expectRefused(disk, request, 'limit-exceeded')
  })

  test('a RAID member with partitions on it', async () => {
    const disk = await grown(cases[0] as GrowthCase)
    const point = await disk.mount(2)
    const superblock = new Uint8Array(256)
    new DataView(superblock.buffer).setUint32(0, 0xa92b4efc, true)
    new DataView(superblock.buffer).setUint32(4, 1, true)
    disk.disk.write(((disk.disk.size / 512n - 16n) / 8n) * 8n * 512n, superblock)
    run('blockdev', '--flushbufs', disk.loop)
    await expectRefused(disk, { ...volume(disk), path: point } as ExpandRequest, 'unhandled-content')
  })
})

test('without a volume, a partition takes exactly what was asked for, and no more than there is', async () => {
  const disk = await grown(cases[0] as GrowthCase)
  const point = await disk.mount(2)
  disk.disk.resize(256n * MiB)
  const report = await expand({ host: localHost(), path: point, to: '100Mi' })
  expect(report.changed).toBe(true)
  expect(disk.inTable(2).size * 512n).toBe(100n * MiB)
  expect(disk.shown(2)).toBe(100n * MiB)
  const planned = await plan({ host: localHost(), path: point, to: '400Mi' })
  expect(planned.findings[0]).toMatchObject({ code: 'device-too-small', layer: 'partition' })
})
