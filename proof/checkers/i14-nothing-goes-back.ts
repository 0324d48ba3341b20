/**
 * I14, as far as there is something to go back: the number of the wish rises with each new wish, and one
 * number is one wish; in the statuses of a board neither the floor nor the last finished attempt falls.
 * Not there yet: trusted time, versions of root and snapshot.
 * Excused: a floor whose stamp or record was lost by planting, finished attempts when the data were, the wish
 * of a hub that was restored from a backup.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Desired } from '../../core/wire/messages.ts'
import { checker } from './checker.ts'

interface State {
  readonly wish: Desired | null
  /** Of the status with the highest number. */
  readonly told: { readonly seq: number; readonly floor: number; readonly finished: number } | null
  readonly dataLost: boolean
  readonly floorLost: boolean
}

export const nothingGoesBack = checker<State>({
  id: 'I14',
  says: 'numbers of wishes, floors and finished attempts never go back',
  start: { wish: null, told: null, dataLost: false, floorLost: false },
  on: {
    wished(state, { desired }, { violated }) {
      const { wish } = state
      if (wish !== null && desired.seq < wish.seq)
        violated(`wish ${desired.seq} comes after wish ${wish.seq}`)
      else if (wish !== null && desired.seq === wish.seq && !isDeepStrictEqual(desired, wish)) {
        violated(`wish ${wish.seq} of ${wish.release.id} is now another one, of ${desired.release.id}`)
      }
      return { ...state, wish: desired }
    },
    kept(state, { status: { seq, floor, finished } }, { violated }) {
      const { told, dataLost, floorLost } = state
      const now = { seq, floor, finished: finished?.seq ?? 0 }
      if (told !== null && !dataLost) {
        if (seq < told.seq) return state
        if (floor < told.floor && !floorLost)
          violated(`status ${seq} has floor ${floor}, one before had ${told.floor}`)
        if (now.finished < told.finished) {
          violated(
            `status ${seq} has attempt ${now.finished} as the last one, one before had ${told.finished}`,
          )
        }
      }
      return { ...state, told: now, dataLost: false, floorLost: false }
    },
    planted(state, { what }) {
      if (what === 'data-lost') return { ...state, dataLost: true }
      if (what === 'hub-restored') return { ...state, wish: null }
      return what === 'stamp' || what === 'record' || what === 'record-copy'
        ? { ...state, floorLost: true }
        : state
    },
  },
})
