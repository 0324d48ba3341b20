/**
 * I9: same input, same slot bytes, whatever the crash history: when the record says for the first time that a
 * slot is committed, its images, trees and seal are exactly those of the release, and the record has its
 * security version.
 * Excused: rot that was planted in the slot, and what a fault of its storage has left there.
 */
import { type SlotId, slotIds } from '../../core/units.ts'
import { checker, type Facts } from './checker.ts'
import {
  type Damage,
  damageAfterCut,
  damageHealed,
  damagePlanted,
  excused,
  mended,
  noDamage,
} from './damage.ts'

interface State {
  readonly damage: Damage
  readonly ok: Readonly<Record<SlotId, boolean>> | null
}

export const exactBytes = checker<State>({
  id: 'I9',
  says: 'what is committed is exactly what the publisher made',
  start: { damage: noDamage, ok: null },
  on: {
    flush: (state, _, facts) => looked(state, facts),
    cut: (state, _, facts) => looked(withDamage(state, damageAfterCut(state.damage)), facts),
    boot: (state, _, facts) => looked(state, facts),
    planted: (state, it) => withDamage(state, damagePlanted(state.damage, it)),
    healed: (state) => withDamage(state, damageHealed(state.damage)),
  },
})

function withDamage(state: State, damage: Damage): State {
  return damage === state.damage ? state : { ...state, damage }
}

function looked(before: State, { truth, violated }: Facts): State {
  const damage = mended(before.damage, truth)
  const record = truth.record()
  if (record === null) return damage === before.damage ? before : { ...before, damage }
  const ok = { a: record.a.ok, b: record.b.ok }
  if (damage === before.damage && before.ok?.a === ok.a && before.ok.b === ok.b) return before
  for (const slot of slotIds) {
    if (before.ok === null || before.ok[slot] || !ok[slot] || excused(damage, slot)) continue
    const held = truth.slot(slot)
    const { sv } = record[slot]
    if (held === null) violated(`slot ${slot} is committed and holds no release whole`)
    else if (held.manifest.securityVersion !== sv) {
      violated(`slot ${slot} is committed with security version ${sv} and holds ${held.manifest.id}`)
    }
  }
  return { damage, ok }
}
