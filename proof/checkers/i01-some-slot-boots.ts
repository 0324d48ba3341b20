/**
 * I1: at every boot some slot starts, and what starts is complete and verified.
 */
import { checker } from './checker.ts'

export const someSlotBoots = checker<null>({
  id: 'I1',
  says: 'at every boot some slot starts',
  start: null,
  on: {
    boot(state, { outcome }, { violated }) {
      if (outcome.kind === 'none') violated(`no slot starts: ${outcome.fault.what}`)
      return state
    },
  },
})
