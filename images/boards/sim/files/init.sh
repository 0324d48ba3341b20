#!/bin/sh
# Process 1 of the emulated board: starts init.mjs and reaps everything that loses its parent.
# When init.mjs ends, process 1 ends, and that is a panic: the board resets.
/usr/bin/node /sbin/init.mjs &
main=$!
trap 'kill -TERM "$main"' TERM
while kill -0 "$main" 2>/dev/null; do
  wait "$main"
  status=$?
done
exit "$status"
