/**
 * The one function that changes what the hub knows: `(state, message) → {state, effects, answer}`.
 * Promise: pure; the same messages in the same order give the same state on every machine.
 * Leaves to others: each rule, in the file of its noun.
 */
import { unreachable } from '../../core/assert.ts'
import { addDevice } from '../fleet/devices.ts'
import { takePresence } from '../fleet/presence.ts'
import { createRollout } from './desired.ts'
import type { HubMessage, HubState, Step } from './model.ts'
import { registerRelease } from './publish.ts'
import { Shelf } from './shelf.ts'
import { takeStatus } from './status.ts'

export function emptyHub(): HubState {
  return { devices: Shelf.empty(), releases: Shelf.empty(), rollouts: Shelf.empty() }
}

export function reduce(state: HubState, message: HubMessage): Step {
  switch (message.kind) {
    case 'status':
      return takeStatus(state, message.device, message.status, message.atMs)
    case 'presence':
      return takePresence(state, message.device, message.presence, message.atMs)
    case 'add-device':
      return addDevice(state, message)
    case 'register-release':
      return registerRelease(state, message)
    case 'create-rollout':
      return createRollout(state, message)
    default:
      return unreachable(message)
  }
}
