/**
 * Waiting for what must come about.
 * Promise: nothing is waited for longer than told, nor after the soak was interrupted.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { soakLimits } from '../limits.ts'

/** The soak was told to end. */
export class Interrupted extends Error {}

/** What had to come about did not. */
export class TooLate extends Error {}

export interface Patience {
  readonly interrupted: AbortSignal
}

export async function pause(durationMs: number, { interrupted }: Patience): Promise<void> {
  await sleep(durationMs, null, { signal: interrupted }).catch(() => {})
  if (interrupted.aborted) throw new Interrupted('interrupted')
}

/**
 * @param check null: not yet
 * @returns the first other value of `check`
 * @throws TooLate, Interrupted
 */
export async function waitFor<T>(
  what: string,
  deadlineMs: number,
  patience: Patience,
  check: () => Promise<T | null> | T | null,
): Promise<T> {
  const end = performance.now() + deadlineMs
  for (;;) {
    const found = await check()
    if (found !== null) return found
    if (performance.now() > end) throw new TooLate(`in ${deadlineMs / 1000} s not: ${what}`)
    await pause(soakLimits.pollMs, patience)
  }
}
