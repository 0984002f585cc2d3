// Debian packages for what needs real tools. Builtins only, because the CI script uses it before anything is installed.
import { spawnSync } from 'node:child_process'
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

const tries = 3

const isInstalled = (name) => {
  const { stdout } = spawnSync('dpkg-query', ['-s', name], { encoding: 'utf8' })
  return /^Status: .* installed$/m.test(stdout ?? '')
}

function apt(...args) {
  const { status, error } = spawnSync('apt-get', ['-o', 'DPkg::Lock::Timeout=300', ...args], {
    stdio: ['ignore', 2, 2],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  })
  if (error) throw new Error(`apt-get cannot be run: ${error.message}`)
  return status === 0
}

// Debian asks this program before it starts a service (101: do not). Nobody asked for services that run by themselves and listen on every address.
const policy = '/usr/sbin/policy-rc.d'

function forbidServices() {
  if (existsSync(policy)) return () => {}
  writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  return () => rmSync(policy, { force: true })
}

/** Installs those of the packages that are missing, saying so. Rejects with what a person has to do when that is not possible. */
export async function ensureSystemPackages(names) {
  const missing = names.filter((name) => !isInstalled(name))
  if (missing.length === 0) return
  if (process.getuid() !== 0) {
    throw new Error(`These Debian packages are missing, and only root can install them: ${missing.join(' ')}`)
  }
  console.error(`Installing Debian packages: ${missing.join(' ')}`)
  const release = forbidServices()
  try {
    for (let attempt = 1; attempt <= tries; attempt++) {
      if (apt('update') && apt('install', '-y', '--no-install-recommends', ...missing)) return
      if (attempt < tries) await sleep(10_000 * attempt)
    }
  } finally {
    release()
  }
  throw new Error(`apt-get could not install ${missing.join(' ')}`)
}

/** What the real tests need: tools of the filesystems, a kernel with every capability as a process, and an emulated machine to reach over SSH. */
export const realTestPackages = [
  ...['e2fsprogs', 'xfsprogs', 'util-linux', 'mount', 'kmod', 'user-mode-linux', 'fdisk'],
  ...['lvm2', 'thin-provisioning-tools', 'cryptsetup-bin', 'dmsetup'],
  ...['qemu-system-x86', 'qemu-utils', 'qemu-block-extra', 'mmdebstrap', 'gdisk', 'openssh-client', 'openssl'],
  ...['openssh-server', 'sudo', 'perl-base', 'dash', 'busybox', 'fish', 'tcsh'],
]

/** The real storage backends. */
export const backendPackages = [
  // Ceph, with its dashboard
  ...['ceph-mon', 'ceph-mgr', 'ceph-osd', 'ceph-common', 'ceph-mgr-dashboard'],
  // OpenStack Keystone and Cinder, and what they stand on
  ...['keystone', 'cinder-api', 'cinder-scheduler', 'cinder-volume', 'uwsgi-plugin-python3', 'rabbitmq-server'],
  ...['mariadb-server', 'python3-rbd', 'python3-rados', 'sqlite3'],
  // GlusterFS
  ...['glusterfs-server', 'glusterfs-client', 'attr'],
  // What Kubernetes keeps its objects in
  'etcd-server',
]
