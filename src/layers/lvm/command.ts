/**
 * What hosts ask LVM, read-only and without its lock, when a device carries LVM's mark. The columns are named, because their defaults are the host's configuration, and few,
 * because output is cut at 64 KiB. Duplicate physical volumes are in no column of this report: LVM warns of them, and its log can be part of the report
 * (lvmreport(7)).
 */
export const lvmReport: readonly string[] = [
  'lvm',
  'fullreport',
  '--readonly',
  ...['--reportformat', 'json', '--units', 'b', '--nosuffix'],
  ...['--config', 'log { report_command_log=1 }'],
  ...[
    '--configreport',
    'vg',
    '-o',
    'vg_uuid,vg_name,vg_exported,vg_partial,vg_clustered,vg_shared,vg_permissions,vg_extent_size,vg_allocation_policy',
  ],
  ...[
    '--configreport',
    'pv',
    '-o',
    'pv_uuid,pv_name,pv_major,pv_minor,pe_start,pv_pe_count,pv_pe_alloc_count,pv_mda_count,pv_allocatable,pv_missing,pv_duplicate',
  ],
  ...['--configreport', 'lv', '-o', 'lv_uuid,lv_name,lv_size,lv_attr,lv_allocation_policy'],
  ...['--configreport', 'seg', '-o', 'lv_uuid,segtype,stripes,seg_start_pe,seg_pe_ranges'],
  ...['--configreport', 'pvseg', '-o', 'pv_uuid'],
]
