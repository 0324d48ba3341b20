/**
 * The age of a device: a clock for lifetimes that outlives restarts and never goes back.
 * Promise: while the device runs it counts monotonic time; time that it was switched off counts only where the wall
 * clock could be trusted before and after. A clock that shows 1970 neither ends a lifetime nor prolongs it for ever; one
 * that jumps ahead within a run changes nothing.
 */
import type { Clock } from '../../core/ports.ts'

/** What is kept of it. `wallMs` 0: the wall clock was not to be trusted. */
export interface AgeMark {
  readonly ageMs: number
  readonly wallMs: number
}

export interface DeviceAge {
  nowMs(): number
  /** To be kept from time to time. */
  mark(): AgeMark
  /** Milliseconds since 1970, or 0 where the clock is not to be trusted. */
  trustedWallMs(): number
}

/** @param earliestWallMs a wall clock before that is wrong. @param kept the newest mark that survived, or null */
export function deviceAge(
  clock: Pick<Clock, 'monotonicMs' | 'wallMs'>,
  earliestWallMs: number,
  kept: AgeMark | null,
): DeviceAge {
  const begunMs = clock.monotonicMs()
  const { ageMs, wallMs } = kept ?? { ageMs: 0, wallMs: 0 }
  const trusted = (): number => {
    const now = clock.wallMs()
    return now >= earliestWallMs ? Math.floor(now) : 0
  }
  const ranMs = (): number => Math.max(0, Math.floor(clock.monotonicMs() - begunMs))
  /** How long the device was off, once that is known; looked at until then, since clocks are set late. */
  let offMs: number | null = wallMs === 0 ? 0 : null
  const nowMs = (): number => {
    if (offMs === null) {
      const wall = trusted()
      if (wall > 0) offMs = Math.max(0, wall - wallMs - ranMs())
    }
    return ageMs + ranMs() + (offMs ?? 0)
  }
  return {
    nowMs,
    mark: () => ({ ageMs: nowMs(), wallMs: trusted() }),
    trustedWallMs: trusted,
  }
}
