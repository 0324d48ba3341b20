/**
 * Whether a board has nothing left to do: it runs, its boot has come to a verdict, the record is as after a
 * healthy boot, and the hub knows of everything.
 * Promise: looks at the media, the hub and the agent's log; changes nothing.
 */
import { slotLimits } from '../core/limits.ts'
import { otherSlot } from '../core/units.ts'
import { decodeJournal } from '../device/update/journal.ts'
import { boardName, type Scene } from './scene.ts'

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
  if (record === null || record.priority !== slot) return false
  const other = record[otherSlot(slot)]
  if (!record[slot].ok || record[slot].tries !== slotLimits.committedTries) return false
  // What an attempt that failed has left in the spare may wait for its flush for ever.
  return (other.ok || other.tries === 0) && board.bootDisk.pending().length === 0
}
