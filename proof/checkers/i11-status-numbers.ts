/**
 * I11: the numbers of a board's statuses rise strictly over its life, at the hub and in its outbox; no status
 * is kept twice; what the hub acknowledges it has kept; it sees a new life only where the board has lost its
 * data.
 * Excused: data that was lost by planting (the numbers go on elsewhere), a network that reorders.
 */
import type { Journal } from '../../device/update/journal.ts'
import { checker } from './checker.ts'
import { hubDevice, newJournalName } from './seen.ts'

interface State {
  readonly last: { readonly bootId: string; readonly seq: number } | null
  readonly life: number | null
  readonly dataLost: boolean
  readonly badNetwork: boolean
}

export const statusNumbers = checker<State>({
  id: 'I11',
  says: 'status numbers rise strictly, and the hub has each acknowledged status once',
  start: { last: null, life: null, dataLost: false, badNetwork: false },
  on: {
    kept(state, { status: { bootId, seq } }, facts) {
      const { last, life, dataLost, badNetwork } = state
      const now = hubDevice(facts)?.life.number ?? null
      if (life !== null && now !== null && now > life && !dataLost) {
        facts.violated(`the hub sees life ${now} of a board that has lost nothing, at status ${seq}`)
      }
      if (last !== null && seq <= last.seq && !dataLost && !badNetwork) {
        facts.violated(`status ${seq} of ${bootId} comes after ${last.seq} of ${last.bootId}`)
      }
      return { ...state, last: { bootId, seq }, life: now, dataLost: false }
    },
    acked(state, { bootId, seq }, { board, world, violated }) {
      if (!world.store.tables.statuses.has(`${board.id} ${bootId} ${seq}`)) {
        violated(`status ${seq} of ${bootId} is acknowledged and was not kept`)
      }
      return state
    },
    file(state, { name, bytes }, { journal, violated }) {
      const fall = name === newJournalName ? fallIn(journal(bytes)) : null
      if (fall !== null) violated(`the outbox has ${fall}`)
      return state
    },
    planted(state, { what }) {
      if (what === 'data-lost') return { ...state, dataLost: true }
      return what === 'network-fault' ? { ...state, badNetwork: true } : state
    },
    healed: (state) => (state.badNetwork ? { ...state, badNetwork: false } : state),
  },
})

/** @returns the first status whose number is not above the one before it, in words */
function fallIn(journal: Journal | null): string | null {
  let before = 0
  for (const { seq } of journal?.outbox ?? []) {
    if (seq <= before) return `status ${seq} behind status ${before}`
    before = seq
  }
  return null
}
