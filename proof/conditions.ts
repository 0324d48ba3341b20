/**
 * What lasts in a story beyond the deed that began it, and beyond a loss of power: a hub that is down, bad
 * answers, orders that wait for their moment.
 * Promise: a value, replaced and never changed in place, so that a crash image can carry it.
 * Leaves to others: beginning it (deeds.ts), making it felt in a world (wiring.ts).
 */
import type { Tables } from './hub-store.ts'
import type { StepOf } from './steps.ts'

export interface Conditions {
  readonly hub: 'up' | 'down'
  /** The hub dies by the next status: when it has committed it, or when only its broker has taken it. */
  readonly dying: 'after commit' | 'before commit' | null
  readonly backup: Backup | null
  readonly statuses: StepOf<'statuses'>['arrive']
  /** The first that fits is used; `times` counts down. */
  readonly answers: readonly StepOf<'answer'>[]
  readonly tampered: readonly StepOf<'tamper'>[]
  readonly bootFails: boolean
  /** `nth` counts down. */
  readonly orders: readonly StepOf<'when'>[]
  /** `nth` counts down. */
  readonly cut: StepOf<'cut-at'> | null
  /** The power is off, and stays so until it is switched on. */
  readonly off: boolean
}

/** What a hub has on its disk, and its broker on its own. */
export interface Backup {
  readonly tables: Tables
  readonly retained: ReadonlyMap<string, Uint8Array>
}

export const calm: Conditions = {
  hub: 'up',
  dying: null,
  backup: null,
  statuses: 'once',
  answers: [],
  tampered: [],
  bootFails: false,
  orders: [],
  cut: null,
  off: false,
}
