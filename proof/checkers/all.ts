/**
 * All checkers, in the order of their invariants.
 */
import type { AnyChecker } from './checker.ts'
import { someSlotBoots } from './i01-some-slot-boots.ts'

export const allCheckers: readonly AnyChecker[] = [someSlotBoots]
