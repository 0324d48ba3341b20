/**
 * I5: the floor never falls, also when both copies of the record are lost while the stamp can be read: so the
 * stamp is never behind a copy, the copy that counts is never overwritten (what a torn write would leave of
 * it nobody knows), and once an update has ended well, no copy is behind. It never passes what must still be
 * bootable: it rises only over a committed system that is whole and at or above it, and bars a good fallback
 * only as far as the release asks for (rule 8).
 * Excused: as far as stamp and copies that had it were lost by planting.
 */
import { bootPartition } from '../../core/boot-record.ts'
import { otherSlot } from '../../core/units.ts'
import { checker, type Facts } from './checker.ts'
import { type Damage, damageAfterCut, damageHealed, damagePlanted, noDamage } from './damage.ts'
import { markAfterPlanted } from './floor-mark.ts'
import { releaseText, savedJournal } from './seen.ts'

interface State {
  readonly mark: number | null
  /** Last attempt that the journal calls finished. */
  readonly finished: number
  readonly damage: Damage
}

export const floorHolds = checker<State>({
  id: 'I5',
  says: 'the floor never falls and never passes what must still be bootable',
  start: { mark: null, finished: 0, damage: noDamage },
  on: {
    write(state, { partition, offset }, { truth, violated }) {
      if (partition !== 'boot' || state.damage.boot !== 'sound' || truth.record() === null) return state
      if (offset === bootPartition.copyOffsets[truth.newestCopy() === 0 ? 0 : 1]) {
        violated(`copy ${truth.newestCopy()} of the record, which counts, is overwritten`)
      }
      return state
    },
    flush: (state, { slot }, facts) => (slot === null ? looked(state, facts) : state),
    cut: (state, _, facts) => looked(withDamage(state, damageAfterCut(state.damage)), facts),
    boot: (state, _, facts) => looked(state, facts),
    rename(state, it, facts) {
      const finished = savedJournal(it, facts)?.finished
      if (finished == null || finished.seq === state.finished) return state
      if (finished.result === 'ok') copiesAgree(state, `after attempt ${finished.seq}`, facts)
      return { ...state, finished: finished.seq }
    },
    planted(before, { what, slot }, { truth }) {
      const state = withDamage(before, damagePlanted(before.damage, { what, slot }))
      const mark = markAfterPlanted(state.mark, what, truth)
      return mark === state.mark ? state : { ...state, mark }
    },
    healed: (state) => withDamage(state, damageHealed(state.damage)),
    end(state, _, facts) {
      copiesAgree(state, 'in the end', facts)
      return state
    },
  },
})

function looked(state: State, facts: Facts): State {
  const { truth, violated } = facts
  const floor = truth.floor()
  const { mark } = state
  const stamp = truth.stamp()
  if (stamp !== null && state.damage.boot === 'sound') {
    const ahead = truth.copies().findIndex((it) => it !== null && it.floor > stamp.floor)
    if (ahead >= 0) {
      violated(`copy ${ahead} has floor ${truth.copies()[ahead]?.floor}, the stamp has ${stamp.floor}`)
    }
  }
  if (mark === floor) return state
  if (mark !== null && floor < mark) violated(`the floor was ${mark} and is ${floor}`)
  else if (mark !== null) rises(mark, floor, facts)
  return floor < (mark ?? 0) ? state : { ...state, mark: floor }
}

function withDamage(state: State, damage: Damage): State {
  return damage === state.damage ? state : { ...state, damage }
}

function rises(from: number, to: number, { truth, violated }: Facts): void {
  const record = truth.record()
  const what = `the floor rises from ${from} to ${to}`
  if (record === null) {
    violated(`${what} while both copies of the record are bad`)
    return
  }
  const own = record.priority
  const running = truth.verifies(own)
  if (!record[own].ok) violated(`${what} while slot ${own}, which comes first, is not committed`)
  if (running !== null && running.manifest.securityVersion < to) {
    violated(`${what}, above ${releaseText(running)} in slot ${own}`)
  }
  const fallback = truth.verifies(otherSlot(own))
  const version = fallback?.manifest.securityVersion ?? 0
  if (fallback === null || version < from || version >= to) return
  if (to > (running?.manifest.floorAfterCommit ?? 0)) {
    violated(`${what} and bars ${releaseText(fallback)}, which ${releaseText(running)} does not ask for`)
  }
}

function copiesAgree({ mark, damage }: State, when: string, { truth, violated }: Facts): void {
  if (damage.boot !== 'sound') return
  truth.copies().forEach((copy, index) => {
    if (copy !== null && copy.floor < (mark ?? 0)) {
      violated(`${when} copy ${index} of the record has floor ${copy.floor}, the board had ${mark}`)
    }
  })
}
