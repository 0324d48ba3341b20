/**
 * Fields one after the other: into a buffer that grows, and back out of one that may be short.
 * Promise: reading never leaves its part of the buffer and never throws.
 */

export class ByteWriter {
  #bytes = Buffer.allocUnsafe(512)
  #at = 0

  get length(): number {
    return this.#at
  }

  /** What was written so far; good until the next field or `clear`. */
  take(): Buffer {
    return this.#bytes.subarray(0, this.#at)
  }

  clear(): void {
    this.#at = 0
  }

  u8(value: number): void {
    this.#room(1)
    this.#at = this.#bytes.writeUInt8(value, this.#at)
  }

  u32(value: number): void {
    this.#room(4)
    this.#at = this.#bytes.writeUInt32LE(value, this.#at)
  }

  f64(value: number): void {
    this.#room(8)
    this.#at = this.#bytes.writeDoubleLE(value, this.#at)
  }

  /** Latin-1, shorter than 256, with its length before it. */
  text(text: string): void {
    this.u8(text.length)
    this.raw(text)
  }

  /** Latin-1, of a length that the reader knows. */
  raw(text: string): void {
    this.#room(text.length)
    this.#at += this.#bytes.write(text, this.#at, 'latin1')
  }

  bytes(bytes: Uint8Array): void {
    this.#room(bytes.length)
    this.#bytes.set(bytes, this.#at)
    this.#at += bytes.length
  }

  /** Leaves room for two bytes. @returns where */
  hole(): number {
    this.#room(2)
    this.#at += 2
    return this.#at - 2
  }

  /** Fills a hole with the number of bytes behind it. */
  fill(hole: number): void {
    this.#bytes.writeUInt16LE(this.#at - hole - 2, hole)
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#bytes.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#at + bytes))
    this.#bytes.copy(larger, 0, 0, this.#at)
    this.#bytes = larger
  }
}

/** Reads fields up to an end; past it everything is 0 or '', and `short` is set. */
export class ByteReader {
  short = false
  readonly #bytes: Buffer
  #end: number
  #at: number

  constructor(bytes: Buffer, at: number, end: number) {
    this.#bytes = bytes
    this.#at = at
    this.#end = end
  }

  /** Another part of the same bytes. */
  turnTo(at: number, end: number): void {
    this.#at = at
    this.#end = end
    this.short = false
  }

  u8(): number {
    return this.#has(1) ? this.#bytes.readUInt8(this.#at++) : 0
  }

  u32(): number {
    if (!this.#has(4)) return 0
    const value = this.#bytes.readUInt32LE(this.#at)
    this.#at += 4
    return value
  }

  /** A number that is not negative, such as a time. */
  f64(): number {
    if (!this.#has(8)) return 0
    const value = this.#bytes.readDoubleLE(this.#at)
    this.#at += 8
    if (!(value >= 0 && value <= Number.MAX_VALUE)) this.short = true
    return value
  }

  text(): string {
    return this.raw(this.u8())
  }

  raw(bytes: number): string {
    if (!this.#has(bytes)) return ''
    const text = this.#bytes.toString('latin1', this.#at, this.#at + bytes)
    this.#at += bytes
    return text
  }

  /** The next bytes into the first of those; they stay as they are when it is short. */
  fill(into: Uint8Array, bytes: number): void {
    if (!this.#has(bytes)) return
    this.#bytes.copy(into, 0, this.#at, this.#at + bytes)
    this.#at += bytes
  }

  #has(bytes: number): boolean {
    if (this.#at + bytes > this.#end) this.short = true
    return !this.short
  }
}
