/**
 * Real time, and times of day for people: UTC, so that logs of several machines agree.
 */
import type { Clock } from '../../core/ports.ts'

export const systemClock: Clock = {
  monotonicMs: () => Number(process.hrtime.bigint() / 1_000_000n),
  wallMs: () => Date.now(),
  sleep: (durationMs) => new Promise((resolve) => setTimeout(resolve, durationMs)),
  timer(durationMs, fire) {
    const handle = setTimeout(fire, durationMs)
    return () => clearTimeout(handle)
  },
}

/** `2026-01-31T23:59:59.123Z` */
export function dateText(wallMs: number): string {
  return new Date(wallMs).toISOString()
}
