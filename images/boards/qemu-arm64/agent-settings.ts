/**
 * The agent's configuration on the QEMU board: partitions of the disk's GPT, the kernel's watchdog.
 * Leaves to others: naming the partitions (start.sh), making the hand-over (initramfs.sh).
 */
import { type AgentChoices, agentSettings } from '../sim/agent-settings.ts'

/** Hardware id of releases for this board. */
export const hardwareId = 'qemu-arm64'

/** Where the essential service answers, and under which name it says how it is. */
export const serviceAddress = '127.0.0.1:8080'
export const healthPath = '/cgi-bin/health'

/** @returns the content of `/etc/everboot/agent.json` */
export function qemuAgentSettings(choices: AgentChoices): Record<string, unknown> {
  const { healthDeadlineMs: deadlineMs, networkDeadlineMs } = choices
  const checks = [{ name: 'service', probe: `http://${serviceAddress}${healthPath}` }]
  return {
    ...agentSettings(choices),
    hardware: [hardwareId],
    watchdog: '/dev/watchdog',
    reboot: { command: ['/bin/reboot', '-f'] },
    lastConsole: null,
    bootTrace: null,
    health: { deadlineMs, networkDeadlineMs, checks },
  }
}
