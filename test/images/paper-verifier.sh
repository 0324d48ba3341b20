#!/bin/sh
# Checks a kindle-profile image as the paper describes it, with openssl alone: each piece is its 16-byte IV, then
# AES-256-CBC with PKCS#7; the clear image has an RSA-2048-PSS-SHA-256 signature with a salt of 222 bytes.
# usage: paper-verifier.sh PIECES BLOB KEY_HEX IMAGE_BYTES PUBLIC_PEM SIGNATURE OUT
# PIECES has a line for each piece: offset in BLOB, bytes in BLOB (0: zeros), bytes in the image.
set -eu
pieces=$1 blob=$2 key=$3 bytes=$4 public=$5 signature=$6 out=$7
: > "$out"
while read -r offset sealed clear; do
  if [ "$sealed" -eq 0 ]; then
    head -c "$clear" /dev/zero >> "$out"
    continue
  fi
  iv=$(tail -c "+$((offset + 1))" "$blob" | head -c 16 | od -An -v -tx1 | tr -d ' \n')
  tail -c "+$((offset + 17))" "$blob" | head -c "$((sealed - 16))" \
    | openssl enc -d -aes-256-cbc -K "$key" -iv "$iv" >> "$out"
done < "$pieces"
truncate -s "$bytes" "$out"
exec openssl dgst -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:222 \
  -verify "$public" -signature "$signature" "$out"
