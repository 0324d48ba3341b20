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
    let slots = slotsAtFirst
    while (slots < 2 * expected) slots *= 2
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
    const known = this.find(number)
    if (known !== none) return known
    if (this.#size === this.#numbers.length) this.#grow()
    const row = this.#size
    this.#size += 1
    this.#numbers[row] = number
    this.#slots[this.#place(number | 0)] = row + 1
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

  #grow(): void {
    this.#numbers = widerInts(this.#numbers, 2 * this.#numbers.length)
    this.#slots = new Int32Array(2 * this.#slots.length)
    for (let row = 0; row < this.#size; row += 1) {
      this.#slots[this.#place(this.#numbers[row] ?? 0)] = row + 1
    }
  }
}
