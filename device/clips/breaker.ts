/**
 * Leaves a hub alone that fails again and again, and does not ask anew for what it said it does not have.
 * Promise: after some failures in a row nothing is asked for a while, then one request tries; what is remembered has a limit.
 * Source: "Release It!", Nygard, chapter 5.
 */
import { servingLimits } from '../../core/clip-limits.ts'
import type { Clock } from '../../core/ports.ts'

export class Breaker {
  readonly #clock: Pick<Clock, 'monotonicMs'>
  #failures = 0
  #untilMs = 0

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.#clock = clock
  }

  /** How long nothing is to be asked; 0: ask. */
  waitMs(): number {
    if (this.#failures < servingLimits.breakerFailures) return 0
    return Math.max(0, this.#untilMs - this.#clock.monotonicMs())
  }

  /** Somebody is about to ask: as `waitMs`, but the first one after a pause is let through alone. */
  enter(): number {
    const waitMs = this.waitMs()
    if (waitMs === 0) this.#untilMs = this.#clock.monotonicMs() + servingLimits.breakerMs
    return waitMs
  }

  failed(): void {
    this.#failures += 1
    if (this.#failures >= servingLimits.breakerFailures) {
      this.#untilMs = this.#clock.monotonicMs() + servingLimits.breakerMs
    }
  }

  /** The hub answers; what it said does not matter. */
  answered(): void {
    this.#failures = 0
  }
}

export class Negatives {
  readonly #clock: Pick<Clock, 'monotonicMs'>
  readonly #until = new Map<string, number>()

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.#clock = clock
  }

  has(key: string): boolean {
    const untilMs = this.#until.get(key)
    if (untilMs === undefined) return false
    if (this.#clock.monotonicMs() < untilMs) return true
    this.#until.delete(key)
    return false
  }

  add(key: string): void {
    this.#until.delete(key)
    this.#until.set(key, this.#clock.monotonicMs() + servingLimits.negativeMs)
    for (const oldest of this.#until.keys()) {
      if (this.#until.size <= servingLimits.negativesMax) return
      this.#until.delete(oldest)
    }
  }

  clear(): void {
    this.#until.clear()
  }
}
