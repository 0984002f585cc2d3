import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { file } from '../../../providers/file/index.ts'
import { localHost, plan } from '../../../src/index.ts'
import { GiB, MiB } from '../../../src/size.ts'
import { run } from '../support/commands.ts'
import { Disk } from '../support/disk.ts'
import { expectRefused } from '../support/outcomes.ts'

// What else a device can hold. Each is refused by its name, and the volume below it is not grown either.

const host = localHost()
const size = 64n * MiB
const larger = '128Mi'

interface Mark {
  readonly name: string
  readonly offset: bigint
  readonly bytes: Uint8Array
}

async function expectUnhandled(
  disk: Disk,
  code: 'unhandled-content' | 'ambiguous-content' | 'layer-inactive',
  name: string,
  layer: 'device' | 'luks' | 'lvm' | 'partition' = 'device',
): Promise<void> {
  const { error } = await expectRefused(
    disk,
    { volume: file().volume(disk.image), host, to: larger, offline: true },
    code,
    layer,
  )
  expect(error.message).toContain(name)
  expect(disk.size).toBe(size)
}

function text(...parts: readonly (string | readonly number[])[]): Uint8Array {
  return Buffer.concat(
    parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : Buffer.from(part))),
  )
}

/** Partition tables begin with the one of the MBR: four entries of 16 bytes at 446, and a signature. */
function partitionTable(type: number, start: number, sectors: number): Uint8Array {
  const sector = Buffer.alloc(512)
  sector[446 + 4] = type
  sector.writeUInt32LE(start, 446 + 8)
  sector.writeUInt32LE(sectors, 446 + 12)
  sector[510] = 0x55
  sector[511] = 0xaa
  return sector
}

describe('layers that are not open, and so have no filesystem to grow', () => {
  const table: readonly (Mark & { readonly type: string })[] = [
    { name: 'LUKS', offset: 0n, bytes: text('LUKS', [0xba, 0xbe, 0, 2]), type: 'crypto_LUKS' },
  ]
  test.each(table)('$name', async ({ name, offset, bytes }) => {
    const disk = new Disk(size)
    disk.write(offset, bytes)
    await expectUnhandled(disk, 'layer-inactive', name, 'luks')
  })

  test('LVM, which only LVM itself can be asked about', async () => {
    const disk = new Disk(size)
    // The sector that the label is in, its checksum, where the header begins, and the type; the header is the volume's id.
    const place = text([1, 0, 0, 0, 0, 0, 0, 0], [0x83, 0xc4, 0x8b, 0x0b], [32, 0, 0, 0])
    disk.write(512n, text('LABELONE', [...place], 'LVM2 001', 'x'.repeat(32)))
    const { findings } = await plan({ volume: file().volume(disk.image), host, to: larger, offline: true })
    const blockers = findings.filter(({ severity }) => severity === 'blocker')
    expect(blockers).toMatchObject([{ code: 'layer-inactive', layer: 'lvm', remedy: expect.any(String) }])
  })

  test('GPT', async () => {
    const disk = new Disk(size)
    disk.write(0n, partitionTable(0xee, 1, Number(size / 512n) - 1))
    disk.write(512n, text('EFI PART', [0, 0, 1, 0, 92, 0, 0, 0]))
    await expectUnhandled(disk, 'layer-inactive', 'partition', 'partition')
  })

  test('only the backup of a GPT', async () => {
    const disk = new Disk(size)
    disk.write(size - 512n, text('EFI PART', [0, 0, 1, 0, 92, 0, 0, 0]))
    await expectUnhandled(disk, 'layer-inactive', 'partition', 'partition')
  })

  test('MBR', async () => {
    const disk = new Disk(size)
    disk.write(0n, partitionTable(0x83, 2048, 8192))
    await expectUnhandled(disk, 'layer-inactive', 'partition', 'partition')
  })
})

describe('what looks like an ext4 filesystem, and is a member of something', () => {
  const marks: readonly Mark[] = [
    { name: 'md 1.0', offset: size - 8192n, bytes: text([0xfc, 0x4e, 0x2b, 0xa9, 1, 0, 0, 0], new Array(96).fill(0)) },
    { name: 'md 0.90', offset: size - 65_536n, bytes: text([0xfc, 0x4e, 0x2b, 0xa9, 0, 0, 0, 0, 90, 0, 0, 0]) },
    { name: 'DRBD', offset: size - 4096n + 60n, bytes: text([0x83, 0x74, 0x02, 0x6d]) },
    {
      name: 'ZFS',
      offset: size - 256n * 1024n + 16_384n,
      bytes: text(
        [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 36, 0, 0, 0, 32, 0, 0, 0, 7],
        'version\0',
        'name',
        'txg',
      ),
    },
  ]
  test.each(marks)('$name, by its mark at the end', async ({ name, offset, bytes }) => {
    const disk = new Disk(size)
    disk.mkfs(['mkfs.ext4', '-q', '-F'])
    disk.write(offset, bytes)
    expect(run('dumpe2fs', '-h', disk.image)).toContain('Filesystem state:         clean')
    await expectUnhandled(disk, 'unhandled-content', name)
  })

  test('md 1.0, whose member was made larger since', async () => {
    const disk = new Disk(size - 64n * 1024n)
    disk.mkfs(['mkfs.ext4', '-q', '-F'])
    disk.resize(size)
    disk.write(size - 64n * 1024n + 8192n, text([0xfc, 0x4e, 0x2b, 0xa9, 1, 0, 0, 0], new Array(96).fill(0)))
    disk.resize(GiB)
    await expectRefused(disk, { host, device: disk.image, to: 'fill', offline: true }, 'unhandled-content', 'device')
  })
})

test('ext4 and a partition table in sector 0: ambiguous', async () => {
  const disk = new Disk(size)
  disk.mkfs(['mkfs.ext4', '-q', '-F'])
  disk.write(0n, partitionTable(0x83, 2048, 8192))
  const seen = run('blkid', '-p', '-o', 'export', disk.image)
  expect(seen).toContain('TYPE=ext4')
  expect(seen).toContain('PTTYPE=dos')
  await expectUnhandled(disk, 'ambiguous-content', 'an ext filesystem and a partition table')
})

test('XFS below what was an ext4 filesystem: one of them is ambiguous', async () => {
  const disk = new Disk(size)
  disk.mkfs(['mkfs.ext4', '-q', '-F'])
  disk.write(0n, text('XFSB'))
  await expectUnhandled(disk, 'ambiguous-content', 'XFS')
})

test('swap space', async () => {
  const disk = new Disk(size)
  run('mkswap', disk.image)
  await expectUnhandled(disk, 'unhandled-content', 'swap space')
})

test('btrfs', async () => {
  const disk = new Disk(size)
  disk.write(65_536n + 64n, text('_BHRfS_M'))
  await expectUnhandled(disk, 'unhandled-content', 'btrfs')
})

test('a blank device', async () => {
  const disk = new Disk(size)
  const request = { volume: file().volume(disk.image), host, to: larger, offline: true } as const
  const { error } = await expectRefused(disk, request, 'no-filesystem', 'device')
  expect(error.remedy).toContain('Make a filesystem')
})

test('what nobody knows', async () => {
  const disk = new Disk(size)
  disk.write(0n, randomBytes(65_536))
  const request = { volume: file().volume(disk.image), host, to: larger, offline: true } as const
  await expectRefused(disk, request, 'unknown-content', 'device')
})
