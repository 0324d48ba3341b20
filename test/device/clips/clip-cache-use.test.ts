/**
 * The clip cache for those that use it: numbers, lists, figures, listeners, and what is a fault of theirs.
 */
import { expect, test } from 'vitest'
import { AssertionFailed } from '../../../core/assert.ts'
import { clipLimits } from '../../../core/clip-limits.ts'
import type { CacheListener, NewClip } from '../../../device/clips/cache-types.ts'
import { createClipCache } from '../../../device/clips/clip-cache.ts'
import { make, nowMs, order, put, wide } from './cache-scene.ts'

test('found clips are numbers, whose content and size can be asked without an object', () => {
  const { cache } = make()
  put(cache, 'one', 'x')
  const found = cache.find('one', nowMs)
  expect([cache.contentAt(found), cache.bytesAt(found), cache.entryAt(found).accesses]).toEqual(['x', 10, 1])
  expect(cache.find('two', nowMs)).toBe(-1)
})

test('looking without using moves and counts nothing', () => {
  const { cache } = make()
  put(cache, 'one', 'x')
  put(cache, 'two', 'y')
  expect(cache.peek('one')).toMatchObject({ accesses: 0 })
  expect(cache.peek('none')).toBeNull()
  expect(order(cache)).toBe('one two')
  expect(cache.stats()).toMatchObject({ hits: 0, misses: 0, hitRate: 0 })
})

test('figures of a skill outlive its clips; misses are told by the caller, who knows whose they are', () => {
  const { cache } = make()
  put(cache, 'one', 'x')
  cache.get('one', nowMs)
  cache.get('two', nowMs)
  cache.missed('news')
  cache.missed('song')
  cache.invalidateSkill('news')
  expect([...cache.skills()]).toEqual([
    { id: 'news', items: 0, bytes: 0, pinnedBytes: 0, quota: Infinity, hits: 1, misses: 1 },
    { id: 'song', items: 0, bytes: 0, pinnedBytes: 0, quota: Infinity, hits: 0, misses: 1 },
  ])
  expect(cache.stats()).toMatchObject({ hits: 1, misses: 1, hitRate: 0.5 })
})

test('when there are too many skills, the one without clips for longest is forgotten; with clips, none is', () => {
  const { cache, heard } = make({ items: 10 * clipLimits.skillsMax, bytes: 1e9, pinnedBytes: 1e9 })
  const skill = (at: number): Partial<NewClip> => ({ skill: `skill-${at}` })
  for (let at = 0; at < clipLimits.skillsMax; at += 1) put(cache, `clip-${at}`, `c-${at}`, skill(at))
  const known = (): Set<string> => new Set([...cache.skills()].map(({ id }) => id))
  expect(put(cache, 'more', 'm', { skill: 'more' })).toBe('full')
  cache.missed('more')
  expect(known().has('more')).toBe(false)
  cache.remove('clip-7')
  cache.remove('clip-3')
  expect(put(cache, 'more', 'm', { skill: 'more' })).toBe('added')
  expect([known().has('skill-7'), known().has('skill-3'), known().size]).toEqual([
    false,
    true,
    clipLimits.skillsMax,
  ])
  cache.missed('skill-3')
  cache.missed('other')
  expect(known().has('skill-3')).toBe(false)
  cache.missed('skill-3')
  expect([known().has('skill-3'), known().has('other')]).toEqual([true, false])
  expect(cache.peek('more')?.skill).toBe('more')
  expect([...cache.clipsOf('more')].map(({ clip }) => clip)).toEqual(['more'])
  expect(heard.said).toEqual([
    'full 10',
    'left clip-7 skill-7 c-7 removed',
    'gone c-7 10',
    'left clip-3 skill-3 c-3 removed',
    'gone c-3 10',
  ])
})

test('contents with names that begin alike are told apart', () => {
  const { cache } = make({ items: 1_000, bytes: 1e6 })
  const name = (at: number): string => `${at}`.padStart(64, '0')
  for (let at = 0; at < 300; at += 1) put(cache, `clip-${at}`, name(at), { bytes: at + 1 })
  for (let at = 0; at < 300; at += 3) cache.remove(`clip-${at}`)
  for (let at = 0; at < 300; at += 1) expect(cache.contentBytes(name(at))).toBe(at % 3 === 0 ? null : at + 1)
})

test('a full cache of any size can exchange the content of a clip', () => {
  for (const items of [1, 63, 64, 65, 128, 200]) {
    const { cache } = make({ items, bytes: 1e6 })
    for (let at = 0; at < items; at += 1) put(cache, `clip-${at}`, `c-${at}`, { bytes: at + 1 })
    for (let at = 0; at < items; at += 1)
      expect(put(cache, `clip-${at}`, `d-${at}`, { bytes: at + 2 })).toBe('replaced')
    for (let at = 0; at < items; at += 1) expect(cache.get(`clip-${at}`, nowMs)?.bytes).toBe(at + 2)
  }
})

test('what makes no sense is a fault of the caller', () => {
  const { cache } = make()
  expect(() => put(cache, 'one', 'x', { bytes: 0 })).toThrow(AssertionFailed)
  expect(() => put(cache, 'one', 'x', { bytes: 1.5 })).toThrow(AssertionFailed)
  expect(() => cache.put('one', { skill: 's', content: 'x', bytes: 1 }, Number.NaN)).toThrow(AssertionFailed)
  expect(() => cache.expire(-1, 1)).toThrow(AssertionFailed)
  for (const wrong of [
    { items: 0 },
    { bytes: -1 },
    { bytes: Number.NaN },
    { quotas: new Map([['a', -1]]) },
  ]) {
    expect(() => make(wrong)).toThrow(AssertionFailed)
    expect(() => cache.setLimits({ ...wide, ...wrong })).toThrow(AssertionFailed)
  }
})

test('a listener sees the books as they are after the change, and must not change them', () => {
  const seen: unknown[] = []
  const listener: CacheListener = {
    left: (clip) => seen.push([clip, cache.peek(clip), cache.stats().items, cache.contentBytes('x')]),
    contentLeft: (content) => seen.push([content, cache.contentBytes(content)]),
    full: () => cache.clear(),
  }
  const cache = createClipCache({ ...wide, items: 1 }, listener)
  put(cache, 'one', 'x')
  cache.remove('one')
  expect(seen).toEqual([
    ['one', null, 0, null],
    ['x', null],
  ])
  put(cache, 'two', 'y', { pinned: true })
  expect(() => put(cache, 'three', 'z')).toThrow(AssertionFailed)
  expect(put(cache, 'two', 'y')).toBe('same')
})

test('a list that goes on after a change is a fault of the caller', () => {
  const { cache } = make()
  put(cache, 'one', 'x')
  put(cache, 'two', 'y')
  for (const list of [cache.entries(), cache.contents(), cache.clipsOf('news')]) {
    list.next()
    cache.get('one', nowMs)
    expect(() => list.next()).toThrow(AssertionFailed)
  }
  expect([...cache.clipsOf('nobody')]).toEqual([])
})
