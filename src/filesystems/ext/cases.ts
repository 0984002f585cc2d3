import type { Finding } from '../../findings.ts'
import type { DeviceSnapshot, MountSnapshot, StorageSnapshot } from '../../hosts/host.ts'
import { formatSize } from '../../size.ts'
import { blocker, capability, finding, isCapable, isShutDown, isWritable } from '../prescription.ts'
import { groupsOf, has } from './geometry.ts'
import { hasFix, metaBgFix, partialClusterFix } from './kernel.ts'
import type { Prediction } from './predict.ts'
import { compat, type ExtSuperblock, incompat, roCompat, unknownFeatures } from './superblock.ts'

/** What holds online and offline alike. */
export function commonFindings(
  device: DeviceSnapshot,
  superblock: ExtSuperblock,
  prediction: Prediction,
  available: bigint,
): readonly Finding[] {
  const findings: Finding[] = []
  if (device.readOnly) {
    findings.push(blocker('read-only', `${device.path} is read-only.`, 'Make the device writable: blockdev --setrw.'))
  }
  const unknown = unknownFeatures(superblock)
  if (unknown.length > 0) {
    findings.push(
      blocker(
        'unsupported-feature',
        `The filesystem on ${device.path} has features that e2fsprogs 1.47 does not know: ${unknown.join(', ')}.`,
        'Grow it with the tools of the system that made it.',
      ),
    )
  }
  if (has(superblock, 'roCompat', roCompat.readOnly) || has(superblock, 'roCompat', roCompat.sharedBlocks)) {
    findings.push(
      blocker(
        'read-only',
        `The filesystem on ${device.path} was made to be read only (feature read-only or shared_blocks).`,
        'Make a new filesystem and copy its files.',
      ),
    )
  }
  if (prediction.limit !== undefined) {
    findings.push(
      blocker(
        'limit-exceeded',
        `The filesystem on ${device.path} cannot fill ${formatSize(available)}: ${prediction.limit}.`,
        has(superblock, 'incompat', incompat.wide)
          ? 'Make the volume no larger than that, or make a new filesystem with larger blocks.'
          : 'Make the volume no larger than that, or unmount it and convert it with resize2fs -b first.',
      ),
    )
  }
  return findings
}

export function onlineFindings(
  device: DeviceSnapshot,
  snapshot: StorageSnapshot,
  superblock: ExtSuperblock,
  prediction: Prediction,
  mounts: readonly MountSnapshot[],
): readonly Finding[] {
  const findings: Finding[] = []
  if (!mounts.some(isWritable)) {
    const what = mounts.some(({ superOptions }) => superOptions.includes('ro')) ? 'filesystem' : 'mount'
    findings.push(
      blocker(
        'read-only',
        `${mounts[0]?.mountPoint} is a read-only ${what}.`,
        'Find out why it is read-only (an error makes the kernel do it), then remount it writable.',
      ),
    )
  }
  if ((superblock.state & 2) !== 0 || mounts.some(isShutDown)) {
    findings.push(
      blocker(
        'filesystem-damaged',
        `The kernel has recorded errors in the filesystem on ${device.path}, and does not grow it.`,
        'Read the kernel log, unmount it and run e2fsck -f.',
      ),
    )
  }
  if (mounts.some(({ superOptions }) => superOptions.some((option) => /^sb=[1-9]/.test(option)))) {
    findings.push(
      blocker(
        'filesystem-damaged',
        `The filesystem on ${device.path} was mounted by a backup superblock, with which the kernel does not grow it.`,
        'Unmount it, run e2fsck -f and mount it normally.',
      ),
    )
  }
  if (mounts.every(({ type }) => type === 'ext2')) {
    findings.push(
      blocker(
        'unsupported-feature',
        `${mounts[0]?.mountPoint} is mounted as ext2, and the kernel's driver of that name cannot grow it.`,
        'Mount it with -t ext4, which needs no conversion; or unmount it and say `offline: true`.',
      ),
    )
  }
  findings.push(...onlineFeatures(device, superblock))
  if (!isCapable(snapshot, capability.sysResource)) {
    findings.push(
      blocker(
        'permission-denied',
        'Growing a mounted ext filesystem needs the capability CAP_SYS_RESOURCE, which is missing.',
        'Run this as root on the host itself, or give the container or service that capability.',
      ),
    )
  }
  return [...findings, ...growthFindings(device, snapshot, superblock, prediction, mounts)]
}

function onlineFeatures(device: DeviceSnapshot, superblock: ExtSuperblock): readonly Finding[] {
  const findings: Finding[] = []
  const resizeInode = has(superblock, 'compat', compat.resizeInode)
  if (has(superblock, 'compat', compat.sparseSuper2)) {
    findings.push(
      blocker(
        'unsupported-feature',
        `The filesystem on ${device.path} has the feature sparse_super2, with which no kernel grows it online.`,
        'Unmount it and say `offline: true`.',
      ),
    )
  }
  if (resizeInode && has(superblock, 'incompat', incompat.metaBg)) {
    findings.push(
      blocker(
        'unsupported-feature',
        `The filesystem on ${device.path} has resize_inode and meta_bg together, which the kernel takes for an error.`,
        'Unmount it and remove resize_inode: tune2fs -O ^resize_inode, then e2fsck -f.',
      ),
    )
  }
  if (!resizeInode && superblock.reservedGdtBlocks > 0) {
    findings.push(
      blocker(
        'filesystem-damaged',
        `The filesystem on ${device.path} has reserved descriptor blocks without the feature resize_inode.`,
        'Unmount it and run e2fsck -f.',
      ),
    )
  }
  return findings
}

/** What depends on how far it would be grown. */
function growthFindings(
  device: DeviceSnapshot,
  snapshot: StorageSnapshot,
  superblock: ExtSuperblock,
  prediction: Prediction,
  mounts: readonly MountSnapshot[],
): readonly Finding[] {
  const findings: Finding[] = []
  const { kernel } = snapshot.system
  if (prediction.sharesMetaGroup && !hasFix(kernel, metaBgFix)) {
    findings.push(
      blocker(
        'kernel-too-old',
        `Kernels before 6.9, 6.8.3, 6.6.24, 6.1.84 and 5.15.154 overwrite data when they grow a filesystem like that on ${device.path} across a meta block group (CVE-2024-35807), and ${kernel} does not show that it is mended.`,
        'Update the kernel, or unmount the filesystem and say `offline: true`.',
      ),
    )
  }
  if (prediction.partialCluster && !hasFix(kernel, partialClusterFix)) {
    findings.push(
      blocker(
        'kernel-too-old',
        `Kernels before 6.0, 5.15.63 and 5.10.138 stop when a bigalloc filesystem is grown to a size that is no multiple of its clusters (CVE-2022-50020), and ${kernel} does not show that it is mended.`,
        `Update the kernel, or make the volume a multiple of ${formatSize(BigInt(superblock.blockSize * superblock.clusterBlocks))}.`,
      ),
    )
  }
  if (prediction.converts) {
    findings.push(
      blocker(
        'ext4-meta-bg-conversion',
        `The filesystem on ${device.path} has no room reserved for more group descriptors: the kernel converts it to meta_bg, for ever.`,
        "Kernels since 3.7 and all of today's tools know meta_bg. Accept it with accept: ['ext4-meta-bg-conversion'], or grow less.",
      ),
    )
  }
  const checksums = roCompat.gdtChecksum | roCompat.metadataChecksum
  const moreGroups = groupsOf(superblock, prediction.blocks) > groupsOf(superblock, superblock.blocks)
  const initialises = !mounts.some(({ superOptions }) => superOptions.includes('noinit_itable'))
  if (moreGroups && initialises && has(superblock, 'roCompat', checksums)) {
    findings.push(
      finding(
        'ext4-lazy-init',
        'note',
        `The kernel goes on writing the inode tables of the new groups of ${device.path} in the background.`,
      ),
    )
  }
  return findings
}

export function offlineFeatures(
  device: DeviceSnapshot,
  superblock: ExtSuperblock,
  prediction: Prediction,
): readonly Finding[] {
  const findings: Finding[] = []
  if (prediction.exhaustsReserve) {
    findings.push(
      blocker(
        'unsupported-feature',
        `The filesystem on ${device.path} has no room reserved for so many group descriptors, and resize2fs has a fault that damages such a filesystem while it is unmounted (e2fsprogs issue 98).`,
        'Mount it and run this again, which grows it online, or grow it to less than that.',
      ),
    )
  }
  if (has(superblock, 'roCompat', roCompat.bigalloc)) {
    findings.push(
      blocker(
        'unsupported-feature',
        `resize2fs does not grow a filesystem with bigalloc such as that on ${device.path} while it is unmounted.`,
        'Mount it and run this again, which grows it online.',
      ),
    )
  }
  if ((superblock.state & 2) !== 0) {
    findings.push(
      finding(
        'filesystem-damaged',
        'warning',
        `The kernel has recorded errors in the filesystem on ${device.path}; e2fsck repairs first what it can without asking.`,
        'If you have no backup, make one before.',
      ),
    )
  }
  return findings
}

/** Whether it was not unmounted cleanly. */
export function isDirty(superblock: ExtSuperblock): boolean {
  return (superblock.state & 1) === 0 || has(superblock, 'incompat', incompat.recover)
}

/**
 * Whether resize2fs would ask for e2fsck first: errors, no clean unmount, mounted since the last check, a journal or orphans to be processed. A needless check does no
 * harm; a missing one only makes resize2fs refuse.
 */
export function needsCheck(superblock: ExtSuperblock): boolean {
  return (
    (superblock.state & 3) !== 1 ||
    superblock.lastCheck < superblock.mountTime ||
    superblock.lastOrphan !== 0 ||
    superblock.freeBlocks > superblock.blocks ||
    superblock.freeInodes > superblock.inodes ||
    has(superblock, 'incompat', incompat.recover) ||
    has(superblock, 'roCompat', roCompat.orphanPresent)
  )
}
