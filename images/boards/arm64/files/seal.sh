# Reads and checks the seal of a slot, and the floor of boot record and commit stamp.
# Promise: a seal is taken only whole: known form, a known key, a signature that OpenSSL accepts; numbers are used
# only when they fit. Sets seal_* and returns 0, or sets `why` and returns 1.
# Leaves to others: the image under it (dm-verity). For busybox and bash; EB_KEYS is a directory of KEYID.der.

# Sets `it` to bytes $1 … $1+$2-1 of the hex text. No step here starts a process: under emulation each costs much.
seal_bytes() { it=${text:$((2 * $1)):$((2 * $2))}; }

# Sets `it` to the little-endian 64-bit number at $1; 2^40 and more are refused, since no slot and no version
# needs them.
seal_number() {
  seal_bytes "$1" 8
  case $it in
    *000000) it=$((0x${it:8:2}${it:6:2}${it:4:2}${it:2:2}${it:0:2})) ;;
    *) it=-1 ;;
  esac
}

bad_seal() { why="the seal $1"; return 1; }

# $1: file with the seal area, $2: name of the image to boot, $3: directory for what OpenSSL reads
read_seal() {
  text=$(head -c 904 "$1" | od -An -v -tx1 | tr -d ' \n')
  seal_bytes 0 8; [ "$it" = 455642545345414c ] || { bad_seal 'is missing'; return; }
  seal_bytes 8 4; [ "$it" = 01000000 ] || { bad_seal 'has another version than 1'; return; }
  seal_bytes 164 4; [ "$it" = 00000000 ] || { bad_seal 'has another form'; return; }
  seal_bytes 160 4
  case $it in 0[1-8]000000) images=${it:1:1} ;; *) bad_seal 'has impossible lengths'; return ;; esac
  signed=$((168 + 80 * images))
  seal_bytes 12 4
  [ $((0x${it:2:2}${it:0:2})) -eq "$signed" ] && [ "${it:4:4}" = 0000 ] || { bad_seal 'has impossible lengths'; return; }
  seal_bytes "$signed" 32; key=$it
  [ -f "$EB_KEYS/$key.der" ] || { bad_seal 'is signed by an unknown key'; return; }
  head -c "$signed" "$1" >"$3/signed"
  tail -c "+$((signed + 33))" "$1" | head -c 64 >"$3/signature"
  openssl pkeyutl -verify -pubin -keyform DER -inkey "$EB_KEYS/$key.der" -rawin \
    -in "$3/signed" -sigfile "$3/signature" >/dev/null 2>&1 || { bad_seal 'has a wrong signature'; return; }
  seal_release=$(tail -c +33 "$1" | head -c 64 | tr -d '\0')
  seal_number 16; seal_sv=$it
  [ "$seal_sv" -ge 1 ] && [ "$seal_sv" -le 4294967295 ] || { bad_seal 'has an impossible security version'; return; }
  find_image "$2"
}

# The entry whose 32 bytes of name are $1 and zeros.
find_image() {
  name=$(printf %s "$1" | od -An -v -tx1 | tr -d ' \n')
  while [ ${#name} -lt 64 ]; do name=${name}00; done
  index=0
  while [ "$index" -lt "$images" ]; do
    entry=$((168 + 80 * index))
    seal_bytes "$entry" 32
    if [ "$it" = "$name" ]; then
      seal_number $((entry + 32)); seal_size=$it
      seal_number $((entry + 40)); seal_padded=$it
      seal_bytes $((entry + 48)) 32; seal_root=$it
      [ "$seal_size" -ge 1 ] && [ "$seal_padded" -eq $(((seal_size + 4095) / 4096 * 4096)) ] ||
        { bad_seal 'has impossible sizes'; return; }
      return 0
    fi
    index=$((index + 1))
  done
  bad_seal "holds no image $1"
}

newline='
'

# Prints the `key=value` lines of an environment block (file $1) whose checksum holds, an empty one first.
read_block() {
  text=$(head -c 4 "$1" | od -An -v -tx1 | tr -d ' \n')
  sum=$(tail -c +5 "$1" | crc32)
  [ "${sum%% *}" = "${text:6:2}${text:4:2}${text:2:2}${text:0:2}" ] || return 1
  echo
  tail -c +5 "$1" | tr '\0' '\n'
}

# Sets `it` to the number of key $1 in $lines; 1 when there is none of the known form.
block_number() {
  case $lines$newline in *"$newline$1="*) it=${lines#*"$newline$1="} it=${it%%"$newline"*} ;; *) return 1 ;; esac
  case $it in
    0) ;;
    '' | 0* | *[!0-9a-f]* | ?????????*) return 1 ;;
  esac
  it=$((0x$it))
}

# Whether $lines are a boot record that any reader takes.
known_record() {
  for known in a_ok=[01] b_ok=[01] st_pri=[ab]; do
    case $lines$newline in *"$newline"$known"$newline"*) ;; *) return 1 ;; esac
  done
  for known in a_sv a_tries b_sv b_tries; do block_number "$known" || return 1; done
}

# $1, $2: copies of the record, $3: the stamp. Sets `floor` to the one that counts.
read_floor() {
  floor=0 newest=-1
  for copy in "$1" "$2"; do
    lines=$(read_block "$copy") && known_record || continue
    block_number floor || continue
    number=$it
    block_number st_seq && [ "$it" -gt "$newest" ] || continue
    newest=$it floor=$number
  done
  lines=$(read_block "$3") && block_number floor && [ "$it" -gt "$floor" ] && floor=$it
  return 0
}
