/**
 * Room in the clip cache: whether a clip can be put at all, and who gives way for it.
 * Promise: the answer comes before anything gives way. It is found from sums: what cannot leave (pinned clips
 * and their contents) and the new clip must be within every limit; everything else can be evicted.
 * Leaves to others: the books, and what is put (clip-cache.ts).
 */
import type { Books } from './cache-books.ts'
import type { CacheLimits } from './cache-types.ts'
import type { SkillRow } from './skill-table.ts'

/** A clip that is to be put. */
export interface Wish {
  /** The clip of this id that is there, or -1. */
  readonly clip: number
  /** The content that is there, or -1. */
  readonly content: number
  readonly bytes: number
  readonly pinned: boolean
  /** Undefined: the skill has no clip and no figures yet. */
  readonly skill: SkillRow | undefined
  readonly quota: number
}

/** @returns why a clip cannot be put, or null when it can */
export function refusal(books: Books, limits: CacheLimits, wish: Wish): 'too-large' | 'full' | null {
  const { bytes, quota } = wish
  if (books.pinnedItems === 0 && !wish.pinned) {
    return bytes > limits.bytes || bytes > quota ? 'too-large' : null
  }
  const held = pinnedAfter(books, wish)
  const noBytes = bytesRefused(books, limits, wish, held)
  const noQuota = quotaRefused(books, wish)
  if ((noBytes && bytes > limits.bytes) || (noQuota && bytes > quota)) return 'too-large'
  const noPin = held > limits.pinnedBytes && held > books.pinnedBytes
  return noBytes || noQuota || noPin || itemsRefused(books, limits, wish) ? 'full' : null
}

/** Bytes of contents with a pinned clip, once the clip is put. */
function pinnedAfter(books: Books, { clip, content, bytes, pinned }: Wish): number {
  const before = clip >= 0 && books.isPinned(clip) ? books.contentOf(clip) : -1
  const lost = before >= 0 && books.isAlone(clip) ? books.bytesOf(before) : 0
  return books.pinnedBytes - lost + (pinned && !pinnedBeside(books, clip, content) ? bytes : 0)
}

/** Whether a content is pinned by another clip. */
function pinnedBeside(books: Books, clip: number, content: number): boolean {
  if (content < 0 || !books.hasPin(content)) return false
  const isOwn = clip >= 0 && books.contentOf(clip) === content && books.isPinned(clip)
  return !isOwn || !books.isAlone(clip)
}

/**
 * A limit is passed when what must stay is above it, unless pins were above it before (the limits were lowered)
 * and this makes it no worse. A clip that would have to leave itself makes it worse.
 */
function passed(after: number, before: number, limit: number, staysPinned: boolean): boolean {
  return after > limit && (after > before || !staysPinned)
}

function bytesRefused(books: Books, limits: CacheLimits, wish: Wish, pinnedBytes: number): boolean {
  const stays = wish.pinned || pinnedBeside(books, wish.clip, wish.content)
  const before = looseBytes(books, wish.clip) + books.pinnedBytes
  return passed(pinnedBytes + (stays ? 0 : wish.bytes), before, limits.bytes, stays)
}

function looseBytes(books: Books, clip: number): number {
  if (clip < 0) return 0
  const content = books.contentOf(clip)
  return books.hasPin(content) ? 0 : books.bytesOf(content)
}

function quotaRefused(books: Books, { clip, bytes, pinned, skill, quota }: Wish): boolean {
  const pinnedBytes = skill?.pinnedBytes ?? 0
  const own = clip < 0 ? 0 : books.bytesOf(books.contentOf(clip))
  const wasPinned = clip >= 0 && books.isPinned(clip)
  const others = pinnedBytes - (wasPinned ? own : 0)
  return passed(others + bytes, others + own, quota, pinned)
}

function itemsRefused(books: Books, limits: CacheLimits, { clip, pinned }: Wish): boolean {
  const others = books.pinnedItems - (clip >= 0 && books.isPinned(clip) ? 1 : 0)
  return passed(others + 1, others + (clip < 0 ? 0 : 1), limits.items, pinned)
}

/** Lets the least recent clips of a skill leave until it is within its quota, or only pinned ones are left. */
export function keepQuota(books: Books, skill: SkillRow): void {
  while (skill.bytes > skill.quota) {
    const clip = books.oldestOfSkill(skill)
    if (clip < 0) return
    books.drop(clip, 'quota')
  }
}

/** The same for the bytes and the items of all. */
export function keepLimits(books: Books, limits: CacheLimits): void {
  while (books.bytes > limits.bytes) {
    const content = books.looseContent()
    if (content < 0) break
    books.dropContent(content, 'bytes')
  }
  while (books.items > limits.items) {
    const clip = books.oldestClip()
    if (clip < 0) return
    books.drop(clip, 'items')
  }
}

/** Lets contents leave until so many bytes are free. @returns bytes that were freed */
export function freeBytes(books: Books, bytes: number): number {
  const before = books.bytes
  while (before - books.bytes < bytes) {
    const content = books.looseContent()
    if (content < 0) break
    books.dropContent(content, 'room')
  }
  return before - books.bytes
}
