/**
 * Drift: what a device should run against what it says it runs.
 * Promise: computed from the newest status whenever it is asked for, never stored, so it cannot be stale.
 * Leaves to others: what to do about it (a new rollout).
 */
import type { Device } from '../core/model.ts'
import { isOpen } from '../rollouts/machine.ts'

export type Drift = 'none' | 'updating' | 'drift' | 'unknown' | 'unassigned'

/** The release in the running slot, by the newest status; null when unknown. */
export function runningRelease(device: Device): { release: string | null; version: string | null } | null {
  const { reported } = device
  if (reported === null) return null
  const { release, version } = reported.slots[reported.slot]
  return { release, version }
}

/**
 * `none`: runs what it should · `updating`: differs, its attempt is open · `drift`: differs, its attempt has
 * ended · `unknown`: never reported · `unassigned`: nothing desired yet.
 */
export function driftOf(device: Device): Drift {
  if (device.desired === null) return 'unassigned'
  const running = runningRelease(device)
  if (running === null) return 'unknown'
  if (running.release === device.desired.release.id) return 'none'
  const last = device.attempts.at(-1)
  return last !== undefined && isOpen(last.state) ? 'updating' : 'drift'
}
