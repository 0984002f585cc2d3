import { describe, expect, test } from 'vitest'
import { VolumeExpansionError } from '../../../src/errors.ts'
import { backupRanges } from '../../../src/filesystems/xfs/backups.ts'
import { xfs } from '../../../src/filesystems/xfs/index.ts'
import { predictBlocks } from '../../../src/filesystems/xfs/predict.ts'
import { readSuperblock } from '../../../src/filesystems/xfs/superblock.ts'
import type { DeviceSnapshot, ExecResult, MountSnapshot, ProbedRange, SystemSnapshot } from '../../../src/hosts/host.ts'
import type { Growth, GrowthContext } from '../../../src/layers/layer.ts'
import { bytes, GiB, KiB, MiB } from '../../../src/size.ts'
import { deviceSnapshot, memoryDevice, mountSnapshot, nobody, storageOf } from '../snapshot.ts'
import { type SuperblockFields, superblockOf } from './superblock-bytes.ts'

const size = 80n * MiB

function device(fields: SuperblockFields = {}, part: Partial<DeviceSnapshot> = {}): DeviceSnapshot {
  const { probe } = memoryDevice(superblockOf(fields), GiB)
  return deviceSnapshot({ size: GiB, probe, ...part })
}

/** A mount whose statfs counts so many blocks, the log left out. */
function mounted(blocks: bigint, part: Partial<MountSnapshot> = {}): MountSnapshot {
  const value = { type: 0x58465342n, blockSize: 4096n, blocks, free: 0n, available: 0n }
  return mountSnapshot({ type: 'xfs', statfs: { ok: true, value }, ...part })
}

function online(fields: SuperblockFields = {}, ...mounts: readonly MountSnapshot[]): DeviceSnapshot {
  return device(fields, { mounts: mounts.length > 0 ? mounts : [mounted(19_480n)] })
}

function unmounted(fields: SuperblockFields = {}, part: Partial<DeviceSnapshot> = {}): DeviceSnapshot {
  return device(fields, { users: { ...nobody, exclusive: 'free' }, ...part })
}

function grow(on: DeviceSnapshot, context: Partial<GrowthContext> = {}, system: Partial<SystemSnapshot> = {}): Growth {
  return xfs.grow(on, storageOf(on, system), { available: GiB, offline: true, ...context })
}

function codes(growth: Growth): readonly string[] {
  return growth.findings.map(({ code, severity }) => `${severity}: ${code}`)
}

test('a superblock that says more than 2^63 bytes is damaged', () => {
  const huge = { dataBlocks: 2n ** 60n, groupBlocks: 2 ** 32 - 1, groups: 2 ** 28 + 1, blockSize: 65_536 }
  expect(() => readSuperblock(device(huge))).toThrow(/its number of blocks/)
})

describe('measuring', () => {
  test('an unmounted one by its superblock', () => {
    const on = unmounted()
    expect(xfs.detect(on)).toBe(true)
    expect(xfs.measure(on, storageOf(on))).toMatchObject({
      type: 'xfs',
      size,
      blockSize: 4096n,
      label: 'label',
      uuid: '01020304-0506-0708-090a-0b0c0d0e0f10',
    })
  })

  test('a mounted one by the kernel, with the log added', () => {
    const on = online({}, mounted(30_000n))
    expect(xfs.measure(on, storageOf(on)).size).toBe(31_000n * 4096n)
    const external = online({ logStart: 0n }, mounted(30_000n))
    expect(xfs.measure(external, storageOf(external)).size).toBe(30_000n * 4096n)
  })

  test('what cannot be of this filesystem is not believed, and nothing is grown by it', () => {
    const covered = mounted(19_480n, { statfs: mountSnapshot({}).statfs })
    const quota = mounted(100n)
    const tooLarge = mounted(GiB)
    for (const mount of [covered, quota, tooLarge]) {
      const growth = grow(online({}, mount))
      expect(codes(growth)).toEqual(['blocker: unsupported-feature'])
      expect(growth.commands).toEqual([])
      expect(grow(online({}, mount, mounted(19_480n))).commands).toHaveLength(1)
    }
  })

  test.each([
    ['a wrong checksum', superblockOf().with(40, 0xff)],
    ['an unknown version', superblockOf({ version: 3 })],
    ['no groups', superblockOf({ groups: 0 })],
    ['more blocks than its groups hold', superblockOf({ dataBlocks: 20_481n })],
    ['a block size of 3', superblockOf({ blockSize: 3 })],
    ['a sector that was not read', superblockOf({ sectorSize: 32_768 })],
    ['a mkfs that did not end', superblockOf({ inProgress: 1 })],
  ])('%s is damage', (_, content) => {
    const on = memoryDevice(content, GiB)
    expect(() => xfs.measure(on, storageOf(on))).toThrow(VolumeExpansionError)
    expect(() => xfs.measure(on, storageOf(on))).toThrow(expect.objectContaining({ code: 'filesystem-damaged' }))
  })

  test('version 4 has no checksum', () => {
    const on = memoryDevice(superblockOf({ version: 4 }).with(300, 1), GiB)
    expect(xfs.measure(on, storageOf(on)).size).toBe(size)
  })
})

describe('prediction', () => {
  const superblock = readSuperblock(unmounted())

  test.each([
    [size, 20_480n],
    [size + 4095n, 20_480n],
    [size + 252n * KiB, 20_480n],
    [size + 256n * KiB, 20_544n],
    [size + 20n * MiB, 25_600n],
    [size + 20n * MiB + 252n * KiB, 25_600n],
    [size - 4096n, 20_480n],
  ])('%i bytes: %i blocks', (available, blocks) => {
    expect(predictBlocks(superblock, superblock.dataBlocks, available)).toBe(blocks)
  })

  test('a last group that is not full is filled first', () => {
    expect(predictBlocks(superblock, 20_000n, size - 400n * KiB)).toBe(20_380n)
    expect(predictBlocks(superblock, 20_000n, size + 100n * KiB)).toBe(20_480n)
  })

  test('the number of groups is bounded', () => {
    const tiny = readSuperblock(unmounted({ groupBlocks: 64, groups: 1, dataBlocks: 64n }))
    expect(predictBlocks(tiny, 64n, 2n ** 62n)).toBe(0xffffffffn * 64n)
  })
})

describe('online', () => {
  test('one command on the mount point, which has to be the root of this filesystem still', () => {
    const growth = grow(online(), { offline: false })
    expect(growth).toMatchObject({
      after: GiB,
      findings: [],
      commands: [{ exec: ['xfs_growfs', '-d', '/data'], detached: true, lock: ['/dev/loop0'] }],
      summary: 'xfs_growfs on /data (online)',
    })
    expect(growth.expect.at(-1)).toEqual({ expect: { read: 'stat', path: '/data' }, equals: '7:0:128:0:0' })
  })

  test('the root and a writable mount are preferred', () => {
    const part = mounted(19_480n, { mountPoint: '/part', root: '/sub' })
    const readOnly = mounted(19_480n, { mountPoint: '/ro', options: ['ro'] })
    expect(grow(online({}, part, readOnly, mounted(19_480n))).commands[0]?.exec).toEqual(['xfs_growfs', '-d', '/data'])
    expect(grow(online({}, part)).commands[0]?.exec[0]).toBe('unshare')
    expect(codes(grow(online({}, readOnly)))).toEqual(['blocker: read-only'])
  })

  test.each([
    ['a read-only device', { readOnly: true }, {}, {}, 'read-only'],
    ['a read-only superblock', { mounts: [mounted(19_480n, { superOptions: ['ro'] })] }, {}, {}, 'read-only'],
    ['a missing capability', {}, {}, { capabilities: ~(1n << 21n) & ((1n << 41n) - 1n) }, 'permission-denied'],
    ['a holder', { holders: ['dm-1'] }, {}, {}, 'in-use'],
    ['the mark of needed repair', {}, { incompat: 0x1b }, {}, 'filesystem-damaged'],
    ['an unknown feature', {}, { incompat: 0x800 }, {}, 'unsupported-feature'],
    ['a shutdown', { mounts: [mounted(19_480n, { superOptions: ['rw', 'shutdown'] })] }, {}, {}, 'filesystem-damaged'],
  ] as const)('%s refuses it', (_, part, fields, system, code) => {
    const growth = grow({ ...online(fields), ...part }, {}, system)
    expect(codes(growth)).toContain(`blocker: ${code}`)
    expect(growth.commands).toEqual([])
  })

  test('a device that became smaller is never handed to the tool, which would try to shrink', () => {
    const growth = grow(online(), { available: bytes(size - 1n) })
    expect(codes(growth)).toEqual(['blocker: filesystem-larger-than-device'])
    expect(growth.commands).toEqual([])
  })

  test('nothing to do needs no right', () => {
    const growth = grow(online(), { available: bytes(size + 100n * KiB) }, { capabilities: 0n })
    expect(growth).toMatchObject({ after: size, commands: [] })
    expect(codes(growth)).toEqual(['note: at-maximum'])
  })

  test('mounted only in another mount namespace', () => {
    const mount = mounted(0n, { options: ['ro'], statfs: { ok: false, errno: 'ENOENT', message: 'elsewhere' } })
    const users = { ...nobody, exclusive: 'busy', foreignMounts: [{ pid: 9, command: 'postgres', mount }] } as const
    const growth = grow(unmounted({}, { users }), { offline: false })
    expect(codes(growth)).toEqual(['note: mounted-elsewhere'])
    expect(growth.commands[0]?.exec.slice(-3)).toEqual(['/dev/loop0', 'xfs', 'nouuid,nosuid,nodev,noexec'])
  })
})

describe('offline', () => {
  test('a mount in a namespace of its own', () => {
    const growth = grow(unmounted())
    expect(codes(growth)).toEqual(['warning: offline-not-crash-safe'])
    expect(growth.commands[0]?.exec.slice(0, 4)).toEqual(['unshare', '--mount', '--propagation', 'private'])
    expect(growth.commands[0]?.exec.slice(-3)).toEqual(['/dev/loop0', 'xfs', 'nouuid,nosuid,nodev,noexec'])
  })

  test('an image by a loop device', () => {
    const on = unmounted({}, { kind: 'image', id: 'image:8:1:77', path: '/srv/a b', name: '/srv/a b', users: nobody })
    const growth = grow(on)
    expect(growth.commands[0]?.exec.slice(-3)).toEqual(['/srv/a b', 'xfs', 'nouuid,nosuid,nodev,noexec,loop'])
    expect(growth.expect[0]).toEqual({ expect: { read: 'stat', path: '/srv/a b' }, equals: '8:1:77:0:0' })
  })

  test.each([
    [0x0007, ',uquota'],
    [0x0001, ',uqnoenforce'],
    [0x01c0, ',gquota'],
    [0x0608, ',pquota'],
    [0x0049, ',uqnoenforce,gqnoenforce,pqnoenforce'],
  ])('quotas %i stay as they are', (quotaFlags, options) => {
    const growth = grow(unmounted({ quotaFlags }))
    expect(growth.commands[0]?.exec.at(-1)).toBe(`nouuid,nosuid,nodev,noexec${options}`)
  })

  test.each([
    ['an external log', { logStart: 0n }],
    ['a realtime section', { realtimeBlocks: 100n }],
  ])('%s cannot be mounted without knowing more', (_, fields) => {
    expect(codes(grow(unmounted(fields)))).toContain('blocker: unsupported-feature')
  })
})

describe('backup superblocks', () => {
  /** Sound, but for a backup of another group's that says this. */
  function withBackup(fields: SuperblockFields, part: Partial<ProbedRange> = {}): DeviceSnapshot {
    const on = online()
    if (!on.probe.ok) throw new Error('It was not read.')
    const backup = { offset: 20n * MiB, bytes: superblockOf(fields).subarray(0, 4096), direct: true as const, ...part }
    const others = on.probe.value.filter(({ direct }) => direct !== true)
    return { ...on, probe: { ok: true, value: [...others, backup] } }
  }

  test('are read past the cache: those of all groups but the first, and the last ones of many', () => {
    const start = (groups: number): readonly ProbedRange[] => [{ offset: 0n, bytes: superblockOf({ groups }) }]
    expect(backupRanges(start(4))).toEqual(
      [20n, 40n, 60n].map((offset) => ({ offset: offset * MiB, length: 4096, direct: true })),
    )
    expect(backupRanges(start(100)).map(({ offset }) => offset / (20n * MiB))).toEqual(
      Array.from({ length: 16 }, (_, index) => BigInt(84 + index)),
    )
    expect(backupRanges(start(1))).toEqual([])
    expect(backupRanges([{ offset: 0n, bytes: new Uint8Array(4096) }])).toEqual([])
  })

  test('of before the last growth are told, with what writes them anew', () => {
    const growth = grow(withBackup({ dataBlocks: 15_360n, groups: 3 }), { available: bytes(size) })
    expect(codes(growth)).toEqual(['warning: backup-superblocks-behind'])
    expect(growth.findings[0]?.remedy).toMatch(/xfs_growfs -m 26 \/data, and then xfs_growfs -m 25 \/data\.$/)
    expect(growth.commands).toEqual([])
    const limitless = unmounted({ inodePercent: 100 })
    if (!limitless.probe.ok) throw new Error('It was not read.')
    const bytesOfBackup = superblockOf({ dataBlocks: 15_360n, groups: 3 }).subarray(0, 4096)
    const value = [
      ...limitless.probe.value.filter(({ direct }) => direct !== true),
      { offset: 20n * MiB, bytes: bytesOfBackup, direct: true as const },
    ]
    const idle = grow({ ...limitless, probe: { ok: true, value } }, { available: bytes(size) })
    expect(idle.findings[0]?.remedy).toMatch(/mount it, then xfs_growfs -m 99 MOUNTPOINT/)
  })

  test('are written by the next growth', () => {
    const growth = grow(withBackup({ dataBlocks: 15_360n, groups: 3 }))
    expect(codes(growth)).toEqual(['note: backup-superblocks-behind'])
    expect(growth.commands).toHaveLength(1)
  })

  test.each<[string, DeviceSnapshot]>([
    ['as large as the filesystem', withBackup({})],
    ['of a growth that the superblock in the cache does not know yet', withBackup({ dataBlocks: 30_000n, groups: 6 })],
    ['that could not be read', withBackup({}, { bytes: new Uint8Array() })],
    ['that are none', withBackup({}, { bytes: new Uint8Array(4096) })],
    ['of another filesystem', withBackup({}, { bytes: superblockOf({ dataBlocks: 15_360n }).with(32, 99) })],
  ])('%s are no finding', (_what, on) => {
    expect(grow(on, { available: bytes(size) }).findings).toEqual([])
  })
})

describe('diagnosis', () => {
  function diagnose(stderr: string, part: Partial<ExecResult> = {}, capabilities = (1n << 41n) - 1n) {
    const on = online()
    const result: ExecResult = {
      argv: ['xfs_growfs', '-d', '/data'],
      ended: 'exited',
      ok: false,
      exitCode: 1,
      stdout: '',
      stderr,
      milliseconds: 5,
      ...part,
    }
    return xfs.diagnose(result, on, on, storageOf(on, { capabilities }))
  }

  test.each([
    ['xfs_growfs: XFS_IOC_FSGROWFSDATA xfsctl failed: Read-only file system', 1, 'read-only'],
    ['xfs_growfs: /dev/loop0 is not a mounted XFS filesystem', 1, 'stale-plan'],
    ['[EXPERIMENTAL] try to shrink unused space 1, old size is 2', 1, 'filesystem-larger-than-device'],
    ['xfs_growfs: XFS_IOC_FSGROWFSDATA xfsctl failed: Device or resource busy', 1, 'conflicting-change'],
    ['xfs_growfs: XFS_IOC_FSGROWFSDATA xfsctl failed: Operation not permitted', 1, 'permission-denied'],
    ["mount: /mnt: can't read superblock on /dev/loop0.", 80, 'filesystem-larger-than-device'],
    ['mount: /mnt: /dev/loop0 already mounted or mount point busy.', 80, 'in-use'],
    ['mount: /mnt: mount(2) system call failed: Structure needs cleaning.', 80, 'filesystem-damaged'],
    ['mount: /mnt: permission denied.\nOperation not permitted', 80, 'permission-denied'],
    ['mount: /mnt: wrong fs type', 80, 'tool-failed'],
    ['umount: /mnt: target is busy.', 82, 'tool-failed'],
  ])('%s', (stderr, exitCode, code) => {
    expect(diagnose(stderr, { exitCode })).toMatchObject({ code })
  })

  test('success, and what is not known, have no diagnosis', () => {
    expect(diagnose('', { ok: true, exitCode: 0 })).toBeUndefined()
    expect(diagnose('something else')).toBeUndefined()
    expect(diagnose('', { ended: 'running' })).toBeUndefined()
  })
})
