/**
 * What the soak found out, each thing from where it really is: the disk of a board that is off, the database
 * of the hub, the wire between them, the console. What is concluded from it stands in verdicts.ts.
 */
import type { BootRecord } from '../../../core/boot-record.ts'
import type { CommitStamp } from '../../../core/commit-stamp.ts'
import type { SlotId } from '../../../core/units.ts'
import type { ReleaseKind } from './plan.ts'

/** A release as the publisher made it. */
export interface KnownRelease {
  readonly id: string
  readonly version: number
  readonly kind: ReleaseKind
  readonly securityVersion: number
  /** The raw image, byte for byte what a slot must hold. */
  readonly image: string
  readonly verityRoot: string
}

/** One slot of a board that is off. */
export interface SlotFacts {
  /** By its seal, whose signature holds; null when it has none. */
  readonly release: string | null
  readonly securityVersion: number
  /** Root and size in the seal are those of the published image. */
  readonly sealFits: boolean
  /** First byte in which the image area differs from the published image; null: none. */
  readonly differsAt: number | null
}

/** A board that is off. */
export interface DiskFacts {
  readonly copies: readonly [BootRecord | null, BootRecord | null]
  readonly record: BootRecord | null
  readonly stamp: CommitStamp | null
  /** What `fw_printenv` reads in copy 0, copy 1 and the stamp; null where it refuses. */
  readonly printed: readonly (Readonly<Record<string, string>> | null)[]
  readonly slots: Readonly<Record<SlotId, SlotFacts>>
  /** Last finished attempt by the journal on the data partition; null when there is none. */
  readonly finished: { readonly seq: number; readonly result: string } | null
  /** Whether the journal could be read; a new board has none. */
  readonly journal: 'good' | 'bad' | 'none'
}

/** A final report in the database of the hub. */
export interface ReportFacts {
  readonly key: string
  readonly seq: number
  readonly release: string
  readonly result: 'ok' | 'failed'
  readonly code: string | null
}

export interface HubAttempt {
  readonly seq: number
  readonly release: string
  readonly state: string
  readonly code: string | null
}

/** The database of the hub. */
export interface HubFacts {
  readonly attempts: readonly HubAttempt[]
  readonly reports: readonly ReportFacts[]
  /** `bootId seq` of every status kept, as often as it is kept. */
  readonly statuses: readonly string[]
  /** Boots that noticed a fall back. */
  readonly fellBackIn: readonly string[]
}

/** What passed between device and hub since the last look. */
export interface WireFacts {
  /** `bootId seq` of every acknowledgement that the hub sent. */
  readonly acknowledged: readonly string[]
  /** Numbers that two different statuses had. */
  readonly ambiguous: readonly string[]
}

/** An attempt that has been decided. */
export interface AttemptFacts {
  readonly seq: number
  readonly release: KnownRelease
  /** Slot that was not committed when it was assigned. */
  readonly target: SlotId
  /** Strikes that were carried out from its assignment to its end. */
  readonly strikes: number
  /** The spare slot was damaged behind its back. */
  readonly damaged: boolean
  /** Boots of the target slot. */
  readonly trialBoots: number
  /** Boots of the board since the new system was armed. */
  readonly bootsSinceArmed: number
  readonly watchdogBites: number
}

/** A rule that was broken. */
export interface Violation {
  readonly rule: string
  readonly what: string
}
