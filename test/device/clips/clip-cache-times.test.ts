/**
 * When clips expire: on access to the millisecond, by sweeping to the second, and with clocks that jump.
 */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { CacheLimits, ClipCache, NewClip } from '../../../device/clips/cache-types.ts'
import { createClipCache } from '../../../device/clips/clip-cache.ts'
import { type Heard, hearing } from './clip-pair.ts'

const limits: CacheLimits = {
  bytes: 1e9,
  items: 10_000,
  ttlMs: 10_000,
  pinnedBytes: 1e9,
  quotas: new Map(),
  quotaDefault: Infinity,
}
const hour = 3_600_000
/** The wheel turns once in 4096 seconds. */
const turn = 4_096_000

function make(more: Partial<CacheLimits> = {}): { cache: ClipCache; heard: Heard } {
  const heard = hearing()
  return { cache: createClipCache({ ...limits, ...more }, heard), heard }
}

function put(cache: ClipCache, clip: string, nowMs: number, more: Partial<NewClip> = {}): string {
  return cache.put(clip, { skill: 'news', content: `content of ${clip}`, bytes: 1, ...more }, nowMs)
}

test('a clip can be got until its time, is a miss from then on, and leaves', () => {
  const { cache, heard } = make()
  put(cache, 'one', 5_000)
  expect(cache.get('one', 14_999)).not.toBeNull()
  expect(cache.get('one', 15_000)).toBeNull()
  expect(heard.said).toEqual(['left one news content of one expired', 'gone content of one 1'])
  expect(cache.stats()).toMatchObject({ hits: 1, misses: 1, expirations: 1, evictions: 0, items: 0 })
})

test('a hit does not lengthen the life of a clip; putting it again does', () => {
  const { cache } = make()
  put(cache, 'one', 0)
  cache.get('one', 9_000)
  expect(cache.peek('one')?.expiresMs).toBe(10_000)
  expect(put(cache, 'one', 9_000)).toBe('same')
  expect(cache.get('one', 18_999)).not.toBeNull()
  expect(cache.get('one', 19_000)).toBeNull()
})

test('a clip may say how long it lives: shorter, longer, for ever', () => {
  const { cache } = make()
  put(cache, 'short', 0, { ttlMs: 10 })
  put(cache, 'long', 0, { ttlMs: 100 * hour })
  put(cache, 'never', 0, { ttlMs: null })
  put(cache, 'zero', 0, { ttlMs: 0 })
  expect(['short', 'long', 'never', 'zero'].map((it) => cache.peek(it)?.expiresMs)).toEqual([
    10,
    100 * hour,
    null,
    null,
  ])
  expect(cache.expire(50 * hour, Infinity)).toBe(1)
  expect(cache.expire(1e15, Infinity)).toBe(1)
  expect(cache.get('never', 1e15)).not.toBeNull()
})

test('times of an index are kept, and one that has expired is not put', () => {
  const { cache, heard } = make()
  put(cache, 'there', 100_000)
  expect(
    put(cache, 'one', 100_000, { addedMs: 60_000, expiresMs: 130_000, accessedMs: 70_000, accesses: 4 }),
  ).toBe('added')
  expect(cache.peek('one')).toMatchObject({
    addedMs: 60_000,
    expiresMs: 130_000,
    accessedMs: 70_000,
    accesses: 4,
  })
  expect(put(cache, 'two', 100_000, { addedMs: 90_000 })).toBe('expired')
  expect(put(cache, 'two', 100_000, { addedMs: 90_001 })).toBe('added')
  expect(put(cache, 'there', 100_000, { expiresMs: 100_000 })).toBe('expired')
  expect(put(cache, 'ever', 100_000, { addedMs: 0, expiresMs: null })).toBe('added')
  expect(cache.peek('there')?.expiresMs).toBe(110_000)
  expect(heard.said).toEqual([])
})

test('a clip that was added in the future counts as added now and lives as long as it would have', () => {
  const { cache } = make()
  put(cache, 'one', 1_000, { addedMs: 500_000, expiresMs: 503_000 })
  put(cache, 'two', 1_000, { addedMs: 500_000 })
  expect(cache.peek('one')).toMatchObject({ addedMs: 1_000, accessedMs: 1_000, expiresMs: 4_000 })
  expect(cache.peek('two')).toMatchObject({ addedMs: 1_000, expiresMs: 11_000 })
})

test('when the clock is set back, a clip that is got counts as added now', () => {
  const { cache } = make()
  put(cache, 'one', 500_000)
  put(cache, 'two', 500_000)
  expect(cache.get('one', 1_000)).toMatchObject({ addedMs: 1_000, expiresMs: 11_000, accessedMs: 1_000 })
  expect(cache.expire(11_000, Infinity)).toBe(1)
  expect(cache.get('two', 500_000)).not.toBeNull()
})

test('a pinned clip does not expire; unpinned, it does at once when its time has passed', () => {
  const { cache, heard } = make()
  put(cache, 'one', 0, { pinned: true })
  put(cache, 'two', 0)
  cache.pin('two', true)
  expect(cache.expire(hour, Infinity)).toBe(0)
  expect(cache.get('one', hour)?.expiresMs).toBe(10_000)
  cache.pin('one', false)
  cache.pin('two', false)
  expect(heard.said).toEqual([])
  expect(cache.get('one', hour)).toBeNull()
  expect(cache.expire(hour, Infinity)).toBe(1)
  expect(cache.stats().items).toBe(0)
})

test('one that has expired already may be put pinned', () => {
  const { cache } = make()
  expect(put(cache, 'one', hour, { addedMs: 0, pinned: true })).toBe('added')
  expect(cache.get('one', hour)).not.toBeNull()
  expect(put(cache, 'one', hour, { addedMs: 0, pinned: false })).toBe('expired')
  expect(cache.peek('one')?.pinned).toBe(true)
})

test('sweeping takes those whose second has come, as many as asked, and goes on where it stopped', () => {
  const { cache, heard } = make()
  for (let at = 0; at < 10; at += 1) put(cache, `clip-${at}`, 0, { ttlMs: 1_000 * (at + 1) })
  expect(cache.expire(999, Infinity)).toBe(0)
  expect(cache.expire(1_000, Infinity)).toBe(1)
  expect(cache.expire(7_999, 4)).toBe(4)
  expect(cache.expire(7_999, 4)).toBe(2)
  expect(cache.expire(7_999, 4)).toBe(0)
  expect(cache.expire(60_000, 0)).toBe(0)
  expect(heard.said.filter((it) => it.startsWith('left')).map((it) => it.split(' ')[1])).toEqual(
    Array.from({ length: 7 }, (_, at) => `clip-${at}`),
  )
})

test('within its last second a clip is left to the access', () => {
  const { cache } = make()
  put(cache, 'one', 0, { ttlMs: 1_500 })
  expect(cache.expire(1_999, Infinity)).toBe(0)
  expect(cache.get('one', 1_500)).toBeNull()
  put(cache, 'one', 0, { ttlMs: 1_500 })
  expect(cache.expire(2_000, Infinity)).toBe(1)
})

test('clips that last many turns of the wheel stay in it', () => {
  const { cache } = make()
  put(cache, 'long', 0, { ttlMs: 3 * turn + 5_000 })
  put(cache, 'short', 0, { ttlMs: 5_000 })
  for (let at = 0; at <= 3 * turn; at += turn / 64) cache.expire(at, Infinity)
  expect([...cache.entries()].map(({ clip }) => clip)).toEqual(['long'])
  expect(cache.expire(3 * turn + 5_000, Infinity)).toBe(1)
})

test('a jump over many turns, taken in small steps, misses none', () => {
  const { cache } = make()
  for (let at = 0; at < 500; at += 1) put(cache, `clip-${at}`, 0, { ttlMs: at * 97_000 + 1 })
  let taken = 0
  for (let step = 0; step < 100; step += 1) taken += cache.expire(50 * turn, 7)
  expect(taken).toBe(500)
})

test('what was added while the clock was wrong expires by the clock that is right', () => {
  const { cache } = make()
  const year2026 = 1_767_225_600_000
  put(cache, 'right', year2026, { ttlMs: hour })
  expect(cache.expire(year2026, Infinity)).toBe(0)
  put(cache, 'early', 5_000, { ttlMs: hour })
  expect(cache.expire(5_000 + hour - 1, Infinity)).toBe(0)
  expect(cache.expire(5_000 + hour, Infinity)).toBe(1)
  expect(cache.expire(year2026 + hour - 1_000, Infinity)).toBe(0)
  expect(cache.expire(year2026 + hour, Infinity)).toBe(1)
})

test('however the clock goes, a full sweep takes all that are due and none that is not', () => {
  const time = fc.oneof(fc.nat(20_000), fc.nat(3 * turn), fc.constantFrom(turn, turn - 1, 2 * turn, 1.7e12))
  const step = fc.record({
    at: time,
    put: fc.nat(30),
    ttlMs: fc.oneof(fc.nat(5_000), fc.nat(2 * turn)),
    max: fc.nat(3),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
      const { cache } = make()
      for (const { at, put: clip, ttlMs, max } of steps) {
        put(cache, `clip-${clip}`, at, { ttlMs: ttlMs + 1 })
        const isDue = (expiresMs: number | null): boolean =>
          Math.ceil((expiresMs ?? Infinity) / 1000) <= Math.floor(at / 1000)
        const before = [...cache.entries()]
        const stay = before.filter((it) => !isDue(it.expiresMs))
        const asked = max === 0 ? Infinity : max - 1
        expect(cache.expire(at, asked)).toBe(Math.min(asked, before.length - stay.length))
        expect([...cache.entries()].filter((it) => !isDue(it.expiresMs))).toEqual(stay)
      }
    }),
    { numRuns: 300 },
  )
})

test('a lower time to live counts for what is put from then on', () => {
  const { cache } = make()
  put(cache, 'old', 0)
  cache.setLimits({ ...limits, ttlMs: 100 })
  put(cache, 'new', 0)
  expect([cache.peek('old')?.expiresMs, cache.peek('new')?.expiresMs]).toEqual([10_000, 100])
})
