#!/bin/busybox sh
# The first stage of the guest's boot: finds the root by the serial of its disk, since other disks may be there as well, and goes over to it.
export PATH=/bin
/bin/busybox --install -s /bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
while read -r module; do insmod "/modules/$module"; done </modules/order
tries=0
while ! disk=$(grep -lsx lab-root /sys/block/*/serial); do
  tries=$((tries + 1))
  [ "$tries" -lt 600 ] || exec poweroff -f
  sleep 0.1
done
disk=${disk%/serial}
disk=/dev/${disk##*/}1
while ! [ -b "$disk" ]; do sleep 0.1; done
mount -t ext4 -o rw,noatime "$disk" /root || exec poweroff -f
mount --move /dev /root/dev
umount /proc /sys
exec switch_root /root /sbin/init
