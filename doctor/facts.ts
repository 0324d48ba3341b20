/**
 * What doctor looks at, as data: facts about a machine, and about the board that it is, if it is one.
 * Promise: nothing here is secret.
 * Leaves to others: gathering (adapters/), judging (checks).
 */

import type { RecordCopies } from '../core/boot-record.ts'
import type { CommitStamp } from '../core/commit-stamp.ts'
import type { Fault } from '../core/errors.ts'
import type { HandOver } from '../core/ports.ts'
import type { SlotId } from '../core/units.ts'
import type { SystemConfig } from '../device/config.ts'

/** What was found where somebody looked; `denied` when only another user may look. */
export type Found<T> =
  | { readonly kind: 'found'; readonly value: T }
  | { readonly kind: 'denied' }
  | { readonly kind: 'failed'; readonly fault: Fault }

export interface Space {
  readonly place: string
  readonly freeBytes: number
}

export interface MachineFacts {
  readonly root: boolean
  readonly node: string
  /** `linux x64` */
  readonly system: string
  readonly loop: 'usable' | 'denied' | 'absent'
  /** Names of `tools.ts` that are there. */
  readonly tools: readonly string[]
  readonly space: readonly Space[]
  readonly wallMs: number
  /** The same for people. */
  readonly wallText: string
  readonly pi: PiFacts | null
  readonly board: BoardFacts | null
}

/** From the device tree that the firmware of a Raspberry Pi hands over. */
export interface PiFacts {
  readonly model: string
  /** Null when the firmware says nothing of its bootloader. */
  readonly bootloader: {
    /** When the bootloader was built, for people. */
    readonly built: string | null
    readonly capabilities: number | null
    readonly tryboot: number | null
    readonly partition: number | null
  } | null
}

export interface SlotFacts {
  readonly slot: SlotId
  readonly partition: string
  readonly device: string
  readonly bytes: Found<number>
  readonly mounted: boolean
}

export interface BoardFacts {
  readonly path: string
  readonly config: Found<SystemConfig>
  /** Null when the configuration cannot be used. */
  readonly parts: BoardParts | null
}

export interface BoardParts {
  readonly handOver: Found<HandOver>
  readonly record: Found<{ readonly copies: RecordCopies; readonly stamp: CommitStamp | null }>
  readonly slots: readonly SlotFacts[]
  /** Null when the configuration names none. */
  readonly watchdog: Found<string> | null
  readonly data: Found<Space>
  readonly agent: Found<string>
  readonly identity: Found<{ readonly deviceId: string; readonly mode: number }>
  /** Null without an identity. */
  readonly hub: { readonly http: Found<HubAnswer>; readonly mqtt: Found<string> } | null
}

export interface HubAnswer {
  readonly address: string
  readonly status: number
  /** What time it is at the hub. */
  readonly wallMs: number | null
}
