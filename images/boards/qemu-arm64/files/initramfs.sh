#!/bin/sh
# Process 1 of the initramfs: arms the watchdog, believes the seal of the slot or resets, opens the image through
# dm-verity, hands over. The loader has counted a try for this boot already, so a reset here is a try burnt.
export PATH=/bin EB_KEYS=/etc/seal-keys OPENSSL_CONF=/dev/null
. /etc/seal.sh

say() { echo "initramfs: $1"; }
refuse() { say "slot $slot is refused: $1"; sleep 1; reboot -f; sleep 60; }
word() { sed -n "s/^.*\b$1=\([A-Za-z0-9._-]*\).*\$/\1/p" /proc/cmdline; }
# The block device of the partition with name $1 in the partition table.
partition() { sed -n 's/^DEVNAME=/\/dev\//p' "$(grep -lx "PARTNAME=$1" /sys/class/block/*/uevent | head -n 1)"; }

mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
slot=$(word everboot.slot)
for module in $(cat /etc/modules); do
  case $module in
    */softdog.ko) insmod "/lib/modules/$module" soft_margin="$(word everboot.watchdog)" ;;
    *) insmod "/lib/modules/$module" ;;
  esac || say "$module cannot be loaded"
done
# Closed without its magic letter the watchdog stays armed; only the agent pets it from here on.
echo >/dev/watchdog || say 'there is no watchdog'

case $slot in a | b) ;; *) refuse 'the loader did not say which slot it is' ;; esac
tries=0
until [ -e /sys/class/block/vda ] || [ "$tries" -ge 50 ]; do sleep 0.1; tries=$((tries + 1)); done
device=$(partition "$slot") record=$(partition record)
[ -b "$device" ] && [ -b "$record" ] || refuse 'its partition is missing'

mount -t tmpfs -o mode=0755,size=16m run /run; mkdir /run/everboot /run/check
sectors=$(cat "/sys/class/block/${device#/dev/}/size")
dd if="$device" of=/run/check/seal bs=512 skip=$((sectors - 128)) count=128 2>/dev/null
dd if="$record" of=/run/check/copy0 bs=64k count=1 2>/dev/null
dd if="$record" of=/run/check/copy1 bs=64k skip=16 count=1 2>/dev/null
dd if="$record" of=/run/check/stamp bs=4k skip=512 count=1 2>/dev/null
say "reads the seal after $(cut -d ' ' -f 1 /proc/uptime) s"
read_seal /run/check/seal rootfs /run/check || refuse "$why"
read_floor /run/check/copy0 /run/check/copy1 /run/check/stamp
[ "$seal_sv" -ge "$floor" ] || refuse "$seal_release has security version $seal_sv, the floor is $floor"
[ "$seal_padded" -le $((sectors * 512 - 65536)) ] || refuse "$seal_release is larger than its partition"
say "slot $slot holds $seal_release, security version $seal_sv, floor $floor"

blocks=$((seal_padded / 4096))
# A block that does not hash as sealed resets the board; the tries of the slot then run out.
dmsetup create everboot --readonly --noudevsync --noudevrules --table \
  "0 $((seal_padded / 512)) verity 1 $device $device 4096 4096 $blocks $blocks sha256 $seal_root - 1 restart_on_corruption" \
  >/dev/null || refuse 'dm-verity cannot be opened'
mount -t ext4 -o ro,noload /dev/dm-0 /root || refuse 'its file system cannot be mounted'

say "hands over after $(cut -d ' ' -f 1 /proc/uptime) s"
boot=$(tr -d - </proc/sys/kernel/random/boot_id | cut -c 1-16)
echo "everboot.slot=$slot everboot.boot=boot-$boot" >/run/everboot/cmdline
rm -r /run/check
for it in run dev proc sys; do mount --move "/$it" "/root/$it"; done
exec switch_root /root /sbin/init
