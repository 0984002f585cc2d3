#!/bin/bash
# PID 1 of the guest. Its directory, a copy of which lies beside this file, holds NUL-separated lists: `argv` and `env` of the job, `visible` and `writable`
# directories of the host; and `settings`. The root is the host's own tree, read-only; whatever the guest writes is in its memory.
directory=${0%/*}
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mountpoint -q /dev || mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/shm /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t devpts devpts /dev/pts
ln -sf /proc/self/fd /dev/fd
ln -sf /proc/self/fd/0 /dev/stdin
ln -sf /proc/self/fd/1 /dev/stdout
ln -sf /proc/self/fd/2 /dev/stderr

# Lists are read before anything covers the directory that they are in.
mapfile -d '' -t argv <"$directory/argv"
mapfile -d '' -t environment <"$directory/env"
mapfile -d '' -t visible <"$directory/visible"
mapfile -d '' -t writable <"$directory/writable"
. "$directory/settings"

mount -t tmpfs -o size=90% tmpfs /mnt
mkdir -p /mnt/.host /mnt/.modules/lib/modules
mount --bind / /mnt/.host
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
mkdir -p /run/lock /run/mount /mnt/tmp /mnt/home
for path in "${visible[@]}"; do
  case $path/ in
    /tmp/* | /run/* | /mnt/* | /dev/*)
      mkdir -p "$path"
      mount --bind "/mnt/.host$path" "$path"
      ;;
  esac
done
for path in "${writable[@]}"; do
  mkdir -p "$path"
  mount -t hostfs -o "$path" none "$path"
done

ln -s "/usr/lib/uml/modules/$(uname -r)" /mnt/.modules/lib/modules/
for module in loop dm-mod xfs; do modprobe -d /mnt/.modules "$module"; done
ip link set lo up

# The job's output has terminals of its own, apart from the kernel's, and byte for byte. Behind the pipes it sees no terminal.
for terminal in /dev/tty1 /dev/tty2; do stty -F "$terminal" raw -echo; done
cd "$cwd" || exit
{
  {
    env -i "${environment[@]}" setsid -w timeout -k 10 "$seconds" "${argv[@]}" </dev/null 2>&1 1>&3 3>&- | cat >/dev/tty2
    echo "${PIPESTATUS[0]}" >"$directory/status"
  } 3>&1 | cat >/dev/tty1
}
sync
echo o >/proc/sysrq-trigger
sleep 60
