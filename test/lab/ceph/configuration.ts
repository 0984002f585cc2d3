import { join } from 'node:path'

/** `cinder` as OpenStack has it; `reader` may look and nothing else. */
export const users = ['cinder', 'reader'] as const
export type User = (typeof users)[number]

/** Names of the parts in the register. */
export const daemons = { mon: 'ceph-mon', mgr: 'ceph-mgr', osd: 'ceph-osd' } as const

export function keyringOf(directory: string, user: User | 'admin'): string {
  return join(directory, `ceph.client.${user}.keyring`)
}

/** Bytes of the file that the OSD keeps its objects in: sparse. */
const osdSize = 10 * 2 ** 30

/** One of everything, on loopback; what it warns about for being alone is turned off, so that its health means something. */
export function configuration({ directory, fsid, addresses }: Readonly<Record<string, string>>): string {
  return `[global]
fsid = ${fsid}
mon_host = ${addresses}
mon_initial_members = a
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_ipv6 = false
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
auth_allow_insecure_global_id_reclaim = false
run_dir = ${directory}
crash_dir = ${directory}
log_file = ${directory}/$name.log
log_to_stderr = false
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 8
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_allow_pool_delete = true
mon_warn_on_pool_no_redundancy = false
mon_data_avail_warn = 1
mon_data_avail_crit = 0
[client]
keyring = ${directory}/ceph.$name.keyring
admin_socket =
[mon]
mgr_initial_modules = dashboard
[osd]
osd_objectstore = bluestore
bluestore_block_size = ${osdSize}
osd_memory_target = 1073741824
bdev_async_discard = false
`
}
