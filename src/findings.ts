import type { Where } from './where.ts'

/**
 * Everything that observing and planning can find, with what it means. Codes are part of the API. Which of them a request may accept is said by
 * {@link acceptableCodes}.
 */
export const findingCodes = {
  // The request
  'invalid-request': 'The request contradicts itself, or the world that it names.',
  'not-found': 'The volume, device or path does not exist.',
  ambiguous: 'More than one device or layer fits; the library does not guess.',
  'would-shrink': 'What was asked for is smaller than what is there. Nothing is ever made smaller.',
  'above-max': 'The size that is already there is at or above `max`.',
  'device-too-small':
    'The device ends before the size that was asked for, and no volume was given that could be grown.',
  // The backend
  'limit-exceeded': 'The size is above a limit of the backend, the partition table or the filesystem.',
  'dated-limit':
    'The size is above a limit that the library knows from a dated source and that the backend may have raised since.',
  'quota-exceeded': 'The size is above a quota.',
  'pool-full': 'The storage behind the volume has no room for it.',
  'too-soon': 'The backend allows the next change only later.',
  'wrong-state': 'The volume is in a state in which it cannot be grown.',
  'owned-elsewhere': 'Another system owns the volume; grown behind its back, its records would lie.',
  'offline-only': 'The backend cannot grow the volume while it is in use.',
  'not-visible-by-itself': 'The hosts that use the volume do not see its new size without a further step.',
  'growth-not-passed-on':
    'The volume has grown at its backend, and the machine that uses it was not told: its device still has the old size.',
  'file-size-limit': 'One file cannot become as large as the volume: it has to fit into one part of it.',
  'quota-remains': 'A quota within the volume is lower than what the volume would allow, and stays as it is.',
  'half-done': 'An earlier change was left half done, and has to be finished or undone.',
  // Rights, tools, kernels
  'permission-denied': 'A right is missing.',
  'tool-missing': 'A program is missing on the host.',
  'kernel-too-old': "The host's kernel has a known fault in the growth that would be needed.",
  // Identity
  'identity-mismatch': 'A serial, a size or another mark does not fit the volume: it may be the wrong disk.',
  // What is on the device
  'no-filesystem': 'The device is blank: there is nothing to grow on it.',
  'unknown-content': 'What the device holds was not recognised, so growing it is refused.',
  'unhandled-content': 'The device belongs to something that is recognised and not handled (md, DRBD, ZFS, swap …).',
  'ambiguous-content': 'The device carries the marks of more than one kind of content.',
  'read-only': 'The device, the mount or the filesystem is read-only.',
  'filesystem-damaged': 'The filesystem has recorded errors, or its superblock does not fit its checksum.',
  'backup-superblocks-behind':
    'Backup superblocks of XFS are of before its last growth, which a power cut ended: data and mounts are unharmed, a repair would be misled.',
  'filesystem-larger-than-device': 'The filesystem is larger than its device: the device was truncated.',
  'unsupported-feature': 'The filesystem or a layer below it has a feature with which this growth is not possible.',
  'duplicate-uuid':
    'Something else on the host has the same UUID: another mounted filesystem, physical volume or volume group.',
  'at-maximum': 'What is left on the device is too little for the filesystem to use.',
  'ext4-meta-bg-conversion': 'The growth converts the filesystem to meta_bg: a permanent change of its features.',
  'extents-elsewhere':
    'The logical volume would take room of a physical volume other than those that grow, which may be slower or be meant for something else.',
  'ext4-lazy-init': 'The kernel goes on initialising inode tables in the background after the growth.',
  // Between the device and the filesystem
  'partition-not-last': 'Something lies behind the partition, so that it cannot become larger.',
  'partition-table-damaged':
    'The partition table contradicts itself, its copy, its checksums or what the kernel shows: nothing is written to it.',
  'layer-inactive': 'A layer that is in the way is not open or not active: a closed LUKS, an inactive volume group.',
  'key-needed': 'An encrypted layer cannot grow without its key, and the request brought none.',
  'key-rejected': 'The key that the request brought does not open the encrypted layer.',
  // Offline writes
  'needs-offline':
    'The growth would write to a filesystem that is not mounted, which the request has to allow with `offline: true`.',
  'in-use':
    'The filesystem is not mounted here, but something uses the device: an attachment, a holder, an open descriptor, another host.',
  'exclusivity-unknown':
    'Nothing shows that the device is not in use elsewhere, and an offline write to a device in use destroys data.',
  'offline-not-crash-safe': 'A power cut during an offline growth can lose data, whichever tool does it.',
  'mounted-elsewhere': 'The filesystem is mounted only in another mount namespace, such as a container.',
  // Kubernetes
  'claim-not-bound': 'The claim has no volume yet, so there is nothing to grow.',
  'expansion-not-allowed': 'The storage class of the claim does not allow its growth.',
  'cluster-feature-off': 'A feature gate or an admission plug-in that growth needs is off in the cluster.',
  'served-by-cluster': 'The cluster grows this volume itself; two that grow it would contradict each other.',
  'infeasible-size': 'The cluster has found that the size that the claim asks for can never be reached.',
  'pod-needed': 'The rest of the growth is done on a node, once a pod mounts the claim there.',
  'request-behind':
    'The claim will have more than it asks for, because the cluster does not let the request be raised.',
  'workload-stops': 'A workload is stopped while its volume grows, and started again afterwards.',
  'cluster-driver': 'Who grows the volume of the claim, and why.',
  // What remains
  'backend-only': 'No host was given: devices and filesystems were neither looked at nor grown.',
  'thin-overcommit': 'The storage behind the volume is promised more often than it is there.',
  'not-detached': 'A growth tool could not be moved out of the control group of its caller, and would end with it.',
} as const

export type FindingCode = keyof typeof findingCodes

/** Findings that a request may accept: permanent side effects, and limits that may have been raised. Never shrinking, identity or corruption. */
export type AcceptableCode = 'ext4-meta-bg-conversion' | 'dated-limit' | 'owned-elsewhere' | 'extents-elsewhere'

export const acceptableCodes: readonly AcceptableCode[] = [
  'ext4-meta-bg-conversion',
  'dated-limit',
  'owned-elsewhere',
  'extents-elsewhere',
]

/** `blocker`: the plan will not be run. `warning`: it will, and somebody should know. `note`: worth a line in the plan. */
export type Severity = 'blocker' | 'warning' | 'note'

export interface Finding {
  readonly code: FindingCode
  readonly severity: Severity
  readonly layer: Where
  /** The layer's id in the plan, where the finding is about one. */
  readonly target?: string
  readonly message: string
  readonly remedy?: string
  /** True once the request has accepted a finding that would otherwise block. */
  readonly accepted?: boolean
}

const acceptable: ReadonlySet<FindingCode> = new Set<FindingCode>(acceptableCodes)

/** Lowers the blockers that the request accepts to warnings; what cannot be accepted stays a blocker, whatever the request says. */
export function applyAcceptance(findings: readonly Finding[], accept: readonly AcceptableCode[]): readonly Finding[] {
  const accepted = new Set<FindingCode>(accept.filter((code) => acceptable.has(code)))
  return findings.map((finding) =>
    finding.severity === 'blocker' && accepted.has(finding.code)
      ? { ...finding, severity: 'warning', accepted: true }
      : finding,
  )
}
