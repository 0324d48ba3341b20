/**
 * Waiting with a deadline, for adapters.
 * Promise: never waits longer than told.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { boardLimits } from '../../core/limits.ts'

/** Looks again and again. @returns whether `check` came true in time. */
export async function until(deadlineMs: number, check: () => Promise<boolean>): Promise<boolean> {
  const end = performance.now() + deadlineMs
  for (;;) {
    if (await check()) return true
    if (performance.now() >= end) return false
    await sleep(boardLimits.lookAgainMs)
  }
}

/** @returns the value, or null when it did not come in time; the work goes on then. */
export async function within<T>(deadlineMs: number, work: Promise<T>): Promise<T | null> {
  const timer = new AbortController()
  const late = sleep(deadlineMs, null, { signal: timer.signal }).catch(() => null)
  try {
    return await Promise.race([work, late])
  } finally {
    timer.abort()
  }
}
