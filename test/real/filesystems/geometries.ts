import { GiB, KiB, MiB, TiB } from '../../../src/size.ts'

/** A filesystem to be made and grown. Sizes are bytes of the device. */
export interface Geometry {
  readonly name: string
  readonly mkfs: readonly string[]
  readonly from: bigint
  readonly to: bigint
  /** Whether e2fsck has something to correct after mke2fs has put files in it (it counts them in no quota). */
  readonly checkFirst?: boolean
  /** Codes of blockers that are expected offline instead of a growth. */
  readonly refusedOffline?: string
  /** Codes of blockers that are expected online instead of a growth. */
  readonly refusedOnline?: string
  /** Whether growing it online converts it to meta_bg; some growths do so with kernels before 6.7 alone. */
  readonly convertsOnline?: boolean | 'before 6.7'
  /** Left out of online runs: a kernel can be built without what it needs (quotas, casefold). */
  readonly offlineOnly?: boolean
  /** Whether the kernel has to know XFS version 4, which kernels since 6.18 can be built without. */
  readonly version4?: boolean
  /** Left out of online runs: too large for the memory of a small virtual machine. */
  readonly large?: boolean
}

const ext4 = (...options: readonly string[]): readonly string[] => ['mkfs.ext4', '-q', '-F', ...options]
const ext3 = (...options: readonly string[]): readonly string[] => ['mkfs.ext3', '-q', '-F', ...options]
const ext2 = (...options: readonly string[]): readonly string[] => ['mkfs.ext2', '-q', '-F', ...options]

/** ext2, ext3 and ext4, made by mke2fs. */
export const extGeometries: readonly Geometry[] = [
  { name: 'ext4, defaults', mkfs: ext4(), from: 64n * MiB, to: 200n * MiB },
  { name: 'ext4, defaults, 1 GiB to 5 GiB', mkfs: ext4(), from: GiB, to: 5n * GiB },
  { name: 'ext4, within the last group', mkfs: ext4('-b', '4096'), from: 300n * MiB, to: 310n * MiB },
  { name: 'ext4, one block more', mkfs: ext4('-b', '4096'), from: 300n * MiB, to: 300n * MiB + 4n * KiB },
  { name: 'ext4, odd bytes', mkfs: ext4('-b', '4096'), from: 300n * MiB, to: 777n * MiB + 1234n },
  { name: 'ext4, less than a block more', mkfs: ext4('-b', '4096'), from: 300n * MiB, to: 300n * MiB + 4095n },
  { name: 'ext4, a last group too small', mkfs: ext4('-b', '4096'), from: 256n * MiB, to: 256n * MiB + 512n * KiB },
  {
    name: 'ext4, a whole group and one too small',
    mkfs: ext4('-b', '4096'),
    from: 256n * MiB,
    to: 384n * MiB + 300n * KiB,
  },
  {
    name: 'ext4, a last group just large enough',
    mkfs: ext4('-b', '4096', '-N', '2048'),
    from: 256n * MiB,
    to: 384n * MiB + 1100n * KiB,
  },
  { name: 'ext4, 1k blocks', mkfs: ext4('-b', '1024'), from: 20n * MiB, to: 100n * MiB },
  {
    name: 'ext4, 1k blocks, odd blocks',
    mkfs: ext4('-b', '1024'),
    from: 20n * MiB + 3n * KiB,
    to: 100n * MiB + 5n * KiB,
  },
  {
    name: 'ext4, 1k blocks, less than a page more',
    mkfs: ext4('-b', '1024'),
    from: 20n * MiB + KiB,
    to: 20n * MiB + 3n * KiB,
  },
  {
    name: 'ext4, 1k blocks, 24 groups and a bit',
    mkfs: ext4('-b', '1024'),
    from: 20n * MiB,
    to: 192n * MiB + 400n * KiB,
  },
  { name: 'ext4, 2k blocks', mkfs: ext4('-b', '2048'), from: 40n * MiB, to: 333n * MiB },
  {
    name: 'ext4, 2k blocks, huge growth',
    mkfs: ext4('-b', '2048'),
    from: 40n * MiB,
    to: 60n * GiB,
    convertsOnline: true,
    refusedOffline: 'unsupported-feature',
  },
  { name: 'ext4, no journal', mkfs: ext4('-O', '^has_journal'), from: 64n * MiB, to: GiB },
  { name: 'ext4, no 64bit', mkfs: ext4('-O', '^64bit'), from: 64n * MiB, to: 3n * GiB },
  { name: 'ext4, no flex_bg', mkfs: ext4('-O', '^flex_bg'), from: 64n * MiB, to: 2n * GiB },
  { name: 'ext4, no flex_bg, 1k blocks', mkfs: ext4('-O', '^flex_bg', '-b', '1024'), from: 20n * MiB, to: 321n * MiB },
  { name: 'ext4, no metadata_csum', mkfs: ext4('-O', '^metadata_csum,uninit_bg'), from: 64n * MiB, to: GiB },
  {
    name: 'ext4, no sparse_super',
    mkfs: ext4('-O', '^sparse_super,^resize_inode'),
    from: 64n * MiB,
    to: 700n * MiB,
    convertsOnline: true,
  },
  {
    name: 'ext4, no resize_inode, same meta group',
    mkfs: ext4('-b', '4096', '-O', '^resize_inode'),
    from: 64n * MiB,
    to: 2n * GiB,
    convertsOnline: 'before 6.7',
  },
  {
    name: 'ext4, no resize_inode, across a meta group',
    mkfs: ext4('-O', '^resize_inode'),
    from: 64n * MiB,
    to: 20n * GiB,
    convertsOnline: true,
  },
  {
    name: 'ext4, no resize_inode, 1k blocks',
    mkfs: ext4('-O', '^resize_inode', '-b', '1024'),
    from: 20n * MiB,
    to: 500n * MiB,
    convertsOnline: true,
  },
  {
    name: 'ext4, many reserved descriptors',
    mkfs: ext4('-b', '1024', '-E', 'resize=65536'),
    from: 20n * MiB,
    to: 3n * GiB,
  },
  {
    name: 'ext4, reserved descriptors exhausted, 4k blocks',
    mkfs: ext4('-b', '4096', '-E', 'resize=4000000'),
    from: 100n * MiB,
    to: 40n * GiB,
    convertsOnline: true,
    refusedOffline: 'unsupported-feature',
  },
  {
    name: 'ext4, grown more than a thousandfold',
    mkfs: ext4('-b', '4096'),
    from: 32n * MiB,
    to: 33n * GiB,
    convertsOnline: true,
    refusedOffline: 'unsupported-feature',
  },
  {
    name: 'ext4, reserved descriptors exhausted, no flex_bg',
    mkfs: ext4('-b', '4096', '-E', 'resize=4000000', '-O', '^flex_bg'),
    from: 100n * MiB,
    to: 40n * GiB,
    convertsOnline: true,
  },
  { name: 'ext4, meta_bg', mkfs: ext4('-O', 'meta_bg,^resize_inode'), from: 64n * MiB, to: 20n * GiB },
  {
    name: 'ext4, meta_bg, 1k blocks',
    mkfs: ext4('-O', 'meta_bg,^resize_inode', '-b', '1024'),
    from: 20n * MiB,
    to: 300n * MiB,
  },
  {
    name: 'ext4, meta_bg, a last group too small',
    mkfs: ext4('-O', 'meta_bg,^resize_inode', '-b', '1024'),
    from: 20n * MiB,
    to: 256n * MiB + 280n * KiB,
  },
  {
    name: 'ext4, bigalloc',
    mkfs: ext4('-O', 'bigalloc', '-C', '65536'),
    from: 256n * MiB,
    to: GiB + 20n * KiB,
    refusedOffline: 'unsupported-feature',
  },
  {
    name: 'ext4, sparse_super2',
    mkfs: ext4('-b', '4096', '-O', 'sparse_super2,^resize_inode'),
    from: 300n * MiB,
    to: GiB + 256n * KiB,
    refusedOnline: 'unsupported-feature',
  },
  { name: 'ext4, 256 byte inodes, many', mkfs: ext4('-I', '256', '-i', '4096'), from: 64n * MiB, to: 641n * MiB },
  { name: 'ext4, few inodes', mkfs: ext4('-i', '1048576'), from: 640n * MiB, to: 2n * GiB },
  { name: 'ext4, 128 byte inodes', mkfs: ext4('-I', '128', '-O', '^metadata_csum'), from: 64n * MiB, to: 300n * MiB },
  { name: 'ext4, stride and stripe', mkfs: ext4('-E', 'stride=16,stripe_width=64'), from: 64n * MiB, to: 900n * MiB },
  { name: 'ext4, small groups', mkfs: ext4('-b', '4096', '-g', '8192'), from: 100n * MiB, to: 777n * MiB },
  { name: 'ext4, large flex groups', mkfs: ext4('-G', '64'), from: 200n * MiB, to: 9n * GiB },
  { name: 'ext4, mmp', mkfs: ext4('-O', 'mmp'), from: 64n * MiB, to: 256n * MiB },
  {
    name: 'ext4, quota and project',
    mkfs: ext4('-O', 'quota,project'),
    from: 64n * MiB,
    to: 256n * MiB,
    offlineOnly: true,
    checkFirst: true,
  },
  {
    name: 'ext4, inline data and casefold',
    mkfs: ext4('-O', 'inline_data,casefold'),
    from: 64n * MiB,
    to: 256n * MiB,
    offlineOnly: true,
  },
  { name: 'ext4, orphan_file', mkfs: ext4('-O', 'orphan_file'), from: 64n * MiB, to: 256n * MiB },
  { name: 'ext3, defaults', mkfs: ext3(), from: 64n * MiB, to: 200n * MiB },
  { name: 'ext3, 1k blocks', mkfs: ext3('-b', '1024'), from: 20n * MiB, to: 150n * MiB },
  { name: 'ext3, 4k blocks, large', mkfs: ext3('-b', '4096'), from: 200n * MiB, to: 30n * GiB },
  {
    name: 'ext2, 4k blocks',
    mkfs: ext2('-b', '4096'),
    from: 64n * MiB,
    to: 500n * MiB,
    refusedOnline: 'unsupported-feature',
  },
  {
    name: 'ext2, 1k blocks, revision 0',
    mkfs: ext2('-b', '1024', '-r', '0'),
    from: 20n * MiB,
    to: 60n * MiB,
    refusedOnline: 'unsupported-feature',
  },
  { name: 'ext4, to 1 TiB', mkfs: ext4(), from: 10n * GiB, to: TiB, large: true },
  {
    name: 'ext4, no 64bit, to the last byte below 16 TiB',
    mkfs: ext4('-O', '^64bit', '-i', '4194304'),
    from: 2n * TiB,
    to: 16n * TiB - 4n * KiB,
    large: true,
  },
  {
    name: 'ext4, no 64bit, to 16 TiB',
    mkfs: ext4('-O', '^64bit', '-i', '4194304'),
    from: 2n * TiB,
    to: 16n * TiB,
    large: true,
  },
  {
    name: 'ext4, no 64bit, beyond 16 TiB',
    mkfs: ext4('-O', '^64bit', '-i', '4194304'),
    from: 2n * TiB,
    to: 16n * TiB + 4n * KiB,
    large: true,
    refusedOffline: 'limit-exceeded',
    refusedOnline: 'limit-exceeded',
  },
  {
    name: 'ext3, beyond 16 TiB',
    mkfs: ext3('-b', '4096'),
    from: 100n * GiB,
    to: 17n * TiB,
    large: true,
    refusedOffline: 'limit-exceeded',
    refusedOnline: 'limit-exceeded',
  },
  {
    name: 'ext4, 64bit, from below to beyond 16 TiB, past the reserve',
    mkfs: ext4('-i', '4194304'),
    from: 15n * TiB,
    to: 17n * TiB,
    large: true,
    convertsOnline: true,
    refusedOffline: 'unsupported-feature',
  },
  {
    name: 'ext4, 64bit, from below to beyond 16 TiB',
    mkfs: ext4('-i', '4194304', '-O', 'meta_bg,^resize_inode'),
    from: 15n * TiB,
    to: 17n * TiB,
    large: true,
  },
  {
    name: 'ext4, 1k blocks, too many descriptors',
    mkfs: ext4('-b', '1024'),
    from: 100n * MiB,
    to: 2n * TiB,
    large: true,
    refusedOffline: 'limit-exceeded',
    refusedOnline: 'limit-exceeded',
  },
]

const xfs = (...options: readonly string[]): readonly string[] => ['mkfs.xfs', '-q', '-f', ...options]

/** XFS, made by mkfs.xfs. */
export const xfsGeometries: readonly Geometry[] = [
  { name: 'xfs, defaults', mkfs: xfs(), from: 320n * MiB, to: GiB },
  { name: 'xfs, 3 GiB to 10 GiB', mkfs: xfs(), from: 3n * GiB, to: 10n * GiB },
  { name: 'xfs, one new group', mkfs: xfs('-d', 'agcount=4'), from: 400n * MiB, to: 470n * MiB },
  {
    name: 'xfs, a new group of 63 blocks',
    mkfs: xfs('-d', 'agcount=4'),
    from: 400n * MiB,
    to: 400n * MiB + 252n * KiB,
  },
  {
    name: 'xfs, a new group of 64 blocks',
    mkfs: xfs('-d', 'agcount=4'),
    from: 400n * MiB,
    to: 400n * MiB + 256n * KiB,
  },
  {
    name: 'xfs, a new group of 65 blocks and a bit',
    mkfs: xfs('-d', 'agcount=4'),
    from: 400n * MiB,
    to: 400n * MiB + 263n * KiB,
  },
  { name: 'xfs, one block more', mkfs: xfs('-d', 'agcount=4'), from: 400n * MiB, to: 400n * MiB + 4n * KiB },
  { name: 'xfs, within the last group', mkfs: xfs('-d', 'agsize=100m'), from: 330n * MiB, to: 350n * MiB },
  { name: 'xfs, odd bytes', mkfs: xfs(), from: 320n * MiB, to: 777n * MiB + 1234n },
  {
    name: 'xfs, fills the last group and a bit',
    mkfs: xfs('-d', 'agsize=100m'),
    from: 330n * MiB,
    to: 400n * MiB + 100n * KiB,
  },
  { name: 'xfs, small groups', mkfs: xfs('-d', 'agsize=80m'), from: 320n * MiB, to: 3n * GiB + 100n * KiB },
  { name: 'xfs, large groups', mkfs: xfs('-d', 'agsize=1g'), from: 3n * GiB, to: 50n * GiB },
  { name: 'xfs, 1k blocks', mkfs: xfs('-b', 'size=1024'), from: 320n * MiB, to: 999n * MiB + 63n * KiB },
  {
    name: 'xfs, 512 byte blocks, version 4',
    mkfs: xfs('-m', 'crc=0', '-b', 'size=512', '-n', 'size=4096'),
    from: 320n * MiB,
    to: 900n * MiB,
    version4: true,
  },
  { name: 'xfs, version 4', mkfs: xfs('-m', 'crc=0,finobt=0'), from: 320n * MiB, to: 900n * MiB, version4: true },
  { name: 'xfs, large log', mkfs: xfs('-l', 'size=256m'), from: 2n * GiB, to: 4n * GiB },
  { name: 'xfs, small log', mkfs: xfs('-l', 'size=64m'), from: 400n * MiB, to: 4n * GiB },
  { name: 'xfs, no reflink', mkfs: xfs('-m', 'reflink=0'), from: 320n * MiB, to: 2n * GiB },
  { name: 'xfs, rmapbt', mkfs: xfs('-m', 'rmapbt=1'), from: 320n * MiB, to: 2n * GiB },
  {
    name: 'xfs, bigtime and inobtcount',
    mkfs: xfs('-m', 'bigtime=1,inobtcount=1,rmapbt=1'),
    from: 320n * MiB,
    to: 2n * GiB,
  },
  { name: 'xfs, no bigtime, no inobtcount', mkfs: xfs('-m', 'bigtime=0,inobtcount=0'), from: 320n * MiB, to: 2n * GiB },
  { name: 'xfs, 4k sectors', mkfs: xfs('-s', 'size=4096'), from: 320n * MiB, to: 2n * GiB },
  { name: 'xfs, stripe', mkfs: xfs('-d', 'su=64k,sw=4'), from: GiB, to: 2n * GiB },
  { name: 'xfs, to 1 TiB', mkfs: xfs(), from: 10n * GiB, to: TiB, large: true },
]
