/**
 * What the clip cache shows of its books: entries, lists, figures.
 * Promise: changes nothing; a list that goes on after a change ends in an assertion, not in wrong entries.
 * Leaves to others: hits and misses, which the cache itself counts (clip-cache.ts).
 */
import { assert } from '../../core/assert.ts'
import type { Books } from './cache-books.ts'
import type { CacheLimits, CacheStats, ContentEntry, Entry, SkillEntry } from './cache-types.ts'

/** @param clip a number of the books */
export function entry(books: Books, clip: number): Entry {
  const content = books.contentOf(clip)
  const expiresMs = books.expiresMs(clip)
  return {
    clip: books.id(clip),
    skill: books.skillOf(clip).id,
    content: books.name(content),
    bytes: books.bytesOf(content),
    addedMs: books.addedMs(clip),
    accessedMs: books.accessedMs(clip),
    accesses: books.accesses(clip),
    expiresMs: expiresMs === Infinity ? null : expiresMs,
    pinned: books.isPinned(clip),
  }
}

/** By contents, the least recent first. */
export function* entries(books: Books): Generator<Entry> {
  for (const content of unchanged(books, books.contentsInOrder())) {
    for (const clip of unchanged(books, books.clipsOfContent(content))) yield entry(books, clip)
  }
}

export function* entriesOfSkill(books: Books, id: string): Generator<Entry> {
  const skill = books.skills.find(id)
  if (skill === undefined) return
  for (const clip of unchanged(books, books.clipsOfSkill(skill))) yield entry(books, clip)
}

/** The least recent first. */
export function* contentEntries(books: Books): Generator<ContentEntry> {
  for (const content of unchanged(books, books.contentsInOrder())) {
    yield {
      content: books.name(content),
      bytes: books.bytesOf(content),
      clips: [...books.clipsOfContent(content)].length,
      pinned: books.hasPin(content),
    }
  }
}

export function* skillEntries(books: Books): Generator<SkillEntry> {
  for (const { number: _, ...figures } of unchanged(books, books.skills.all())) yield figures
}

export function stats(books: Books, limits: CacheLimits, hits: number, misses: number): CacheStats {
  let clipBytes = 0
  for (const { bytes } of books.skills.all()) clipBytes += bytes
  return {
    sizeBytes: books.bytes,
    maxBytes: limits.bytes,
    items: books.items,
    maxItems: limits.items,
    contents: books.contents,
    hits,
    misses,
    hitRate: hits + misses === 0 ? 0 : hits / (hits + misses),
    evictions: books.evictions,
    expirations: books.expirations,
    dedupRatio: books.bytes === 0 ? 1 : clipBytes / books.bytes,
    bytesSaved: clipBytes - books.bytes,
    pinnedBytes: books.pinnedBytes,
    pinnedItems: books.pinnedItems,
  }
}

/** @throws AssertionFailed when the books have changed since the list was begun */
function* unchanged<T>(books: Books, list: Iterable<T>): Generator<T> {
  const { changes } = books
  for (const it of list) {
    yield it
    assert(books.changes === changes, 'the clip cache changed while it was listed')
  }
}
