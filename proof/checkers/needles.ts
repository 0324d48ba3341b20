/**
 * Finds any of many short byte strings in a single pass.
 * Promise: exact; pages of zeros cost next to nothing.
 * Leaves to others: which strings are secret (i10-no-secrets.ts).
 */

/** Built once, never changed. */
export interface Needles {
  /** By the first two bytes: whether any needle begins so. */
  readonly begins: Uint8Array
  readonly byBeginning: ReadonlyMap<number, readonly Needle[]>
}

export interface Needle {
  readonly name: string
  /** At least two bytes, not all zeros. */
  readonly bytes: Uint8Array
}

const pageBytes = 4096

export function needlesOf(all: readonly Needle[]): Needles {
  const begins = new Uint8Array(0x1_0000)
  const byBeginning = new Map<number, Needle[]>()
  // Zeros at its beginning are cut off: what lies among zeros is not looked at.
  for (const { name, bytes } of all) {
    const needle = { name, bytes: bytes.subarray(bytes.findIndex((it) => it !== 0)) }
    const beginning = (needle.bytes[0] ?? 0) | ((needle.bytes[1] ?? 0) << 8)
    begins[beginning] = 1
    byBeginning.set(beginning, [...(byBeginning.get(beginning) ?? []), needle])
  }
  return { begins, byBeginning }
}

/** @returns the name of the first needle that occurs, or null */
export function findNeedle({ begins, byBeginning }: Needles, hay: Uint8Array): string | null {
  for (let page = 0; page < hay.length; page += pageBytes) {
    const end = endOfContent(hay, page, Math.min(page + pageBytes, hay.length))
    let low = hay[page] ?? 0
    // One byte further: a needle may begin with the last byte of the page.
    for (let at = page + 1; at <= end && at < hay.length; at += 1) {
      const high = hay[at] ?? 0
      const beginning = low | (high << 8)
      low = high
      if (begins[beginning] === 0) continue
      const found = byBeginning.get(beginning)?.find((it) => lies(it.bytes, hay, at - 1))
      if (found !== undefined) return found.name
    }
  }
  return null
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
  return end <= hay.length && Buffer.compare(hay.subarray(at, end), needle) === 0
}
