/**
 * I1: at every boot some slot starts, and what starts is complete and verified: the slot holds, on the medium,
 * every byte of the release that its seal names.
 * Excused by what was planted: rot, when no good slot is left (of a rotten slot that starts, seal and image
 * must be right; loaders do not read trees), and faults of storage that still last.
 */
import { slotIds } from '../../core/units.ts'
import { checker, type Facts } from './checker.ts'
import { noRot, type Rotten, rotPlanted } from './rot.ts'
import { good, releaseText } from './seen.ts'

interface State {
  readonly rotten: Rotten
  /** A fault of storage lasts. */
  readonly storage: boolean
}

export const someSlotBoots = checker<State>({
  id: 'I1',
  says: 'at every boot some slot starts, and it holds whole what its seal names',
  start: { rotten: noRot, storage: false },
  on: {
    boot(state, { outcome }, facts) {
      if (state.storage) return state
      if (outcome.kind === 'none') nobodyStarted(state, outcome.fault.what, facts)
      else {
        const { slot, seal } = outcome
        const held = state.rotten[slot] === 'none' ? facts.truth.slot(slot) : facts.truth.verifies(slot)
        if (held?.manifest.id !== seal.releaseId) {
          facts.violated(`slot ${slot} starts as ${seal.releaseId} and holds ${releaseText(held)}`)
        }
      }
      return state
    },
    planted(state, { what, slot }) {
      if (what === 'rot') return { ...state, rotten: rotPlanted(state.rotten, slot) }
      return what === 'storage-fault' ? { ...state, storage: true } : state
    },
    healed: (state) => (state.storage ? { ...state, storage: false } : state),
  },
})

function nobodyStarted({ rotten }: State, why: string, { truth, violated }: Facts): void {
  const left = slotIds.find((slot) => good(truth, slot) !== null)
  if (left !== undefined) {
    violated(`no slot starts although slot ${left} holds ${releaseText(good(truth, left))} whole: ${why}`)
  } else if (rotten.a === 'none' && rotten.b === 'none') {
    violated(`no slot starts, none is whole, and nothing was planted in them: ${why}`)
  }
}
