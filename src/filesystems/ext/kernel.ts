/**
 * Since when a fault of online growth is mended: the mainline release, and the first release of each stable series that has the fix. `debian` holds the ABI numbers of
 * Debian's kernels, whose release says `6.1.0-20` where upstream says 6.1.85.
 */
interface Fix {
  readonly mainline: readonly [number, number]
  readonly stable: Readonly<Record<string, number>>
  readonly debian: Readonly<Record<string, number>>
  /** Releases below have no such fault. */
  readonly since: readonly [number, number]
}

/** Commit a6b3bfe176e8; the versions are those of the CVE record CVE-2024-35807, the ABI numbers those of Debian's package changelogs. */
export const metaBgFix: Fix = {
  since: [3, 7],
  mainline: [6, 9],
  stable: { '4.19': 312, '5.4': 274, '5.10': 215, '5.15': 154, '6.1': 84, '6.6': 24, '6.7': 12, '6.8': 3 },
  debian: { '5.10': 29, '6.1': 20 },
}

/** "ext4: enable meta_bg only when new desc blocks are needed" of Linux 6.7: before, every growth without resize_inode converted. Seen so with 6.1.176. */
export const lateConversion: Fix = { since: [3, 7], mainline: [6, 7], stable: {}, debian: {} }

/** "ext4: avoid resizing to a partial cluster size"; the versions are those of the CVE record CVE-2022-50020. */
export const partialClusterFix: Fix = {
  since: [4, 15],
  mainline: [6, 0],
  stable: { '4.19': 256, '5.4': 211, '5.10': 138, '5.15': 63, '5.19': 4 },
  debian: {},
}

/**
 * Whether a kernel of this release is known to have the fix. A distribution's kernel that names only the first release of its series (`5.14.0-427.el9`) may have it
 * without showing it: `false`, because not knowing is no licence to risk data.
 */
export function hasFix(release: string, fix: Fix): boolean {
  const match = /^(\d+)\.(\d+)(?:\.(\d+))?(.*)$/.exec(release)
  if (match === null) return false
  const [major, minor, patch] = [Number(match[1]), Number(match[2]), Number(match[3] ?? '0')]
  if (!before(major, minor, fix.mainline) || before(major, minor, fix.since)) return true
  const series = `${major}.${minor}`
  const needed = fix.stable[series]
  if (needed !== undefined && patch >= needed) return true
  const abi = /^-(\d+)-(?:[a-z]+-)*(?:amd64|arm64|armmp|686|686-pae|ppc64el|s390x|riscv64)$/.exec(match[4] ?? '')
  const neededAbi = fix.debian[series]
  return patch === 0 && abi !== null && neededAbi !== undefined && Number(abi[1]) >= neededAbi
}

function before(major: number, minor: number, [otherMajor, otherMinor]: readonly [number, number]): boolean {
  return major < otherMajor || (major === otherMajor && minor < otherMinor)
}
