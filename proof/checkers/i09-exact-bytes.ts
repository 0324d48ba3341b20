/**
 * I9: same input, same slot bytes, whatever the crash history: when the record says for the first time that a slot
 * is committed, its images, trees and seal are exactly those of the release, and the record has its security version.
 * Excused: rot that was planted in the slot.
 */
import { type SlotId, slotIds } from '../../core/units.ts'
import { checker, type Facts } from './checker.ts'
import { mended, noRot, type Rotten, rotPlanted } from './rot.ts'

interface State {
  readonly rotten: Rotten
  readonly ok: Readonly<Record<SlotId, boolean>> | null
}

export const exactBytes = checker<State>({
  id: 'I9',
  says: 'what is committed is exactly what the publisher made',
  start: { rotten: noRot, ok: null },
  on: {
    flush: (state, _, facts) => looked(state, facts),
    cut: (state, _, facts) => looked(state, facts),
    boot: (state, _, facts) => looked(state, facts),
    planted: (state, { what, slot }) =>
      what === 'rot' ? { ...state, rotten: rotPlanted(state.rotten, slot) } : state,
  },
})

function looked(before: State, { truth, violated }: Facts): State {
  const rotten = mended(before.rotten, truth)
  const record = truth.record()
  if (record === null) return rotten === before.rotten ? before : { ...before, rotten }
  const ok = { a: record.a.ok, b: record.b.ok }
  if (rotten === before.rotten && before.ok?.a === ok.a && before.ok.b === ok.b) return before
  for (const slot of slotIds) {
    if (before.ok === null || before.ok[slot] || !ok[slot] || rotten[slot] !== 'none') continue
    const held = truth.slot(slot)
    const { sv } = record[slot]
    if (held === null) violated(`slot ${slot} is committed and holds no release whole`)
    else if (held.manifest.securityVersion !== sv) {
      violated(`slot ${slot} is committed with security version ${sv} and holds ${held.manifest.id}`)
    }
  }
  return { rotten, ok }
}
