/**
 * The one function that changes what the hub knows: `(state, message) → {state, effects, answer}`.
 * Promise: pure; the same messages in the same order give the same state on every machine.
 * Leaves to others: each rule, in the file of its noun.
 */
import { unreachable } from '../../core/assert.ts'
import { contentArrived, contentComing } from '../clips/arrival.ts'
import { contentGone, contentLost, sweepContents } from '../clips/contents.ts'
import { emptyClips } from '../clips/model.ts'
import { claimClip, forgetClip } from '../clips/own-clips.ts'
import { addDevice } from '../fleet/devices.ts'
import { takePresence } from '../fleet/presence.ts'
import { publishSkill } from '../skills/skills.ts'
import { takeTelemetry } from '../telemetry/telemetry.ts'
import { createRollout } from './desired.ts'
import type { HubMessage, HubState, Step } from './model.ts'
import { registerRelease } from './publish.ts'
import { Shelf } from './shelf.ts'
import { takeStatus } from './status.ts'

export function emptyHub(): HubState {
  return {
    devices: Shelf.empty(),
    releases: Shelf.empty(),
    rollouts: Shelf.empty(),
    clips: emptyClips(),
    telemetry: Shelf.empty(),
  }
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
    case 'content-coming':
      return contentComing(state, message)
    case 'content-here':
      return contentArrived(state, message)
    case 'own-clip':
      return claimClip(state, message)
    case 'forget-clip':
      return forgetClip(state, message)
    case 'content-gone':
      return contentGone(state, message)
    case 'content-lost':
      return contentLost(state, message)
    case 'sweep-contents':
      return sweepContents(state, message)
    case 'publish-skill':
      return publishSkill(state, message)
    case 'telemetry':
      return takeTelemetry(state, message)
    default:
      return unreachable(message)
  }
}
