/**
 * Finds any of many byte strings in a single pass.
 * Promise: exact; pages of zeros cost next to nothing.
 * Leaves to others: which strings are secret (i10-no-secrets.ts).
 */
import { assert } from '../../core/assert.ts'

/** Built once, never changed. */
export interface Needles {
  /** By a hash of the first four bytes: whether any needle begins so. */
  readonly begins: Uint8Array
  /** By the first four bytes, little endian. */
  readonly byBeginning: ReadonlyMap<number, readonly Needle[]>
}

export interface Needle {
  readonly name: string
  /** At least four bytes, not all zeros. */
  readonly bytes: Uint8Array
}

const pageBytes = 4096
const beginningBytes = 4
/** A table that stays in the nearest cache. */
const hashBits = 13
const hashes = 2 ** hashBits

export function needlesOf(all: readonly Needle[]): Needles {
  const begins = new Uint8Array(hashes)
  const byBeginning = new Map<number, Needle[]>()
  // Zeros at its beginning are cut off: what lies among zeros is not looked at.
  for (const { name, bytes: whole } of all) {
    const bytes = whole.subarray(whole.findIndex((it) => it !== 0))
    assert(bytes.length >= beginningBytes && bytes[0] !== 0, `needle ${name} is too short`)
    let beginning = 0
    for (let at = 0; at < beginningBytes; at += 1) beginning = shifted(beginning, bytes[at] as number)
    begins[hashOf(beginning)] = 1
    byBeginning.set(beginning, [...(byBeginning.get(beginning) ?? []), { name, bytes }])
  }
  return { begins, byBeginning }
}

/** @returns the name of the first needle that occurs, or null */
export function findNeedle({ begins, byBeginning }: Needles, hay: Uint8Array): string | null {
  for (let page = 0; page < hay.length; page += pageBytes) {
    const to = Math.min(page + pageBytes, hay.length)
    // A needle may begin with the last byte of the page.
    const end = Math.min(endOfContent(hay, page, to) + beginningBytes - 1, hay.length)
    let beginning = 0
    for (let at = page; at < end; at += 1) {
      beginning = shifted(beginning, hay[at] as number)
      if (begins[hashOf(beginning)] === 0) continue
      const start = at - beginningBytes + 1
      const found = byBeginning.get(beginning)?.find((it) => lies(it.bytes, hay, start))
      if (found !== undefined) return found.name
    }
  }
  return null
}

/** The last four bytes, with one more. */
function shifted(beginning: number, byte: number): number {
  return (beginning >>> 8) | (byte << 24)
}

function hashOf(beginning: number): number {
  return Math.imul(beginning, 0x9e37_79b1) >>> (32 - hashBits)
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
