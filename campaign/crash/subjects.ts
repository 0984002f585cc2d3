import { execFileSync } from 'node:child_process'
import { attempt, run, until } from '../../test/real/support/commands.ts'

/** What stands on a disk and is crashed. */
export interface Subject {
  readonly name: SubjectName
  readonly family: 'ext' | 'xfs'
  /** Bytes of the smallest disk that it is made on. */
  readonly from: bigint
  /** Bytes of the largest one: beyond it, another is begun. */
  readonly most: bigint
  /** Puts it on a disk, where it is active afterwards. @returns the filesystem's device */
  make(disk: string): string
  /** @returns the filesystem's device */
  activate(disk: string): string
  deactivate(): Promise<void>
  /** Bytes that the filesystem has once it fills a disk of this size. */
  filling(disk: bigint): bigint
  /** Opens what is encrypted. */
  readonly luksKey?: () => Promise<string>
}

export type SubjectName = 'ext3' | 'ext4' | 'xfs' | 'stack'

const MiB = 2n ** 20n
const passphrase = 'canary-crash-4c1d'

function plain(name: SubjectName, family: Subject['family'], from: bigint, mkfs: readonly string[]): Subject {
  const [program = '', ...args] = mkfs
  return {
    name,
    family,
    from,
    most: 1536n * MiB,
    make(disk) {
      run(program, ...args, disk)
      return disk
    },
    activate: (disk) => disk,
    deactivate: async () => {},
    filling: (disk) => disk,
  }
}

// The guest's /etc cannot be written, and no udev runs in it.
const lvmOptions = ['--config', 'backup { archive=0 backup=0 } activation { udev_sync=0 udev_rules=0 }'] as const
const container = 'crash-luks'
const group = 'crash'
const volume = `/dev/mapper/${group}-data`
// What has to be cheap is cheap: the passphrase protects nothing.
const cheap = [
  '--pbkdf',
  'pbkdf2',
  '--pbkdf-force-iterations',
  '1000',
  '--cipher',
  'aes-cbc-plain64',
  '--key-size',
  '256',
]

function fed(input: string, program: string, ...args: readonly string[]): void {
  execFileSync(program, args, { input, stdio: ['pipe', 'ignore', 'pipe'] })
}

function withKey(...args: readonly string[]): void {
  fed(passphrase, 'cryptsetup', ...args)
}

/** GPT, LUKS2, LVM and ext4: every layer that keeps its size on the disk. */
const stack: Subject = {
  name: 'stack',
  family: 'ext',
  from: 96n * MiB,
  most: 1536n * MiB,
  make(disk) {
    for (const module of ['cbc', 'ctr', 'dm-crypt']) run('modprobe', '-d', '/mnt/.modules', module)
    fed('label: gpt\nsize=8MiB\ntype=linux\n', 'sfdisk', '--quiet', '--wipe', 'never', disk)
    const partition = `${disk}p2`
    withKey('luksFormat', '--batch-mode', '--type', 'luks2', ...cheap, '--key-file', '-', partition)
    withKey('open', '--key-file', '-', partition, container)
    run('pvcreate', ...lvmOptions, '--quiet', `/dev/mapper/${container}`)
    run('vgcreate', ...lvmOptions, '--quiet', group, `/dev/mapper/${container}`)
    run('lvcreate', ...lvmOptions, '--quiet', '--name', 'data', '--extents', '100%FREE', group)
    run('mkfs.ext4', '-q', volume)
    return volume
  },
  activate(disk) {
    withKey('open', '--key-file', '-', `${disk}p2`, container)
    run('vgchange', ...lvmOptions, '--quiet', '--activate', 'y', group)
    return volume
  },
  async deactivate() {
    await succeeding('vgchange', ...lvmOptions, '--quiet', '--activate', 'n', group)
    await succeeding('cryptsetup', 'close', container)
  },
  // 9 MiB before the partition, 1 MiB behind it, 16 MiB of LUKS, 1 MiB of LVM, and whole extents.
  filling: (disk) => ((disk - 27n * MiB) / (4n * MiB)) * 4n * MiB,
  luksKey: async () => passphrase,
}

/** Something may have it open for a moment longer. */
async function succeeding(program: string, ...args: readonly string[]): Promise<void> {
  await until(`${program} ${args.at(-1)}`, () => attempt(program, ...args).code === 0)
}

export const subjects: readonly Subject[] = [
  plain('ext3', 'ext', 64n * MiB, ['mkfs.ext3', '-q', '-F']),
  plain('ext4', 'ext', 64n * MiB, ['mkfs.ext4', '-q', '-F']),
  plain('xfs', 'xfs', 320n * MiB, ['mkfs.xfs', '-q', '-f']),
  stack,
]
