/**
 * I3: what boots has a security version at or above the highest floor that the board ever had.
 * Excused only as far as both the stamp and the copies of the record that had the floor were lost by
 * planting.
 */
import { checker } from './checker.ts'
import { markAfter, markAfterPlanted } from './floor-mark.ts'

export const noDowngrade = checker<number | null>({
  id: 'I3',
  says: 'the security version of what boots is at or above the floor',
  start: null,
  on: {
    flush: (mark, { slot }, { truth }) => (slot === null ? markAfter(mark, truth) : mark),
    boot(mark, { outcome }, { truth, violated }) {
      const floor = markAfter(mark, truth)
      if (outcome.kind !== 'start') return floor
      const { slot, seal } = outcome
      // What really lies there counts as well as what the loader read.
      const held = truth.sealed(slot)?.manifest.securityVersion ?? seal.securityVersion
      const booted = Math.min(held, seal.securityVersion)
      if (booted < floor) {
        violated(`slot ${slot} boots ${seal.releaseId}, security version ${booted}, floor ${floor}`)
      }
      return floor
    },
    planted: (mark, { what }, { truth }) => markAfterPlanted(mark, what, truth),
  },
})
