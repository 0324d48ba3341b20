/**
 * Rot that was planted in a slot, as an excuse. What rotted before an attempt was opened, the attempt has to
 * find; what rots while it goes on may lie behind its last look.
 * Leaves to others: what each invariant makes of it.
 */
import { type SlotId, slotIds } from '../../core/units.ts'
import type { Truth } from '../truth.ts'

export type Rot = 'none' | 'fresh' | 'old'

export type Rotten = Readonly<Record<SlotId, Rot>>

export const noRot: Rotten = { a: 'none', b: 'none' }

/** @param slot null: any of them */
export function rotPlanted(rotten: Rotten, slot: SlotId | null): Rotten {
  return slot === null ? { a: 'fresh', b: 'fresh' } : { ...rotten, [slot]: 'fresh' }
}

/** A new attempt begins: it looks at everything anew. */
export function attemptOpened(rotten: Rotten): Rotten {
  if (rotten.a !== 'fresh' && rotten.b !== 'fresh') return rotten
  const older = (rot: Rot): Rot => (rot === 'fresh' ? 'old' : rot)
  return { a: older(rotten.a), b: older(rotten.b) }
}

/** A slot that holds a release whole again is not rotten any more. */
export function mended(rotten: Rotten, truth: Truth): Rotten {
  let next = rotten
  for (const slot of slotIds) {
    if (rotten[slot] !== 'none' && truth.slot(slot) !== null) next = { ...next, [slot]: 'none' }
  }
  return next
}
