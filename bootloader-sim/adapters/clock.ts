/**
 * The real clock of the emulated board.
 * Promise: monotonic time never goes back.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Clock } from '../../core/ports.ts'

export const realClock: Clock = {
  monotonicMs: () => Math.floor(performance.now()),
  wallMs: () => Date.now(),
  sleep: (durationMs) => sleep(durationMs),
  timer(durationMs, fire) {
    const timer = setTimeout(fire, durationMs)
    return () => clearTimeout(timer)
  },
}
