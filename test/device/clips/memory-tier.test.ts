/** The memory tier: what was used last, never above its budget, less when memory is short. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { cacheLimits } from '../../../core/clip-limits.ts'
import { MemoryTier } from '../../../device/clips/memory-tier.ts'

const bytes = (length: number): Buffer => Buffer.alloc(length, 1)
const share = cacheLimits.memoryClipShare

describe('the memory tier', () => {
  it('keeps what was used last', () => {
    const tier = new MemoryTier(1_000)
    for (const key of ['a', 'b', 'c', 'd']) tier.put(key, bytes(250))
    expect(tier.get('a')).toEqual(bytes(250))
    tier.put('e', bytes(250))
    expect(['a', 'b', 'c', 'd', 'e'].filter((it) => tier.get(it) !== null)).toEqual(['a', 'c', 'd', 'e'])
    expect(tier.bytes).toBe(1_000)
    tier.put('a', bytes(100))
    expect(tier.bytes).toBe(850)
    tier.drop('a')
    tier.drop('a')
    expect([tier.get('a'), tier.bytes]).toEqual([null, 750])
  })

  it('takes no content that would fill a large part of it, and none at all without a budget', () => {
    const tier = new MemoryTier(1_000)
    expect([tier.takes(1_000 * share), tier.takes(1_000 * share + 1)]).toEqual([true, false])
    tier.put('a', bytes(1_000 * share + 1))
    expect(tier.bytes).toBe(0)
    const none = new MemoryTier(0)
    expect(none.takes(1)).toBe(false)
    none.put('a', bytes(1))
    none.grow()
    expect([none.get('a'), none.bytes]).toEqual([null, 0])
  })

  it('halves what it holds when memory is short, and grows back step by step', () => {
    const tier = new MemoryTier(1_000)
    for (const key of ['a', 'b', 'c', 'd']) tier.put(key, bytes(250))
    tier.shrink()
    expect([tier.bytes, tier.get('c'), tier.get('d')]).toEqual([500, bytes(250), bytes(250)])
    expect(tier.takes(250)).toBe(false)
    for (let time = 0; time < 12; time += 1) tier.shrink()
    expect(tier.bytes).toBe(0)
    expect(tier.takes(1)).toBe(false)
    let steps = 0
    for (; !tier.takes(250); steps += 1) tier.grow()
    expect(steps).toBe(8)
    for (const key of ['a', 'b', 'c', 'd', 'e']) tier.put(key, bytes(250))
    expect(tier.bytes).toBe(1_000)
  })

  const step = fc.oneof(
    fc.tuple(fc.constant('put' as const), fc.nat(8), fc.nat(300)),
    fc.tuple(
      fc.constantFrom('get' as const, 'drop' as const, 'shrink' as const, 'grow' as const),
      fc.nat(8),
      fc.constant(0),
    ),
  )

  it('is never above its budget, and counts what it holds', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const tier = new MemoryTier(1_000)
        const held = new Map<string, number>()
        for (const [what, key, length] of steps) {
          if (what === 'put') {
            tier.put(`${key}`, bytes(length))
            held.set(`${key}`, length)
          } else if (what === 'get') tier.get(`${key}`)
          else if (what === 'drop') tier.drop(`${key}`)
          else tier[what]()
          let sum = 0
          for (const [it, size] of held) {
            const found = tier.get(it)
            if (found !== null) expect(found.length).toBe(size)
            sum += found?.length ?? 0
          }
          expect(tier.bytes).toBe(sum)
          expect(sum).toBeLessThanOrEqual(1_000)
        }
      }),
    )
  })
})
