/**
 * I2: what is partly written or unverified is never chosen. Looked at after every flush and every cut: no
 * slot that is not whole can be selected by rules 1 to 4, no seal stands over other bytes than its own,
 * nothing is armed that would not verify; while a slot is written no copy of the record promises it; in the
 * end no slot that was never proved has tries left.
 * Excused: rot that was planted in the slot (but what rotted before the attempt must not be armed), and
 * faults of storage that still last.
 */
import type { BootRecord } from '../../core/boot-record.ts'
import { otherSlot, type SlotId, slotIds } from '../../core/units.ts'
import { checker, type Facts } from './checker.ts'
import {
  attemptOpened,
  type Damage,
  damageAfterCut,
  damageHealed,
  damagePlanted,
  excused,
  mended,
  noDamage,
  startsRotten,
} from './damage.ts'
import { attemptKey, releaseText, runningSlot, savedJournal } from './seen.ts'

interface State {
  readonly damage: Damage
  readonly attempt: string | null
  /** Slot that the attempt says it is about to arm. */
  readonly arming: SlotId | null
  /** Number of the record that was looked at last. */
  readonly sequence: number
}

export const nothingHalfWritten = checker<State>({
  id: 'I2',
  says: 'a slot that is not whole is never started, armed or left to be chosen',
  start: { damage: noDamage, attempt: null, arming: null, sequence: -1 },
  on: {
    write(state, { slot }, { truth, violated }) {
      if (slot === null || state.damage.boot !== 'sound') return state
      for (const copy of truth.copies()) {
        if (copy === null || copy[slot].tries === 0) continue
        if (!isSelectable(copy, slot, truth.stamp()?.floor ?? 0)) continue
        violated(`slot ${slot} is written while a copy of the record says ${slotText(copy, slot)}`)
      }
      return state
    },
    flush: (state, _, facts) => looked(state, facts),
    cut: (state, _, facts) => looked(withDamage(state, damageAfterCut(state.damage)), facts),
    boot(state, { outcome }, facts) {
      const { violated, truth } = facts
      const trusted = outcome.kind === 'start' && startsRotten(state.damage, outcome.slot, facts.board.loader)
      if (outcome.kind === 'start' && !state.damage.faulty[outcome.slot] && !trusted) {
        const { slot, seal } = outcome
        const held = excused(state.damage, slot) ? truth.verifies(slot) : truth.slot(slot)
        if (held === null) violated(`slot ${slot} is chosen as ${seal.releaseId} and is not whole`)
      }
      return looked(state, facts)
    },
    rename(state, it, facts) {
      const journal = savedJournal(it, facts)
      if (journal === null) return state
      const key = attemptKey(journal)
      const arming = journal.attempt?.phase === 'arming' ? journal.attempt.target : null
      if (key === state.attempt && arming === state.arming) return state
      const opened = key !== null && key !== state.attempt
      const damage = opened ? attemptOpened(state.damage) : state.damage
      return { ...state, attempt: key, arming, damage }
    },
    planted: (state, it) => withDamage(state, damagePlanted(state.damage, it)),
    healed: (state) => withDamage(state, damageHealed(state.damage)),
    end(state, _, facts) {
      const running = runningSlot(facts)
      const record = facts.truth.record()
      if (running === null || record === null) return state
      const other = otherSlot(running)
      if (!record[other].ok && record[other].tries > 0) {
        facts.violated(`at rest slot ${other}, never proved, can be chosen: ${slotText(record, other)}`)
      }
      return state
    },
  },
})

function looked(before: State, { truth, violated }: Facts): State {
  const damage = mended(before.damage, truth)
  const state = withDamage(before, damage)
  for (const slot of slotIds) {
    const sealed = truth.sealed(slot)
    if (sealed !== null && truth.slot(slot) === null && !excused(damage, slot)) {
      violated(`slot ${slot} bears the seal of ${releaseText(sealed)} over something else`)
    }
  }
  const record = truth.record()
  if (record === null || damage.boot !== 'sound') return state
  for (const slot of slotIds) {
    const chosen = isSelectable(record, slot, truth.floor())
    if (chosen && truth.slot(slot) === null && !excused(damage, slot)) {
      violated(`slot ${slot} is not whole and can be chosen: ${slotText(record, slot)}`)
    }
  }
  if (record.sequence === state.sequence) return state
  const { arming } = state
  if (arming !== null && isArmed(record, arming) && damage.rot[arming] === 'old' && !damage.lying[arming]) {
    if (truth.verifies(arming) === null)
      violated(`slot ${arming} is armed, and was rotten before the attempt`)
  }
  return { ...state, sequence: record.sequence }
}

function withDamage(state: State, damage: Damage): State {
  return damage === state.damage ? state : { ...state, damage }
}

/** Rule 1. */
function isSelectable(record: BootRecord, slot: SlotId, floor: number): boolean {
  const { sv, tries } = record[slot]
  return tries > 0 && (sv === 0 || sv >= Math.max(floor, record.floor))
}

function isArmed(record: BootRecord, slot: SlotId): boolean {
  return record.priority === slot && !record[slot].ok && record[slot].tries > 0
}

function slotText(record: BootRecord, slot: SlotId): string {
  const { ok, sv, tries } = record[slot]
  return `${ok ? 'ok' : 'not ok'} sv=${sv} tries=${tries}`
}
