/**
 * I4: the only good slot is never written, neither image nor tree nor seal; nor is ever the slot that runs.
 * Good: its seal and images verify, at or above the floor. Of a slot that is written while the other one is
 * not good, only one that was proved counts (committed, or rolled back after it lived): what hung at its only
 * trial may be wiped (rule 10 c).
 * Excused: rot planted in the other slot since the attempt was opened, since the last look may lie before it.
 */
import { otherSlot, type SlotId, slotIds } from '../../core/units.ts'
import { checker, type Facts } from './checker.ts'
import { attemptOpened, mended, noRot, type Rotten, rotPlanted } from './rot.ts'
import { attemptKey, currentJournal, good, releaseText, runningSlot, savedJournal } from './seen.ts'

interface State {
  readonly rotten: Rotten
  readonly attempt: string | null
  /** Id of the release in the slot that was committed there. */
  readonly proved: Readonly<Record<SlotId, string | null>>
}

export const onlyGoodSlot = checker<State>({
  id: 'I4',
  says: 'neither the only good slot nor the running one is written',
  start: { rotten: noRot, attempt: null, proved: { a: null, b: null } },
  on: {
    write(state, { slot, partition, offset, bytes }, facts) {
      if (slot === null) return state
      const where = `${partition} ${offset}+${bytes.length}`
      if (slot === runningSlot(facts)) facts.violated(`slot ${slot} is written while it runs: ${where}`)
      const mine = good(facts.truth, slot)
      if (mine === null || good(facts.truth, otherSlot(slot)) !== null) return state
      if (state.rotten[otherSlot(slot)] === 'fresh' || !isProved(state, slot, mine.manifest.id, facts))
        return state
      facts.violated(`slot ${slot}, the only good one (${releaseText(mine)}), is written: ${where}`)
      return state
    },
    flush: (state, { slot }, facts) => (slot === null ? looked(state, facts) : state),
    boot: (state, _, facts) => looked(state, facts),
    rename(state, it, facts) {
      const journal = savedJournal(it, facts)
      const key = journal === null ? state.attempt : attemptKey(journal)
      if (key === state.attempt) return state
      return { ...state, attempt: key, rotten: key === null ? state.rotten : attemptOpened(state.rotten) }
    },
    planted(state, { what, slot }, { truth }) {
      if (what === 'rot') return { ...state, rotten: rotPlanted(state.rotten, slot) }
      if (what !== 'record' && what !== 'record-copy') return state
      // What only a lost copy knew to be proved is not any more.
      const still = (it: SlotId) => (truth.record()?.[it].ok === true ? state.proved[it] : null)
      return { ...state, proved: { a: still('a'), b: still('b') } }
    },
  },
})

function looked(before: State, { truth }: Facts): State {
  const rotten = mended(before.rotten, truth)
  let state = rotten === before.rotten ? before : { ...before, rotten }
  const record = truth.record()
  if (record === null) return state
  for (const slot of slotIds) {
    const id = record[slot].ok ? (truth.verifies(slot)?.manifest.id ?? null) : null
    if (id !== null && id !== state.proved[slot])
      state = { ...state, proved: { ...state.proved, [slot]: id } }
  }
  return state
}

function isProved({ proved }: State, slot: SlotId, release: string, facts: Facts): boolean {
  return proved[slot] === release || currentJournal(facts)?.lived === release
}
