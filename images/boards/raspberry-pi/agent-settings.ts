/**
 * The agent's configuration on a Raspberry Pi: partitions by the names that the initramfs gives them below
 * `/dev/everboot`, the hardware watchdog, trials by the firmware's one-shot flag.
 * Promise: what the board maker put into `/etc/everboot/agent.json` of the root wins, key by key, except for what
 * only the board can know.
 * Leaves to others: reading and checking it (device/config.ts).
 */
import { raise } from '../../../core/errors.ts'
import { minutes, type SlotId, seconds } from '../../../core/units.ts'
import { type AgentChoices, agentSettings } from '../sim/agent-settings.ts'
import { partitionNumbers } from './layout.ts'

/** Hardware id of releases for this board. */
export const hardwareId = 'raspberry-pi'
/** Images of a slot. The seal lies behind the first one of a slot's settings. */
export const rootImage = 'rootfs'
export const bootImage = 'boot'

/** A Pi starts slower than the emulated board, and people wait for it. */
export const piChoices = {
  healthDeadlineMs: minutes(5),
  networkDeadlineMs: minutes(15),
  rebootDelayMs: seconds(5),
} as const

/** Of these keys the board maker has no say. */
const fixedKeys = ['v', 'product', 'hardware', 'handOver', 'boot', 'slots', 'tryboot', 'reboot'] as const

/**
 * @param own settings of the board maker, or null
 * @returns the content of `/etc/everboot/agent.json`. @throws EverbootError EB-CONFIG
 */
export function piAgentSettings(
  choices: AgentChoices,
  own: Readonly<Record<string, unknown>> | null,
): Record<string, unknown> {
  const standard = agentSettings(choices)
  const board: Record<string, unknown> = {
    ...standard,
    hardware: [hardwareId],
    boot: { device: '/dev/everboot/record' },
    slots: { a: slotSettings('a'), b: slotSettings('b') },
    tryboot: {
      autoboot: { device: '/dev/everboot/autoboot' },
      partitions: { a: partitionNumbers['boot-a'], b: partitionNumbers['boot-b'] },
      flags: '/proc/device-tree/chosen/bootloader',
    },
    watchdog: '/dev/watchdog',
    reboot: { command: ['reboot'], trial: ['reboot', '0 tryboot'] },
    lastConsole: null,
    bootTrace: null,
    health: {
      deadlineMs: choices.healthDeadlineMs,
      networkDeadlineMs: choices.networkDeadlineMs,
      checks: [],
    },
  }
  const fixed = fixedKeys.find((it) => own !== null && it in own && it !== 'v' && it !== 'product')
  if (fixed !== undefined) {
    raise('EB-CONFIG', `/etc/everboot/agent.json of the root sets ${fixed}, which the board sets`, {
      todo: 'leave the key out',
    })
  }
  return { ...board, ...own, v: 1, product: choices.product }
}

function slotSettings(slot: SlotId): Record<string, unknown> {
  return {
    [rootImage]: { device: `/dev/everboot/root-${slot}` },
    [bootImage]: { device: `/dev/everboot/boot-${slot}` },
  }
}
