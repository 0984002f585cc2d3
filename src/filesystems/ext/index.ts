import type { Finding } from '../../findings.ts'
import type { DeviceSnapshot, ExecItem, MountSnapshot, StorageSnapshot } from '../../hosts/host.ts'
import type { Growth, GrowthContext, ToolNeed } from '../../layers/layer.ts'
import { type Bytes, bytes, formatSize } from '../../size.ts'
import { offlineFindings } from '../exclusivity.ts'
import type { FilesystemResizer, FilesystemState } from '../filesystem.ts'
import {
  blocker,
  capability,
  finding,
  identityExpectations,
  isAllowed,
  isCapable,
  isWritable,
  locksOf,
  mountTools,
  privateExtGrowth,
  writableExtGrowth,
  writing,
} from '../prescription.ts'
import { commonFindings, isDirty, needsCheck, offlineFeatures, onlineFindings } from './cases.ts'
import { diagnoseExt } from './diagnose.ts'
import { has } from './geometry.ts'
import { mmpOwner } from './mmp.ts'
import { type Prediction, predictOffline, predictOnline } from './predict.ts'
import {
  compat,
  type ExtSuperblock,
  incompat,
  isExt,
  isJournalDevice,
  readSuperblock,
  roCompat,
  superblockBytes,
} from './superblock.ts'

const uuidOffset = 1024 + 0x68
const resize2fs: ToolNeed = { name: 'resize2fs', packages: 'e2fsprogs' }
const e2fsck: ToolNeed = { name: 'e2fsck', packages: 'e2fsprogs' }

/**
 * ext2, ext3 and ext4, by e2fsprogs: online whenever mounted, by the kernel's ext4 driver; else offline, checked first when resize2fs would ask for it. Never with an
 * explicit size: a size that was computed before the call could be a smaller one by then.
 */
export const ext: FilesystemResizer = {
  name: 'ext',

  detect(device) {
    const superblock = superblockBytes(device)
    return isExt(superblock) && !isJournalDevice(superblock)
  },

  measure(device, snapshot): FilesystemState {
    const superblock = readSuperblock(device)
    return {
      type: superblock.type,
      uuid: superblock.uuid,
      label: superblock.label,
      size: sizeOf(superblock, superblock.blocks),
      blockSize: bytes(superblock.blockSize),
      mountPoints: device.mounts.map(({ mountPoint }) => mountPoint),
      facts: {
        blocks: superblock.blocks,
        journal: has(superblock, 'compat', compat.hasJournal),
        '64bit': has(superblock, 'incompat', incompat.wide),
        metaBg: has(superblock, 'incompat', incompat.metaBg),
        bigalloc: has(superblock, 'roCompat', roCompat.bigalloc),
        errorsRecorded: (superblock.state & 2) !== 0,
        ...(device.mounts.length > 0 ? {} : { checkFirst: needsCheck(superblock) }),
        kernel: snapshot.system.kernel,
      },
    }
  },

  grow(device, snapshot, context): Growth {
    const superblock = readSuperblock(device)
    const size = sizeOf(superblock, superblock.blocks)
    if (context.available < size) return refused(size, [truncated(device, size, context)])
    if (device.mounts.length > 0) return growOnline(device, snapshot, context, superblock, device.mounts)
    const foreign = device.users?.foreignMounts.map(({ mount }) => mount) ?? []
    if (foreign.length > 0) return growElsewhere(device, snapshot, context, superblock, foreign)
    return growOffline(device, snapshot, context, superblock)
  },

  diagnose: diagnoseExt,
}

function sizeOf({ blockSize }: ExtSuperblock, blocks: bigint): Bytes {
  return bytes(blocks * BigInt(blockSize))
}

function refused(size: Bytes, findings: readonly Finding[]): Growth {
  return { after: size, findings, expect: [], commands: [], tools: [] }
}

function truncated(device: DeviceSnapshot, size: Bytes, { available }: GrowthContext): Finding {
  return blocker(
    'filesystem-larger-than-device',
    `The filesystem on ${device.path} spans ${formatSize(size)} (${size} bytes), its device only ${formatSize(available)} (${available} bytes).`,
    'Give the device its size back before anything writes to it: the end of the filesystem is missing.',
  )
}

/** The growth once it is known that there is one to do: with commands, unless a finding forbids them. */
function growth(
  device: DeviceSnapshot,
  snapshot: StorageSnapshot,
  superblock: ExtSuperblock,
  part: {
    readonly after: Bytes
    readonly findings: readonly Finding[]
    readonly commands: readonly ExecItem[]
    readonly tools: readonly ToolNeed[]
    readonly summary: string
  },
): Growth {
  if (!isAllowed(part.findings)) return { ...part, expect: [], commands: [], tools: part.tools }
  const uuid = { offset: uuidOffset, bytes: superblock.uuidBytes }
  return { ...part, expect: identityExpectations(device, snapshot, uuid) }
}

/** Nothing to do: neither a process nor a right is needed for that. */
function idle(device: DeviceSnapshot, superblock: ExtSuperblock, { available }: GrowthContext): Growth {
  const size = sizeOf(superblock, superblock.blocks)
  const left = available - size
  if (left === 0n) return refused(size, [])
  const message = `${formatSize(left)} at the end of ${device.path} is too little for the filesystem to use.`
  return refused(size, [finding('at-maximum', 'note', message)])
}

function isIdle(superblock: ExtSuperblock, prediction: Prediction): boolean {
  return prediction.limit === undefined && prediction.blocks === superblock.blocks
}

function growOnline(
  device: DeviceSnapshot,
  snapshot: StorageSnapshot,
  context: GrowthContext,
  superblock: ExtSuperblock,
  mounts: readonly MountSnapshot[],
): Growth {
  const prediction = predictOnline(superblock, context.available, snapshot.system.pageSize, snapshot.system.kernel)
  if (isIdle(superblock, prediction)) return idle(device, superblock, context)
  const findings = [
    ...commonFindings(device, superblock, prediction, context.available),
    ...heldFindings(device),
    ...onlineFindings(device, snapshot, superblock, prediction, mounts),
  ]
  // resize2fs takes the first mount of the device in /proc/mounts, and fails when that is a read-only one.
  const readOnlyFirst = readOnlyBeforeWritable(mounts)
  const lock = locksOf(device, snapshot)
  const plain = readOnlyFirst.length === 0
  if (!plain && !isCapable(snapshot, capability.sysAdmin)) findings.push(needsAdmin(device))
  return growth(device, snapshot, superblock, {
    after: sizeOf(superblock, prediction.blocks),
    findings,
    commands: [writing(plain ? ['resize2fs', device.path] : writableExtGrowth(device.path, readOnlyFirst), lock)],
    tools: plain ? [resize2fs] : [resize2fs, ...mountTools],
    summary: `resize2fs ${device.path} (online${plain ? '' : ', in a private mount namespace because its first mount is read-only'})`,
  })
}

function readOnlyBeforeWritable(mounts: readonly MountSnapshot[]): readonly string[] {
  const writable = mounts.findIndex(isWritable)
  return writable <= 0 ? [] : mounts.slice(0, writable).map(({ mountPoint }) => mountPoint)
}

/** A filesystem that only another mount namespace has mounted is grown online, by a second mount that the same superblock gets in a namespace of our own. */
function growElsewhere(
  device: DeviceSnapshot,
  snapshot: StorageSnapshot,
  context: GrowthContext,
  superblock: ExtSuperblock,
  mounts: readonly MountSnapshot[],
): Growth {
  const prediction = predictOnline(superblock, context.available, snapshot.system.pageSize, snapshot.system.kernel)
  if (isIdle(superblock, prediction)) return idle(device, superblock, context)
  const [mount] = mounts
  // A bind mount that is read-only does not matter here, only the filesystem's own state does: the second mount is one of its own.
  const superblocks = mounts.map((entry) => ({ ...entry, options: [] }))
  const findings = [
    ...commonFindings(device, superblock, prediction, context.available),
    ...heldFindings(device),
    ...onlineFindings(device, snapshot, superblock, prediction, superblocks),
    elsewhere(device),
  ]
  if (!isCapable(snapshot, capability.sysAdmin)) findings.push(needsAdmin(device))
  return growth(device, snapshot, superblock, {
    after: sizeOf(superblock, prediction.blocks),
    findings,
    commands: [writing(privateExtGrowth(device.path, mount?.type ?? superblock.type), locksOf(device, snapshot))],
    tools: [resize2fs, ...mountTools],
    summary: `resize2fs ${device.path} (online, by a second mount in a private mount namespace)`,
  })
}

function growOffline(
  device: DeviceSnapshot,
  snapshot: StorageSnapshot,
  context: GrowthContext,
  superblock: ExtSuperblock,
): Growth {
  const prediction = predictOffline(superblock, context.available, snapshot.system.pageSize)
  if (isIdle(superblock, prediction)) return idle(device, superblock, context)
  const owner = mmpOwner(device, superblock)
  const findings = [
    ...commonFindings(device, superblock, prediction, context.available),
    ...offlineFeatures(device, superblock, prediction),
    ...offlineFindings(device, snapshot, context, {
      nodes: owner === undefined ? [] : [owner],
      dirty: isDirty(superblock),
    }),
  ]
  const lock = locksOf(device, snapshot)
  const check = needsCheck(superblock)
  const checked = [writing(onPath(device.path, 'e2fsck', '-f', '-p'), lock, [0, 1])]
  return growth(device, snapshot, superblock, {
    after: sizeOf(superblock, prediction.blocks),
    findings,
    commands: [...(check ? checked : []), writing(onPath(device.path, 'resize2fs'), lock)],
    tools: check ? [e2fsck, resize2fs] : [resize2fs],
    summary: `${check ? `e2fsck -f -p ${device.path}, then ` : ''}resize2fs ${device.path} (offline)`,
  })
}

/** e2fsprogs takes what follows a question mark for options, and a path with an equals sign can be taken for a tag: such an image is named by a descriptor. */
function onPath(path: string, ...tool: readonly string[]): readonly string[] {
  if (!/[?=]/.test(path)) return [...tool, path]
  return ['sh', '-c', 'exec 3<"$1" || exit 8; shift; exec "$@" /proc/self/fd/3', 'sh', path, ...tool]
}

function heldFindings(device: DeviceSnapshot): readonly Finding[] {
  if (device.holders.length === 0) return []
  return [
    blocker(
      'in-use',
      `${device.path} is held by ${device.holders.join(', ')}: it is part of something else as well.`,
      'Grow what holds it instead.',
    ),
  ]
}

function elsewhere(device: DeviceSnapshot): Finding {
  const [user] = device.users?.foreignMounts ?? []
  return finding(
    'mounted-elsewhere',
    'note',
    `${device.path} is mounted only in the mount namespace of ${user?.command} (pid ${user?.pid}).`,
  )
}

function needsAdmin(device: DeviceSnapshot): Finding {
  return blocker(
    'permission-denied',
    `Growing ${device.path} needs a private mount and so the capability CAP_SYS_ADMIN, which is missing.`,
    'Run this as root on the host itself, or give the container or service that capability.',
  )
}
