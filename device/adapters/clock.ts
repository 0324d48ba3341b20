/**
 * Real time. The monotonic clock is the kernel's (CLOCK_MONOTONIC), which starts with the boot.
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
