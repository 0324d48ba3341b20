/**
 * I4: the only good slot is never written, neither image nor tree nor seal; nor is ever the slot that runs.
 * Good: its seal and images verify, at or above the floor. Of a slot that is written while the other one is
 * not good, only one that was proved counts (committed, or rolled back after it lived): what hung at its only
 * trial may be wiped (rule 10 c).
 * Excused: rot planted in the other slot since the attempt was opened, since the last look may lie before it.
 */
import { otherSlot, type SlotId, slotIds } from '../../core/units.ts'
import { checker, type Facts } from './checker.ts'
import {
  attemptOpened,
  type Damage,
  damageAfterCut,
  damageHealed,
  damagePlanted,
  mended,
  noDamage,
} from './damage.ts'
import { attemptKey, currentJournal, good, releaseText, runningSlot, savedJournal } from './seen.ts'

interface State {
  readonly damage: Damage
  readonly attempt: string | null
  /** Id of the release in the slot that was committed there. */
  readonly proved: Readonly<Record<SlotId, string | null>>
}

export const onlyGoodSlot = checker<State>({
  id: 'I4',
  says: 'neither the only good slot nor the running one is written',
  start: { damage: noDamage, attempt: null, proved: { a: null, b: null } },
  on: {
    write(state, { slot, partition, offset, bytes }, facts) {
      if (slot === null) return state
      const where = `${partition} ${offset}+${bytes.length}`
      if (slot === runningSlot(facts)) facts.violated(`slot ${slot} is written while it runs: ${where}`)
      const mine = good(facts.truth, slot)
      if (mine === null || good(facts.truth, otherSlot(slot)) !== null) return state
      const { rot, lying } = state.damage
      const behind = rot[otherSlot(slot)] === 'fresh' || lying[otherSlot(slot)]
      if (behind || !isProved(state, slot, mine.manifest.id, facts)) return state
      facts.violated(`slot ${slot}, the only good one (${releaseText(mine)}), is written: ${where}`)
      return state
    },
    flush: (state, { slot }, facts) => (slot === null ? looked(state, facts) : state),
    boot: (state, _, facts) => looked(state, facts),
    cut: (state) => withDamage(state, damageAfterCut(state.damage)),
    healed: (state) => withDamage(state, damageHealed(state.damage)),
    rename(state, it, facts) {
      const journal = savedJournal(it, facts)
      const key = journal === null ? state.attempt : attemptKey(journal)
      if (key === state.attempt) return state
      return { ...state, attempt: key, damage: key === null ? state.damage : attemptOpened(state.damage) }
    },
    planted(before, { what, slot }, { truth }) {
      const state = withDamage(before, damagePlanted(before.damage, { what, slot }))
      if (what !== 'record' && what !== 'record-copy') return state
      // What only a lost copy knew to be proved is not any more.
      const still = (it: SlotId) => (truth.record()?.[it].ok === true ? state.proved[it] : null)
      return { ...state, proved: { a: still('a'), b: still('b') } }
    },
  },
})

function looked(before: State, { truth }: Facts): State {
  let state = withDamage(before, mended(before.damage, truth))
  const record = truth.record()
  if (record === null) return state
  for (const slot of slotIds) {
    const id = record[slot].ok ? (truth.verifies(slot)?.manifest.id ?? null) : null
    if (id !== null && id !== state.proved[slot])
      state = { ...state, proved: { ...state.proved, [slot]: id } }
  }
  return state
}

function withDamage(state: State, damage: Damage): State {
  return damage === state.damage ? state : { ...state, damage }
}

function isProved({ proved }: State, slot: SlotId, release: string, facts: Facts): boolean {
  return proved[slot] === release || currentJournal(facts)?.lived === release
}
