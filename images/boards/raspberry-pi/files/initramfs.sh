#!/bin/sh
# Process 1 of the initramfs on a Raspberry Pi: learns from the firmware which slot it is, arms the watchdog, believes
# the seal of the slot or asks the firmware for the other one, opens the image through dm-verity, hands over.
# Kernel and initramfs were started unchecked by the firmware; the same bytes lie in both slots. docs/BOOT.md has the
# table that it plays, "The tryboot back end".
export PATH=/bin EB_KEYS=/etc/seal-keys OPENSSL_CONF=/dev/null
. /etc/seal.sh
. /etc/slot.sh
. /etc/count.sh
run_size=20% flags=/proc/device-tree/chosen/bootloader record=/dev/everboot/record

# In a shell of its own, since it sets what the own slot has set.
other_good() { [ -n "$slot" ] && (check_slot "/dev/everboot/root-$other"); }

# A kernel without Raspberry Pi's own reboot code ignores the number and starts the committed slot.
leave() {
  if other_good; then
    count_write "$record" "$other" 0
    say "asks the firmware for boot partition $other_boot"
    sleep 1; restart "$other_boot"
  else
    say 'EB-NO-SLOT: there is no other slot to start'
    sleep 10
  fi
  reboot -f; sleep 60
}

# A 32-bit number of the device tree as hex, or nothing.
cell() { [ -e "$1" ] && od -An -v -tx1 "$1" | tr -d ' \n'; }

# Sets `disk` to the one with our mark in its partition table; the kind that the firmware started from comes first.
find_disk() {
  case $(cell $flags/boot-mode) in 00000004 | 00000005) first=sd ;; 00000006) first=nvme ;; *) first=mmcblk ;; esac
  for kind in $first mmcblk nvme sd; do
    for it in /sys/block/"$kind"*; do
      disk=/dev/${it##*/}
      [ -b "$disk" ] || continue
      mark=$(dd if="$disk" bs=512 count=1 2>/dev/null | tail -c +441 | head -c 4 | od -An -v -tx1 | tr -d ' \n')
      [ "$mark" = 54425645 ] && return
    done
  done
  return 1
}

# $1: name below /dev/everboot, $2: number of the partition
name_partition() { case $disk in *[0-9]) ln -s "${disk}p$2" "/dev/everboot/$1" ;; *) ln -s "$disk$2" "/dev/everboot/$1" ;; esac; }

begin
case $(cell $flags/partition) in
  00000002) slot=a other=b other_boot=3 ;;
  00000003) slot=b other=a other_boot=2 ;;
  *) slot='' ;;
esac
case $(cell $flags/tryboot) in 00000001) tryboot=1 ;; *) tryboot=0 ;; esac
seconds=$(word everboot.watchdog)
load_modules "${seconds:-120}"
arm_watchdog
[ -n "$slot" ] || refuse 'the firmware does not say which partition it started; update its EEPROM'

tries=0
until find_disk || [ "$tries" -ge 300 ]; do sleep 0.1; tries=$((tries + 1)); done
mkdir /dev/everboot
name_partition autoboot 1; name_partition boot-a 2; name_partition boot-b 3
name_partition root-a 5; name_partition root-b 6; name_partition record 7; name_partition data 8
tries=0
until [ -b /dev/everboot/data ] || [ "$tries" -ge 50 ]; do sleep 0.1; tries=$((tries + 1)); done
say "reads the seal after $(cut -d ' ' -f 1 /proc/uptime) s"
know_floor "$record"
check_slot "/dev/everboot/root-$slot" || refuse "$why"
may_start "$record" "$slot" "$other" "$tryboot" || refuse 'it had its boots and was never healthy'
open_image
mount -t ext4 -o rw,noatime /dev/everboot/data /root/data || say 'the data partition cannot be mounted'
hand_over
