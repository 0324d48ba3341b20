/**
 * Many doubly linked rings over one set of numbered nodes, in typed arrays: an order without objects.
 * Promise: a node lies in at most one ring of a set; every operation but growing is O(1) and allocates nothing.
 * Leaves to others: which node is what, and that a node is taken out of the ring that it lies in.
 */

/** No node: the ring is empty, or ends here. */
export const none = -1

/** Rings are numbered from 0, nodes too; in each ring the first is the oldest. */
export class Rings {
  /** Next and previous of a node side by side: one line of the processor's cache. */
  private links: Int32Array<ArrayBuffer>
  /** The first node of each ring, or `none`. */
  private heads: Int32Array<ArrayBuffer>

  constructor(nodes: number, rings: number) {
    this.links = new Int32Array(2 * nodes)
    this.heads = new Int32Array(rings).fill(none)
  }

  /** Makes room for more nodes; those that are there stay where they are. */
  growNodes(nodes: number): void {
    this.links = widerInts(this.links, 2 * nodes)
  }

  /** Adds empty rings. */
  growRings(rings: number): void {
    const before = this.heads.length
    this.heads = widerInts(this.heads, rings).fill(none, before)
  }

  /** The oldest node of a ring, or `none`. */
  first(ring: number): number {
    return this.heads[ring] ?? none
  }

  /** The node after one, or `none` behind the last. */
  after(ring: number, node: number): number {
    const next = this.links[2 * node] ?? none
    return next === this.heads[ring] ? none : next
  }

  /** Puts a node that lies in no ring behind the last. */
  append(ring: number, node: number): void {
    const head = this.heads[ring] ?? none
    if (head === none) {
      this.heads[ring] = node
      this.join(node, node)
    } else {
      this.join(this.links[2 * head + 1] ?? none, node)
      this.join(node, head)
    }
  }

  /** Takes a node out of its ring. */
  remove(ring: number, node: number): void {
    const next = this.links[2 * node] ?? none
    if (next === node) {
      this.heads[ring] = none
      return
    }
    this.join(this.links[2 * node + 1] ?? none, next)
    if (this.heads[ring] === node) this.heads[ring] = next
  }

  /** Puts a node of the ring behind the last. */
  touch(ring: number, node: number): void {
    const head = this.heads[ring] ?? none
    const next = this.links[2 * node] ?? none
    if (head === node) {
      this.heads[ring] = next
      return
    }
    const last = this.links[2 * head + 1] ?? none
    if (last === node) return
    this.join(this.links[2 * node + 1] ?? none, next)
    this.join(last, node)
    this.join(node, head)
  }

  /** Makes a node the first of its ring; those before it come behind the last. */
  turnTo(ring: number, node: number): void {
    this.heads[ring] = node
  }

  /** The nodes of a ring, oldest first. The ring must not change meanwhile. */
  *nodes(ring: number): Generator<number> {
    for (let node = this.first(ring); node !== none; node = this.after(ring, node)) yield node
  }

  private join(node: number, next: number): void {
    this.links[2 * node] = next
    this.links[2 * next + 1] = node
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

/** As `widerInts`. */
export function widerBytes(from: Uint8Array<ArrayBuffer>, length: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(from.buffer.transfer(length))
}
