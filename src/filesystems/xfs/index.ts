import type { Finding } from '../../findings.ts'
import type { DeviceSnapshot, ExpectItem, MountSnapshot, StorageSnapshot } from '../../hosts/host.ts'
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
  isShutDown,
  isWritable,
  locksOf,
  mountTools,
  privateXfsGrowth,
  writing,
} from '../prescription.ts'
import { backupsBehind } from './backups.ts'
import { diagnoseXfs } from './diagnose.ts'
import { measuredBlocks, predictBlocks } from './predict.ts'
import { isXfs, readSuperblock, superblockBytes, type XfsSuperblock } from './superblock.ts'

const uuidOffset = 32
const growfs: ToolNeed = { name: 'xfs_growfs', packages: 'xfsprogs' }
const harmless = ['nouuid', 'nosuid', 'nodev', 'noexec'] as const

/**
 * XFS, by `xfs_growfs -d` without a size (with one that the filesystem has outgrown meanwhile it would try to shrink it). XFS grows only while it is mounted; an
 * unmounted one is mounted in a namespace of its own for as long as it takes.
 */
export const xfs: FilesystemResizer = {
  name: 'xfs',

  detect(device) {
    return isXfs(superblockBytes(device))
  },

  measure(device): FilesystemState {
    const superblock = readSuperblock(device)
    const measured = measuredBlocks(device, superblock, mountsOf(device))
    const blocks = measured?.blocks ?? superblock.dataBlocks
    return {
      type: 'xfs',
      uuid: superblock.uuid,
      label: superblock.label,
      size: sizeOf(superblock, blocks),
      blockSize: bytes(superblock.blockSize),
      mountPoints: device.mounts.map(({ mountPoint }) => mountPoint),
      facts: {
        version: superblock.version,
        blocks,
        groupBlocks: superblock.groupBlocks,
        externalLog: superblock.externalLog,
        realtime: superblock.realtimeBlocks > 0n,
        measuredBy: measured?.by ?? 'superblock',
      },
    }
  },

  grow(device, snapshot, context): Growth {
    const superblock = readSuperblock(device)
    const mounts = mountsOf(device)
    const measured = measuredBlocks(device, superblock, mounts)
    const blocks = measured?.blocks ?? superblock.dataBlocks
    const size = sizeOf(superblock, blocks)
    if (context.available < size) return refused(size, [truncated(device, size, context)])
    if (measured === undefined) return refused(size, [unmeasurable(device, mounts)])
    const after = predictBlocks(superblock, blocks, context.available)
    const behind = backupsBehind(device, superblock, blocks)
    if (after === blocks) return idle(device, size, context, behind ? [misleading(device, superblock)] : [])
    const findings = [...commonFindings(device, snapshot, superblock), ...(behind ? [mendedByGrowth(device)] : [])]
    const goal = { superblock, after: sizeOf(superblock, after), findings }
    return mounts.length > 0 ? growOnline(device, snapshot, goal, mounts) : growOffline(device, snapshot, context, goal)
  },

  diagnose: diagnoseXfs,
}

interface Goal {
  readonly superblock: XfsSuperblock
  readonly after: Bytes
  readonly findings: readonly Finding[]
}

function mountsOf(device: DeviceSnapshot): readonly MountSnapshot[] {
  return device.mounts.length > 0 ? device.mounts : (device.users?.foreignMounts ?? []).map(({ mount }) => mount)
}

function sizeOf({ blockSize }: XfsSuperblock, blocks: bigint): Bytes {
  return bytes(blocks * BigInt(blockSize))
}

function refused(size: Bytes, findings: readonly Finding[]): Growth {
  return { after: size, findings, expect: [], commands: [], tools: [] }
}

function idle(device: DeviceSnapshot, size: Bytes, { available }: GrowthContext, findings: readonly Finding[]): Growth {
  const left = available - size
  if (left === 0n) return refused(size, findings)
  const message = `${formatSize(left)} at the end of ${device.path} is too little for another allocation group.`
  return refused(size, [...findings, finding('at-maximum', 'note', message)])
}

const behindSentence = 'An earlier growth was cut off before the backup superblocks'

/** The kernel writes all of them after any change of the geometry, also of one that is taken back (xfs_growfs_data in its fs/xfs/xfs_fsops.c). */
function misleading(device: DeviceSnapshot, { inodePercent }: XfsSuperblock): Finding {
  const [mount] = device.mounts
  const point = mount?.mountPoint ?? 'MOUNTPOINT'
  const other = inodePercent < 100 ? inodePercent + 1 : inodePercent - 1
  const way = `xfs_growfs -m ${other} ${point}, and then xfs_growfs -m ${inodePercent} ${point}`
  return finding(
    'backup-superblocks-behind',
    'warning',
    `${behindSentence} of the filesystem on ${device.path} were written: nothing of it is lost, but xfs_repair would go by them.`,
    `Do not run xfs_repair before they are written anew, which any change of the filesystem's parameters does: ${mount === undefined ? 'mount it, then ' : ''}${way}.`,
  )
}

function mendedByGrowth({ path }: DeviceSnapshot): Finding {
  const message = `${behindSentence} of the filesystem on ${path} were written: this growth writes them.`
  return finding('backup-superblocks-behind', 'note', message)
}

function truncated(device: DeviceSnapshot, size: Bytes, { available }: GrowthContext): Finding {
  return blocker(
    'filesystem-larger-than-device',
    `The filesystem on ${device.path} spans ${formatSize(size)} (${size} bytes), its device only ${formatSize(available)} (${available} bytes).`,
    'Give the device its size back before anything writes to it: the end of the filesystem is missing.',
  )
}

function unmeasurable(device: DeviceSnapshot, mounts: readonly MountSnapshot[]): Finding {
  return blocker(
    'unsupported-feature',
    `The size of the mounted filesystem on ${device.path} could not be measured at ${mounts.map(({ mountPoint }) => mountPoint).join(', ')}: a quota on its root or another mount covers it.`,
    'Mount it a second time where nothing covers it, or take the project quota off its root directory.',
  )
}

function commonFindings(
  device: DeviceSnapshot,
  snapshot: StorageSnapshot,
  superblock: XfsSuperblock,
): readonly Finding[] {
  const findings: Finding[] = []
  if (device.readOnly) {
    findings.push(blocker('read-only', `${device.path} is read-only.`, 'Make the device writable: blockdev --setrw.'))
  }
  if (superblock.needsRepair) {
    findings.push(
      blocker(
        'filesystem-damaged',
        `The filesystem on ${device.path} is marked as needing repair.`,
        'Unmount it and run xfs_repair.',
      ),
    )
  }
  if (superblock.unknownIncompat !== 0) {
    findings.push(
      blocker(
        'unsupported-feature',
        `The filesystem on ${device.path} has features that are not known: incompat 0x${superblock.unknownIncompat.toString(16)}.`,
        'Grow it with the tools of the system that made it.',
      ),
    )
  }
  if (device.holders.length > 0) {
    findings.push(
      blocker(
        'in-use',
        `${device.path} is held by ${device.holders.join(', ')}: it is part of something else as well.`,
        'Grow what holds it instead.',
      ),
    )
  }
  if (!isCapable(snapshot, capability.sysAdmin)) {
    findings.push(
      blocker(
        'permission-denied',
        'Growing XFS needs the capability CAP_SYS_ADMIN, which is missing.',
        'Run this as root on the host itself, or give the container or service that capability.',
      ),
    )
  }
  return findings
}

function growOnline(
  device: DeviceSnapshot,
  snapshot: StorageSnapshot,
  goal: Goal,
  mounts: readonly MountSnapshot[],
): Growth {
  const findings = [...goal.findings, ...mountFindings(device, mounts)]
  const direct = device.mounts.find((mount) => isWritable(mount) && mount.root === '/')
  const lock = locksOf(device, snapshot)
  if (!isAllowed(findings)) return { after: goal.after, findings, expect: [], commands: [], tools: [growfs] }
  const expect = expectations(device, snapshot, goal.superblock)
  if (direct === undefined) {
    // Only a part of it is mounted here, or it is mounted in another namespace: a second mount of the same superblock has the root.
    const options = quotaOptions(goal.superblock)
    return {
      after: goal.after,
      findings,
      expect,
      commands: [writing(privateXfsGrowth(device.path, [...harmless, ...options]), lock)],
      tools: [growfs, ...mountTools],
      summary: `xfs_growfs on ${device.path} (online, by a second mount in a private mount namespace)`,
    }
  }
  return {
    after: goal.after,
    findings,
    expect: [...expect, rootExpectation(direct, goal.superblock)],
    commands: [writing(['xfs_growfs', '-d', direct.mountPoint], lock)],
    tools: [growfs],
    summary: `xfs_growfs on ${direct.mountPoint} (online)`,
  }
}

function mountFindings(device: DeviceSnapshot, mounts: readonly MountSnapshot[]): readonly Finding[] {
  const findings: Finding[] = []
  const here = device.mounts.length > 0
  // In another namespace only the filesystem's own state counts: the second mount is one of its own.
  const candidates = here ? mounts : mounts.map((mount) => ({ ...mount, options: [] }))
  if (!candidates.some(isWritable)) {
    findings.push(
      blocker(
        'read-only',
        `The filesystem on ${device.path} is mounted read-only at ${mounts.map(({ mountPoint }) => mountPoint).join(', ')}.`,
        'Find out why it is read-only, then remount it writable.',
      ),
    )
  }
  if (mounts.some(isShutDown)) {
    findings.push(
      blocker(
        'filesystem-damaged',
        `The kernel has shut the filesystem on ${device.path} down after an error.`,
        'Read the kernel log, unmount it and run xfs_repair.',
      ),
    )
  }
  if (!here) {
    const [user] = device.users?.foreignMounts ?? []
    findings.push(
      finding(
        'mounted-elsewhere',
        'note',
        `${device.path} is mounted only in the mount namespace of ${user?.command} (pid ${user?.pid}).`,
      ),
    )
  }
  return findings
}

function growOffline(device: DeviceSnapshot, snapshot: StorageSnapshot, context: GrowthContext, goal: Goal): Growth {
  const { superblock } = goal
  const findings = [...goal.findings, ...offlineFindings(device, snapshot, context)]
  if (superblock.externalLog || superblock.realtimeBlocks > 0n) {
    findings.push(
      blocker(
        'unsupported-feature',
        `The filesystem on ${device.path} has a log or a realtime section on another device, which has to be named to mount it.`,
        'Mount it and run this again, which grows it online.',
      ),
    )
  }
  if (!isAllowed(findings)) return { after: goal.after, findings, expect: [], commands: [], tools: [growfs] }
  const options = [...harmless, ...quotaOptions(superblock), ...(device.kind === 'image' ? ['loop'] : [])]
  return {
    after: goal.after,
    findings,
    expect: expectations(device, snapshot, superblock),
    commands: [writing(privateXfsGrowth(device.path, options), locksOf(device, snapshot))],
    tools: [growfs, ...mountTools],
    summary: `xfs_growfs on ${device.path} (offline, by a mount in a private mount namespace)`,
  }
}

/**
 * XFS forgets that its quotas were checked when it is mounted without them, and checks them at length at the next mount: they are asked for as they were. Version 4 kept
 * one bit (0x10) for the enforcement of group and project quotas.
 */
function quotaOptions({ quotaFlags }: XfsSuperblock): readonly string[] {
  const rows = [
    { accounted: 0x0001, enforced: 0x0002, option: 'u' },
    { accounted: 0x0040, enforced: 0x0090, option: 'g' },
    { accounted: 0x0008, enforced: 0x0210, option: 'p' },
  ] as const
  return rows
    .filter(({ accounted }) => (quotaFlags & accounted) !== 0)
    .map(({ enforced, option }) => ((quotaFlags & enforced) === 0 ? `${option}qnoenforce` : `${option}quota`))
}

function expectations(
  device: DeviceSnapshot,
  snapshot: StorageSnapshot,
  { uuidBytes }: XfsSuperblock,
): readonly ExpectItem[] {
  return identityExpectations(device, snapshot, { offset: uuidOffset, bytes: uuidBytes })
}

/** That the mount point still is the root of this filesystem: the tool is given a directory, and would grow whatever else covers it. */
function rootExpectation({ mountPoint, dev }: MountSnapshot, { rootInode }: XfsSuperblock): ExpectItem {
  return { expect: { read: 'stat', path: mountPoint }, equals: `${dev}:${rootInode}:0:0` }
}
