/**
 * Many doubly linked rings in one typed array: orders without objects.
 * Promise: every operation is O(1) and allocates nothing. A place is two numbers of the array, the next place and
 * the previous one; a ring is a place as well, between its last and its first, so nothing asks which case it is.
 * Leaves to others: what lies at a place, that a place is in no other ring when it is appended, and growing.
 */

/** No number: nothing is there. */
export const none = -1

export class Rings {
  /** At each place the next one, behind it the previous one. */
  links: Int32Array<ArrayBuffer>

  constructor(links: Int32Array<ArrayBuffer>) {
    this.links = links
  }

  /** Makes a ring empty; or a place one that can be touched although it is in no ring yet. */
  clearRing(ring: number): void {
    this.links[ring] = ring
    this.links[ring + 1] = ring
  }

  /** Makes a ring one of a single place. */
  startRing(ring: number, place: number): void {
    const { links } = this
    links[ring] = place
    links[ring + 1] = place
    links[place] = ring
    links[place + 1] = ring
  }

  isEmpty(ring: number): boolean {
    return this.links[ring] === ring
  }

  /** The place after one. After a ring comes its oldest place, after the last the ring; it is after itself when empty. */
  next(ring: number): number {
    return this.links[ring] ?? ring
  }

  /** Puts a place that lies in no ring behind the last. */
  append(ring: number, place: number): void {
    const { links } = this
    const last = links[ring + 1] ?? ring
    links[place] = ring
    links[place + 1] = last
    links[last] = place
    links[ring + 1] = place
  }

  /** Takes a place out of its ring, whichever that is. */
  cut(place: number): void {
    const { links } = this
    const next = links[place] ?? place
    const previous = links[place + 1] ?? place
    links[previous] = next
    links[next + 1] = previous
  }

  /** Puts a place, whichever ring it lies in, behind the last of a ring. */
  touch(ring: number, place: number): void {
    if (this.links[ring + 1] === place) return
    this.cut(place)
    this.append(ring, place)
  }

  /** Makes a place the first of its ring; those before it come behind the last. */
  turnTo(ring: number, place: number): void {
    this.cut(ring)
    this.append(place, ring)
  }

  /** The places of a ring, oldest first. The ring must not change meanwhile. */
  *places(ring: number): Generator<number> {
    for (let place = this.next(ring); place !== ring; place = this.next(place)) yield place
  }
}

/** The same, longer; what is new is 0. The shorter one is void: its memory is given back at once, or goes on in the longer. */
export function widerInts(from: Int32Array<ArrayBuffer>, length: number): Int32Array<ArrayBuffer> {
  return new Int32Array(from.buffer.transfer(length * from.BYTES_PER_ELEMENT))
}

/** As `widerInts`. */
export function widerFloats(from: Float64Array<ArrayBuffer>, length: number): Float64Array<ArrayBuffer> {
  return new Float64Array(from.buffer.transfer(length * from.BYTES_PER_ELEMENT))
}
