/**
 * The age of a device: a clock for lifetimes that outlives restarts and never goes back.
 * Promise: while the device runs it counts monotonic time; time that it was switched off counts once a wall clock is
 * seen that can be trusted, and from the last one that could. A clock that shows 1970 neither ends a lifetime nor prolongs
 * it for ever; one that jumps within a run changes nothing, and is not taken for an off-time in the next.
 */
import type { Clock } from '../../core/ports.ts'

/** What is kept of it. */
export interface AgeMark {
  readonly ageMs: number
  /** Since 1970, at that age: no later than it really was, unless a clock lied. 0: no clock was ever to be trusted. */
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
  /** The latest time at which this run can have begun by what was seen of the wall clock in it; 0: nothing yet. */
  let latestMs = 0
  const look = (): void => {
    const wall = trusted()
    if (wall === 0) return
    const beginMs = wall - ranMs()
    offMs ??= Math.max(0, beginMs - wallMs)
    latestMs = Math.max(latestMs, beginMs)
  }
  const nowMs = (): number => {
    look()
    return ageMs + ranMs() + (offMs ?? 0)
  }
  return {
    nowMs,
    mark() {
      const now = nowMs()
      // Until a clock is seen it may have been off for no time at all.
      const beginMs = latestMs === 0 ? wallMs : latestMs
      return { ageMs: now, wallMs: beginMs === 0 ? 0 : beginMs + ranMs() }
    },
    trustedWallMs: trusted,
  }
}
