/**
 * Finds any of many byte strings, by looking at every 16th place only: whoever lies there is known by four of
 * its bytes, wherever it begins.
 * Promise: exact; pages of zeros cost next to nothing.
 * Leaves to others: which strings are secret (i10-no-secrets.ts).
 */
import { assert } from '../../core/assert.ts'

/** Built once, never changed. */
export interface Needles {
  /** By a hash of four bytes: whether any needle has them within its first places. */
  readonly known: Uint8Array
  /** By four bytes, little endian. */
  readonly places: ReadonlyMap<number, readonly Place[]>
}

export interface Needle {
  readonly name: string
  /** At least `needleBytesMin`, zeros at its beginning not counted. */
  readonly bytes: Uint8Array
}

interface Place extends Needle {
  /** Where in the needle the four bytes are. */
  readonly at: number
}

const pageBytes = 4096
const step = 16
const wordBytes = 4
const hashBits = 16

/** A shorter one could lie between two places that are looked at. */
export const needleBytesMin = step + wordBytes - 1

export function needlesOf(all: readonly Needle[]): Needles {
  const known = new Uint8Array(2 ** hashBits)
  const places = new Map<number, Place[]>()
  for (const { name, bytes: whole } of all) {
    const bytes = withoutZeros(whole)
    assert(bytes.length >= needleBytesMin, `needle ${name} is too short`)
    for (let at = 0; at < step; at += 1) {
      const word = wordAt(bytes, at)
      known[hashOf(word)] = 1
      places.set(word, [...(places.get(word) ?? []), { name, bytes, at }])
    }
  }
  return { known, places }
}

/** What lies among zeros is not looked at, so a needle must not begin with them. */
export function withoutZeros(bytes: Uint8Array): Uint8Array {
  const first = bytes.findIndex((it) => it !== 0)
  return first < 0 ? bytes.subarray(0, 0) : bytes.subarray(first)
}

/** @returns the name of a needle that occurs, or null */
export function findNeedle({ known, places }: Needles, hay: Uint8Array): string | null {
  const whole = endOfContent(hay, 0, hay.length)
  const last = hay.length - wordBytes
  for (let page = 0; page < whole; page += pageBytes) {
    // What begins with the last byte may be seen one place later.
    const end = Math.min(endOfContent(hay, page, Math.min(page + pageBytes, whole)) + step - 1, last)
    for (let at = page; at <= end; at += step) {
      const word = wordAt(hay, at)
      if (known[hashOf(word)] === 0) continue
      const found = places.get(word)?.find((it) => lies(it.bytes, hay, at - it.at))
      if (found !== undefined) return found.name
    }
  }
  return null
}

function wordAt(bytes: Uint8Array, at: number): number {
  const [a, b, c, d] = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]] as [
    number,
    number,
    number,
    number,
  ]
  return a | (b << 8) | (c << 16) | (d << 24)
}

function hashOf(word: number): number {
  return Math.imul(word, 0x9e37_79b1) >>> (32 - hashBits)
}

/** @returns an end behind which everything up to `to` is zero, found by halving. */
function endOfContent(hay: Uint8Array, from: number, to: number): number {
  if (isZero(hay, from, to)) return from
  let end = to
  for (let half = (to - from) >> 1; half >= 64 && isZero(hay, end - half, end); half >>= 1) end -= half
  return end
}

/** Compares a range with itself shifted by one byte: as fast as memcmp. */
function isZero(hay: Uint8Array, from: number, to: number): boolean {
  if (hay[from] !== 0) return false
  return Buffer.compare(hay.subarray(from, to - 1), hay.subarray(from + 1, to)) === 0
}

function lies(needle: Uint8Array, hay: Uint8Array, at: number): boolean {
  const end = at + needle.length
  return at >= 0 && end <= hay.length && Buffer.compare(hay.subarray(at, end), needle) === 0
}
