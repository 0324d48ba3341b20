/**
 * Waiting times between retries: exponential with full jitter ("Exponential Backoff And Jitter", AWS 2015),
 * so that a thousand devices that lost the hub together do not return together.
 */
import type { Random } from './ports.ts'

/**
 * @param attempt 1 for the wait after the first failure
 * @returns milliseconds from 1 to min(ceiling, base·2^(attempt-1))
 */
export function backoffMs(
  attempt: number,
  limits: { readonly baseMs: number; readonly ceilingMs: number },
  random: Random,
): number {
  const doublings = Math.min(Math.max(attempt, 1) - 1, 30)
  const span = Math.min(limits.ceilingMs, limits.baseMs * 2 ** doublings)
  return 1 + random.below(Math.max(1, Math.floor(span)))
}
