/**
 * Time that passes only when nothing else can happen: a list of timers, drained between each.
 * Promise: same program, same order; no real clock. Work put off with `soon` comes before any timer.
 */
import type { Clock } from '../../core/ports.ts'

export interface VirtualTime {
  readonly clock: Clock
  nowMs(): number
  /** Runs `work` when what is under way has come to rest, in no time. */
  soon(work: () => void): void
  /** Lets work go on until `condition` holds. @returns false when `limitMs` of virtual time passed first */
  until(condition: () => boolean, limitMs: number): Promise<boolean>
  /** Lets so much time pass. */
  pass(durationMs: number): Promise<void>
  /** Timers that wait. */
  timers(): number
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
  let under = 0
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
  const rest = async (): Promise<void> => {
    do await new Promise((resolve) => setImmediate(resolve))
    while (under > 0)
  }
  const until = async (condition: () => boolean, limitMs: number): Promise<boolean> => {
    const end = now + limitMs
    for (;;) {
      await rest()
      if (condition()) return true
      const next = earliest()
      if (next === undefined || next.atMs > end) {
        now = end
        return false
      }
      timers.delete(next)
      now = next.atMs
      next.fire()
    }
  }
  return {
    nowMs: () => now,
    clock: {
      monotonicMs: () => now,
      wallMs: () => wallStartMs + now,
      sleep: (durationMs) => new Promise((resolve) => timer(durationMs, resolve)),
      timer,
    },
    soon(work) {
      under += 1
      setImmediate(() => {
        under -= 1
        work()
      })
    },
    until,
    async pass(durationMs) {
      await until(() => false, durationMs)
    },
    timers: () => timers.size,
  }
}
