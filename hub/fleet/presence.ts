/**
 * Whether a device is connected, by what it says at each connection and by the will it leaves.
 * Promise: a pair (bootId, connection) older than the newest seen is void, so the will of a connection that
 * was taken over, which arrives after the new one's greeting, marks nothing offline; after a start of the
 * hub presence is unknown until a device is heard.
 * Leaves to others: wills and connections (../broker).
 */
import { fault } from '../../core/errors.ts'
import { hubLimits } from '../../core/limits.ts'
import { fail, ok } from '../../core/result.ts'
import type { Presence } from '../../core/wire/messages.ts'
import type { HubState, PresenceState, Step } from '../core/model.ts'
import { Shelf } from '../core/shelf.ts'

/** `changed` of the answer is false when the message is void: then nobody should keep it either. */
export function takePresence(state: HubState, deviceId: string, presence: Presence, atMs: number): Step {
  const device = state.devices.get(deviceId)
  if (device === undefined) {
    return { state, effects: [], answer: fail(fault('EB-NOT-FOUND', `there is no device ${deviceId}`)) }
  }
  const after = presenceAfter(device.presence, presence, atMs)
  if (after === null) return { state, effects: [], answer: ok({ id: deviceId, changed: false }) }
  const next = { ...device, presence: after }
  return {
    state: { ...state, devices: state.devices.set(deviceId, next) },
    effects: [
      { kind: 'commit', writes: [{ kind: 'put-device', device: next }] },
      { kind: 'log', event: { event: presence.online ? 'online' : 'offline', device: deviceId } },
    ],
    answer: ok({ id: deviceId, changed: true }),
  }
}

/** A hub that starts has heard nobody; what was the newest connection stays known. */
export function forgetPresence(state: HubState): HubState {
  const devices = state.devices
    .values()
    .map((it) => (it.presence === null ? it : { ...it, presence: { ...it.presence, online: null } }))
  return { ...state, devices: Shelf.from(devices, (it) => it.id) }
}

/** @returns null when `said` is void. */
function presenceAfter(known: PresenceState | null, said: Presence, atMs: number): PresenceState | null {
  const { bootId, connection, online } = said
  if (known === null) return { online, bootId, connection, formerBoots: [], atMs }
  if (bootId === known.bootId) {
    return connection < known.connection ? null : { ...known, online, connection, atMs }
  }
  if (known.formerBoots.includes(bootId)) return null
  // Only a greeting opens a boot: a will that speaks of an unknown one is older than what is known.
  if (!online) return null
  const formerBoots = [...known.formerBoots, known.bootId].slice(-hubLimits.bootsKept)
  return { online, bootId, connection, formerBoots, atMs }
}
