/**
 * Figures that devices send about themselves: the newest of each device, and a history.
 * Promise: taking one commits nothing and waits for nothing; a lost one is no harm, the next one replaces it.
 * Numbers rise over the life of a device at the hub, whatever its clock and that of the hub do.
 * Leaves to others: writing them (keeping.ts), summing up (fleet.ts).
 */
import { fault } from '../../core/errors.ts'
import { fail, ok } from '../../core/result.ts'
import type { Telemetry } from '../../core/wire/skills.ts'
import type { HubState, Step } from '../core/model.ts'

export interface TelemetryRecord {
  readonly device: string
  readonly number: number
  /** When it came, by the clock of the hub. */
  readonly atMs: number
  readonly telemetry: Telemetry
}

/** @returns EB-NOT-FOUND when the hub does not know the device. */
export function takeTelemetry(
  state: HubState,
  {
    device,
    telemetry,
    atMs,
  }: { readonly device: string; readonly telemetry: Telemetry; readonly atMs: number },
): Step {
  if (state.devices.get(device) === undefined) {
    return { state, effects: [], answer: fail(fault('EB-NOT-FOUND', `there is no device ${device}`)) }
  }
  const number = (state.telemetry.get(device)?.number ?? 0) + 1
  const record: TelemetryRecord = { device, number, atMs, telemetry }
  return {
    state: { ...state, telemetry: state.telemetry.set(device, record) },
    effects: [{ kind: 'keep-telemetry', record }],
    answer: ok({ id: device, changed: true }),
  }
}
