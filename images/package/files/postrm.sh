#!/bin/sh
# The data partition is the device's own and stays: identity, journal, kept state.
set -e
if [ "$1" = remove ]; then
  deb-systemd-helper mask everboot-agent.service everboot-state.service >/dev/null || true
fi
if [ "$1" = purge ]; then
  deb-systemd-helper purge everboot-agent.service everboot-state.service >/dev/null || true
  deb-systemd-helper unmask everboot-agent.service everboot-state.service >/dev/null || true
  rm -rf /run/everboot
  rmdir /etc/everboot 2>/dev/null || true
  if getent group everboot >/dev/null; then groupdel everboot || true; fi
fi
if [ -d /run/systemd/system ]; then
  systemctl --system daemon-reload >/dev/null || true
fi
