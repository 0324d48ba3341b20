/**
 * Holds an update up while somebody on the device says "not now", or until it is activated.
 * Promise: what holds it is known at any time; it goes on as soon as nothing does, and ends when it is withdrawn.
 * A cut of the power while it waits changes nothing: the spare is not sealed before.
 * Leaves to others: who holds (port `Inhibitors`), the rule (inhibit.ts), where in an attempt it is asked.
 */
import { inhibitLimits } from '../../core/service-limits.ts'
import type { Board } from '../board.ts'
import { wait } from '../wait.ts'
import { type Inhibited, type Inhibitor, type InhibitStep, inhibited } from './inhibit.ts'

/** Who says "not now" on this device. */
export interface Inhibitors {
  list(): Promise<readonly Inhibitor[]>
  /** Holds, or holds on, under a name. @throws EverbootError EB-LIMIT, EB-FILE */
  hold(it: Inhibitor): Promise<void>
  /** @returns false when nobody of that name held anything */
  release(who: string): Promise<boolean>
}

export interface Hold {
  /** What the update waits for, or null. */
  readonly current: Inhibited | null
  /** Whether an update may begin now; what holds it is `current` until it may. */
  mayStart(): Promise<boolean>
  /** Who says "not now" to a step, or null; nothing waits for it. */
  asked(step: InhibitStep): Promise<Inhibited | null>
  /** Resolves when the new system may be activated, or at once when cancelled. */
  untilActive(cancelled: AbortSignal): Promise<void>
  /** Lifts `activate: later` of the attempt under way. */
  activate(): void
  /** Looks again now. */
  wake(): void
}

/** @param changed called when `current` is another one */
export function createHold(board: Board, changed: () => void): Hold {
  const { clock, inhibitors, events } = board.ports
  const wakers = new Set<() => void>()
  let current: Inhibited | null = null
  let activated = false

  const asked = async (step: InhibitStep, later = false): Promise<Inhibited | null> =>
    inhibited(step, (await inhibitors?.list()) ?? [], clock.monotonicMs(), later)

  const look = async (step: InhibitStep, later: boolean): Promise<Inhibited | null> => {
    const next = await asked(step, later)
    if (next?.by !== current?.by || next?.why !== current?.why || next?.step !== current?.step) {
      current = next
      events.emit({ event: 'inhibited', step, by: next?.by ?? null, why: next?.why ?? null })
      changed()
    }
    return next
  }
  const wake = (): void => {
    for (const waker of [...wakers]) waker()
  }
  return {
    get current() {
      return current
    },
    asked: (step) => asked(step),
    mayStart: async () => (await look('start', false)) === null,
    async untilActive(cancelled) {
      const later = (): boolean => !activated && board.journal.current.attempt?.desired?.activate === 'later'
      activated = false
      while (!cancelled.aborted && (await look('activate', later())) !== null) {
        await wait(clock, inhibitLimits.lookMs, cancelled, wakers)
      }
      if (cancelled.aborted && current !== null) {
        current = null
        changed()
      }
    },
    activate() {
      activated = true
      wake()
    },
    wake,
  }
}
