/**
 * What becomes, when the power goes, of one thing that was written but not flushed. A crash image is a list
 * of fates, one for each pending thing, in a fixed order.
 * Leaves to others: which lists are tried (proof/sweep), what a fate does (block-device.ts, file-store.ts).
 */
import type { Random } from '../../core/ports.ts'

/**
 * `front` and `back`: only the first or last part of it reached the medium, at a sector edge; of a file, only
 * its size did (`front`), or its size and the second half of its content (`back`). Of a name: kept or lost.
 */
export type Fate = 'lost' | 'kept' | 'front' | 'back'

/** One pending thing. */
export interface Pending {
  /** Words such as `slot b 4096+4096`. */
  readonly what: string
  /** It can be torn. */
  readonly tearable: boolean
}

/** One fate for everything. `torn`: each thing for itself, at random. */
export type Leftover = 'lost' | 'kept' | 'torn'

export function fatesOf(leftover: Leftover, pending: readonly Pending[], random: Random): Fate[] {
  if (leftover !== 'torn') return pending.map(() => leftover)
  return pending.map(({ tearable }) => pickFate(tearable, random))
}

export function pickFate(tearable: boolean, random: Random): Fate {
  const all: readonly Fate[] = tearable ? ['lost', 'kept', 'front', 'back'] : ['lost', 'kept']
  return all[random.below(all.length)] ?? 'lost'
}
