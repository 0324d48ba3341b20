#!/bin/sh
# Enables the services. The agent is started too, but does nothing before the board has trust and an identity.
set -e
if [ "$1" = configure ]; then
  getent group everboot >/dev/null || groupadd --system everboot
  for unit in everboot-agent.service everboot-state.service; do
    deb-systemd-helper unmask "$unit" >/dev/null || true
    if deb-systemd-helper --quiet was-enabled "$unit"; then
      deb-systemd-helper enable "$unit" >/dev/null || true
    else
      deb-systemd-helper update-state "$unit" >/dev/null || true
    fi
  done
  if [ -d /run/systemd/system ]; then
    systemctl --system daemon-reload >/dev/null || true
    deb-systemd-invoke restart everboot-agent.service >/dev/null || true
  fi
fi
