/**
 * Time that passes only when nothing else can happen: a heap of timers, drained between each.
 * Promise: same program, same order; no real clock.
 */
import type { Clock } from '../../core/ports.ts'

export interface VirtualTime {
  readonly clock: Clock
  nowMs(): number
  /** Lets work go on until `condition` holds. @returns false when `limitMs` of virtual time passed first */
  until(condition: () => boolean, limitMs: number): Promise<boolean>
}

interface Timer {
  readonly atMs: number
  readonly number: number
  readonly fire: () => void
}

/** @param wallStartMs what the wall clock shows at the beginning */
export function virtualTime(wallStartMs: number): VirtualTime {
  let now = 0
  let number = 0
  const timers = new Set<Timer>()
  const timer = (durationMs: number, fire: () => void): (() => void) => {
    number += 1
    const it = { atMs: now + Math.max(0, Math.ceil(durationMs)), number, fire }
    timers.add(it)
    return () => timers.delete(it)
  }
  const earliest = (): Timer | undefined => {
    let best: Timer | undefined
    for (const it of timers) {
      if (best === undefined || it.atMs < best.atMs || (it.atMs === best.atMs && it.number < best.number))
        best = it
    }
    return best
  }
  return {
    nowMs: () => now,
    clock: {
      monotonicMs: () => now,
      wallMs: () => wallStartMs + now,
      sleep: (durationMs) => new Promise((resolve) => timer(durationMs, resolve)),
      timer,
    },
    async until(condition, limitMs) {
      const end = now + limitMs
      for (;;) {
        await new Promise((resolve) => setImmediate(resolve))
        if (condition()) return true
        const next = earliest()
        if (next === undefined || next.atMs > end) return false
        timers.delete(next)
        now = next.atMs
        next.fire()
      }
    },
  }
}
