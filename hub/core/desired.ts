/**
 * Wishes: a rollout gives each of its devices a desired document under a new attempt number.
 * Promise: `seq` = max(last + 1, hub time in ms), so that it rises even when the clock of the hub stands
 * wrong; a device without a content key gets no document and a failed attempt instead; the documents are
 * published only after rollout, attempts and wishes are in the database.
 * Leaves to others: outcomes (../rollouts/machine.ts), retained messages (../broker).
 */
import { type Fault, fault } from '../../core/errors.ts'
import { hubLimits } from '../../core/limits.ts'
import { fail, ok, type Result } from '../../core/result.ts'
import type { Desired } from '../../core/wire/messages.ts'
import { countsAfter, ended, isOpen, noCounts, supersede } from '../rollouts/machine.ts'
import type {
  Attempt,
  AttemptState,
  Device,
  Effect,
  HubMessage,
  HubState,
  ReleaseInfo,
  Rollout,
  Step,
  Write,
} from './model.ts'

type CreateRollout = Extract<HubMessage, { kind: 'create-rollout' }>

/** What a rollout does to one device. */
interface Assignment {
  readonly device: Device
  readonly attempt: Attempt
  /** The attempt that was open until now. */
  readonly superseded: { readonly from: AttemptState; readonly attempt: Attempt } | null
}

/** @returns the id of the rollout, or EB-NOT-FOUND. */
export function createRollout(state: HubState, message: CreateRollout): Step {
  const refused = (it: Fault): Step => ({ state, effects: [], answer: fail(it) })
  const release = state.releases.get(message.release)
  if (release === undefined) return refused(fault('EB-NOT-FOUND', `there is no release ${message.release}`))
  const devices = devicesOf(state, message.devices)
  if (!devices.ok) return refused(devices.error)
  const number = lastNumber(state) + 1
  const id = `r${number}`
  const assignments = devices.value.map((it) => assign(it, release, id, message))
  const counts = { ...noCounts }
  for (const { attempt } of assignments) counts[attempt.state] += 1
  const { throttle, atMs } = message
  const fresh = { id, number, release: release.id, throttle, createdMs: atMs, endedMs: null, counts }
  const applied = apply(state, assignments, ended(fresh, atMs), atMs)
  const pruned = pruneRollouts(applied)
  const effects: Effect[] = [
    { kind: 'commit', writes: [...writesOf(pruned.state, assignments, id), ...pruned.writes] },
    ...assignments.filter(wished).flatMap((it) => publishOf(it.device)),
    {
      kind: 'log',
      event: { event: 'rollout', rollout: id, release: release.id, devices: assignments.length },
    },
  ]
  return { state: pruned.state, effects, answer: ok({ id, changed: true }) }
}

/** Every wish once more: after a start the broker may have lost, or never got, the last ones. */
export function republishAll(state: HubState): readonly Effect[] {
  return state.devices.values().flatMap(publishOf)
}

/** What the hub will ask of one device. */
export function desiredFor(
  device: Device,
  release: ReleaseInfo,
  keys: Readonly<Record<string, string>>,
  throttle: number | null,
  atMs: number,
  activate: 'later' | null = null,
): Desired {
  const { bytes, sha256 } = release.manifest
  return {
    v: 1,
    seq: Math.max((device.desired?.seq ?? 0) + 1, atMs),
    release: {
      id: release.id,
      manifest: { path: `/blobs/${release.id}/manifest.json`, bytes, sha256 },
      keys: { ...keys },
    },
    ...(throttle === null ? {} : { throttle }),
    ...(activate === null ? {} : { activate }),
  }
}

/** Blobs of the release whose content key is not wrapped for the device. */
export function missingKeys(
  release: ReleaseInfo,
  keys: Readonly<Record<string, string>> | undefined,
): readonly string[] {
  const full = release.blobs.filter((it) => it.kind === 'full')
  return full.map((it) => it.id).filter((it) => keys === undefined || !Object.hasOwn(keys, it))
}

function assign(device: Device, release: ReleaseInfo, rollout: string, message: CreateRollout): Assignment {
  const { atMs, throttle } = message
  const keys = message.keys.get(device.id)
  const missing = missingKeys(release, keys)
  const common = { rollout, device: device.id, release: release.id, decidedBy: null, atMs }
  if (keys === undefined || missing.length > 0) {
    const what = `release ${release.id} has no content key of blob ${missing.join(', ')} for ${device.id}`
    return {
      device,
      attempt: { ...common, seq: 0, state: 'failed', code: 'EB-WRONG-DEVICE', what },
      superseded: null,
    }
  }
  const desired = desiredFor(device, release, keys, throttle, atMs, message.activate ?? null)
  const attempt: Attempt = { ...common, seq: desired.seq, state: 'pending', code: null, what: null }
  const last = device.attempts.at(-1)
  const closed = last !== undefined && isOpen(last.state) ? supersede(last, rollout, atMs) : null
  const former = closed === null ? device.attempts : [...device.attempts.slice(0, -1), closed]
  const attempts = [...former, attempt].slice(-hubLimits.attemptsKept)
  const superseded = last === undefined || closed === null ? null : { from: last.state, attempt: closed }
  return { device: { ...device, desired, attempts }, attempt, superseded }
}

function apply(
  state: HubState,
  assignments: readonly Assignment[],
  rollout: Rollout,
  atMs: number,
): HubState {
  let { devices, rollouts } = state
  for (const { device, superseded } of assignments) {
    devices = devices.set(device.id, device)
    const old = superseded === null ? undefined : rollouts.get(superseded.attempt.rollout)
    if (superseded === null || old === undefined) continue
    rollouts = rollouts.set(old.id, countsAfter(old, superseded.from, 'superseded', atMs))
  }
  return { ...state, devices, rollouts: rollouts.set(rollout.id, rollout) }
}

function writesOf(state: HubState, assignments: readonly Assignment[], rollout: string): readonly Write[] {
  const writes: Write[] = []
  const touched = new Set([rollout])
  for (const { device, attempt, superseded } of assignments) {
    if (attempt.seq > 0) writes.push({ kind: 'put-device', device })
    writes.push({ kind: 'put-attempt', attempt })
    if (superseded === null) continue
    writes.push({ kind: 'put-attempt', attempt: superseded.attempt })
    touched.add(superseded.attempt.rollout)
  }
  for (const id of touched) {
    const it = state.rollouts.get(id)
    if (it !== undefined) writes.push({ kind: 'put-rollout', rollout: it })
  }
  return writes
}

/** The oldest ended rollouts leave when there are too many; the newest stays, its number must not be given again. */
function pruneRollouts(state: HubState): { readonly state: HubState; readonly writes: readonly Write[] } {
  const surplus = state.rollouts.size - hubLimits.rolloutsKeptMax
  if (surplus <= 0) return { state, writes: [] }
  const newest = lastNumber(state)
  const endedOnes = state.rollouts.values().filter((it) => it.endedMs !== null && it.number !== newest)
  const leaving = endedOnes.sort((a, b) => a.number - b.number).slice(0, surplus)
  let { rollouts } = state
  for (const { id } of leaving) rollouts = rollouts.delete(id)
  return {
    state: { ...state, rollouts },
    writes: leaving.map((it): Write => ({ kind: 'remove-rollout', rollout: it.id })),
  }
}

function devicesOf(state: HubState, ids: readonly string[]): Result<readonly Device[], Fault> {
  const devices: Device[] = []
  for (const id of new Set(ids)) {
    const device = state.devices.get(id)
    if (device === undefined) return fail(fault('EB-NOT-FOUND', `there is no device ${id}`))
    devices.push(device)
  }
  if (devices.length > 0) return ok(devices)
  return fail(
    fault('EB-NOT-FOUND', 'the rollout names no device', 'add a device first: everboot devices add'),
  )
}

function lastNumber(state: HubState): number {
  return state.rollouts.values().reduce((most, it) => Math.max(most, it.number), 0)
}

function wished({ attempt }: Assignment): boolean {
  return attempt.seq > 0
}

function publishOf(device: Device): readonly Effect[] {
  const { desired } = device
  return desired === null ? [] : [{ kind: 'publish-desired', device: device.id, desired }]
}
