import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import * as os from 'node:os'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { VolumeExpansionError } from '../../../src/errors.ts'
import { crc32c } from '../../../src/filesystems/crc32c.ts'
import { ext } from '../../../src/filesystems/ext/index.ts'
import { predictOnline } from '../../../src/filesystems/ext/predict.ts'
import { readSuperblock } from '../../../src/filesystems/ext/superblock.ts'
import type { DeviceSnapshot, ExecResult, MountSnapshot, SystemSnapshot } from '../../../src/hosts/host.ts'
import type { Growth, GrowthContext } from '../../../src/layers/layer.ts'
import { type Bytes, bytes, GiB, KiB, MiB, TiB } from '../../../src/size.ts'
import { deviceSnapshot, imageSnapshot, mountSnapshot, nobody, storageOf } from '../snapshot.ts'

let directory: string
let images = 0

beforeAll(() => {
  directory = fs.mkdtempSync(`${os.tmpdir()}/volume-expander-`)
})

afterAll(() => {
  fs.rmSync(directory, { recursive: true, force: true })
})

function make(size: bigint, ...options: readonly string[]): DeviceSnapshot {
  return makeOf(size, options, [])
}

/** With a number of blocks, where the filesystem is not to fill its file. */
function makeOf(size: bigint, options: readonly string[], blocks: readonly string[]): DeviceSnapshot {
  images += 1
  const path = `${directory}/${images}.img`
  fs.writeFileSync(path, '')
  fs.truncateSync(path, Number(size))
  const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' }
  execFileSync('mkfs.ext4', ['-q', '-F', ...options, path, ...blocks], { env, stdio: 'ignore' })
  return imageSnapshot(path)
}

/** The same filesystem on a loop device, mounted unless told otherwise. */
function onLoop(image: DeviceSnapshot, part: Partial<DeviceSnapshot> = {}): DeviceSnapshot {
  return deviceSnapshot({ size: image.size, probe: image.probe, mounts: [mountSnapshot({})], ...part })
}

function unmounted(image: DeviceSnapshot, part: Partial<DeviceSnapshot> = {}): DeviceSnapshot {
  return onLoop(image, { mounts: [], users: { ...nobody, exclusive: 'free' }, ...part })
}

/** The device with other bytes in its superblock, and the checksum made to fit again. */
function patched(device: DeviceSnapshot, offset: number, ...values: readonly number[]): DeviceSnapshot {
  if (!device.probe.ok) throw new Error('not probed')
  const ranges = device.probe.value.map((range) => ({ ...range, bytes: Uint8Array.from(range.bytes) }))
  const superblock = ranges[0]?.bytes.subarray(1024, 2048)
  if (superblock === undefined) throw new Error('not probed')
  superblock.set(values, offset)
  new DataView(superblock.buffer, superblock.byteOffset).setUint32(0x3fc, crc32c(superblock.subarray(0, 0x3fc)), true)
  return { ...device, probe: { ok: true, value: ranges } }
}

function grow(device: DeviceSnapshot, context: Partial<GrowthContext>, system: Partial<SystemSnapshot> = {}): Growth {
  return ext.grow(device, storageOf(device, system), { available: bytes(GiB), offline: false, ...context })
}

function codes(growth: Growth): readonly string[] {
  return growth.findings.map(({ code, severity }) => `${severity}: ${code}`)
}

const readOnlyMount: Partial<MountSnapshot> = { mountPoint: '/ro', options: ['ro', 'relatime'] }
const readOnlySuperblock: Partial<MountSnapshot> = { options: ['ro'], superOptions: ['ro'] }
const fill: Partial<GrowthContext> = { available: bytes(GiB) }

describe('measuring', () => {
  test('the size, the type and the identity', () => {
    const device = make(64n * MiB, '-L', 'data', '-U', '6f5a1e3c-0b1d-4a56-9a1c-2f4c7c5f9d10')
    expect(ext.detect(device)).toBe(true)
    expect(ext.measure(device, storageOf(device))).toMatchObject({
      type: 'ext4',
      uuid: '6f5a1e3c-0b1d-4a56-9a1c-2f4c7c5f9d10',
      label: 'data',
      size: 64n * MiB,
      mountPoints: [],
    })
  })

  test.each([
    ['ext4', []],
    ['ext4', ['-O', '^has_journal']],
    ['ext3', ['-t', 'ext3']],
    ['ext2', ['-t', 'ext2']],
  ])('%s made with %j', (type, options) => {
    const device = make(64n * MiB, ...options)
    expect(ext.measure(device, storageOf(device)).type).toBe(type)
  })

  test('a superblock that does not fit its checksum is damaged, and read again while it is mounted', () => {
    const image = make(64n * MiB)
    const torn = patched(image, 0x10, 1)
    if (torn.probe.ok) torn.probe.value[0]?.bytes.set([0xff, 0xfe], 1024 + 0x0c)
    for (const [device, retryable] of [
      [torn, false],
      [{ ...torn, mounts: [mountSnapshot({})] }, true],
    ] as const) {
      const failing = (): unknown => ext.measure(device, storageOf(device))
      expect(failing).toThrow(VolumeExpansionError)
      expect(failing).toThrow(expect.objectContaining({ code: 'filesystem-damaged', retryable }))
    }
  })

  test('an external journal is not a filesystem', () => {
    expect(ext.detect(make(64n * MiB, '-O', 'journal_dev'))).toBe(false)
  })
})

describe('online', () => {
  test('one command, without a size, that holds the lock', () => {
    const growth = grow(onLoop(make(64n * MiB, '-b', '4096')), fill)
    expect(growth).toMatchObject({
      after: GiB,
      commands: [{ exec: ['resize2fs', '/dev/loop0'], detached: true, lock: ['/dev/loop0'] }],
      summary: 'resize2fs /dev/loop0 (online)',
    })
    expect(codes(growth)).toEqual(['note: ext4-lazy-init'])
    expect(growth.expect).toMatchObject([
      { expect: { read: 'file', path: '/sys/class/block/loop0/dev' }, equals: '7:0' },
      { expect: { read: 'range', path: '/dev/loop0', offset: 1128n, length: 16 } },
    ])
  })

  test('the identity of every disk below is expected, and the disks are locked', () => {
    const disk = deviceSnapshot({
      id: '8:0',
      name: 'sda',
      path: '/dev/sda',
      attributes: { diskseq: '9' },
      partitions: ['sda1'],
    })
    const image = make(64n * MiB)
    const partition = onLoop(image, { id: '8:1', name: 'sda1', path: '/dev/sda1', below: ['8:0'] })
    const mapped = onLoop(image, {
      id: '253:0',
      name: 'dm-0',
      path: '/dev/dm-0',
      below: ['8:1'],
      attributes: { 'dm/uuid': 'LVM-x' },
    })
    const snapshot = { ...storageOf(mapped), devices: [mapped, partition, disk] }
    const growth = ext.grow(mapped, snapshot, { available: bytes(GiB), offline: false })
    expect(growth.commands[0]?.lock).toEqual(['/dev/sda'])
    expect(growth.expect).toMatchObject([
      { equals: '253:0' },
      { expect: { path: '/sys/dev/block/253:0/dm/uuid' }, equals: 'LVM-x' },
      { expect: { path: '/sys/dev/block/8:0/diskseq' }, equals: '9' },
      { expect: { read: 'range' } },
    ])
  })

  test('nothing to do needs neither a process nor a right', () => {
    const device = onLoop(make(64n * MiB), { mounts: [mountSnapshot(readOnlyMount)] })
    expect(grow(device, { available: bytes(64n * MiB) }, { capabilities: 0n })).toEqual({
      after: 64n * MiB,
      findings: [],
      expect: [],
      commands: [],
      tools: [],
    })
    const growth = grow(device, { available: bytes(64n * MiB + 1000n) }, { capabilities: 0n })
    expect(growth.commands).toEqual([])
    expect(codes(growth)).toEqual(['note: at-maximum'])
  })

  test.each([
    ['a read-only mount', { mounts: [mountSnapshot(readOnlyMount)] }, {}, 'read-only'],
    ['a read-only superblock', { mounts: [mountSnapshot(readOnlySuperblock)] }, {}, 'read-only'],
    ['a read-only device', { readOnly: true }, {}, 'read-only'],
    ['a missing capability', {}, { capabilities: ~(1n << 24n) & ((1n << 41n) - 1n) }, 'permission-denied'],
    ['a holder', { holders: ['md0'] }, {}, 'in-use'],
    ['a shutdown', { mounts: [mountSnapshot({ superOptions: ['rw', 'shutdown'] })] }, {}, 'filesystem-damaged'],
    [
      'a backup superblock',
      { mounts: [mountSnapshot({ superOptions: ['rw', 'sb=32768'] })] },
      {},
      'filesystem-damaged',
    ],
    ['the ext2 driver', { mounts: [mountSnapshot({ type: 'ext2' })] }, {}, 'unsupported-feature'],
  ] as const)('%s refuses it', (_, part, system, code) => {
    const growth = grow(onLoop(make(64n * MiB), part), fill, system)
    expect(codes(growth)).toContain(`blocker: ${code}`)
    expect(growth.commands).toEqual([])
  })

  test.each([
    ['recorded errors', 0x3a, [3, 0], 'filesystem-damaged'],
    ['an unknown incompatible feature', 0x61, [0x12], 'unsupported-feature'],
    ['an unknown read-only feature', 0x66, [0x80], 'unsupported-feature'],
    ['the feature read-only', 0x65, [0x14], 'read-only'],
  ] as const)('%s refuses it', (_, offset, values, code) => {
    const growth = grow(onLoop(patched(make(64n * MiB), offset, ...values)), fill)
    expect(codes(growth)).toContain(`blocker: ${code}`)
    expect(growth.commands).toEqual([])
  })

  test('sparse_super2 refuses it', () => {
    const growth = grow(onLoop(make(64n * MiB, '-O', 'sparse_super2,^resize_inode')), fill)
    expect(codes(growth)).toContain('blocker: unsupported-feature')
    expect(growth.commands).toEqual([])
  })

  test('bigalloc grows', () => {
    const growth = grow(onLoop(make(256n * MiB, '-O', 'bigalloc')), { available: bytes(GiB + 20n * KiB) })
    expect(growth.after).toBe(GiB)
    expect(growth.commands).toHaveLength(1)
    expect(codes(growth)).not.toContain('blocker: kernel-too-old')
  })

  test('a conversion to meta_bg has to be accepted, and its commands are there for that', () => {
    const growth = grow(onLoop(make(64n * MiB, '-b', '4096', '-O', '^resize_inode')), { available: bytes(20n * GiB) })
    expect(codes(growth)).toEqual(['blocker: ext4-meta-bg-conversion', 'note: ext4-lazy-init'])
    expect(growth.commands).toHaveLength(1)
  })

  test('a kernel that corrupts what it converts is refused, whatever is accepted', () => {
    const device = onLoop(make(64n * MiB, '-b', '4096', '-O', '^resize_inode'))
    const growth = grow(device, { available: bytes(20n * GiB) }, { kernel: '6.1.55' })
    expect(codes(growth)).toContain('blocker: kernel-too-old')
    expect(growth.commands).toEqual([])
  })

  test('without resize_inode, kernels before 6.7 convert with every growth, later ones when they have to', () => {
    const device = onLoop(make(64n * MiB, '-b', '4096', '-O', '^resize_inode'))
    const within = (kernel: string): readonly string[] =>
      codes(grow(device, { available: bytes(5n * GiB) }, { kernel }))
    expect(within('6.1.55')).toContain('blocker: kernel-too-old')
    expect(within('6.1.176')).toEqual(['blocker: ext4-meta-bg-conversion', 'note: ext4-lazy-init'])
    expect(within('6.7.0')).toEqual(['note: ext4-lazy-init'])
  })

  test('an old kernel may convert when every group of the last meta group is there', () => {
    const device = onLoop(make(64n * MiB, '-b', '4096'))
    const { sharesMetaGroup, converts } = predictOnline(readSuperblock(device), 200n * GiB, 4096, '6.1.55')
    expect({ sharesMetaGroup, converts }).toEqual({ sharesMetaGroup: false, converts: true })
  })

  test.each([
    ['ext4 without 64bit', ['-O', '^64bit']],
    ['ext3', ['-t', 'ext3', '-b', '4096']],
  ])('%s does not go beyond 2^32 blocks', (_, options) => {
    const device = onLoop(make(GiB, '-b', '4096', ...options))
    expect(codes(grow(device, { available: bytes(16n * TiB + 4n * KiB) }))).toContain('blocker: limit-exceeded')
    const upTo = grow(device, { available: bytes(16n * TiB) })
    expect(upTo.after).toBe(16n * TiB - 4n * KiB)
    expect(codes(upTo)).not.toContain('blocker: limit-exceeded')
  })

  test('a device that is smaller than its filesystem is never handed to a tool', () => {
    for (const device of [onLoop(make(64n * MiB)), unmounted(make(64n * MiB))]) {
      const growth = grow(device, { available: bytes(64n * MiB - 1n), offline: true })
      expect(codes(growth)).toEqual(['blocker: filesystem-larger-than-device'])
      expect(growth.commands).toEqual([])
    }
  })

  test('a read-only mount that resize2fs would meet first is made writable where nobody sees it', () => {
    const mounts = [mountSnapshot(readOnlyMount), mountSnapshot({}), mountSnapshot(readOnlyMount)]
    const growth = grow(onLoop(make(64n * MiB), { mounts }), fill)
    const [command] = growth.commands
    expect(command?.exec.slice(0, 4)).toEqual(['unshare', '--mount', '--propagation', 'private'])
    expect(command?.exec.slice(-2)).toEqual(['/dev/loop0', '/ro'])
    const reversed = grow(onLoop(make(64n * MiB), { mounts: mounts.toReversed().slice(1) }), fill)
    expect(reversed.commands[0]?.exec).toEqual(['resize2fs', '/dev/loop0'])
  })

  test('mounted only in another mount namespace: a second mount in one of our own', () => {
    const mount = mountSnapshot({ type: 'ext3', options: ['ro'] })
    const users = { ...nobody, exclusive: 'busy', foreignMounts: [{ pid: 9, command: 'postgres', mount }] } as const
    const growth = grow(unmounted(make(64n * MiB), { users }), fill)
    expect(codes(growth)).toContain('note: mounted-elsewhere')
    expect(growth.commands[0]?.exec.slice(-3)).toEqual(['/dev/loop0', 'ext3', 'nosuid,nodev,noexec'])
    const readOnly = {
      ...users,
      foreignMounts: [{ pid: 9, command: 'postgres', mount: mountSnapshot(readOnlySuperblock) }],
    }
    expect(codes(grow(unmounted(make(64n * MiB), { users: readOnly }), fill))).toContain('blocker: read-only')
  })
})

describe('offline', () => {
  const offline: Partial<GrowthContext> = { available: bytes(GiB), offline: true }

  test('a clean filesystem needs no check', () => {
    const growth = grow(unmounted(make(64n * MiB)), offline)
    expect(codes(growth)).toEqual(['warning: offline-not-crash-safe'])
    expect(growth.commands.map(({ exec }) => exec)).toEqual([['resize2fs', '/dev/loop0']])
  })

  test.each([
    ['mounted since its last check', 0x2c, [0xff, 0xff, 0xff, 0x7f]],
    ['not cleanly unmounted', 0x3a, [0, 0]],
    ['with recorded errors', 0x3a, [3, 0]],
    ['with a journal to replay', 0x60, [0xc6]],
    ['with an orphan', 0xe8, [12]],
  ] as const)('one %s is checked first, and its corrections are no failure', (_, offset, values) => {
    const growth = grow(unmounted(patched(make(64n * MiB), offset, ...values)), offline)
    expect(growth.commands).toMatchObject([
      { exec: ['e2fsck', '-f', '-p', '/dev/loop0'], accept: [0, 1], detached: true },
      { exec: ['resize2fs', '/dev/loop0'] },
    ])
    expect(growth.tools.map(({ name }) => name)).toEqual(['e2fsck', 'resize2fs'])
  })

  test('a refusal says that a dirty journal is also how a disk in use elsewhere looks', () => {
    const dirty = unmounted(patched(make(64n * MiB), 0x60, 0xc6))
    const [finding] = grow(dirty, { ...offline, offline: false }).findings
    expect(finding).toMatchObject({ code: 'needs-offline', remedy: expect.stringContaining('another machine') })
    const [clean] = grow(unmounted(make(64n * MiB)), { ...offline, offline: false }).findings
    expect(clean?.remedy).not.toContain('another machine')
  })

  test('bigalloc is refused', () => {
    const growth = grow(unmounted(make(256n * MiB, '-O', 'bigalloc')), offline)
    expect(codes(growth)).toContain('blocker: unsupported-feature')
    expect(growth.commands).toEqual([])
  })

  test('a growth beyond the reserved descriptors is refused: resize2fs would leave it damaged', () => {
    const device = unmounted(make(100n * MiB, '-b', '4096', '-E', 'resize=4000000'))
    expect(codes(grow(device, { ...offline, available: bytes(16n * GiB) }))).toEqual([
      'warning: offline-not-crash-safe',
    ])
    const growth = grow(device, { ...offline, available: bytes(17n * GiB) })
    expect(codes(growth)).toContain('blocker: unsupported-feature')
    expect(growth.commands).toEqual([])
  })

  test('multiple-mount protection is believed: in use, with the name of the node', () => {
    const image = make(64n * MiB, '-O', 'mmp')
    expect(codes(grow(unmounted(image), offline))).toEqual(['warning: offline-not-crash-safe'])
    if (!image.probe.ok) throw new Error('not probed')
    const block = image.probe.value.find(({ bytes: [first, second] }) => first === 0x50 && second === 0x4d)
    block?.bytes.set([7, 0, 0, 0], 4)
    block?.bytes.set(new TextEncoder().encode('node-b'), 16)
    const growth = grow(unmounted(image), offline)
    expect(codes(growth)).toEqual(['blocker: in-use'])
    expect(growth.findings[0]?.message).toContain('node-b')
  })

  test('a path that e2fsprogs would take for options is handed over as a descriptor', () => {
    const image = { ...make(64n * MiB), path: '/srv/disk?offset=1.img', name: '/srv/disk?offset=1.img' }
    const [command] = grow(image, offline).commands
    expect(command?.exec).toEqual(['sh', '-c', expect.any(String), 'sh', '/srv/disk?offset=1.img', 'resize2fs'])
    expect(command?.lock).toEqual(['/srv/disk?offset=1.img'])
  })

  test('page rounding never shrinks a filesystem of small blocks', () => {
    const image = makeOf(20n * MiB + 3n * KiB, ['-b', '1024'], ['20483'])
    const size = ext.measure(image, storageOf(image)).size
    expect(size % 4096n).not.toBe(0n)
    expect(grow(unmounted(image), { ...offline, available: size })).toMatchObject({ after: size, commands: [] })
    expect(grow(unmounted(image), { ...offline, available: size }, { pageSize: 65_536 })).toMatchObject({
      commands: [],
    })
  })
})

describe('diagnosis', () => {
  const device = (): DeviceSnapshot => onLoop(make(64n * MiB))

  function failed(stderr: string, part: Partial<ExecResult> = {}): ExecResult {
    const base = { argv: ['resize2fs', '/dev/loop0'], ended: 'exited', ok: false, exitCode: 1 } as const
    return { ...base, stdout: '', stderr, milliseconds: 5, ...part }
  }

  function diagnose(
    result: ExecResult,
    before = device(),
    after: DeviceSnapshot | undefined = before,
    capabilities?: bigint,
  ) {
    const snapshot = storageOf(before, capabilities === undefined ? {} : { capabilities })
    return ext.diagnose(result, before, after, snapshot)
  }

  test.each([
    ['Read-only file system', 'read-only'],
    ['resize2fs: New size too large to be expressed in 32 bits', 'limit-exceeded'],
    [
      "resize2fs: Device or resource busy while trying to open /dev/loop0\nCouldn't find valid filesystem superblock.",
      'in-use',
    ],
    ['While checking for on-line resizing support: Device or resource busy', 'conflicting-change'],
    ['resize2fs: Superblock checksum does not match superblock while trying to open /dev/loop0', 'conflicting-change'],
    ['resize2fs: Attempt to read block from filesystem resulted in short read', 'filesystem-larger-than-device'],
    ['resize2fs: MMP: device currently active while trying to open /dev/loop0', 'in-use'],
    ["Please run 'e2fsck -f /dev/loop0' first.", 'stale-plan'],
    ['resize2fs: Kernel does not support online resizing', 'unsupported-feature'],
    ['resize2fs: /dev/loop0 has unsupported feature(s)', 'unsupported-feature'],
    ['Bad magic number in super-block', 'conflicting-change'],
    ['resize2fs: Input/output error While checking for on-line resizing support', 'io-error'],
    ['resize2fs: No space left on device While checking for on-line resizing support', 'io-error'],
  ])('%s', (stderr, code) => {
    expect(diagnose(failed(stderr))).toMatchObject({ code, layer: 'filesystem', outcome: 'unchanged' })
  })

  test('that a filesystem is mounted, which resize2fs says of each that it grows online, is no cause', () => {
    const stdout = 'Filesystem at /dev/loop0 is mounted on /data; on-line resizing required\n'
    const io = failed('resize2fs: Input/output error While checking for on-line resizing support', { stdout })
    expect(diagnose(io)).toMatchObject({ code: 'io-error' })
    expect(diagnose(failed('resize2fs: something that nobody knows', { stdout }))).toBeUndefined()
  })

  test('one text of resize2fs, three causes', () => {
    const result = failed('resize2fs: Permission denied to resize filesystem')
    const erroneous = patched(device(), 0x3a, 3, 0)
    expect(diagnose(result, device(), device(), 0n)).toMatchObject({
      code: 'permission-denied',
      message: /CAP_SYS_RESOURCE/,
    })
    expect(diagnose(result, erroneous, erroneous, 0n)).toMatchObject({ code: 'filesystem-damaged' })
    expect(diagnose(result)).toMatchObject({ code: 'permission-denied', message: /no right is missing/ })
  })

  test('a checksum that stays wrong is damage', () => {
    const torn = patched(device(), 0x10, 1)
    if (torn.probe.ok) torn.probe.value[0]?.bytes.set([0xff], 1024 + 0x0c)
    const result = failed('Superblock checksum does not match superblock')
    expect(diagnose(result, device(), torn)).toMatchObject({ code: 'filesystem-damaged', retryable: false })
  })

  test.each([
    [4, 'UNEXPECTED INCONSISTENCY', 'filesystem-damaged'],
    [12, 'e2fsck: unable to set superblock flags', 'filesystem-damaged'],
    [8, '/dev/loop0 is in use.\ne2fsck: Cannot continue, aborting.', 'in-use'],
    [8, 'e2fsck: Device or resource busy while trying to open /dev/loop0', 'in-use'],
    [2, '***** REBOOT SYSTEM *****', 'in-use'],
  ])('e2fsck exit %i', (exitCode, stderr, code) => {
    expect(diagnose(failed(stderr, { argv: ['e2fsck', '-f', '-p', '/dev/loop0'], exitCode }))).toMatchObject({ code })
  })

  test('a failure in the middle of an offline growth leaves the outcome unknown', () => {
    const stdout = 'Resizing the filesystem on /dev/loop0 to 262144 (4k) blocks.\n'
    expect(diagnose(failed('resize2fs: Attempt to read block resulted in short read', { stdout }))).toMatchObject({
      outcome: 'unknown',
    })
  })

  test('success, and what is not known, have no diagnosis', () => {
    expect(diagnose(failed('', { ok: true, exitCode: 0 }))).toBeUndefined()
    expect(diagnose(failed('something else'))).toBeUndefined()
    expect(diagnose(failed('', { ended: 'signalled' }))).toBeUndefined()
  })
})

test('sizes are bytes of the contract', () => {
  const size: Bytes = grow(unmounted(make(64n * MiB)), {}).after
  expect(size).toBe(GiB)
})
