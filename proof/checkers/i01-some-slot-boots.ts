/**
 * I1: at every boot some slot starts, and what starts is complete and verified: the slot holds, on the
 * medium, every byte of the release that its seal names.
 * Excused by what was planted: rot, when no good slot is left (of a rotten slot that starts, seal and image
 * must be right; loaders do not read trees), and faults of storage that still last.
 */
import { slotIds } from '../../core/units.ts'
import { checker, type Facts } from './checker.ts'
import {
  type Damage,
  damageAfterCut,
  damageHealed,
  damagePlanted,
  excused,
  noDamage,
  startsRotten,
} from './damage.ts'
import { good, releaseText } from './seen.ts'

export const someSlotBoots = checker<Damage>({
  id: 'I1',
  says: 'at every boot some slot starts, and it holds whole what its seal names',
  start: noDamage,
  on: {
    boot(damage, { outcome }, facts) {
      if (outcome.kind === 'none') nobodyStarted(damage, outcome.fault.what, facts)
      else if (
        outcome.kind === 'start' &&
        !damage.faulty[outcome.slot] &&
        !startsRotten(damage, outcome.slot, facts.board.loader)
      ) {
        const { slot, seal } = outcome
        const held = excused(damage, slot) ? facts.truth.verifies(slot) : facts.truth.slot(slot)
        if (held?.manifest.id !== seal.releaseId) {
          facts.violated(`slot ${slot} starts as ${seal.releaseId} and holds ${releaseText(held)}`)
        }
      }
      return damage
    },
    planted: damagePlanted,
    healed: damageHealed,
    cut: damageAfterCut,
  },
})

function nobodyStarted(damage: Damage, why: string, { truth, violated }: Facts): void {
  if (damage.boot === 'faulty' || damage.faulty.a || damage.faulty.b) return
  const left = slotIds.find((slot) => good(truth, slot) !== null)
  if (left !== undefined) {
    violated(`no slot starts although slot ${left} holds ${releaseText(good(truth, left))} whole: ${why}`)
  } else if (!excused(damage, 'a') && !excused(damage, 'b')) {
    violated(`no slot starts, none is whole, and nothing was planted in them: ${why}`)
  }
}
