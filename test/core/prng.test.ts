/** The seeded generator and the backoff that draws from it. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { backoffMs } from '../../core/backoff.ts'
import { downloadLimits, wireLimits } from '../../core/limits.ts'
import type { Random } from '../../core/ports.ts'
import { seededRandom } from '../../core/prng.ts'

test('a seed gives the same numbers on every machine and for ever', () => {
  const first = (seed: number): number[] => {
    const random = seededRandom(seed)
    return Array.from({ length: 4 }, () => random.uint32())
  }
  expect(first(0)).toEqual([1789933344, 44971166, 2521387044, 3848737593])
  expect(first(1)).toEqual([393288148, 2174103013, 3814759091, 2092745082])
  expect(first(Number.MAX_SAFE_INTEGER)).toEqual([3256906618, 3040850732, 3680281458, 1634411962])
})

test('neighbouring seeds, and seeds that differ above 2^32, give different streams', () => {
  const seen = new Set<string>()
  for (const seed of [0, 1, 2, 3, 2 ** 32, 2 ** 32 + 1, 2 ** 33, 2 ** 52, 2 ** 53 - 1]) {
    const random = seededRandom(seed)
    seen.add(`${random.uint32()} ${random.uint32()}`)
  }
  expect(seen.size).toBe(9)
})

test('a child is its own stream, whatever its parent does afterwards', () => {
  const draw = (parentDraws: number): number[] => {
    const parent = seededRandom(7)
    const child = parent.child()
    for (let at = 0; at < parentDraws; at += 1) parent.uint32()
    return Array.from({ length: 5 }, () => child.uint32())
  }
  expect(draw(0)).toEqual(draw(100))
  const parent = seededRandom(7)
  expect(parent.child().uint32()).not.toBe(parent.child().uint32())
})

test('numbers below a limit stay below it and are spread evenly', () => {
  const random = seededRandom(42)
  for (const limit of [1, 2, 3, 10, 1000]) {
    const counts = new Uint32Array(limit)
    const draws = 20_000
    for (let at = 0; at < draws; at += 1) {
      const drawn = random.below(limit)
      counts[drawn] = (counts[drawn] ?? 0) + 1
    }
    const mean = draws / limit
    // Five standard deviations of a binomial count.
    for (const it of counts) expect(Math.abs(it - mean)).toBeLessThan(5 * Math.sqrt(mean) + 1)
  }
  for (const limit of [2 ** 31, 2 ** 31 + 1, 2 ** 32]) {
    for (let at = 0; at < 1000; at += 1) {
      const drawn = random.below(limit)
      expect(drawn >= 0 && drawn < limit && Number.isInteger(drawn)).toBe(true)
    }
  }
  for (const limit of [0, -1, 1.5, 2 ** 32 + 1, Number.NaN]) expect(() => random.below(limit)).toThrow()
})

test('a seed that is no whole number is a bug', () => {
  for (const seed of [-1, 1.5, Number.NaN, 2 ** 53]) expect(() => seededRandom(seed)).toThrow()
})

/** Always draws the largest, or the smallest, number. */
const extreme = (largest: boolean): Random => ({
  uint32: () => (largest ? 0xffff_ffff : 0),
  below: (limit) => (largest ? limit - 1 : 0),
})

test('waits double from the base to the ceiling, and jitter takes any part of them', () => {
  const limits = { baseMs: 1000, ceilingMs: 60_000 }
  const longest = [1, 2, 3, 4, 5, 6, 7, 8, 100, 1e9].map((it) => backoffMs(it, limits, extreme(true)))
  expect(longest).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000, 60_000])
  for (const attempt of [0, -5, 1, 10, 1000]) expect(backoffMs(attempt, limits, extreme(false))).toBe(1)
})

test('a wait is a whole number of milliseconds within its bounds, for every limit in use', () => {
  const real = [
    { baseMs: downloadLimits.retryBaseMs, ceilingMs: downloadLimits.retryCeilingMs },
    { baseMs: wireLimits.reconnectBaseMs, ceilingMs: wireLimits.reconnectCeilingMs },
    { baseMs: 0.4, ceilingMs: 0.9 },
  ]
  fc.assert(
    fc.property(fc.integer(), fc.nat(), fc.constantFrom(...real), (attempt, seed, limits) => {
      const wait = backoffMs(attempt, limits, seededRandom(seed))
      expect(Number.isSafeInteger(wait)).toBe(true)
      expect(wait).toBeGreaterThanOrEqual(1)
      expect(wait).toBeLessThanOrEqual(Math.max(1, limits.ceilingMs))
    }),
  )
})
