#!/bin/sh
# Started once by init: what a system needs before agent and service run.
. /etc/everboot/start.conf
export PATH=/bin
say() { echo "init: $1"; }
partition() { sed -n 's/^DEVNAME=/\/dev\//p' "$(grep -lx "PARTNAME=$1" /sys/class/block/*/uevent | head -n 1)"; }

. /etc/os-release
say "$PRETTY_NAME, slot $(sed -n 's/.*everboot.slot=\(.\).*/\1/p' /run/everboot/cmdline)"
mount -t tmpfs -o mode=1777,size=32m tmp /tmp
if [ "$HANG" = yes ]; then
  say 'waits for a device that never appears'
  while :; do sleep 1000; done
fi
for module in $(cat /etc/modules); do insmod "/lib/modules/$module"; done
ifconfig lo up
ifconfig eth0 10.0.2.15 netmask 255.255.255.0 up && route add default gw 10.0.2.2
host=$(sed -n 's/^.*\beverboot.host=\([A-Za-z0-9._-]*\).*$/\1/p' /proc/cmdline)
printf '10.0.2.2 %s\n127.0.0.1 localhost\n' "${host:-host}" >/run/hosts
mkdir -p /dev/everboot
ln -s "$(partition record)" /dev/everboot/boot
ln -s "$(partition a)" /dev/everboot/slot-a
ln -s "$(partition b)" /dev/everboot/slot-b
mount -t ext4 -o rw,noatime "$(partition data)" /data || say 'the data partition cannot be mounted'
mkdir -p /data/everboot/state
say 'started'
