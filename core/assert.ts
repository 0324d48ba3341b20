/**
 * Assertions that stay on in production.
 * Promise: a broken invariant ends the work at once instead of spreading.
 * Leaves to others: expected failures, which are `Result`s.
 */

/** Thrown when the program itself is wrong; nobody catches it to go on. */
export class AssertionFailed extends Error {
  override readonly name = 'AssertionFailed'
}

/** @throws AssertionFailed when `condition` is false. */
export function assert(condition: boolean, what: string): asserts condition {
  if (!condition) throw new AssertionFailed(what)
}

/** The value, known to be there. @throws AssertionFailed when it is null or undefined. */
export function present<T>(value: T | null | undefined, what: string): T {
  if (value === null || value === undefined) throw new AssertionFailed(`${what} is missing`)
  return value
}

/** For the branch that types say cannot be reached. */
export function unreachable(value: never): never {
  throw new AssertionFailed(`unreachable: ${JSON.stringify(value)}`)
}
