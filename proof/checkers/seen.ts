/**
 * What several checkers ask of a happening or of the truth, in one place.
 * Promise: pure; answers come from media and hub.
 */
import type { BootRecord } from '../../core/boot-record.ts'
import { otherSlot, type SlotId } from '../../core/units.ts'
import type { Journal } from '../../device/update/journal.ts'
import type { Device } from '../../hub/core/model.ts'
import type { MadeRelease } from '../publisher.ts'
import type { Truth } from '../truth.ts'
import type { Facts } from './checker.ts'

/** Files of the agent; the new one takes the name of the other. */
export const journalName = 'journal'
export const newJournalName = 'journal.new'

/** The journal after a rename, or null when another file was renamed. */
export function savedJournal(it: { readonly from: string }, { board, journal }: Facts): Journal | null {
  return it.from === newJournalName ? currentJournal({ board, journal }) : null
}

/** The journal as a reader of the data partition sees it now. */
export function currentJournal({ board, journal }: Pick<Facts, 'board' | 'journal'>): Journal | null {
  const bytes = board.files.content(journalName)
  return bytes === null ? null : journal(bytes)
}

/** Names the attempt that is open; null when none is. Installations asked for on the device have seq 0. */
export function attemptKey(journal: Journal): string | null {
  return journal.attempt === null ? null : `${journal.attempt.seq} ${journal.attempt.releaseId}`
}

/** The slot of the last boot that started one. */
export function runningSlot({ board }: Facts): SlotId | null {
  return board.boots.at(-1) ?? null
}

/** The release that a loader could start from there now: seal and images are right, at or above the floor. */
export function good(truth: Truth, slot: SlotId): MadeRelease | null {
  const held = truth.verifies(slot)
  return held !== null && held.manifest.securityVersion >= truth.floor() ? held : null
}

/** Rule 6 of the boot protocol: whether the slot, running, is on trial. */
export function onTrial(record: BootRecord, slot: SlotId): boolean {
  const other = record[otherSlot(slot)]
  return !record[slot].ok && (record.priority === slot || (!other.ok && other.tries === 0))
}

/** The board as its hub knows it. */
export function hubDevice({ board, world }: Facts): Device | null {
  return world.hub().state().devices.get(board.id) ?? null
}

export function releaseText(release: MadeRelease | null): string {
  return release === null ? 'nothing whole' : release.manifest.id
}
