/**
 * I6: a trial without a verdict is started three times at most (once more per lost copy of the record), then
 * the other slot boots and the trial does not come back; an attempt moves the priority there and back once,
 * and reboots of the agent's own accord have an end. Counted as long as the other slot is good, on trial as
 * rule 6 has it. Every planted fault may cost one more way there and back (out of rescue, to the spare that
 * is the only good slot), and eight cuts use up the tries of a committed slot.
 * Of a board that is started by tryboot: the other slot boots after each try, so a trial has left for good once its
 * tries are gone; [all] of autoboot.txt never names a slot that is not committed beside one that is, since nobody
 * would count its boots; and a committed slot that is good loses its place only after the firmware was told of it.
 */
import type { BootRecord } from '../../core/boot-record.ts'
import { slotLimits } from '../../core/limits.ts'
import { otherSlot, type SlotId, slotIds } from '../../core/units.ts'
import { trybootPartitions } from '../board-facts.ts'
import { checker, type Facts } from './checker.ts'
import { type Damage, damageAfterCut, damageHealed, damagePlanted, noDamage } from './damage.ts'
import { attemptKey, good, onTrial, savedJournal } from './seen.ts'

/** To the new slot, and one final switch back. */
const switchesMax = 2
/** Into the trial, and out of it after a rollback. */
const rebootsMax = 2

interface State {
  readonly attempt: string | null
  /** Starts on trial since the slot was written or a new attempt began. */
  readonly starts: Readonly<Record<SlotId, number>>
  /** The other slot was started since. */
  readonly left: Readonly<Record<SlotId, boolean>>
  readonly priority: SlotId | null
  /** Of this attempt and what follows it. */
  readonly switches: number
  readonly reboots: number
  readonly cuts: number
  readonly kills: number
  readonly faults: number
  readonly lostCopies: number
  readonly damage: Damage
}

const afresh = {
  starts: { a: 0, b: 0 },
  left: { a: false, b: false },
  switches: 0,
  reboots: 0,
  cuts: 0,
  kills: 0,
  faults: 0,
  lostCopies: 0,
}

export const trialEnds = checker<State>({
  id: 'I6',
  says: 'a trial has three boots at most, and one switch back ends it',
  start: { ...afresh, attempt: null, priority: null, damage: noDamage },
  on: {
    write(state, { slot }) {
      if (slot === null || (state.starts[slot] === 0 && !state.left[slot])) return state
      const { starts, left } = state
      return { ...state, starts: { ...starts, [slot]: 0 }, left: { ...left, [slot]: false } }
    },
    flush: (state, { slot }, facts) => (slot === null ? looked(toldInOrder(state, facts), facts) : state),
    cut: (state, _, facts) =>
      looked(
        toldInOrder({ ...state, cuts: state.cuts + 1, damage: damageAfterCut(state.damage) }, facts),
        facts,
      ),
    killed: (state) => ({ ...state, kills: state.kills + 1 }),
    boot(before, { outcome }, facts) {
      const state = looked(before, facts)
      const record = facts.truth.record()
      if (outcome.kind === 'none' || record === null || state.damage.boot !== 'sound') return state
      return started(state, outcome.slot, record, facts)
    },
    rename(state, it, facts) {
      const journal = savedJournal(it, facts)
      const key = journal === null ? null : attemptKey(journal)
      if (key === null || key === state.attempt) return state
      const { boot, faulty } = state.damage
      const faults = boot === 'sound' && !faulty.a && !faulty.b ? 0 : 1
      return { ...state, ...afresh, faults, attempt: key }
    },
    logged(state, { event }, { violated }) {
      if (event.event !== 'reboot') return state
      const reboots = state.reboots + 1
      const max = rebootsMax + 2 * state.faults + state.cuts - state.reboots + state.kills
      if (reboots > max) violated(`the agent reboots the board for the ${reboots}th time in one attempt`)
      return { ...state, reboots }
    },
    planted(state, { what, slot }) {
      const faults = state.faults + 1
      if (what === 'record') return { ...state, ...afresh, faults }
      // Where it names the trial in [all], the initramfs ends that after its eight boots.
      const { committedTries } = slotLimits
      if (what === 'autoboot') return { ...state, faults, lostCopies: state.lostCopies + committedTries }
      if (what === 'record-copy') return { ...state, faults, lostCopies: state.lostCopies + 1 }
      return { ...state, faults, damage: damagePlanted(state.damage, { what, slot }) }
    },
    healed: (state) => ({ ...state, damage: damageHealed(state.damage) }),
  },
})

/** autoboot.txt follows the record, never the other way round. */
function toldInOrder(state: State, { truth, violated }: Facts): State {
  const told = slotIds.find((slot) => trybootPartitions[slot] === truth.autoboot()?.all)
  const record = truth.record()
  if (told === undefined || record === null || state.damage.boot !== 'sound') return state
  const other = otherSlot(told)
  if (!record[told].ok && record[other].ok && state.faults === 0) {
    violated(`autoboot.txt names slot ${told}, which is not committed: nobody counts its boots`)
  }
  const { priority } = state
  const leaves = priority !== null && record.priority !== priority && record[priority].ok
  if (leaves && told !== priority && record[record.priority].ok && good(truth, priority) !== null) {
    violated(`slot ${priority}, committed and good, loses its place before the firmware was told of it`)
  }
  return state
}

function looked(before: State, { truth, violated }: Facts): State {
  const record = truth.record()
  if (record === null) return before
  const state = withoutCommitted(before, record)
  const { priority } = record
  if (priority === state.priority) return state
  if (state.priority === null) return { ...state, priority }
  const switches = state.switches + 1
  const max = switchesMax + 2 * state.faults + Math.floor(state.cuts / slotLimits.committedTries)
  if (switches > max) violated(`the priority moves for the ${switches}th time in one attempt, to ${priority}`)
  return { ...state, priority, switches }
}

/** A slot that is committed is on trial no more. */
function withoutCommitted(state: State, record: BootRecord): State {
  const starts = {
    a: record.a.ok ? 0 : state.starts.a,
    b: record.b.ok ? 0 : state.starts.b,
  }
  return starts.a === state.starts.a && starts.b === state.starts.b ? state : { ...state, starts }
}

function started(state: State, slot: SlotId, record: BootRecord, { board, truth, violated }: Facts): State {
  const other = otherSlot(slot)
  const returns = board.loader === 'tryboot' && record[other].tries > 0
  const leaves = state.starts[other] > 0 && !record[other].ok && !returns
  const left = leaves ? { ...state.left, [other]: true } : state.left
  if (record[slot].ok) return left === state.left ? state : { ...state, left }
  if (!onTrial(record, slot) || good(truth, other) === null) return { ...state, left }
  if (left[slot] && state.faults === 0) {
    violated(`slot ${slot} is on trial again although slot ${other} was started since`)
  }
  const count = state.starts[slot] + 1
  // A slot that eight cuts have kept from being found healthy gives way to whatever bears a good seal.
  const given = board.loader === 'tryboot' ? Math.floor(state.cuts / slotLimits.committedTries) : 0
  if (count > slotLimits.trialTries + state.lostCopies + given) {
    violated(`slot ${slot} is started on trial for the ${count}th time although slot ${other} is good`)
  }
  return { ...state, left, starts: { ...state.starts, [slot]: count } }
}
