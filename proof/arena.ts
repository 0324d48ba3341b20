/**
 * Memory that one world after another uses: allocating megabytes for each of a million worlds would keep the
 * garbage collector busy with nothing else.
 * Promise: what `take` gives is zero and nobody else's until `reset`; only one world may live at a time.
 */

export interface Arena {
  take(bytes: number): Uint8Array
  /** The world before is over; its memory may be given to the next. */
  reset(): void
}

export function arena(): Arena {
  const bySize = new Map<number, { readonly buffers: Uint8Array[]; used: number }>()
  return {
    take(bytes) {
      const shelf = bySize.get(bytes) ?? { buffers: [], used: 0 }
      bySize.set(bytes, shelf)
      const free = shelf.buffers[shelf.used]
      shelf.used += 1
      if (free !== undefined) return free.fill(0)
      const made = new Uint8Array(bytes)
      shelf.buffers.push(made)
      return made
    },
    reset() {
      for (const shelf of bySize.values()) shelf.used = 0
    },
  }
}
