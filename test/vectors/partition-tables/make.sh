#!/bin/sh
# Makes the vectors of partition-table.test.ts: the start of disks of 64 MiB as sfdisk, sgdisk and mkfs.vfat
# make them. Run as root in an empty directory; needs fdisk, gdisk, dosfstools.
set -eu
new() { rm -f disk; truncate -s 64M disk; }
keep() { head -c "$2" disk | gzip -9n > "$1.gz"; }

new; sfdisk -q disk <<'T'
label: dos
label-id: 0x01020304
start=2048, size=4096, type=83
start=8192, size=16384, type=c
4: start=32768, size=2048, type=83
T
keep mbr-sfdisk 512

new; sfdisk -q disk <<'T'
label: dos
label-id: 0x01020304
start=64, size=64, type=83
start=256, size=2000, type=5
start=320, size=64, type=83
start=640, size=128, type=c
start=1280, size=64, type=83
T
keep mbr-logical-sfdisk 655360

new; sfdisk -q disk <<'T'
label: gpt
label-id: 01020304-0506-0708-090A-0B0C0D0E0F10
1: start=2048, size=4096, type=L, uuid=11020304-0506-0708-090A-0B0C0D0E0F10
2: start=8192, size=16384, type=U, uuid=21020304-0506-0708-090A-0B0C0D0E0F10
7: start=32768, size=2048, type=L, uuid=31020304-0506-0708-090A-0B0C0D0E0F10
T
keep gpt-sfdisk 17408

new; sgdisk -a 1 -U 01020304-0506-0708-090A-0B0C0D0E0F10 -n 1:2048:10239 -t 1:ef00 -u 1:11020304-0506-0708-090A-0B0C0D0E0F10 \
  -n 2:10240:30719 -u 2:21020304-0506-0708-090A-0B0C0D0E0F10 -n 128:40960:45055 -u 128:31020304-0506-0708-090A-0B0C0D0E0F10 disk > /dev/null
keep gpt-sgdisk 17408

# Sectors of 4 KiB: the same places in units of eight sectors.
new; loop=$(losetup -f --show --sector-size 4096 disk); sfdisk -q "$loop" <<'T'
label: gpt
label-id: 01020304-0506-0708-090A-0B0C0D0E0F10
1: start=256, size=2048, type=U, uuid=11020304-0506-0708-090A-0B0C0D0E0F10
2: start=2560, size=5120, type=L, uuid=21020304-0506-0708-090A-0B0C0D0E0F10
T
losetup -d "$loop"
keep gpt-4096-sectors 24576

for bits in 12 16 32; do
  new; mkfs.vfat -F $bits -i 01020304 -n EVERBOOT disk > /dev/null 2>&1
  keep fat$bits 512
done
rm disk
