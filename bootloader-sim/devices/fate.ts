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

/** A range of bytes. */
export interface Part {
  readonly from: number
  readonly endExclusive: number
}

/** What a fate leaves of a write, counted from its begin: nothing, all, or one side of `tearEdge`. */
export function survivingPart(fate: Fate, offset: number, bytes: number, sectorBytes: number): Part {
  return partAround(tearEdge(offset, bytes, sectorBytes) ?? bytes, fate, bytes)
}

/** The same for a write that tears at `edge`, counted from its begin. */
export function partAround(edge: number, fate: Fate, bytes: number): Part {
  if (fate === 'kept') return { from: 0, endExclusive: bytes }
  if (fate === 'front') return { from: 0, endExclusive: edge }
  if (fate === 'back') return { from: edge, endExclusive: bytes }
  return { from: 0, endExclusive: 0 }
}

/** Where a write tears, counted from its begin: at the sector edge next to its middle; null inside one sector. */
export function tearEdge(offset: number, bytes: number, sectorBytes: number): number | null {
  const end = offset + bytes
  const upper = Math.ceil((offset + bytes / 2) / sectorBytes) * sectorBytes
  const edge = upper < end ? upper : Math.floor((end - 1) / sectorBytes) * sectorBytes
  return edge > offset ? edge - offset : null
}

/** One fate for everything. `torn`: each thing for itself, at random. */
export type Leftover = 'lost' | 'kept' | 'torn'

export function fatesOf(leftover: Leftover, pending: readonly Pending[], random: Random): Fate[] {
  if (leftover !== 'torn') return pending.map(() => leftover)
  return pending.map(({ tearable }) => pickFate(tearable, random))
}

export function pickFate(tearable: boolean, random: Random): Fate {
  const all = possible(tearable)
  return all[random.below(all.length)] ?? 'lost'
}

/** Every list of fates there is, one at a time: 2 or 4 to the power of what is pending. */
export function* everyFates(pending: readonly Pending[]): Generator<readonly Fate[], void> {
  const [first, ...rest] = pending
  if (first === undefined) yield []
  else
    for (const fate of possible(first.tearable))
      for (const others of everyFates(rest)) yield [fate, ...others]
}

function possible(tearable: boolean): readonly Fate[] {
  return tearable ? ['lost', 'kept', 'front', 'back'] : ['lost', 'kept']
}
