/**
 * Keeps a transfer at or below a rate: a token bucket of one second.
 * Leaves to others: what the rate should be.
 */
import type { Clock } from '../../core/ports.ts'

/** @param bytesPerSecond null: no limit. @returns a wait to be made after each part. */
export function throttle(bytesPerSecond: number | null, clock: Clock): (bytes: number) => Promise<void> {
  if (bytesPerSecond === null) return async () => {}
  let tokens = bytesPerSecond
  let filledMs = clock.monotonicMs()
  return async (bytes) => {
    const nowMs = clock.monotonicMs()
    tokens = Math.min(bytesPerSecond, tokens + ((nowMs - filledMs) * bytesPerSecond) / 1000) - bytes
    filledMs = nowMs
    if (tokens < 0) await clock.sleep(Math.ceil((-tokens * 1000) / bytesPerSecond))
  }
}
