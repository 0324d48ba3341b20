/**
 * The life of an update as a table: the eight states of the Kindle protocol, what leads from one to the
 * next, and what is to be done on the way.
 * Promise: pure; every event in every state has exactly one answer, "ignored" where the table has no row.
 * Leaves to others: doing it (agent.ts), and deciding after a boot where in the table the device stands
 * (boot-rules.ts). `docs/ARCHITECTURE.md` shows the diagram that a test prints from this table.
 */
import type { UpdateState } from '../../core/wire/messages.ts'

/** What happened. */
export type UpdateEvent =
  | 'assigned'
  | 'held'
  | 'downloaded'
  | 'intact'
  | 'damaged'
  | 'armed'
  | 'trial'
  | 'committed'
  | 'unhealthy'
  | 'stuck'
  | 'fell back'
  | 'failed'
  | 'withdrawn'
  | 'reported'

/** What the agent does when a row fires. */
export type UpdateAction =
  | 'check and download'
  | 'read back'
  | 'download what is damaged'
  | 'seal and arm'
  | 'reboot'
  | 'watch health'
  | 'roll back and reboot'
  | 'report success'
  | 'report failure'
  | 'take the next assignment'

export interface UpdateRow {
  readonly from: UpdateState
  readonly on: UpdateEvent
  readonly to: UpdateState
  readonly does: UpdateAction
}

const row = (from: UpdateState, on: UpdateEvent, to: UpdateState, does: UpdateAction): UpdateRow => ({
  from,
  on,
  to,
  does,
})

export const updateTable: readonly UpdateRow[] = [
  row('IDLE', 'assigned', 'DOWNLOADING', 'check and download'),
  row('DOWNLOADING', 'downloaded', 'VERIFYING', 'read back'),
  row('DOWNLOADING', 'held', 'COMPLETE', 'report success'),
  row('DOWNLOADING', 'failed', 'FAILED', 'report failure'),
  row('DOWNLOADING', 'withdrawn', 'FAILED', 'report failure'),
  row('VERIFYING', 'intact', 'APPLYING', 'seal and arm'),
  row('VERIFYING', 'damaged', 'DOWNLOADING', 'download what is damaged'),
  row('VERIFYING', 'failed', 'FAILED', 'report failure'),
  row('APPLYING', 'armed', 'REBOOTING', 'reboot'),
  row('APPLYING', 'failed', 'FAILED', 'report failure'),
  row('APPLYING', 'withdrawn', 'FAILED', 'report failure'),
  row('REBOOTING', 'trial', 'REBOOTING', 'watch health'),
  row('REBOOTING', 'committed', 'COMPLETE', 'report success'),
  row('REBOOTING', 'unhealthy', 'ROLLBACK', 'roll back and reboot'),
  row('REBOOTING', 'stuck', 'FAILED', 'report failure'),
  row('REBOOTING', 'fell back', 'ROLLBACK', 'report failure'),
  row('ROLLBACK', 'fell back', 'ROLLBACK', 'report failure'),
  row('ROLLBACK', 'reported', 'IDLE', 'take the next assignment'),
  row('COMPLETE', 'reported', 'IDLE', 'take the next assignment'),
  row('FAILED', 'reported', 'IDLE', 'take the next assignment'),
]

/** @returns the row that fires, or null when the event means nothing in this state. */
export function step(state: UpdateState, event: UpdateEvent): UpdateRow | null {
  return updateTable.find((it) => it.from === state && it.on === event) ?? null
}
