/**
 * The outcome of a rollout: per device pending → in progress → succeeded or failed, or superseded by a newer
 * rollout; the rollout has ended when no device is open.
 * Promise: `succeeded` comes only from a final report `ok` of that very attempt and release; a final report
 * that comes late still replaces `superseded`, because it is the truth; reports in any order agree on the
 * one that counts (newest life, then lowest seq).
 * Leaves to others: who gets the release (../core/desired.ts), waves.
 */
import { assert } from '../../core/assert.ts'
import type { Status } from '../../core/wire/messages.ts'
import type { Attempt, AttemptState, Rollout, StatusOrder } from '../core/model.ts'

/** @returns the attempt after this status; the same object when nothing changed. */
export function attemptAfter(attempt: Attempt, status: Status, order: StatusOrder, atMs: number): Attempt {
  const { report } = status
  if (report !== undefined && report.seq === attempt.seq && report.release === attempt.release) {
    if (attempt.decidedBy !== null && !decidesBefore(order, attempt.decidedBy)) return attempt
    const decidedBy = { ...order, bootId: status.bootId }
    if (report.result === 'ok') {
      return { ...attempt, state: 'succeeded', code: null, what: null, decidedBy, atMs }
    }
    const code = report.code ?? 'EB-INTERNAL'
    return { ...attempt, state: 'failed', code, what: report.what ?? null, decidedBy, atMs }
  }
  if (attempt.state === 'pending' && status.attempt?.seq === attempt.seq) {
    return { ...attempt, state: 'in-progress', atMs }
  }
  return attempt
}

/** A newer rollout takes the device. @param attempt is open: one that has a verdict keeps it. */
export function supersede(attempt: Attempt, by: string, atMs: number): Attempt {
  assert(isOpen(attempt.state), `attempt of ${attempt.rollout} is ${attempt.state}`)
  return { ...attempt, state: 'superseded', code: 'EB-CANCELLED', what: `superseded by rollout ${by}`, atMs }
}

export function isOpen(state: AttemptState): boolean {
  return state === 'pending' || state === 'in-progress'
}

/** The rollout after one of its devices went from one state to another. */
export function countsAfter(rollout: Rollout, from: AttemptState, to: AttemptState, atMs: number): Rollout {
  const counts = { ...rollout.counts }
  counts[from] -= 1
  counts[to] += 1
  return ended({ ...rollout, counts }, atMs)
}

/** `rollout` with the time of its end, when nothing in it is open. */
export function ended(rollout: Rollout, atMs: number): Rollout {
  const open = rollout.counts.pending + rollout.counts['in-progress']
  return open === 0 && rollout.endedMs === null ? { ...rollout, endedMs: atMs } : rollout
}

export const noCounts: Readonly<Record<AttemptState, number>> = {
  pending: 0,
  'in-progress': 0,
  succeeded: 0,
  failed: 0,
  superseded: 0,
}

function decidesBefore(a: StatusOrder, b: StatusOrder): boolean {
  return a.life > b.life || (a.life === b.life && a.seq < b.seq)
}
