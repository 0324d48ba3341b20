# How often [all] has started a slot since it was last found healthy: a short text in one sector of the record's
# partition, because the firmware of a Raspberry Pi counts nothing. For busybox; needs a function `other_good` of the
# board: whether the seal of the other slot is good. docs/BOOT.md has the table, core/boot-count.ts the same bytes.

# $1: partition of the record, $2: slot. Prints its boots; whatever else is there counts as none.
count_read() {
  boots=$(dd if="$1" bs=512 skip=5120 count=1 2>/dev/null | tr -d '\0')
  case $boots in "$2 "[0-8]) echo "${boots#* }" ;; *) echo 0 ;; esac
}

# $1: partition of the record, $2: slot, $3: boots
count_write() { printf '%s %s\n' "$2" "$3" | dd of="$1" bs=512 seek=5120 conv=sync,notrunc,fsync 2>/dev/null; }

# $1: partition of the record, $2: own slot, $3: the other one, $4: 1 with the one-shot flag. To be called when the own
# seal is good: counts this boot, or says by its status that the other slot is to be booted.
may_start() {
  [ "$4" = 1 ] && return 0
  boots=$(count_read "$1" "$2")
  if [ "$boots" -ge 8 ]; then
    other_good || return 0
    count_write "$1" "$3" 0
    return 1
  fi
  count_write "$1" "$2" $((boots + 1))
  return 0
}
