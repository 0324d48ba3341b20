/**
 * The rules of boot, install, commit and rollback on the device's side, as pure functions from record to
 * record. The numbers are the rules' in `docs/BOOT.md`, where the reasons and counterexamples stand.
 * Promise: no function here makes the only good slot unselectable; each returns the whole next record, so
 * that one write is one step.
 * Leaves to others: writing (one copy or both: boot-control.ts) and the order of writes (commit.ts, installer.ts).
 */
import { type BootRecord, withSlot } from '../../core/boot-record.ts'
import type { CommitStamp } from '../../core/commit-stamp.ts'
import { slotLimits } from '../../core/limits.ts'
import { otherSlot, type SlotId } from '../../core/units.ts'

/** How the running slot stands (rule 6). */
export type Standing = 'committed' | 'trial' | 'rescue'

export function standingOf(record: BootRecord, own: SlotId): Standing {
  if (record[own].ok) return 'committed'
  const other = record[otherSlot(own)]
  return record.priority === own || (!other.ok && other.tries === 0) ? 'trial' : 'rescue'
}

/** A trial is open while the slot that comes first is not committed (rule 6). */
export function trialOpen(record: BootRecord): boolean {
  return !record[record.priority].ok
}

/** The floor in force: neither record nor stamp alone can lower it. */
export function floorOf(record: BootRecord, stamp: CommitStamp | null): number {
  return Math.max(record.floor, stamp?.floor ?? 0)
}

/** Rule 7, first write, to both copies: the spare promises nothing any more. */
export function spareCleared(record: BootRecord, spare: SlotId): BootRecord {
  return withSlot(record, spare, { ok: false, sv: 0, tries: 0 })
}

/** Rule 7, last write: the spare is tried first. */
export function spareArmed(record: BootRecord, spare: SlotId, sv: number): BootRecord {
  const armed = withSlot(record, spare, { ok: false, sv, tries: slotLimits.trialTries })
  return { ...armed, priority: spare }
}

/** Rule 8, first write: own slot committed, floor as it was; an un-ok spare loses its tries. */
export function committed(record: BootRecord, own: SlotId, sv: number): BootRecord {
  const mine = withSlot(record, own, { ok: true, sv, tries: slotLimits.committedTries })
  return { ...withoutUnprovenTries(mine, otherSlot(own)), priority: own }
}

/**
 * Rule 8: the floor after a commit.
 * @param ownSv securityVersion of the running slot
 * @param otherSv securityVersion of the other slot when it verifies, else null
 * @param wanted what the release asks to bar (its `floorAfterCommit`), or null
 * @param ownIntact whether the own slot has just been re-read and is intact; without it nothing more than
 *   the default is barred, since the other slot may be the only good one
 */
export function floorAfterCommit(
  floor: number,
  ownSv: number,
  otherSv: number | null,
  wanted: number | null,
  ownIntact: boolean,
): number {
  const kept = Math.max(floor, otherSv === null || otherSv < floor ? ownSv : Math.min(ownSv, otherSv))
  if (wanted === null || !ownIntact) return kept
  return Math.max(kept, Math.min(wanted, ownSv))
}

/** Rule 9: whether a slot on trial may give way. */
export function mayRollBack(record: BootRecord, own: SlotId): boolean {
  const other = record[otherSlot(own)]
  return standingOf(record, own) === 'trial' && (other.ok || other.tries > 0)
}

/** Rule 9: own slot out, the other first, with at least one try. */
export function rolledBack(record: BootRecord, own: SlotId): BootRecord {
  const other = otherSlot(own)
  const out = withSlot(record, own, { ...record[own], ok: false, tries: 0 })
  const tries = Math.max(1, record[other].tries)
  return { ...withSlot(out, other, { ...record[other], tries }), priority: other }
}

/** Rule 11: a slot in rescue lets the other one try once more. */
export function handedBack(record: BootRecord, own: SlotId): BootRecord {
  const other = otherSlot(own)
  const given = withSlot(record, other, { ...record[other], tries: slotLimits.trialTries })
  return { ...given, priority: other }
}

/** Rule 11: an assignment of its own release puts a slot in rescue on trial where it stands. */
export function onTrialInPlace(record: BootRecord, own: SlotId): BootRecord {
  const mine = withSlot(record, own, { ...record[own], ok: false, tries: slotLimits.trialTries })
  return { ...mine, priority: own }
}

/** Rule 13, last line: an attempt that came to nothing; own slot first, the spare has no tries. */
export function closed(record: BootRecord, own: SlotId): BootRecord {
  const spare = otherSlot(own)
  return { ...withSlot(record, spare, { ...record[spare], tries: 0 }), priority: own }
}

/** What a healthy boot of a committed slot puts right (rule 12), and whether it means EB-FELL-BACK. */
export interface Tidied {
  readonly record: BootRecord
  readonly changed: boolean
  readonly fellBack: boolean
  /** A promise is withdrawn: the write goes to both copies (rule 5). */
  readonly withdraws: boolean
}

/** @param attemptOpen an attempt of the journal has a claim on the priority (`claimsPriority`), and is still to be decided. */
export function tidied(record: BootRecord, own: SlotId, attemptOpen: boolean): Tidied {
  const other = otherSlot(own)
  const fellBack = record.priority !== own && !attemptOpen
  let next = withSlot(record, own, { ...record[own], tries: slotLimits.committedTries })
  if (fellBack) {
    next = { ...withSlot(next, other, { ...next[other], tries: 0 }), priority: own }
  }
  if (!attemptOpen) next = withoutUnprovenTries(next, other)
  const withdraws = next[other].tries < record[other].tries
  const changed = withdraws || next.priority !== record.priority || next[own].tries !== record[own].tries
  return { record: next, changed, fellBack, withdraws }
}

/** What the journal remembers of an attempt; nothing else of it counts (rule 13). */
export interface AttemptMemory {
  readonly releaseId: string
  readonly target: SlotId
  /** `opened`: the record may not even be cleared; `arming`: the seal stands, the record is next. */
  readonly phase: 'opened' | 'arming'
  /** Boot in which `arming` was entered. */
  readonly armedInBoot: string | null
}

/**
 * Rule 12: an attempt that is only opened has not touched the priority, so a fall back is none of its business:
 * left as it is, the slot that gave way would look like an open trial once it is cleared.
 */
export function claimsPriority(attempt: Pick<AttemptMemory, 'phase'> | null): boolean {
  return attempt !== null && attempt.phase !== 'opened'
}

/** What an open attempt has come to, seen from a new start of the agent. */
export type AttemptOutcome = 'succeeded' | 'trial' | 'resume' | 'reboot' | 'failed'

/**
 * Rule 13.
 * @param sealed release id by the seal of the target slot, null when it has no valid seal
 */
export function attemptOutcome(
  attempt: AttemptMemory,
  record: BootRecord,
  own: SlotId,
  bootId: string,
  sealed: string | null,
): AttemptOutcome {
  const target = record[attempt.target]
  const same = sealed === attempt.releaseId
  // An attempt that is only opened has not cleared the record yet: a target that is committed and holds the
  // release was so before, and says nothing about this attempt.
  if (attempt.phase === 'opened') return 'resume'
  if (target.ok && same) return 'succeeded'
  const armedNow = attempt.armedInBoot === bootId
  if (attempt.target === own) {
    if (same && standingOf(record, own) === 'trial') return armedNow ? 'reboot' : 'trial'
    // Still in rescue in the boot that was to arm it in its place: the record was not reached.
    return same && armedNow ? 'resume' : 'failed'
  }
  if (target.sv === 0) return 'resume'
  return armedNow ? 'reboot' : 'failed'
}

/** What rule 10 needs to know before a spare is wiped. */
export interface WipeFacts {
  readonly standing: Standing
  /** The spare verifies and its securityVersion is at or above the floor. */
  readonly spareUsable: boolean
  /** The own slot was re-read just now; null when that has not been done. */
  readonly ownIntact: boolean | null
  readonly spareOk: boolean
  readonly spareTries: number
  /** The spare's release reported for duty once and was rolled back. */
  readonly spareLived: boolean
  /** The own slot, in rescue, has handed back once and was booted again. */
  readonly handedBack: boolean
}

/** `wipe`: go on; `re-read`: find out `ownIntact` first; `refuse`; `boot the spare`: it is the only good one. */
export type WipeVerdict = 'wipe' | 're-read' | 'refuse' | 'boot the spare'

export function mayWipe(it: WipeFacts): WipeVerdict {
  if (!it.spareUsable) return 'wipe'
  if (it.ownIntact === null) return 're-read'
  if (it.standing === 'committed' && it.ownIntact) return 'wipe'
  if (!it.ownIntact) return !it.spareOk && !it.spareLived ? 'wipe' : 'boot the spare'
  if (it.standing === 'rescue' && it.handedBack && it.spareTries === 0) return 'wipe'
  return 'refuse'
}

/** Own slot rotten and the spare usable: the spare is put first (rule 10). */
export function spareFirst(record: BootRecord, own: SlotId): BootRecord {
  const spare = otherSlot(own)
  const tries = Math.max(1, record[spare].tries)
  return { ...withSlot(record, spare, { ...record[spare], tries }), priority: spare }
}

function withoutUnprovenTries(record: BootRecord, slot: SlotId): BootRecord {
  return record[slot].ok ? record : withSlot(record, slot, { ...record[slot], tries: 0 })
}
