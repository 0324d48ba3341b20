/** What is counted over the life of a clip cache, and kept in its index. */
import type { CacheStats } from './cache-types.ts'

const names = ['hits', 'misses', 'evictions', 'expirations', 'fetchedBytes', 'fetchSaved', 'damaged'] as const
export type Figures = Record<(typeof names)[number], number>

/** @param kept as `figuresList` gave them; what is missing is 0 */
export function figuresOf(kept: readonly number[]): Figures {
  const figures = {
    hits: 0,
    misses: 0,
    evictions: 0,
    expirations: 0,
    fetchedBytes: 0,
    fetchSaved: 0,
    damaged: 0,
  }
  names.forEach((name, at) => {
    figures[name] = kept[at] ?? 0
  })
  return figures
}

/** @param before of earlier runs. @param stats of this one */
export function figuresNow(before: Figures, stats: CacheStats): Figures {
  return {
    ...before,
    hits: before.hits + stats.hits,
    misses: before.misses + stats.misses,
    evictions: before.evictions + stats.evictions,
    expirations: before.expirations + stats.expirations,
  }
}

export function figuresList(figures: Figures): readonly number[] {
  return names.map((name) => figures[name])
}
