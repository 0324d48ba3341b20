/**
 * When clips expire: a wheel of buckets, one for each second of about an hour, over and over.
 * Promise: adding and taking out are O(1). A bucket is found by the time of expiry alone, not by the time of
 * adding, so a clock that jumps either way loses nothing. `sweep` finds each clip that is due, at the latest a
 * second after its time; one that lasts longer than a turn is passed once a turn (a heap would cost O(log n)
 * for each clip that comes, goes or is evicted, and this only for those that outlive an hour).
 * Leaves to others: the exact comparison on access, and what becomes of a clip that is due.
 */
import { type CacheRows, wheelRings } from './cache-rows.ts'

const tickMs = 1_000
/** A power of two; longer than the usual hour. cache-rows.ts has a ring for each, and one for `late`. */
const buckets = wheelRings - 1
/** What was due already when it was added. */
const late = wheelRings - 1

export class ExpiryWheel {
  private readonly rows: CacheRows
  /** The first tick that `sweep` has not passed: what lies in a bucket is due at this tick or later. */
  private nextTick = 0

  constructor(rows: CacheRows) {
    this.rows = rows
  }

  /** Puts a clip into its bucket; one that never expires, or is pinned, into none. */
  add(clip: number): void {
    if (!this.holds(clip)) return
    const tick = this.tick(clip)
    const bucket = tick < this.nextTick ? late : tick & (buckets - 1)
    this.rows.append(this.rows.wheelRing(bucket), this.rows.wheelPlaceOf(clip))
  }

  /** Takes a clip out, before its time or its pin changes. */
  remove(clip: number): void {
    if (this.holds(clip)) this.rows.cut(this.rows.wheelPlaceOf(clip))
  }

  /**
   * Hands over clips whose second has come, no more than `max`.
   * @param take takes the clip out of the wheel, and adds none.
   * @returns how many were handed over
   */
  sweep(nowMs: number, max: number, take: (clip: number) => void): number {
    const now = Math.floor(nowMs / tickMs)
    // When the clock was set back, what is added from here on may be due at a tick that was passed.
    this.nextTick = Math.min(this.nextTick, now + 1)
    let taken = this.sweepLate(now, max, take)
    // After a jump ahead of more than a turn each bucket is looked at once.
    const steps = Math.min(now + 1 - this.nextTick, buckets)
    for (let step = 0; step < steps; step += 1) {
      taken += this.sweepBucket((this.nextTick + step) & (buckets - 1), now, max - taken, take)
      if (taken >= max) {
        this.nextTick += step
        return taken
      }
    }
    this.nextTick = now + 1
    return taken
  }

  private sweepLate(now: number, max: number, take: (clip: number) => void): number {
    const { rows } = this
    const ring = rows.wheelRing(late)
    let taken = 0
    for (let place = rows.next(ring); place !== ring && taken < max; place = rows.next(ring)) {
      const clip = rows.rowOf(place)
      if (this.tick(clip) <= now) {
        take(clip)
        taken += 1
      } else {
        rows.cut(place)
        this.add(clip)
      }
    }
    return taken
  }

  private sweepBucket(bucket: number, now: number, max: number, take: (clip: number) => void): number {
    const { rows } = this
    const ring = rows.wheelRing(bucket)
    let taken = 0
    let place = rows.next(ring)
    while (place !== ring && taken < max) {
      const clip = rows.rowOf(place)
      const following = rows.next(place)
      if (this.tick(clip) <= now) {
        take(clip)
        taken += 1
      }
      place = following
    }
    // Not to pass the same clips again when the sweep goes on.
    if (place !== ring) rows.turnTo(ring, place)
    return taken
  }

  private holds(clip: number): boolean {
    return this.rows.expiresMs(clip) !== Infinity && !this.rows.isPinned(clip)
  }

  private tick(clip: number): number {
    return Math.ceil(this.rows.expiresMs(clip) / tickMs)
  }
}
