/**
 * Waiting that something else may end early.
 * Promise: no timer and no listener is left behind.
 */
import type { Clock } from '../core/ports.ts'

/**
 * Resolves after `waitMs`, or earlier when `cancelled` is aborted or a waker is called.
 * @param wakers the wait puts its waker here while it lasts
 */
export function wait(
  clock: Pick<Clock, 'timer'>,
  waitMs: number,
  cancelled: AbortSignal,
  wakers: Set<() => void> = new Set(),
): Promise<void> {
  if (cancelled.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    const done = (): void => {
      cancelTimer()
      wakers.delete(done)
      cancelled.removeEventListener('abort', done)
      resolve()
    }
    const cancelTimer = clock.timer(waitMs, done)
    wakers.add(done)
    cancelled.addEventListener('abort', done)
  })
}

/** Waits for `work`, but no longer than `waitMs`; a failure of it is as good as its end. */
export function atMost(clock: Pick<Clock, 'timer'>, waitMs: number, work: Promise<unknown>): Promise<void> {
  return new Promise((resolve) => {
    const cancelTimer = clock.timer(waitMs, resolve)
    const done = (): void => {
      cancelTimer()
      resolve()
    }
    work.then(done, done)
  })
}
