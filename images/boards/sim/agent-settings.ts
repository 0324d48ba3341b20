/**
 * The agent's configuration in a sim image: what is where on the emulated board.
 * Promise: the one place that knows the paths of that board; the agent itself knows none.
 * Leaves to others: reading and checking it (device/config.ts), the paths of plain emulation (bootloader-sim).
 */
import { MiB, minutes, seconds } from '../../../core/units.ts'

/** What a board maker may choose. */
export interface AgentChoices {
  readonly product: string
  /** From the start of the boot until a trial must have proved healthy. */
  readonly healthDeadlineMs: number
  /** The same while only the hub is missing. */
  readonly networkDeadlineMs: number
  /** Between an unhealthy verdict or a finished install and the reboot. */
  readonly rebootDelayMs: number
  /** With a cache of audio clips. */
  readonly clips?: boolean
}

/** Short enough to watch, long enough for a loaded machine. */
export const simChoices: AgentChoices = {
  product: 'demo',
  healthDeadlineMs: seconds(20),
  networkDeadlineMs: minutes(2),
  rebootDelayMs: seconds(1),
}

/** As much as fits beside everything else on the data partition of an emulated board. */
const simClips = {
  directory: '/data/everboot/clips',
  socket: '/run/everboot/clips.sock',
  bytes: 8 * MiB,
  reserveBytes: MiB,
  memoryBytes: 2 * MiB,
}

/** @returns the content of `/etc/everboot/agent.json` */
export function agentSettings(choices: AgentChoices): Record<string, unknown> {
  return {
    v: 1,
    identity: '/data/everboot/device.json',
    trust: '/etc/everboot/trust.json',
    data: '/data/everboot/state',
    product: choices.product,
    hardware: ['sim'],
    handOver: '/run/everboot/cmdline',
    socket: '/run/everboot/agent.sock',
    boot: { device: '/dev/everboot/boot' },
    slots: {
      a: { rootfs: { device: '/dev/everboot/slot-a' } },
      b: { rootfs: { device: '/dev/everboot/slot-b' } },
    },
    watchdog: '/run/everboot/watchdog',
    reboot: { file: '/run/everboot/power' },
    lastConsole: '/run/everboot/last-console',
    bootTrace: '/run/everboot/boot-trace',
    hooks: null,
    health: {
      deadlineMs: choices.healthDeadlineMs,
      networkDeadlineMs: choices.networkDeadlineMs,
      checks: [{ name: 'service', probe: 'unix:/run/service.sock:/health' }],
    },
    rebootDelayMs: choices.rebootDelayMs,
    ...(choices.clips === true ? { clips: simClips } : {}),
  }
}
