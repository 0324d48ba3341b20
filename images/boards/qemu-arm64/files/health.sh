#!/bin/sh
# GET /cgi-bin/health of the essential service: 200 while its data file is what its configuration says, 503 and the
# reason otherwise. Found out at every request, never remembered.
. /etc/everboot/service.conf
found=$(sha256sum <"$DATA"); found=${found%% *}
if [ "$found" = "$SHA256" ]; then
  printf 'Content-Type: text/plain\r\n\r\nhealthy\n'
else
  printf 'Status: 503 Service Unavailable\r\nContent-Type: text/plain\r\n\r\nunhealthy: %s has SHA-256 %s\n' "$DATA" "$found"
  echo "service: unhealthy: $DATA has SHA-256 $found" >/dev/console
fi
