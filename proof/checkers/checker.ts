/**
 * What a checker is: one invariant, as a fold over everything that happens to a board and its hub.
 * Promise: a checker's state is a value that is never changed in place, so that a crash image can carry it
 * and many futures can go on from it; checkers see the truth on the media, not what the code under test
 * believes.
 * Leaves to others: telling them what happens (../observer.ts), the invariants themselves (i01-….ts).
 */

import type { LogEvent } from '../../core/ports.ts'
import type { SlotId } from '../../core/units.ts'
import type { Desired, Status } from '../../core/wire/messages.ts'
import type { Journal } from '../../device/update/journal.ts'
import type { BootSeen, SimBoard } from '../board-facts.ts'
import type { MadeRelease } from '../publisher.ts'
import type { Truth } from '../truth.ts'
import type { World } from '../world.ts'

export type Happening =
  /** A write took effect in the cache of a disk. `slot` is null for the partitions `boot` and `autoboot`. */
  | {
      readonly kind: 'write'
      readonly slot: SlotId | null
      readonly partition: string
      readonly offset: number
      readonly bytes: Uint8Array
    }
  /** A disk was flushed. */
  | { readonly kind: 'flush'; readonly slot: SlotId | null }
  /** A file got a new content. */
  | { readonly kind: 'file'; readonly name: string; readonly bytes: Uint8Array }
  /** A file took another name; from the directory's next sync on it is durable. */
  | { readonly kind: 'rename'; readonly from: string }
  /** The names of files are durable as they are now. */
  | { readonly kind: 'synced' }
  /** The bootloader has decided; the record on the medium is the one after its decision. */
  | { readonly kind: 'boot'; readonly outcome: BootSeen }
  /** The power went, and came back with these media. */
  | { readonly kind: 'cut' }
  /** The agent was killed; the system runs on. */
  | { readonly kind: 'killed' }
  /** Something planted: rot, a lost copy, a lost stamp, faults that lasted. What it excuses is the checker's. */
  | { readonly kind: 'planted'; readonly what: Planted; readonly slot: SlotId | null }
  /** Planted faults that last (of storage, network, clock) are off again. */
  | { readonly kind: 'healed' }
  /** The hub has committed a status that it had not. */
  | { readonly kind: 'kept'; readonly status: Status }
  /** The hub told the device that it has a status. */
  | { readonly kind: 'acked'; readonly bootId: string; readonly seq: number }
  /** The hub published a wish. */
  | { readonly kind: 'wished'; readonly desired: Desired }
  /** The hub was killed and started anew from its store. */
  | { readonly kind: 'hub-restarted' }
  /** A part of a file of a release went out to the board. `fits`: it is of the very range that was asked for. */
  | { readonly kind: 'served'; readonly url: string; readonly bytes: number; readonly fits: boolean }
  /** A log line of the agent. */
  | { readonly kind: 'logged'; readonly event: LogEvent }
  /** Faults are off, and the world had time to come to rest: the last look. `converged`: it did. */
  | { readonly kind: 'end'; readonly converged: boolean }

export type Planted =
  | 'rot'
  | 'record-copy'
  | 'record'
  | 'stamp'
  /** The sector of autoboot.txt says something else. */
  | 'autoboot'
  /** Of the disks of a slot, or (slot null) of the boot partition; lasts until `healed`. */
  | 'storage-fault'
  /** Of the data partition; lasts until `healed`. */
  | 'data-fault'
  | 'network-fault'
  | 'clock-fault'
  | 'data-lost'
  /** The hub starts anew from an old backup: what it got since then it knows nothing of. */
  | 'hub-restored'
  /** A system behaves otherwise than it did: a committed one may be of no use any more. */
  | 'misbehaves'

/** What a checker may look at besides what happened. */
export interface Facts {
  readonly nowMs: number
  readonly truth: Truth
  readonly board: SimBoard
  readonly world: World
  /** Releases by id. */
  readonly releases: ReadonlyMap<string, MadeRelease>
  /** What a journal file says, or null; read by its form only, since it is what the agent believes. */
  journal(bytes: Uint8Array): Journal | null
  /** Says that the invariant does not hold; the run ends with it. */
  violated(what: string): void
}

export type Hooks<S> = {
  readonly [Kind in Happening['kind']]?: (
    state: S,
    it: Extract<Happening, { readonly kind: Kind }>,
    facts: Facts,
  ) => S
}

export interface Checker<S> {
  /** `I1` to `I18`. */
  readonly id: string
  /** The invariant in one sentence. */
  readonly says: string
  readonly start: S
  /**
   * What of a state outlives a loss of power, the same object as long as it is the same; without it all of
   * it.
   */
  readonly pack?: (state: S) => unknown
  readonly unpack?: (packed: unknown) => S
  readonly on: Hooks<S>
}

/** A checker whose state nobody else needs to know. */
export type AnyChecker = Checker<unknown>

/** Hides the type of the state. */
export function checker<S>(it: Checker<S>): AnyChecker {
  return it as unknown as AnyChecker
}
