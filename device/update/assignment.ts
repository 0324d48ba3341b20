/**
 * Which assignments are new: order by `seq`, against replays, stale retained messages and absurd numbers.
 * Promise: pure; a finished attempt is never begun again, whatever is retained.
 */
import { type Fault, fault } from '../../core/errors.ts'
import { wireLimits } from '../../core/limits.ts'
import type { Desired } from '../../core/wire/messages.ts'
import type { Journal } from './journal.ts'

/** Before this instant (2026-01-01) a clock is not set: there is no older Everboot. */
export const earliestWallMs = 1_767_225_600_000

export type Judged =
  | { readonly kind: 'new' }
  | { readonly kind: 'known' }
  | { readonly kind: 'refused'; readonly fault: Fault }

/** @param wallMs of the device, trusted only when it is not before `earliestWallMs` */
export function judge(desired: Desired, journal: Journal, wallMs: number): Judged {
  const finished = journal.finished?.seq ?? 0
  const open = journal.attempt?.seq ?? 0
  if (desired.seq <= Math.max(finished, open)) return { kind: 'known' }
  const trusted = wallMs >= earliestWallMs
  const nowMs = Math.max(trusted ? wallMs : earliestWallMs, finished)
  const ahead = trusted ? wireLimits.sequenceAheadMs : wireLimits.sequenceAheadBlindMs
  if (desired.seq > nowMs + ahead) {
    return { kind: 'refused', fault: fault('EB-SEQUENCE', `assignment ${desired.seq} at time ${nowMs}`) }
  }
  return { kind: 'new' }
}
