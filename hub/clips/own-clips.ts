/**
 * What devices have stored at the hub, or proved to hold: by clip, each a reference to a content.
 * Promise: a clip of a device names one content; a device may read what it has stored or proved itself and what
 * a skill lists, nothing else; one device and all together are limited.
 * Leaves to others: proofs (challenges.ts), bytes (keeper.ts).
 */
import { hubClipLimits } from '../../core/clip-limits.ts'
import { type Fault, fault } from '../../core/errors.ts'
import { fail } from '../../core/result.ts'
import { bytesText } from '../../core/units.ts'
import type { HubState, Step } from '../core/model.ts'
import { type Change, contentHere, noChange, release, stepOf, unchanged } from './contents.ts'
import type { ClipMessage, ClipState, OwnClip, Owner } from './model.ts'

/** @returns EB-NOT-FOUND when the content is not here (any more), EB-LIMIT. */
export function claimClip(state: HubState, message: Extract<ClipMessage, { kind: 'own-clip' }>): Step {
  const { owner, sha256, atMs } = message
  const known = contentHere(state.clips, sha256)
  if (known === null) return refused(state, notHere(sha256))
  const refusal = ownRefusal(state, owner, known.bytes)
  if (refusal !== null) return refused(state, refusal)
  const change = addOwn(state.clips, { ...owner, sha256, bytes: known.bytes }, atMs)
  return stepOf(state, change, { id: owner.clip, changed: change.writes.length > 0 })
}

/** `changed` is false when the device has no such clip: whoever did not hear the answer may say it again. */
export function forgetClip(state: HubState, message: Extract<ClipMessage, { kind: 'forget-clip' }>): Step {
  const { owner, atMs } = message
  const known = state.clips.own.get(owner.device)?.get(owner.clip)
  if (known === undefined) return unchanged(state, owner.clip)
  const change = release(without(state.clips, known), [known.sha256], atMs)
  const writes = [{ kind: 'remove-own-clip', owner } as const, ...change.writes]
  return stepOf(state, { ...change, writes }, { id: owner.clip, changed: true })
}

/** Why the device may not store one more clip of that many bytes; asked before its bytes are taken, too. */
export function ownRefusal(state: HubState, { device, clip }: Owner, bytes: number): Fault | null {
  if (state.devices.get(device) === undefined) {
    return fault('EB-NOT-FOUND', `there is no device ${device}`)
  }
  const own = state.clips.own.get(device)
  const old = own?.get(clip)
  const clips = (own?.size ?? 0) + (old === undefined ? 1 : 0)
  const todo = 'take others away with DELETE /clips/own/{clip}'
  if (clips > hubClipLimits.ownClipsMax) {
    return fault('EB-LIMIT', `device ${device} has ${own?.size} clips at the hub, the most it may`, todo)
  }
  let sum = bytes - (old?.bytes ?? 0)
  for (const it of own?.values() ?? []) sum += it.bytes
  if (sum > hubClipLimits.ownBytesMax) {
    const limit = bytesText(hubClipLimits.ownBytesMax)
    return fault('EB-LIMIT', `device ${device} would have ${bytesText(sum)} at the hub, limit ${limit}`, todo)
  }
  if (old === undefined && state.clips.ownCount >= hubClipLimits.ownTotalMax) {
    return fault('EB-LIMIT', `devices have ${state.clips.ownCount} clips at the hub, the most it keeps`)
  }
  return null
}

export function notHere(sha256: string): Fault {
  return fault('EB-NOT-FOUND', `the hub has no clip of content ${sha256}`, 'send it with PUT /clips/{sha256}')
}

export function refused(state: HubState, it: Fault): Step {
  return { state, effects: [], answer: fail(it) }
}

/** True when the device may read the content, whether or not the hub has it. */
export function mayRead(clips: ClipState, device: string, sha256: string): boolean {
  if (clips.inSkills.has(sha256)) return true
  if (clips.onDevices.get(sha256) === undefined) return false
  for (const it of clips.own.get(device)?.values() ?? []) if (it.sha256 === sha256) return true
  return false
}

/** The clip of the device is that content from now on; what it was before goes if nobody else refers to it. */
export function addOwn(clips: ClipState, own: OwnClip, atMs: number): Change {
  const old = clips.own.get(own.device)?.get(own.clip)
  if (old !== undefined && old.sha256 === own.sha256) return noChange(clips)
  const bare = old === undefined ? clips : without(clips, old)
  const added: ClipState = {
    ...bare,
    own: bare.own.set(own.device, new Map(bare.own.get(own.device)).set(own.clip, own)),
    ownCount: bare.ownCount + 1,
    onDevices: bare.onDevices.set(own.sha256, (bare.onDevices.get(own.sha256) ?? 0) + 1),
  }
  const change = release(added, old === undefined ? [] : [old.sha256], atMs)
  return { ...change, writes: [{ kind: 'put-own-clip', own }, ...change.writes] }
}

function without(clips: ClipState, { device, clip, sha256 }: OwnClip): ClipState {
  const rest = new Map(clips.own.get(device))
  rest.delete(clip)
  const references = (clips.onDevices.get(sha256) ?? 1) - 1
  const { own, onDevices } = clips
  return {
    ...clips,
    own: rest.size === 0 ? own.delete(device) : own.set(device, rest),
    ownCount: clips.ownCount - 1,
    onDevices: references === 0 ? onDevices.delete(sha256) : onDevices.set(sha256, references),
  }
}
