/**
 * What the clip cache refuses, what is pinned, and limits that are lowered below it.
 */
import { expect, test } from 'vitest'
import { make, nowMs, order, put, wide } from './cache-scene.ts'

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
