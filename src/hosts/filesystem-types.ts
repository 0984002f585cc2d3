// statfs(2) magic numbers of filesystems whose files no other machine can write: they live on a block device, in memory, or (hostfs) in the one process that
// a user-mode kernel is. Cluster filesystems (GFS2, OCFS2) also live on a block device and are left out on purpose.
const localMagics: ReadonlySet<bigint> = new Set([
  0xef53n, // ext2, ext3, ext4
  0x58465342n, // XFS
  0x9123683en, // btrfs
  0x01021994n, // tmpfs
  0x858458f6n, // ramfs
  0x794c7630n, // overlay
  0xf2f52010n, // F2FS
  0x2fc12fc1n, // ZFS
  0x00c0ffeen, // hostfs
  0x3153464an, // JFS
  0x52654973n, // ReiserFS
  0x4d44n, // FAT
  0x2011bab0n, // exFAT
  0x7366746en, // NTFS (ntfs3)
  0xca451a4en, // bcachefs
  0x3434n, // NILFS
  0x24051905n, // UBIFS
])

/** tmpfs and ramfs: what is written there never reaches a disk's filesystem. */
export const memoryMagics: ReadonlySet<bigint> = new Set([0x01021994n, 0x858458f6n])

/** Whether files on a filesystem with this statfs magic belong to this host alone. Unknown types count as shared: NFS, SMB, Ceph, FUSE, 9p, virtiofs, Gluster … */
export function isLocalFilesystem(magic: bigint): boolean {
  return localMagics.has(magic)
}

const remoteTypes =
  /^(?:nfs|nfs4|cifs|smb3?|smbfs|ceph|9p|virtiofs|afs|coda|ncpfs|lustre|beegfs|orangefs|gfs2|ocfs2|autofs|fuse(?:\..*|blk)?)$/

/** Whether a mount of this type may hang when somebody else does: another machine, or a process in user space. */
export function mayHang(type: string): boolean {
  return remoteTypes.test(type)
}
