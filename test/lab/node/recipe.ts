/** What a guest is made of. Any change here makes another image. */
export interface Recipe {
  readonly suite: string
  readonly packages: readonly string[]
  /** Files of the root, by path. */
  readonly files: Readonly<Record<string, string>>
  /** Units that are not to start. */
  readonly masked: readonly string[]
  /** Units that start at boot, besides what the packages bring. */
  readonly enabled: readonly string[]
  /** Modules by which the first stage of the boot finds the root. */
  readonly bootModules: readonly string[]
  /** Who can log in with the lab's key, besides root. */
  readonly users: readonly GuestUser[]
}

export interface GuestUser {
  readonly name: string
  readonly password: string
  /** The end of the user's line in sudoers. */
  readonly sudo: string
}

/** QEMU's user network gives the one guest that it has this address. */
const network = `[Unit]
Description=Network of the lab
DefaultDependencies=no
Wants=sys-subsystem-net-devices-eth0.device
After=sys-subsystem-net-devices-eth0.device
Before=network.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/ip address add 10.0.2.15/24 dev eth0
ExecStart=/usr/sbin/ip link set eth0 up
ExecStart=/usr/sbin/ip route add default via 10.0.2.2

[Install]
WantedBy=multi-user.target
`

export const recipe: Recipe = {
  suite: 'bookworm',
  packages: [
    'busybox-static',
    'cloud-guest-utils',
    'cryptsetup-bin',
    'e2fsprogs',
    'fdisk',
    'gdisk',
    'iproute2',
    'linux-image-cloud-amd64',
    'lvm2',
    'multipath-tools',
    'openssh-server',
    'sudo',
    'systemd-sysv',
    'udev',
    'util-linux',
    'xfsprogs',
  ],
  files: {
    '/etc/hostname': 'node\n',
    '/etc/hosts': '127.0.0.1 localhost\n127.0.1.1 node\n',
    // Logs are in memory, so that nothing is written to the root but what a test writes.
    '/etc/fstab': 'LABEL=noderoot / ext4 noatime 0 0\ntmpfs /var/log tmpfs mode=755 0 0\n',
    '/etc/systemd/journald.conf.d/lab.conf': '[Journal]\nStorage=volatile\nForwardToConsole=no\n',
    '/etc/systemd/system/lab-network.service': network,
    // The module is loaded, and the daemon started, where they are wanted: every boot would wait for them.
    '/etc/modules-load.d/multipath.conf': '',
    // Two paths are needed, as by default, before a disk becomes a map: all other disks stay what they are.
    '/etc/multipath.conf': 'defaults {\n  find_multipaths yes\n  user_friendly_names no\n}\n',
    '/etc/ssh/sshd_config.d/lab.conf': 'UseDNS no\nPrintMotd no\nPrintLastLog no\nMaxSessions 100\nMaxStartups 100\n',
  },
  masked: [
    'apt-daily-upgrade.timer',
    'apt-daily.timer',
    'blk-availability.service',
    'dev-hugepages.mount',
    'dev-mqueue.mount',
    'dpkg-db-backup.timer',
    'e2scrub_all.timer',
    'e2scrub_reap.service',
    'fstrim.timer',
    'getty-static.service',
    'getty.target',
    'kmod-static-nodes.service',
    'ldconfig.service',
    'lvm2-lvmpolld.socket',
    'modprobe@configfs.service',
    'modprobe@dm_mod.service',
    'modprobe@drm.service',
    'modprobe@efi_pstore.service',
    'modprobe@fuse.service',
    'modprobe@loop.service',
    'multipathd.service',
    'multipathd.socket',
    'proc-sys-fs-binfmt_misc.automount',
    'sys-fs-fuse-connections.mount',
    'sys-kernel-debug.mount',
    'sys-kernel-tracing.mount',
    'systemd-ask-password-console.path',
    'systemd-ask-password-wall.path',
    'systemd-binfmt.service',
    'systemd-boot-system-token.service',
    'systemd-firstboot.service',
    'systemd-hwdb-update.service',
    'systemd-initctl.socket',
    'systemd-journal-flush.service',
    'systemd-logind.service',
    'systemd-machine-id-commit.service',
    'systemd-pcrphase-sysinit.service',
    'systemd-pcrphase.service',
    'systemd-pstore.service',
    'systemd-random-seed.service',
    'systemd-remount-fs.service',
    'systemd-repart.service',
    'systemd-sysusers.service',
    'systemd-timesyncd.service',
    'systemd-tmpfiles-clean.timer',
    'systemd-update-done.service',
    'systemd-update-utmp-runlevel.service',
    'systemd-update-utmp.service',
  ],
  enabled: ['lab-network.service'],
  bootModules: ['virtio_pci', 'virtio_blk'],
  users: [
    { name: 'admin', password: 'admin', sudo: 'ALL=(ALL:ALL) NOPASSWD: ALL' },
    { name: 'deputy', password: `it's "a" $word`, sudo: 'ALL=(ALL:ALL) ALL' },
    { name: 'visitor', password: 'visitor', sudo: 'ALL=(ALL:ALL) !ALL' },
  ],
}
