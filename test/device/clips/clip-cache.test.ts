/**
 * The rules of the clip cache, one by one: contents and aliases, who gives way for what, what is refused, pins.
 */
import { expect, test } from 'vitest'
import { AssertionFailed } from '../../../core/assert.ts'
import { clipLimits } from '../../../core/clip-limits.ts'
import type { CacheLimits, CacheListener, ClipCache, NewClip } from '../../../device/clips/cache-types.ts'
import { createClipCache } from '../../../device/clips/clip-cache.ts'
import { type Heard, hearing } from './clip-pair.ts'

const wide: CacheLimits = {
  bytes: 1_000,
  items: 100,
  ttlMs: 0,
  pinnedBytes: 500,
  quotas: new Map(),
  quotaDefault: Infinity,
}
const nowMs = 1_000_000

function make(limits: Partial<CacheLimits> = {}): { cache: ClipCache; heard: Heard } {
  const heard = hearing()
  return { cache: createClipCache({ ...wide, ...limits }, heard), heard }
}

function put(cache: ClipCache, clip: string, content: string, more: Partial<NewClip> = {}): string {
  return cache.put(clip, { skill: 'news', content, bytes: 10, ...more }, nowMs)
}

const order = (cache: ClipCache): string => [...cache.entries()].map(({ clip }) => clip).join(' ')

test('a clip that is put can be got, with what was said of it and what happened to it', () => {
  const { cache, heard } = make({ ttlMs: 5_000 })
  expect(cache.put('one', { skill: 'news', content: 'x', bytes: 7 }, nowMs)).toBe('added')
  expect(cache.get('one', nowMs + 10)).toEqual({
    clip: 'one',
    skill: 'news',
    content: 'x',
    bytes: 7,
    addedMs: nowMs,
    accessedMs: nowMs + 10,
    accesses: 1,
    expiresMs: nowMs + 5_000,
    pinned: false,
  })
  expect(cache.get('two', nowMs)).toBeNull()
  expect(heard.said).toEqual([])
})

test('found clips are numbers, whose content and size can be asked without an object', () => {
  const { cache } = make()
  put(cache, 'one', 'x')
  const found = cache.find('one', nowMs)
  expect([cache.contentAt(found), cache.bytesAt(found), cache.entryAt(found).accesses]).toEqual(['x', 10, 1])
  expect(cache.find('two', nowMs)).toBe(-1)
})

test('a second clip with the same content is an alias that can be got, and its bytes count once', () => {
  const { cache } = make()
  expect(put(cache, 'one', 'x')).toBe('added')
  expect(put(cache, 'two', 'x', { skill: 'song' })).toBe('alias')
  expect(cache.get('two', nowMs)?.content).toBe('x')
  expect(cache.stats()).toMatchObject({ sizeBytes: 10, items: 2, contents: 1, bytesSaved: 10, dedupRatio: 2 })
})

test('what was said first of the size of a content counts', () => {
  const { cache } = make()
  put(cache, 'one', 'x', { bytes: 10 })
  expect(put(cache, 'two', 'x', { bytes: 999_999 })).toBe('alias')
  expect(cache.peek('two')?.bytes).toBe(10)
  expect(cache.contentBytes('x')).toBe(10)
  expect(cache.contentBytes('y')).toBeNull()
})

test('a content stays until the last clip that refers to it has left', () => {
  const { cache, heard } = make()
  put(cache, 'one', 'x')
  put(cache, 'two', 'x', { skill: 'song' })
  expect(cache.remove('one')).toBe(true)
  expect(cache.remove('one')).toBe(false)
  expect(cache.get('two', nowMs)).not.toBeNull()
  expect(heard.said).toEqual(['left one news x removed'])
  expect(cache.remove('two')).toBe(true)
  expect(heard.said.slice(1)).toEqual(['left two song x removed', 'gone x 10'])
})

test('putting a clip again with its content renews it', () => {
  const { cache, heard } = make()
  put(cache, 'one', 'x')
  put(cache, 'two', 'y')
  cache.get('one', nowMs)
  expect(cache.put('one', { skill: 'news', content: 'x', bytes: 10 }, nowMs + 5)).toBe('same')
  expect(cache.peek('one')).toMatchObject({ addedMs: nowMs + 5, accesses: 1, accessedMs: nowMs })
  expect(order(cache)).toBe('two one')
  expect(heard.said).toEqual([])
})

test('putting a clip with another content drops the old reference, and the old content when it was the last', () => {
  const { cache, heard } = make()
  put(cache, 'one', 'x')
  put(cache, 'two', 'x')
  expect(put(cache, 'one', 'y')).toBe('replaced')
  expect(heard.said.splice(0)).toEqual(['left one news x replaced'])
  expect(put(cache, 'two', 'y')).toBe('replaced')
  expect(heard.said).toEqual(['left two news x replaced', 'gone x 10'])
  expect(cache.stats()).toMatchObject({ sizeBytes: 10, items: 2, contents: 1, evictions: 0 })
})

test('an id of another skill is refused and nothing changes', () => {
  const { cache, heard } = make()
  put(cache, 'one', 'x')
  expect(put(cache, 'one', 'y', { skill: 'song' })).toBe('foreign')
  expect(put(cache, 'one', 'x', { skill: 'song' })).toBe('foreign')
  expect([...cache.entries()]).toMatchObject([{ clip: 'one', skill: 'news', content: 'x' }])
  expect([...cache.skills()].map(({ id }) => id)).toEqual(['news'])
  expect(heard.said).toEqual([])
})

test('with distinct contents the items limit is exactly LRU', () => {
  const { cache, heard } = make({ items: 3 })
  for (const it of ['a', 'b', 'c']) put(cache, it, `content of ${it}`)
  cache.get('a', nowMs)
  put(cache, 'd', 'content of d')
  expect(heard.said).toEqual(['left b news content of b items', 'gone content of b 10'])
  expect(order(cache)).toBe('c a d')
  expect(cache.stats().evictions).toBe(1)
})

test('the items limit drops the least recent clip of the least recent content', () => {
  const { cache, heard } = make({ items: 3 })
  put(cache, 'x1', 'x')
  put(cache, 'x2', 'x')
  put(cache, 'y1', 'y')
  cache.get('x1', nowMs)
  put(cache, 'z1', 'z')
  expect(heard.said.splice(0)).toEqual(['left y1 news y items', 'gone y 10'])
  put(cache, 'z2', 'z')
  expect(heard.said).toEqual(['left x2 news x items'])
})

test('the bytes limit evicts the least recent content with all its clips', () => {
  const { cache, heard } = make({ bytes: 30 })
  put(cache, 'x1', 'x')
  put(cache, 'y1', 'y')
  put(cache, 'x2', 'x')
  put(cache, 'z1', 'z')
  expect(heard.said).toEqual([])
  put(cache, 'w1', 'w', { bytes: 15 })
  expect(heard.said).toEqual([
    'left y1 news y bytes',
    'gone y 10',
    'left x1 news x bytes',
    'left x2 news x bytes',
    'gone x 10',
  ])
})

test('a content is as recent as the last use of any of its clips', () => {
  const { cache, heard } = make({ bytes: 20 })
  put(cache, 'x1', 'x')
  put(cache, 'x2', 'x')
  put(cache, 'y1', 'y')
  cache.get('x1', nowMs)
  put(cache, 'z1', 'z')
  expect(heard.said).toEqual(['left y1 news y bytes', 'gone y 10'])
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

test('a quota drops the least recent clips of its skill and of no other, each charged in full', () => {
  const { cache, heard } = make({ quotas: new Map([['news', 25]]) })
  put(cache, 'song1', 'x', { skill: 'song' })
  put(cache, 'news1', 'x')
  put(cache, 'news2', 'x')
  expect(heard.said).toEqual([])
  put(cache, 'news3', 'y')
  expect(heard.said).toEqual(['left news1 news x quota'])
  expect([...cache.skills()]).toMatchObject([
    { id: 'song', items: 1, bytes: 10, quota: Infinity },
    { id: 'news', items: 2, bytes: 20, quota: 25 },
  ])
})

test('skills without a quota of their own have the default one', () => {
  const { cache } = make({ quotaDefault: 15, quotas: new Map([['news', 100]]) })
  expect(put(cache, 'one', 'x', { bytes: 20 })).toBe('added')
  expect(put(cache, 'two', 'y', { bytes: 20, skill: 'song' })).toBe('too-large')
})

test('what is larger than the cache or its quota by itself is too large; nobody leaves for it', () => {
  const { cache, heard } = make({ bytes: 50, quotas: new Map([['song', 20]]) })
  put(cache, 'one', 'x')
  put(cache, 'song', 's', { skill: 'song', bytes: 15 })
  expect(put(cache, 'two', 'y', { bytes: 51 })).toBe('too-large')
  expect(put(cache, 'song2', 'z', { skill: 'song', bytes: 21 })).toBe('too-large')
  expect(put(cache, 'one', 'y', { bytes: 51 })).toBe('too-large')
  expect([heard.said, order(cache)]).toEqual([[], 'one song'])
  expect(put(cache, 'two', 'y', { bytes: 50 })).toBe('added')
  expect(order(cache)).toBe('two')
})

test('a put that fails in the end leaves everything as it was, whichever limit it fails by', () => {
  const { cache, heard } = make({ bytes: 40, items: 4, pinnedBytes: 30, quotas: new Map([['song', 12]]) })
  put(cache, 'loose', 'l')
  put(cache, 'pin1', 'p', { pinned: true, bytes: 15 })
  put(cache, 'pin2', 'q', { pinned: true, skill: 'song' })
  cache.get('loose', nowMs)
  const look = (): unknown => [
    [...cache.entries()],
    [...cache.contents()],
    [...cache.skills()],
    cache.stats(),
  ]
  const before = look()
  expect(put(cache, 'new', 'n', { bytes: 16 })).toBe('full')
  expect(put(cache, 'new', 'n', { bytes: 10, pinned: true })).toBe('full')
  expect(put(cache, 'new', 'n', { bytes: 5, skill: 'song' })).toBe('full')
  expect(put(cache, 'loose', 'n', { bytes: 16 })).toBe('full')
  expect(put(cache, 'new', 'n', { bytes: 16, skill: 'unheard of' })).toBe('full')
  expect(heard.said).toEqual(['full 16', 'full 10', 'full 5', 'full 16', 'full 16'])
  expect(look()).toEqual(before)
})

test('when all items are pinned the next clip finds the cache full', () => {
  const { cache, heard } = make({ items: 2 })
  put(cache, 'one', 'x', { pinned: true })
  put(cache, 'two', 'x', { pinned: true })
  expect(put(cache, 'three', 'x')).toBe('full')
  expect(put(cache, 'two', 'y')).toBe('replaced')
  expect(heard.said).toEqual(['full 10', 'left two news x replaced'])
})

test('pinned clips are not evicted; clips beside them with the same content are', () => {
  const { cache, heard } = make({ items: 3, bytes: 30 })
  put(cache, 'pin', 'x', { pinned: true })
  put(cache, 'beside', 'x')
  put(cache, 'one', 'y')
  put(cache, 'two', 'z')
  expect(heard.said.splice(0)).toEqual(['left beside news x items'])
  put(cache, 'big', 'w', { bytes: 20 })
  expect(heard.said).toEqual(['left one news y bytes', 'gone y 10', 'left two news z bytes', 'gone z 10'])
  expect(order(cache)).toBe('pin big')
})

test('a pin beyond the bytes for pins is refused and changes nothing', () => {
  const { cache, heard } = make({ pinnedBytes: 25 })
  for (const it of ['a', 'b', 'c']) put(cache, it, `content of ${it}`)
  expect([cache.pin('a', true), cache.pin('b', true), cache.pin('c', true)]).toEqual([true, true, false])
  expect(cache.pin('none', true)).toBe(false)
  expect(put(cache, 'd', 'd', { pinned: true })).toBe('full')
  expect(put(cache, 'a2', 'content of a', { pinned: true })).toBe('alias')
  expect(cache.stats()).toMatchObject({ pinnedBytes: 20, pinnedItems: 3, items: 4 })
  expect(heard.said).toEqual(['full 10'])
})

test('a change of the pin is a use; a pin that is there already is none', () => {
  const { cache } = make()
  for (const it of ['a', 'b', 'c']) put(cache, it, `content of ${it}`)
  cache.pin('a', true)
  expect(order(cache)).toBe('b c a')
  cache.get('b', nowMs)
  expect(cache.pin('a', true)).toBe(true)
  expect(order(cache)).toBe('c a b')
  cache.pin('a', false)
  expect(order(cache)).toBe('c b a')
})

test('a put that says nothing of the pin leaves it; one that does changes it', () => {
  const { cache } = make()
  put(cache, 'one', 'x', { pinned: true })
  put(cache, 'one', 'y')
  expect(cache.peek('one')).toMatchObject({ content: 'y', pinned: true })
  put(cache, 'one', 'y', { pinned: false })
  expect(cache.peek('one')?.pinned).toBe(false)
  expect(cache.stats().pinnedBytes).toBe(0)
})

test('invalidating a skill removes its clips, pinned or not, and no content that another skill uses', () => {
  const { cache, heard } = make()
  put(cache, 'news1', 'shared')
  put(cache, 'news2', 'own', { pinned: true })
  put(cache, 'song1', 'shared', { skill: 'song' })
  expect(cache.invalidateSkill('news')).toBe(2)
  expect(cache.invalidateSkill('news')).toBe(0)
  expect(cache.invalidateSkill('nobody')).toBe(0)
  expect(heard.said).toEqual(['left news1 news shared skill', 'left news2 news own skill', 'gone own 10'])
  expect(cache.get('song1', nowMs)?.content).toBe('shared')
})

test('invalidating a content removes all clips that refer to it', () => {
  const { cache, heard } = make()
  put(cache, 'pin', 'x', { pinned: true })
  put(cache, 'one', 'x')
  put(cache, 'two', 'y')
  expect(cache.invalidateContent('x')).toBe(2)
  expect(cache.invalidateContent('x')).toBe(0)
  expect(heard.said).toEqual(['left one news x content', 'left pin news x content', 'gone x 10'])
  expect(order(cache)).toBe('two')
})

test('clearing removes all, pinned or not, and the cache can be used again', () => {
  const { cache, heard } = make()
  put(cache, 'one', 'x', { pinned: true })
  put(cache, 'two', 'y')
  cache.clear()
  expect(heard.said).toEqual(['left one news x cleared', 'gone x 10', 'left two news y cleared', 'gone y 10'])
  expect(cache.stats()).toMatchObject({ sizeBytes: 0, items: 0, contents: 0, pinnedBytes: 0, dedupRatio: 1 })
  expect(put(cache, 'one', 'x')).toBe('added')
})

test('giving way frees at least so many bytes, the least recent first, and never a pinned content', () => {
  const { cache, heard } = make()
  put(cache, 'pin', 'p', { pinned: true })
  put(cache, 'one', 'x')
  put(cache, 'two', 'y')
  put(cache, 'three', 'z')
  expect(cache.giveWay(0)).toBe(0)
  expect(cache.giveWay(11)).toBe(20)
  expect(heard.said.splice(0)).toEqual([
    'left one news x room',
    'gone x 10',
    'left two news y room',
    'gone y 10',
  ])
  expect(cache.giveWay(15)).toBe(10)
  expect(heard.said).toEqual(['left three news z room', 'gone z 10', 'full 5'])
  expect(order(cache)).toBe('pin')
})

test('lower limits take effect at once, for quotas, bytes and items, and pinned clips stay', () => {
  const { cache, heard } = make()
  put(cache, 'pin', 'p', { pinned: true })
  for (const it of ['a', 'b', 'c', 'd']) put(cache, it, it, { skill: it === 'd' ? 'song' : 'news' })
  cache.setLimits({ ...wide, quotas: new Map([['news', 30]]) })
  cache.setLimits({ ...wide, bytes: 25 })
  expect(heard.said).toEqual([
    'left a news a quota',
    'gone a 10',
    'left b news b bytes',
    'gone b 10',
    'left c news c bytes',
    'gone c 10',
  ])
  cache.setLimits({ ...wide, items: 1 })
  cache.setLimits({ ...wide, bytes: 4 })
  expect(heard.said.slice(6)).toEqual(['left d song d items', 'gone d 10', 'full 6'])
  expect(cache.stats()).toMatchObject({ sizeBytes: 10, maxBytes: 4, pinnedBytes: 10 })
})

test('pins above a limit that was lowered leave no room, and what they give back is not used up again', () => {
  const { cache, heard } = make()
  put(cache, 'pin1', 'p', { pinned: true })
  put(cache, 'pin2', 'q', { pinned: true })
  cache.setLimits({ ...wide, bytes: 15, pinnedBytes: 5 })
  expect(put(cache, 'beside', 'p')).toBe('alias')
  expect(put(cache, 'pin1', 'p')).toBe('same')
  expect(put(cache, 'new', 'n', { bytes: 1 })).toBe('full')
  expect(put(cache, 'pin1', 'p', { pinned: false })).toBe('full')
  heard.said.splice(0)
  expect(cache.pin('pin1', false)).toBe(true)
  expect(heard.said).toEqual(['left beside news p bytes', 'left pin1 news p bytes', 'gone p 10'])
  expect(cache.stats()).toMatchObject({ sizeBytes: 10, pinnedBytes: 10 })
})

test('when a pin goes that was above a lowered limit, what it kept beside it gives way', () => {
  for (const go of ['remove', 'invalidateSkill'] as const) {
    const { cache, heard } = make()
    put(cache, 'pin', 'p', { pinned: true })
    put(cache, 'held', 'q', { pinned: true, skill: 'song' })
    cache.setLimits({ ...wide, bytes: 15 })
    put(cache, 'beside', 'q', { skill: 'game' })
    heard.said.splice(0)
    expect(cache[go](go === 'remove' ? 'held' : 'song')).toBeTruthy()
    expect(heard.said.slice(1)).toEqual(['left beside game q bytes', 'gone q 10'])
  }
})

test('a content that loses its last pin counts as used then, and may leave from then on', () => {
  const { cache, heard } = make({ bytes: 30 })
  put(cache, 'pin', 'x', { pinned: true })
  put(cache, 'beside', 'x')
  put(cache, 'one', 'y')
  cache.remove('pin')
  expect(order(cache)).toBe('one beside')
  put(cache, 'big', 'z', { bytes: 30 })
  expect(heard.said.slice(1)).toEqual([
    'left one news y bytes',
    'gone y 10',
    'left beside news x bytes',
    'gone x 10',
  ])
})

test('a content all of whose clips are pinned is passed over', () => {
  const { cache, heard } = make({ items: 3 })
  put(cache, 'pin', 'x', { pinned: true })
  put(cache, 'beside', 'x')
  put(cache, 'one', 'y')
  cache.remove('beside')
  put(cache, 'two', 'z')
  put(cache, 'three', 'w')
  expect(heard.said.slice(1)).toEqual(['left one news y items', 'gone y 10'])
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
