import { expect, test } from 'vitest'
import { isLocalFilesystem, mayHang } from '../../src/hosts/filesystem-types.ts'

test('what only this host can write is local', () => {
  for (const magic of [0xef53n, 0x58465342n, 0x01021994n, 0x794c7630n, 0x00c0ffeen])
    expect(isLocalFilesystem(magic)).toBe(true)
})

test('network, FUSE and unknown filesystems are not', () => {
  // NFS, SMB2, CIFS, Ceph, FUSE, 9p, GFS2, OCFS2, and none at all
  const shared = [
    0x6969n,
    0xfe534d42n,
    0xff534d42n,
    0x00c36400n,
    0x65735546n,
    0x01021997n,
    0x01161970n,
    0x7461636fn,
    0n,
  ]
  for (const magic of shared) expect(isLocalFilesystem(magic)).toBe(false)
})

test('mounts that depend on somebody else may hang', () => {
  for (const type of ['nfs4', 'cifs', 'fuse.sshfs', 'fuse', 'fuseblk', 'ceph', 'autofs'])
    expect(mayHang(type)).toBe(true)
  for (const type of ['xfs', 'ext4', 'tmpfs', 'fusectl', 'devtmpfs']) expect(mayHang(type)).toBe(false)
})
