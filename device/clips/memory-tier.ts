/**
 * The memory tier over the disk: clear bytes of the contents that were used last, up to a budget in bytes.
 * Promise: never above its budget; it shrinks when told so and grows again as it is used.
 * Leaves to others: who is told of pressure (clip-service.ts).
 */
import { cacheLimits } from '../../core/clip-limits.ts'

export class MemoryTier {
  readonly #budget: number
  /** The least recently used first. */
  readonly #contents = new Map<string, Buffer>()
  #bytes = 0
  #room: number

  /** @param budget bytes; 0: nothing is kept */
  constructor(budget: number) {
    this.#budget = budget
    this.#room = budget
  }

  get bytes(): number {
    return this.#bytes
  }

  get(key: string): Buffer | null {
    const found = this.#contents.get(key)
    if (found === undefined) return null
    this.#contents.delete(key)
    this.#contents.set(key, found)
    return found
  }

  /** A content of that size may be kept. */
  takes(bytes: number): boolean {
    return bytes <= this.#room * cacheLimits.memoryClipShare
  }

  put(key: string, content: Buffer): void {
    this.drop(key)
    if (!this.takes(content.length)) return
    this.#contents.set(key, content)
    this.#bytes += content.length
    this.#shrinkTo(this.#room)
  }

  drop(key: string): void {
    const found = this.#contents.get(key)
    if (found === undefined) return
    this.#contents.delete(key)
    this.#bytes -= found.length
  }

  /** Memory is short: half of what is held goes, and no more than that is held for now. */
  shrink(): void {
    this.#room = Math.floor(Math.min(this.#room, this.#bytes) / 2)
    this.#shrinkTo(this.#room)
  }

  /** Memory is there again: an eighth of the budget more. */
  grow(): void {
    this.#room = Math.min(this.#budget, this.#room + Math.ceil(this.#budget / 8))
  }

  #shrinkTo(bytes: number): void {
    for (const [key, content] of this.#contents) {
      if (this.#bytes <= bytes) return
      this.#contents.delete(key)
      this.#bytes -= content.length
    }
  }
}
