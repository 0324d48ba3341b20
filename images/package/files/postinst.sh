#!/bin/sh
# Enables the agent. It is started too, but does nothing before the board has trust and an identity.
set -e
if [ "$1" = configure ]; then
  getent group everboot >/dev/null || groupadd --system everboot
  deb-systemd-helper unmask everboot-agent.service >/dev/null || true
  if deb-systemd-helper --quiet was-enabled everboot-agent.service; then
    deb-systemd-helper enable everboot-agent.service >/dev/null || true
  else
    deb-systemd-helper update-state everboot-agent.service >/dev/null || true
  fi
  if [ -d /run/systemd/system ]; then
    systemctl --system daemon-reload >/dev/null || true
    deb-systemd-invoke restart everboot-agent.service >/dev/null || true
  fi
fi
