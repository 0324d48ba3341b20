/**
 * Whether a board has nothing left to do: it runs, its boot has come to a verdict, the record is as after a
 * healthy boot, and the hub knows of everything. An uncommitted system rests too when nobody is left to give
 * way to (rules 9 and 11).
 * Promise: looks at the media, the hub and the agent's log; changes nothing.
 */
import type { BootRecord } from '../core/boot-record.ts'
import { slotLimits } from '../core/limits.ts'
import { otherSlot, type SlotId } from '../core/units.ts'
import { decodeJournal, type Journal } from '../device/update/journal.ts'
import { boardName, type Scene } from './scene.ts'

/** Virtual time that a board has to come to rest. */
const restMs = 6 * 3_600_000
/** A board that goes on by itself does so within this time: it is longer than the pause before a reboot. */
const stillMs = 60_000

/** Waits until the board is at rest and stays so. @returns false when it does not, or an invariant did not hold */
export async function comesToRest(scene: Scene): Promise<boolean> {
  const { board, observer, world } = scene
  const untilMs = world.time.nowMs() + restMs
  while (world.time.nowMs() < untilMs) {
    const left = untilMs - world.time.nowMs()
    await world.time.until(() => observer.violation() !== null || atRest(scene), left)
    if (observer.violation() !== null || !atRest(scene)) return false
    const boots = board.boots.length
    await world.time.pass(stillMs)
    if (observer.violation() !== null) return false
    if (boots === board.boots.length && atRest(scene)) return true
  }
  return false
}

export function atRest({ world, board, observer }: Scene): boolean {
  const slot = board.boots.at(-1)
  if (slot === undefined || board.agent() === null) return false
  const device = world.hub().state().devices.get(boardName)
  const reported = device?.reported
  if (reported?.state !== 'IDLE' || reported.bootId !== board.bootId) return false
  const attempt = device?.attempts.at(-1)?.state
  if (attempt === 'pending' || attempt === 'in-progress') return false
  const bytes = board.files.content('journal')
  const journal = bytes === null ? null : decodeJournal(bytes)
  if (journal === null || journal.attempt !== null || journal.outbox.length > 0) return false
  const record = observer.truth.record()
  // What an attempt that failed has left in the spare may wait for its flush for ever.
  if (record === null || board.bootDisk.pending().length > 0) return false
  if ((board.storage.autoboot?.pending().length ?? 0) > 0) return false
  return record[slot].ok ? committedRests(record, slot) : restsUncommitted(record, slot, journal, board)
}

/** The record is as a healthy boot of a committed slot leaves it. */
export function committedRests(record: BootRecord, slot: SlotId): boolean {
  const other = record[otherSlot(slot)]
  return (
    record.priority === slot &&
    record[slot].tries === slotLimits.committedTries &&
    (other.ok || other.tries === 0)
  )
}

/** The boot has its verdict, and neither rollback nor handing back is left to it. */
function restsUncommitted(
  record: BootRecord,
  slot: SlotId,
  journal: Journal,
  { log }: Pick<Scene['board'], 'log'>,
): boolean {
  const last = log.findLast((it) => it.event === 'standing' || it.event === 'health')
  if (last?.event !== 'health') return false
  if (last['standing'] === 'rescue') return journal.handedBack
  const other = record[otherSlot(slot)]
  return last['verdict'] === 'unhealthy' && !other.ok && other.tries === 0
}
