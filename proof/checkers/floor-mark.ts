/**
 * The highest floor that record or stamp ever had on the medium: what I3 and I5 hold the board to.
 * Promise: lowered only by what was planted: where the stamp was lost, what the copies of the record still
 * say counts; where they were lost too, nothing does.
 */
import type { Truth } from '../truth.ts'
import type { Planted } from './checker.ts'

/** @param mark null: nothing was seen yet */
export function markAfter(mark: number | null, truth: Truth): number {
  return Math.max(mark ?? 0, truth.floor())
}

export function markAfterPlanted(mark: number | null, what: Planted, truth: Truth): number | null {
  const touches = what === 'stamp' || what === 'record' || what === 'record-copy' || what === 'storage-fault'
  if (!touches || truth.stamp() !== null) return mark
  return Math.max(0, ...truth.copies().map((it) => it?.floor ?? 0))
}
