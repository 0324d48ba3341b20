#!/bin/sh
# The first program of the system, by init=/usr/lib/everboot/init on the kernel command line: puts the kept state in its
# place before systemd reads the machine id, then becomes systemd. A board whose state cannot be mounted still boots,
# with the release's own files.
[ -e /proc/self ] || mount -t proc proc /proc
[ -e /dev/null ] || mount -t devtmpfs devtmpfs /dev
/usr/bin/everboot-agent state mount || echo "everboot: the kept state is not in its place" >&2
exec /sbin/init "$@"
