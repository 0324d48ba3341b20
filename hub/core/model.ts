/**
 * What the hub knows: devices, releases, rollouts, and the forms in which it is told and in which it acts.
 * Promise: nothing here is ever changed in place; times are ms since 1970 by the clock of the hub.
 * Leaves to others: clips and skills (../clips/model.ts), the rules (desired.ts, status.ts, publish.ts, ../fleet,
 * ../rollouts, ../clips, ../skills) and the doing (core.ts runs effects, ../store keeps writes).
 */
import type { ErrorCode, Fault } from '../../core/errors.ts'
import type { LogEvent } from '../../core/ports.ts'
import type { Result } from '../../core/result.ts'
import type { Digest } from '../../core/units.ts'
import type { Desired, Evidence, Presence, Status } from '../../core/wire/messages.ts'
import type { Telemetry } from '../../core/wire/skills.ts'
import type { ClipEffect, ClipMessage, ClipState, ClipWrite } from '../clips/model.ts'
import type { TelemetryRecord } from '../telemetry/telemetry.ts'
import type { Shelf } from './shelf.ts'

/** A release as registered; its bytes lie with the blob store. */
export interface ReleaseInfo {
  readonly id: string
  readonly product: string
  readonly version: string
  readonly securityVersion: number
  readonly hardware: readonly string[]
  readonly profile: string
  readonly manifest: { readonly bytes: number; readonly sha256: Digest }
  readonly blobs: readonly BlobInfo[]
  readonly atMs: number
}

export interface BlobInfo {
  readonly id: string
  readonly kind: string
  readonly bytes: number
  readonly sha256: Digest
  readonly index: { readonly bytes: number; readonly sha256: Digest }
}

/** The content key of one blob, wrapped for one device; `key` is base64. */
export interface Wrap {
  readonly device: string
  readonly blob: string
  readonly key: string
}

/**
 * Order of statuses. `seq` rises over the life of a device; a board that was flashed anew begins at 1 again,
 * which is its next life.
 */
export interface StatusOrder {
  readonly life: number
  readonly seq: number
}

/** Which boots belong to which life of a device. */
export interface Life {
  readonly number: number
  /** The boot that sent status 1 of this life; null while it has not been seen. */
  readonly firstBoot: string | null
  /** Boots of this life and of the one before, newest last. */
  readonly boots: readonly string[]
  readonly formerBoots: readonly string[]
}

/** The newest status of a device, without report and notice. */
export interface Reported extends Omit<Status, 'v' | 'report' | 'notice'> {
  readonly life: number
  readonly atMs: number
}

/** The newest thing that a device noticed outside an attempt. Its evidence is under (bootId, seq). */
export interface Notice {
  readonly code: ErrorCode
  readonly what: string
  readonly order: StatusOrder
  readonly bootId: string
  readonly atMs: number
}

export interface PresenceState {
  /** null: unknown, because the hub has not heard since it started. */
  readonly online: boolean | null
  readonly bootId: string
  readonly connection: number
  readonly formerBoots: readonly string[]
  readonly atMs: number
}

export const attemptStates = ['pending', 'in-progress', 'succeeded', 'failed', 'superseded'] as const
export type AttemptState = (typeof attemptStates)[number]

/** What one rollout meant for one device. */
export interface Attempt {
  readonly rollout: string
  readonly device: string
  readonly release: string
  /** `seq` of the desired document; 0 when none was made because the device has no content key. */
  readonly seq: number
  readonly state: AttemptState
  readonly code: ErrorCode | null
  readonly what: string | null
  /** The status that decided it; its evidence is under (bootId, seq). */
  readonly decidedBy: (StatusOrder & { readonly bootId: string }) | null
  readonly atMs: number
}

export interface Device {
  readonly id: string
  /** SHA-256 of the token, hex. */
  readonly tokenSha256: string
  readonly addedMs: number
  readonly desired: Desired | null
  readonly reported: Reported | null
  readonly life: Life
  readonly presence: PresenceState | null
  readonly notice: Notice | null
  /** Oldest first; only the last one may be open. */
  readonly attempts: readonly Attempt[]
}

export interface Rollout {
  readonly id: string
  readonly number: number
  readonly release: string
  readonly throttle: number | null
  readonly createdMs: number
  /** When no device was open any more; null while some are. */
  readonly endedMs: number | null
  readonly counts: Readonly<Record<AttemptState, number>>
}

export interface HubState {
  readonly devices: Shelf<Device>
  readonly releases: Shelf<ReleaseInfo>
  readonly rollouts: Shelf<Rollout>
  readonly clips: ClipState
  /** The newest of each device. */
  readonly telemetry: Shelf<TelemetryRecord>
}

/** What the hub is told. `atMs` is the hub's wall clock. */
export type HubMessage =
  | ClipMessage
  | {
      readonly kind: 'telemetry'
      readonly device: string
      readonly telemetry: Telemetry
      readonly atMs: number
    }
  | { readonly kind: 'status'; readonly device: string; readonly status: Status; readonly atMs: number }
  | { readonly kind: 'presence'; readonly device: string; readonly presence: Presence; readonly atMs: number }
  | {
      readonly kind: 'add-device'
      readonly device: string
      readonly tokenSha256: string
      /** Give a known device a new token instead of refusing. */
      readonly renew: boolean
      readonly atMs: number
    }
  | {
      readonly kind: 'register-release'
      readonly release: ReleaseInfo
      readonly wraps: readonly Wrap[]
    }
  | {
      readonly kind: 'create-rollout'
      readonly release: string
      readonly devices: readonly string[]
      /** Wrapped keys of this release by device id, then by blob id. */
      readonly keys: ReadonlyMap<string, Readonly<Record<string, string>>>
      readonly throttle: number | null
      /** `later`: each device waits for a word of its own. */
      readonly activate?: 'later' | null
      readonly atMs: number
    }

/** What must be in the database. A commit takes a list of them, all or none. */
export type Write =
  | ClipWrite
  | { readonly kind: 'put-device'; readonly device: Device }
  | {
      /** Kept once for ever under (device, bootId, seq): a second one changes nothing. */
      readonly kind: 'add-status'
      readonly device: string
      readonly life: number
      readonly status: Status
      readonly atMs: number
    }
  | { readonly kind: 'put-release'; readonly release: ReleaseInfo }
  | { readonly kind: 'put-wraps'; readonly release: string; readonly wraps: readonly Wrap[] }
  | { readonly kind: 'put-rollout'; readonly rollout: Rollout }
  | { readonly kind: 'remove-rollout'; readonly rollout: string }
  | { readonly kind: 'put-attempt'; readonly attempt: Attempt }
  /** A retained message of the broker; null takes it away. */
  | { readonly kind: 'retain'; readonly topic: string; readonly payload: Uint8Array | null }

/** What the hub does, in this order: commit first, the rest only when it is on the disk. */
export type Effect =
  | ClipEffect
  /** Written some time later; a crash may lose it. */
  | { readonly kind: 'keep-telemetry'; readonly record: TelemetryRecord }
  | { readonly kind: 'commit'; readonly writes: readonly Write[] }
  | { readonly kind: 'publish-desired'; readonly device: string; readonly desired: Desired }
  | { readonly kind: 'send-ack'; readonly device: string; readonly bootId: string; readonly seq: number }
  | { readonly kind: 'cut-session'; readonly device: string }
  | { readonly kind: 'log'; readonly event: LogEvent }

/** What the asker gets: the id of the thing, and whether anything became different. */
export interface Answer {
  readonly id: string
  readonly changed: boolean
}

export interface Step {
  readonly state: HubState
  readonly effects: readonly Effect[]
  readonly answer: Result<Answer, Fault>
}

/** One line of the history of a device. */
export interface StatusRecord {
  readonly life: number
  readonly atMs: number
  /** Without evidence. */
  readonly status: Status
}

export interface EvidenceRecord {
  readonly bootId: string
  readonly seq: number
  readonly atMs: number
  readonly code: ErrorCode | null
  readonly what: string | null
  /** `seq` of the attempt; null for a notice. */
  readonly attempt: number | null
  readonly evidence: Evidence
}
