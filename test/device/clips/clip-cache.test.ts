/**
 * The rules of the clip cache, one by one: contents and aliases, who gives way for what, what is removed.
 */
import { expect, test } from 'vitest'
import { make, nowMs, order, put } from './cache-scene.ts'

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
