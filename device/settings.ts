/**
 * What an agent is told about its board and itself; the same for production and simulation.
 * Leaves to others: reading it from files (config.ts).
 */

import type { SlotId } from '../core/units.ts'
import type { Verify } from '../keys/public-key.ts'
import type { Trust } from '../keys/trust.ts'
import type { HealthCheck } from './health/checks.ts'
import type { SlotKeys } from './slots/slot.ts'

export interface AgentSettings {
  readonly deviceId: string
  readonly product: string
  /** HTTP origin of the hub, without a slash at its end. */
  readonly hubUrl: string
  readonly trust: Trust
  readonly verify: Verify
  /** AES-256 key that content keys are wrapped for, 32 bytes. */
  readonly wrappingKey: Uint8Array
  /** Names of the partitions of a slot; the seal lies at the end of the first. */
  readonly partitions: readonly string[]
  readonly health: {
    readonly checks: readonly HealthCheck[]
    readonly deadlineMs: number
    readonly networkDeadlineMs: number
  }
  readonly rebootDelayMs: number
  /** On a Raspberry Pi: number of the boot partition of each slot, as autoboot.txt names them. */
  readonly tryboot?: { readonly partitions: Readonly<Record<SlotId, number>> } | undefined
}

export function slotKeys(settings: AgentSettings): SlotKeys {
  return { ring: settings.trust.seal, verify: settings.verify }
}

/** The first partition, which carries the seal. */
export function sealPartition(settings: AgentSettings): string {
  const [first = 'rootfs'] = settings.partitions
  return first
}
