/**
 * Room in the clip cache: whether a clip can be put at all, and who gives way for it.
 * Promise: the answer comes before anything gives way. It is found from sums: what cannot leave (pinned clips
 * and their contents) and the new clip must be within every limit; everything else can be evicted.
 * Leaves to others: the books, and what is put (clip-cache.ts).
 */
import type { Books } from './cache-books.ts'
import type { SkillRow } from './cache-tables.ts'
import type { CacheLimits } from './cache-types.ts'
import { none } from './ring.ts'

/** A clip that is to be put. */
export interface Wish {
  /** The clip of this id that is there, or `none`. */
  readonly clip: number
  /** The content that is there, or `none`. */
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
  const held = pinnedAfter(books, wish)
  const noBytes = bytesRefused(books, limits, wish, held)
  const noQuota = quotaRefused(books, wish)
  if ((noBytes && bytes > limits.bytes) || (noQuota && bytes > quota)) return 'too-large'
  const noPin = held > limits.pinnedBytes && held > books.pinnedBytes
  return noBytes || noQuota || noPin || itemsRefused(books, limits, wish) ? 'full' : null
}

/** Bytes of contents with a pinned clip, once the clip is put. */
function pinnedAfter(books: Books, { clip, content, bytes, pinned }: Wish): number {
  const { clips, contents } = books
  const before = clip !== none && clips.isPinned(clip) ? clips.content(clip) : none
  const lost = before !== none && contents.pinnedOf(before) === 1 ? contents.bytesOf(before) : 0
  const others = pinsBeside(books, clip, content)
  return books.pinnedBytes - lost + (pinned && others === 0 ? bytes : 0)
}

/** Pins of a content by other clips. */
function pinsBeside({ clips, contents }: Books, clip: number, content: number): number {
  if (content === none) return 0
  const own = clip !== none && clips.content(clip) === content && clips.isPinned(clip) ? 1 : 0
  return contents.pinnedOf(content) - own
}

/**
 * A limit is passed when what must stay is above it, unless pins were above it before (the limits were lowered)
 * and this makes it no worse. A clip that would have to leave itself makes it worse.
 */
function passed(after: number, before: number, limit: number, staysPinned: boolean): boolean {
  return after > limit && (after > before || !staysPinned)
}

function bytesRefused(books: Books, limits: CacheLimits, wish: Wish, pinnedBytes: number): boolean {
  const stays = wish.pinned || pinsBeside(books, wish.clip, wish.content) > 0
  const before = looseBytes(books, wish.clip) + books.pinnedBytes
  return passed(pinnedBytes + (stays ? 0 : wish.bytes), before, limits.bytes, stays)
}

function looseBytes({ clips, contents }: Books, clip: number): number {
  if (clip === none) return 0
  const content = clips.content(clip)
  return contents.pinnedOf(content) === 0 ? contents.bytesOf(content) : 0
}

function quotaRefused({ clips, contents }: Books, { clip, bytes, pinned, skill, quota }: Wish): boolean {
  const pinnedBytes = skill?.pinnedBytes ?? 0
  const own = clip === none ? 0 : contents.bytesOf(clips.content(clip))
  const wasPinned = clip !== none && clips.isPinned(clip)
  const others = pinnedBytes - (wasPinned ? own : 0)
  return passed(others + bytes, others + own, quota, pinned)
}

function itemsRefused({ clips, pinnedItems }: Books, limits: CacheLimits, { clip, pinned }: Wish): boolean {
  const others = pinnedItems - (clip !== none && clips.isPinned(clip) ? 1 : 0)
  return passed(others + 1, others + (clip === none ? 0 : 1), limits.items, pinned)
}

/** Lets the least recent clips of a skill leave until it is within its quota, or only pinned ones are left. */
export function keepQuota(books: Books, skill: SkillRow): void {
  while (skill.bytes > skill.quota) {
    const clip = books.oldestOfSkill(skill)
    if (clip === none) return
    books.drop(clip, 'quota')
  }
}

/** The same for the bytes and the items of all. */
export function keepLimits(books: Books, limits: CacheLimits): void {
  while (books.bytes > limits.bytes) {
    const content = books.looseContent()
    if (content === none) break
    books.dropContent(content, 'bytes')
  }
  while (books.clips.size > limits.items) {
    const clip = books.oldestClip()
    if (clip === none) return
    books.drop(clip, 'items')
  }
}

/** Lets contents leave until so many bytes are free. @returns bytes that were freed */
export function freeBytes(books: Books, bytes: number): number {
  const before = books.bytes
  while (before - books.bytes < bytes) {
    const content = books.looseContent()
    if (content === none) break
    books.dropContent(content, 'room')
  }
  return before - books.bytes
}
