/**
 * How the API shows what the hub knows.
 * Promise: pure; nothing secret (no token, not even its hash, no wrapped key) is in a view.
 * Leaves to others: routes. `docs/PROTOCOL.md` lists the fields.
 */
import type { ClipState, Skill } from '../clips/model.ts'
import type { Attempt, Device, EvidenceRecord, ReleaseInfo, Rollout, StatusRecord } from '../core/model.ts'
import { driftOf, runningRelease } from '../fleet/drift.ts'
import type { TelemetryRecord } from '../telemetry/telemetry.ts'

export function deviceView(device: Device) {
  const { id, reported, desired, presence, notice, attempts } = device
  const attempt = attempts.at(-1)
  return {
    id,
    presence: presenceWord(device),
    presenceAtMs: presence?.atMs ?? null,
    addedMs: device.addedMs,
    running: runningRelease(device),
    drift: driftOf(device),
    desired: desired === null ? null : { seq: desired.seq, release: desired.release.id },
    reported,
    notice:
      notice === null
        ? null
        : { code: notice.code, what: notice.what, atMs: notice.atMs, seq: notice.order.seq },
    attempt: attempt === undefined ? null : attemptView(attempt),
  }
}
export type DeviceView = ReturnType<typeof deviceView>

export function deviceDetailView(
  device: Device,
  history: readonly StatusRecord[],
  evidences: readonly EvidenceRecord[],
  attempts: readonly Attempt[],
) {
  return { ...deviceView(device), attempts: attempts.map(attemptView), evidences, history }
}
export type DeviceDetailView = ReturnType<typeof deviceDetailView>

export function attemptView(it: Attempt) {
  const { rollout, device, release, seq, state, code, what, decidedBy, atMs } = it
  return { rollout, device, release, seq, state, code, what, decidedBy, atMs }
}

/** One device of a rollout, with the progress it last reported for it. */
export function rolloutDeviceView(attempt: Attempt, device: Device | undefined) {
  const reported = device?.reported ?? null
  const current = reported !== null && reported.attempt?.seq === attempt.seq ? reported : null
  return {
    ...attemptView(attempt),
    deviceState: current?.state ?? null,
    progress: current?.progress ?? null,
    presence: device === undefined ? 'unknown' : presenceWord(device),
    running: device === undefined ? null : runningRelease(device),
  }
}
export type RolloutDeviceView = ReturnType<typeof rolloutDeviceView>

export function rolloutView(it: Rollout) {
  const { id, release, throttle, createdMs, endedMs, counts } = it
  const devices = Object.values(counts).reduce((sum, count) => sum + count, 0)
  return {
    id,
    release,
    throttle,
    createdMs,
    endedMs,
    state: endedMs === null ? 'running' : 'ended',
    devices,
    counts,
  }
}
export type RolloutView = ReturnType<typeof rolloutView>

export function releaseView(it: ReleaseInfo) {
  const bytes = it.blobs.reduce((sum, blob) => sum + blob.bytes + blob.index.bytes, it.manifest.bytes)
  const { id, product, version, securityVersion, hardware, profile, atMs } = it
  return {
    id,
    product,
    version,
    securityVersion,
    hardware,
    profile,
    bytes,
    atMs,
    manifest: `/blobs/${id}/manifest.json`,
  }
}
export type ReleaseView = ReturnType<typeof releaseView>

/** A skill without its clips; bytes are those of its clips, each by itself, and those of its contents. */
export function skillView(it: Skill) {
  const { id, seq, version, list, clips, atMs } = it
  const contents = new Map(clips.map(({ sha256, bytes }) => [sha256, bytes]))
  const sum = (all: Iterable<number>): number => [...all].reduce((bytes, more) => bytes + more, 0)
  return {
    id,
    seq,
    version,
    atMs,
    withdrawn: list === null,
    list,
    clips: clips.length,
    contents: contents.size,
    bytes: sum(clips.map(({ bytes }) => bytes)),
    contentBytes: sum(contents.values()),
  }
}
export type SkillView = ReturnType<typeof skillView>

export function skillDetailView(skill: Skill, { inSkills, onDevices }: ClipState) {
  const ownUse = new Map<string, number>()
  for (const { sha256 } of skill.clips) ownUse.set(sha256, (ownUse.get(sha256) ?? 0) + 1)
  const listed = skill.clips.map(({ id, sha256, bytes }) => {
    const uses = (inSkills.get(sha256) ?? 0) + (onDevices.get(sha256) ?? 0)
    return { id, sha256, bytes, sharedWith: uses - (ownUse.get(sha256) ?? 0) }
  })
  return { ...skillView(skill), listed }
}
export type SkillDetailView = ReturnType<typeof skillDetailView>

export function telemetryView({ number, atMs, telemetry }: TelemetryRecord) {
  const { bootId, clips = null } = telemetry
  return { number, atMs, bootId, clips }
}
export type TelemetryView = ReturnType<typeof telemetryView>

function presenceWord(device: Device): 'online' | 'offline' | 'unknown' {
  const online = device.presence?.online ?? null
  return online === null ? 'unknown' : online ? 'online' : 'offline'
}
