/**
 * Health as a verdict: what the checks say, and how long they may take to say it.
 * Promise: pure. A hub that cannot be reached is held against a new system only when it could be reached
 * before the update, and only after its own, longer deadline.
 * Leaves to others: running the checks (checks.ts), what follows (boot-duty.ts).
 */
import type { ErrorCode } from '../../core/errors.ts'

export interface CheckResult {
  readonly name: string
  readonly passed: boolean
  /** What it said; the end of it. */
  readonly output: string
}

export interface HealthFacts {
  /** Since the boot began. */
  readonly elapsedMs: number
  /** Service and hardware checks and the like; all of them, each time. */
  readonly checks: readonly CheckResult[]
  /** The hub has acknowledged something in this boot. */
  readonly hubHeard: boolean
  readonly hubNeeded: boolean
  /** It could be reached before the update. */
  readonly hubHeardBefore: boolean
  /** Why the device itself cannot tell the hub anything, or null. */
  readonly hindrance: string | null
}

export interface HealthLimits {
  readonly deadlineMs: number
  readonly networkDeadlineMs: number
}

export type Verdict =
  | { readonly kind: 'healthy' }
  | { readonly kind: 'wait' }
  | { readonly kind: 'unhealthy'; readonly code: ErrorCode; readonly check: CheckResult }

export function verdictOn(facts: HealthFacts, limits: HealthLimits): Verdict {
  const failing = facts.checks.find((it) => !it.passed)
  const late = facts.elapsedMs >= limits.deadlineMs
  if (failing !== undefined) {
    return late ? { kind: 'unhealthy', code: 'EB-HEALTH', check: failing } : { kind: 'wait' }
  }
  if (!facts.hubNeeded || facts.hubHeard) return { kind: 'healthy' }
  if (!facts.hubHeardBefore) return late ? { kind: 'healthy' } : { kind: 'wait' }
  if (facts.elapsedMs < limits.networkDeadlineMs) return { kind: 'wait' }
  const why = facts.hindrance === null ? '' : `: ${facts.hindrance}`
  const output = `no acknowledgement from the hub in ${Math.round(facts.elapsedMs / 1000)} s${why}`
  return { kind: 'unhealthy', code: 'EB-HEALTH-NETWORK', check: { name: 'hub', passed: false, output } }
}
