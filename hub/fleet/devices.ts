/**
 * The devices that the hub knows, and their tokens.
 * Promise: only the hash of a token is kept; a known id is refused unless a new token is asked for, which
 * voids the old one and cuts the session that used it.
 * Leaves to others: making tokens (tokens.ts), checking them (../broker, ../http).
 */
import { type Fault, fault } from '../../core/errors.ts'
import { hubLimits } from '../../core/limits.ts'
import { fail, ok } from '../../core/result.ts'
import { safeName } from '../../core/units.ts'
import type { Device, Effect, HubMessage, HubState, Step } from '../core/model.ts'
import { firstLife } from '../core/status.ts'

/** @returns the id of the device, or EB-USAGE (bad id), EB-CONFLICT (known), EB-NOT-FOUND (renew), EB-LIMIT. */
export function addDevice(state: HubState, message: Extract<HubMessage, { kind: 'add-device' }>): Step {
  const { device: id, tokenSha256, renew, atMs } = message
  const known = state.devices.get(id)
  const refusal = refusalOf(state, id, known, renew)
  if (refusal !== null) return { state, effects: [], answer: fail(refusal) }
  const device: Device =
    known === undefined
      ? {
          id,
          tokenSha256,
          addedMs: atMs,
          desired: null,
          reported: null,
          life: firstLife,
          presence: null,
          notice: null,
          attempts: [],
        }
      : { ...known, tokenSha256 }
  const effects: Effect[] = [
    { kind: 'commit', writes: [{ kind: 'put-device', device }] },
    ...(known === undefined ? [] : [{ kind: 'cut-session', device: id } as const]),
    { kind: 'log', event: { event: 'device-added', device: id, renewed: known !== undefined } },
  ]
  return {
    state: { ...state, devices: state.devices.set(id, device) },
    effects,
    answer: ok({ id, changed: known === undefined }),
  }
}

function refusalOf(state: HubState, id: string, known: Device | undefined, renew: boolean): Fault | null {
  if (!safeName.test(id)) {
    return fault('EB-USAGE', `device id ${JSON.stringify(id)} is not 1 to 64 of A-Z a-z 0-9 . _ -`)
  }
  if (known !== undefined && !renew) {
    return fault(
      'EB-CONFLICT',
      `device ${id} exists`,
      'choose another id, or make it a new token with --renew',
    )
  }
  if (known === undefined && renew) return fault('EB-NOT-FOUND', `there is no device ${id} to renew`)
  if (known === undefined && state.devices.size >= hubLimits.devicesMax) {
    return fault('EB-LIMIT', `the hub has ${state.devices.size} devices, the most it can`)
  }
  return null
}
