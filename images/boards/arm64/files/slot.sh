# What every board's initramfs does with a slot once it knows its partitions: believe the seal or refuse, open the
# image through dm-verity, hand over. For busybox; needs seal.sh and a function `leave` of the board, which is called
# with nothing to come after it.

say() { echo "initramfs: $1"; }
refuse() { say "slot $slot is refused: $1"; leave; }
word() { sed -n "s/^.*\b$1=\([A-Za-z0-9._-]*\).*\$/\1/p" /proc/cmdline; }

begin() { mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev; }

# $1: seconds until the watchdog bites
load_modules() {
  for module in $(cat /etc/modules); do
    case $module in
      */softdog.ko) [ -e /dev/watchdog ] || insmod "/lib/modules/$module" soft_margin="$1" ;;
      */bcm2835_wdt.ko) insmod "/lib/modules/$module" heartbeat="$1" ;;
      *) insmod "/lib/modules/$module" ;;
    esac || say "$module cannot be loaded"
  done
}

# Closed without its magic letter the watchdog stays armed; only the agent pets it from here on.
arm_watchdog() { echo >/dev/watchdog || say 'there is no watchdog'; }

# $1: partition with record and stamp. Sets `floor`.
know_floor() {
  mount -t tmpfs -o mode=0755,size="${run_size:-16m}" run /run; mkdir /run/everboot /run/check
  [ -b "$1" ] || refuse 'there is no partition with the record'
  dd if="$1" of=/run/check/copy0 bs=64k count=1 2>/dev/null
  dd if="$1" of=/run/check/copy1 bs=64k skip=16 count=1 2>/dev/null
  dd if="$1" of=/run/check/stamp bs=4k skip=512 count=1 2>/dev/null
  read_floor /run/check/copy0 /run/check/copy1 /run/check/stamp
}

# $1: partition with a root and its seal. Sets seal_* and `node`, or `why` and returns 1.
check_slot() {
  [ -b "$1" ] || { why='its partition is missing'; return 1; }
  node=$(readlink -f "$1")
  sectors=$(cat "/sys/class/block/${node#/dev/}/size")
  dd if="$1" of=/run/check/seal bs=512 skip=$((sectors - 128)) count=128 2>/dev/null
  read_seal /run/check/seal rootfs /run/check || return 1
  [ "$seal_sv" -ge "$floor" ] || { why="$seal_release has security version $seal_sv, the floor is $floor"; return 1; }
  [ "$seal_padded" -le $((sectors * 512 - 65536)) ] || { why="$seal_release is larger than its partition"; return 1; }
}

# Mounts what check_slot took on /root.
open_image() {
  say "slot $slot holds $seal_release, security version $seal_sv, floor $floor"
  blocks=$((seal_padded / 4096))
  # A block that does not hash as sealed resets the board; the tries of the slot then run out.
  dmsetup create everboot --readonly --noudevsync --noudevrules --table \
    "0 $((seal_padded / 512)) verity 1 $node $node 4096 4096 $blocks $blocks sha256 $seal_root - 1 restart_on_corruption" \
    >/dev/null || refuse 'dm-verity cannot be opened'
  mount -t ext4 -o ro,noload /dev/dm-0 /root || refuse 'its file system cannot be mounted'
}

hand_over() {
  say "hands over after $(cut -d ' ' -f 1 /proc/uptime) s"
  boot=$(tr -d - </proc/sys/kernel/random/boot_id | cut -c 1-16)
  echo "everboot.slot=$slot everboot.boot=boot-$boot" >/run/everboot/cmdline
  rm -r /run/check
  for it in run dev proc sys; do mount --move "/$it" "/root/$it"; done
  exec switch_root /root /sbin/init
}
