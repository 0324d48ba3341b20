/**
 * A small seeded generator (xoshiro128**, Blackman and Vigna 2018) for simulation and tests.
 * Promise: same seed, same numbers, on every machine; integers only.
 * Leaves to others: anything secret, which is `Entropy`'s.
 */
import { assert } from './assert.ts'
import type { Random } from './ports.ts'

export interface SeededRandom extends Random {
  /** A generator of its own, independent of how often this one is used afterwards. */
  child(): SeededRandom
}

/** @param seed a whole number, 0 to 2^53-1. */
export function seededRandom(seed: number): SeededRandom {
  assert(Number.isSafeInteger(seed) && seed >= 0, `seed ${seed} is not a whole number`)
  return fromState(spread(seed % 0x1_0000_0000, Math.floor(seed / 0x1_0000_0000)))
}

function fromState(state: Uint32Array<ArrayBuffer>): SeededRandom {
  const next = (): number => {
    const [a = 0, b = 0, c = 0, d = 0] = state
    const result = Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0
    const shifted = (b << 9) >>> 0
    const c1 = (c ^ a) >>> 0
    const d1 = (d ^ b) >>> 0
    state[1] = b ^ c1
    state[0] = a ^ d1
    state[2] = c1 ^ shifted
    state[3] = rotate(d1, 11)
    return result
  }
  return {
    uint32: next,
    below(limit) {
      assert(Number.isSafeInteger(limit) && limit > 0 && limit <= 0x1_0000_0000, `bad limit ${limit}`)
      const unfair = 0x1_0000_0000 % limit
      for (;;) {
        const drawn = next()
        if (drawn >= unfair) return drawn % limit
      }
    },
    child: () => fromState(spread(next(), next())),
  }
}

function rotate(value: number, by: number): number {
  return ((value << by) | (value >>> (32 - by))) >>> 0
}

/** Four well mixed words from two (splitmix32). */
function spread(low: number, high: number): Uint32Array<ArrayBuffer> {
  const state = new Uint32Array(4)
  let counter = (low ^ Math.imul(high, 0x85eb_ca6b)) >>> 0
  for (let index = 0; index < 4; index += 1) {
    counter = (counter + 0x9e37_79b9) >>> 0
    let mixed = Math.imul(counter ^ (counter >>> 16), 0x21f0_aaad)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a_2d97)
    state[index] = (mixed ^ (mixed >>> 15) ^ high) >>> 0
  }
  if (state.every((word) => word === 0)) state[0] = 1
  return state
}
