/**
 * Rows by number, in one typed array: for numbers that are entered and never taken out.
 * Promise: rows count from 0 in the order in which their numbers were entered first.
 */
import { none, widerInts } from './ring.ts'

const slotsAtFirst = 256

export class NumberTable {
  /** Row + 1 of whatever number lies there; 0: nothing does. A power of two of them, at most half of them taken. */
  #slots: Int32Array<ArrayBuffer>
  #numbers: Int32Array<ArrayBuffer>
  #size = 0

  /** @param expected numbers, for which there is room from the beginning */
  constructor(expected = 0) {
    const slots = slotsFor(expected)
    this.#slots = new Int32Array(slots)
    this.#numbers = new Int32Array(slots / 2)
  }

  get size(): number {
    return this.#size
  }

  /** @param number up to 2^32. @returns its row, or `none` */
  find(number: number): number {
    return (this.#slots[this.#place(number | 0)] ?? 0) - 1
  }

  /** @returns its row, which may be a new one */
  enter(number: number): number {
    let place = this.#place(number | 0)
    const known = (this.#slots[place] ?? 0) - 1
    if (known !== none) return known
    if (this.#size === this.#numbers.length) {
      this.#grow()
      place = this.#place(number | 0)
    }
    const row = this.#size
    this.#size += 1
    this.#numbers[row] = number
    this.#slots[place] = row + 1
    return row
  }

  /** Where a number lies, or would. */
  #place(number: number): number {
    const slots = this.#slots
    const mask = slots.length - 1
    // Numbers that follow each other come to lie far apart.
    let place = (Math.imul(number, 0x9e3779b1) >>> 7) & mask
    for (;;) {
      const row = slots[place] ?? 0
      if (row === 0 || this.#numbers[row - 1] === number) return place
      place = (place + 1) & mask
    }
  }

  /** Makes room for so many, which are expected. */
  reserve(expected: number): void {
    const slots = slotsFor(expected)
    if (slots > this.#slots.length) this.#resize(slots)
  }

  #grow(): void {
    this.#resize(2 * this.#slots.length)
  }

  #resize(slots: number): void {
    this.#numbers = widerInts(this.#numbers, slots / 2)
    this.#slots = new Int32Array(slots)
    for (let row = 0; row < this.#size; row += 1) {
      this.#slots[this.#place(this.#numbers[row] ?? 0)] = row + 1
    }
  }
}

function slotsFor(expected: number): number {
  let slots = slotsAtFirst
  while (slots < 2 * expected) slots *= 2
  return slots
}
