/** Cuts of the power that come one after the other. */
import type { StepOf } from './steps.ts'

/** The plan when that cut has come, or null. */
export function nextCut(it: StepOf<'cut-at'>): StepOf<'cut-at'> | null {
  const [first, ...rest] = it.next
  return first === undefined ? null : { ...it, ...first, next: rest }
}
