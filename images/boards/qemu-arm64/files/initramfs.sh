#!/bin/sh
# Process 1 of the initramfs: arms the watchdog, believes the seal of the slot or resets, opens the image through
# dm-verity, hands over. The loader has counted a try for this boot already, so a reset here is a try burnt.
export PATH=/bin EB_KEYS=/etc/seal-keys OPENSSL_CONF=/dev/null
. /etc/seal.sh
. /etc/slot.sh

leave() { sleep 1; reboot -f; sleep 60; }
# The block device of the partition with name $1 in the partition table.
partition() { sed -n 's/^DEVNAME=/\/dev\//p' "$(grep -lx "PARTNAME=$1" /sys/class/block/*/uevent | head -n 1)"; }

begin
slot=$(word everboot.slot)
load_modules "$(word everboot.watchdog)"
arm_watchdog

case $slot in a | b) ;; *) refuse 'the loader did not say which slot it is' ;; esac
tries=0
until [ -e /sys/class/block/vda ] || [ "$tries" -ge 50 ]; do sleep 0.1; tries=$((tries + 1)); done
say "reads the seal after $(cut -d ' ' -f 1 /proc/uptime) s"
know_floor "$(partition record)"
check_slot "$(partition "$slot")" || refuse "$why"
open_image
hand_over
