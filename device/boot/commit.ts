/**
 * Commit, rollback and putting right: the sequences of record writes of rules 8, 9, 11 and 12.
 * Promise: at every instant between two writes the board boots a complete system; the floor reaches the
 * stamp before it reaches the record.
 * Leaves to others: the decision (health, agent.ts).
 */
import { assert } from '../../core/assert.ts'
import { EverbootError, type Fault } from '../../core/errors.ts'
import { otherSlot } from '../../core/units.ts'
import type { Board } from '../board.ts'
import { isIntact } from '../slots/slot.ts'
import {
  claimsPriority,
  committed,
  floorAfterCommit,
  handedBack,
  rolledBack,
  standingOf,
  type Tidied,
  tidied,
} from '../update/boot-rules.ts'

/** Rule 8. The journal entry is the caller's, afterwards. @throws EverbootError EB-RECORD */
export async function commit(board: Board): Promise<void> {
  const { boot, own, ports } = board
  const seal = board.seal(own)
  const ownSv = seal?.securityVersion ?? boot.record[own].sv
  const wanted = seal?.floorAfterCommit ?? null
  const floorBefore = boot.floor
  const ownIntact = wanted !== null && seal !== null && (await isIntact(ports.disks, own, seal))
  const otherSv = await versionIfIntact(board)
  // The running system first: from here on it is what boots, whatever follows.
  await boot.write(committed(boot.record, own, ownSv))
  const floor = floorAfterCommit(floorBefore, ownSv, otherSv, wanted, ownIntact)
  // The stamp before the record: a floor that the record forgets must still be known.
  await boot.stampCommit({ floor, priority: own })
  await boot.writeBoth({ ...boot.record, floor })
}

/** securityVersion of the other slot when it verifies, else null. */
async function versionIfIntact(board: Board): Promise<number | null> {
  const slot = otherSlot(board.own)
  const seal = await board.refreshSeal(slot)
  if (seal === null || seal.securityVersion < board.boot.floor) return null
  try {
    return (await isIntact(board.ports.disks, slot, seal)) ? seal.securityVersion : null
  } catch (caught) {
    // What cannot even be opened is no fallback, and must not keep the running system from being committed.
    if (!(caught instanceof EverbootError)) throw caught
    return null
  }
}

/** Rule 9, the record. @throws EverbootError EB-RECORD */
export async function rollBack(board: Board): Promise<void> {
  await board.boot.writeBoth(rolledBack(board.boot.record, board.own))
}

/**
 * Rule 11: record first, then the journal, so that a cut between them costs one more try at most.
 * @returns null, or why the journal does not know of it; then a reboot could lead back here for ever
 */
export async function handBack(board: Board): Promise<Fault | null> {
  await board.boot.write(handedBack(board.boot.record, board.own))
  try {
    await board.journal.save((it) => ({ ...it, handedBack: true }))
    return null
  } catch (caught) {
    if (!(caught instanceof EverbootError)) throw caught
    return caught.fault
  }
}

/**
 * On start: a floor that only the stamp knows enters the record (rule 8), and what an agent that was killed had
 * withdrawn in one copy only is withdrawn in both (rule 5).
 */
export async function finishWithdrawal(board: Board): Promise<void> {
  const { record, floor } = board.boot
  if (floor > record.floor || board.boot.promisesMore(board.spare)) {
    await board.boot.writeBoth({ ...record, floor })
  }
}

/** Rule 12, and a stamp that lags behind a healthy committed record. @throws EverbootError EB-RECORD */
export async function tidy(board: Board): Promise<void> {
  const { boot, own } = board
  assert(standingOf(boot.record, own) === 'committed', 'a committed slot puts the record right')
  const next: Tidied = tidied(boot.record, own, claimsPriority(board.journal.current.attempt))
  if (next.changed && next.withdraws) await boot.writeBoth(next.record)
  else if (next.changed) await boot.write(next.record)
  const { stamp, record, floor } = boot
  if (record.priority === own && (stamp === null || stamp.floor < floor || stamp.priority !== own)) {
    await boot.stampCommit({ floor, priority: own })
  }
}
