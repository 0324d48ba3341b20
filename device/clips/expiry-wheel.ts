/**
 * When clips expire: a wheel of buckets, one for each second of about an hour, over and over.
 * Promise: adding and taking out are O(1). A bucket is found by the time of expiry alone, not by the time of
 * adding, so a clock that jumps either way loses nothing. `sweep` finds each clip that is due, at the latest a
 * second after its time; one that lasts longer than a turn is passed once a turn (a heap would cost O(log n)
 * for each clip that comes, goes or is evicted, and this only for those that outlive an hour).
 * Leaves to others: the exact comparison on access, and what becomes of a clip that is due.
 */
import { none, Rings, widerFloats, widerInts } from './ring.ts'

const tickMs = 1_000
/** A power of two; longer than the usual hour. */
const buckets = 4_096
/** What was due already when it was added. */
const late = buckets

export class ExpiryWheel {
  private rings: Rings
  /** Bucket of each clip, or `none`. */
  private places: Int32Array<ArrayBuffer>
  /** Ms; Infinity: never. */
  private times: Float64Array<ArrayBuffer>
  /** The first tick that `sweep` has not passed: whatever lies in a bucket is due at this tick or later. */
  private nextTick = 0

  constructor(capacity: number) {
    this.rings = new Rings(capacity, buckets + 1)
    this.places = new Int32Array(capacity).fill(none)
    this.times = new Float64Array(capacity)
  }

  grow(capacity: number): void {
    const before = this.places.length
    this.rings.growNodes(capacity)
    this.places = widerInts(this.places, capacity).fill(none, before)
    this.times = widerFloats(this.times, capacity)
  }

  /** When a clip expires, whether it is in the wheel or not; ms, Infinity: never. */
  expiresMs(slot: number): number {
    return this.times[slot] ?? 0
  }

  /** Sets the time of a clip and puts it into its bucket; one that never expires, or is `held`, into none. */
  set(slot: number, expiresMs: number, held: boolean): void {
    this.remove(slot)
    this.times[slot] = expiresMs
    if (expiresMs === Infinity || held) return
    const tick = Math.ceil(expiresMs / tickMs)
    this.place(slot, tick < this.nextTick ? late : tick & (buckets - 1))
  }

  /** Takes a clip out of the wheel; its time stays known. */
  remove(slot: number): void {
    const bucket = this.places[slot] ?? none
    if (bucket === none) return
    this.rings.remove(bucket, slot)
    this.places[slot] = none
  }

  /**
   * Hands over clips whose second has come, no more than `max`.
   * @param take takes the clip out of the wheel, and adds none.
   * @returns how many were handed over
   */
  sweep(nowMs: number, max: number, take: (slot: number) => void): number {
    const now = Math.floor(nowMs / tickMs)
    // The clock was set back: what is added from here on may be due at a tick that was passed.
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

  private sweepLate(now: number, max: number, take: (slot: number) => void): number {
    let taken = 0
    for (let slot = this.rings.first(late); slot !== none && taken < max; slot = this.rings.first(late)) {
      const expiresMs = this.expiresMs(slot)
      if (Math.ceil(expiresMs / tickMs) > now) this.set(slot, expiresMs, false)
      else {
        take(slot)
        taken += 1
      }
    }
    return taken
  }

  private sweepBucket(bucket: number, now: number, max: number, take: (slot: number) => void): number {
    let taken = 0
    let slot = this.rings.first(bucket)
    while (slot !== none && taken < max) {
      const following = this.rings.after(bucket, slot)
      if (Math.ceil(this.expiresMs(slot) / tickMs) <= now) {
        take(slot)
        taken += 1
      }
      slot = following
    }
    // Not to pass the same clips again when the sweep goes on.
    if (slot !== none) this.rings.turnTo(bucket, slot)
    return taken
  }

  private place(slot: number, bucket: number): void {
    this.rings.append(bucket, slot)
    this.places[slot] = bucket
  }
}
