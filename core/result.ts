/**
 * The outcome of something that is expected to fail now and then.
 * Promise: a `Result` never hides a thrown bug; it carries a value or one coded fault.
 * Leaves to others: what the codes mean (`errors.ts`) and broken invariants (`assert.ts`).
 */
import type { Fault } from './errors.ts'

export type Result<T, E = Fault> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: E }

export function ok<T>(value: T): { readonly ok: true; readonly value: T } {
  return { ok: true, value }
}

export function fail<E>(error: E): { readonly ok: false; readonly error: E } {
  return { ok: false, error }
}
