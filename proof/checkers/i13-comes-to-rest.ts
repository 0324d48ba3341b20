/**
 * I13: when faults are off, everything comes to rest: a committed system runs with its eight tries and comes
 * first, the other slot waits (committed, or without tries), the agent lives and is idle, its outbox is
 * empty, no attempt is open on the board or at the hub, and the hub knows which slot runs.
 * On a board that is started by tryboot the firmware has been told: autoboot.txt names the committed slot that runs.
 * Excused after planted rot, misbehaviour or lost copies of the record: an uncommitted system that is all
 * that is left rests in rescue (rule 11).
 */
import type { BootRecord } from '../../core/boot-record.ts'
import { slotLimits } from '../../core/limits.ts'
import { otherSlot, type SlotId } from '../../core/units.ts'
import { isOpen } from '../../hub/rollouts/machine.ts'
import { trybootPartitions } from '../board-facts.ts'
import { checker, type Facts, type Planted } from './checker.ts'
import { currentJournal, hubDevice, runningSlot } from './seen.ts'

/** Whether something was planted that may leave no committed system. */
type Harmed = boolean

const harms: readonly Planted[] = ['rot', 'record', 'record-copy', 'misbehaves']

export const comesToRest = checker<Harmed>({
  id: 'I13',
  says: 'with faults off, board and hub come to rest',
  start: false,
  on: {
    planted: (harmed, { what }) => harmed || harms.includes(what),
    end(harmed, { converged }, facts) {
      const { violated } = facts
      if (!converged) violated('there was no rest in the time given')
      const running = runningSlot(facts)
      const record = facts.truth.record()
      if (running === null || record === null) violated('no slot runs, or both copies of the record are bad')
      else slotsAtRest(record, running, harmed, facts)
      boardAtRest(facts)
      if (running !== null) firmwareAtRest(running, facts)
      if (running !== null) hubAtRest(running, facts)
      return harmed
    },
  },
})

function slotsAtRest(record: BootRecord, running: SlotId, harmed: Harmed, { violated }: Facts): void {
  const own = record[running]
  const other = record[otherSlot(running)]
  if (!own.ok) {
    if (!harmed) violated(`slot ${running} runs and is not committed`)
    return
  }
  if (own.tries !== slotLimits.committedTries) violated(`slot ${running} runs with ${own.tries} tries`)
  if (record.priority !== running) violated(`slot ${running} runs, slot ${record.priority} comes first`)
  if (!other.ok && other.tries > 0) violated(`slot ${otherSlot(running)} is not committed and has tries left`)
}

function firmwareAtRest(running: SlotId, { board, truth, violated }: Facts): void {
  if (board.loader !== 'tryboot' || truth.record()?.[running].ok !== true) return
  const told = truth.autoboot()
  const [own, other] = [trybootPartitions[running], trybootPartitions[otherSlot(running)]]
  if (told?.all === own && told.tryboot === other) return
  violated(`slot ${running} runs, autoboot.txt names partition ${told?.all}, on trial ${told?.tryboot}`)
}

function boardAtRest(facts: Facts): void {
  const { board, violated } = facts
  if (board.agent() === null) violated('no agent runs')
  const journal = currentJournal(facts)
  if (journal === null) {
    violated('there is no journal')
    return
  }
  const { attempt, outbox } = journal
  if (attempt !== null) violated(`attempt ${attempt.seq} is open in the journal, ${attempt.phase}`)
  if (outbox.length > 0) violated(`${outbox.length} statuses wait in the outbox`)
}

function hubAtRest(running: SlotId, facts: Facts): void {
  const device = hubDevice(facts)
  if (device === null) return
  const { reported, attempts } = device
  const last = attempts.at(-1)
  if (last !== undefined && isOpen(last.state))
    facts.violated(`attempt ${last.seq} is ${last.state} at the hub`)
  if (reported === null) {
    facts.violated('the hub has heard nothing of the board')
    return
  }
  if (reported.state !== 'IDLE') facts.violated(`the hub has the board as ${reported.state}`)
  if (reported.slot !== running) facts.violated(`slot ${running} runs, the hub has slot ${reported.slot}`)
}
