/**
 * The policy of the audio-clip cache: which clips are there, which content each refers to, who leaves when.
 * Promise: pure (the caller gives the time, whole ms of some clock of the device); a content lives as long as a
 * clip refers to it; after each call every limit holds, unless pinned clips alone are above one that was lowered;
 * a put that is refused changes nothing. Each call is O(1) for each clip that comes or leaves, amortised.
 * Leaves to others: files, keys and the index on the disk, which follow what the listener is told; what a clip
 * really contains; the orders of recency (cache-books.ts), the limits (cache-room.ts).
 */
import { assert } from '../../core/assert.ts'
import { Books } from './cache-books.ts'
import { freeBytes, keepLimits, keepQuota, refusal } from './cache-room.ts'
import type {
  CacheLimits,
  CacheListener,
  CacheStats,
  ClipCache,
  ContentEntry,
  Entry,
  NewClip,
  PutResult,
  SkillEntry,
} from './cache-types.ts'
import { none } from './ring.ts'

/** @param limits as `setLimits`. @throws AssertionFailed from any call when a limit, a size or a time makes no sense */
export function createClipCache(limits: CacheLimits, listener: CacheListener): ClipCache {
  return new Cache(checked(limits), listener)
}

class Cache implements ClipCache {
  private readonly books: Books
  private limits: CacheLimits
  private hits = 0
  private misses = 0
  /** Rows of what was put last, which is what is asked for next. They may be others' by now. */
  private lastClip = 0
  private lastContent = 0

  constructor(limits: CacheLimits, listener: CacheListener) {
    this.limits = limits
    this.books = new Books(listener)
  }

  put(id: string, it: NewClip, nowMs: number): PutResult {
    const { books, limits } = this
    books.begin()
    assert(it.bytes >= 1 && Number.isSafeInteger(it.bytes), 'a clip has at least one byte, and whole ones')
    assert(nowMs >= 0 && Number.isSafeInteger(nowMs), 'the time is in whole milliseconds')
    const clip = books.clips.find(id)
    const row = books.skills.find(it.skill)
    if (clip !== none && books.clips.skill(clip) !== row?.number) return 'foreign'
    const content = books.contents.find(it.content)
    const bytes = content === none ? it.bytes : books.contents.bytesOf(content)
    const pinned = it.pinned ?? (clip !== none && books.clips.isPinned(clip))
    const expiresMs = this.expiry(it, nowMs)
    if (!pinned && expiresMs <= nowMs) return 'expired'
    const quota = row?.quota ?? this.quotaOf(it.skill)
    const no = refusal(books, limits, { clip, content, bytes, pinned, skill: row, quota })
    if (no === 'full') books.tellFull(bytes)
    if (no !== null) return no
    const skill = row ?? books.enterSkill(it.skill, quota)
    const own = clip !== none ? clip : books.enterClip(id, skill, limits.items + 1)
    this.note(own, it, nowMs, clip === none)
    books.wheel.set(own, expiresMs, pinned)
    const result = this.refer(own, clip === none, content, it, bytes, pinned)
    keepQuota(books, skill)
    keepLimits(books, limits)
    this.lastClip = own
    this.lastContent = books.clips.content(own)
    return result
  }

  find(id: string, nowMs: number): number {
    const { books } = this
    books.begin()
    const clip = books.clips.find(id)
    if (clip === none) return this.miss()
    const { clips } = books
    if (books.wheel.expiresMs(clip) <= nowMs && !clips.isPinned(clip)) {
      books.drop(clip, 'expired')
      return this.miss()
    }
    if ((clips.addedMs[clip] ?? 0) > nowMs) this.bringBack(clip, nowMs)
    books.use(clip)
    clips.accessedMs[clip] = nowMs
    clips.accesses[clip] = (clips.accesses[clip] ?? 0) + 1
    books.skillOf(clip).hits += 1
    this.hits += 1
    return clip
  }

  get(id: string, nowMs: number): Entry | null {
    const clip = this.find(id, nowMs)
    return clip === none ? null : this.entryAt(clip)
  }

  entryAt(clip: number): Entry {
    const { clips, contents, wheel } = this.books
    const content = clips.content(clip)
    const expiresMs = wheel.expiresMs(clip)
    return {
      clip: clips.name(clip),
      skill: this.books.skillOf(clip).id,
      content: contents.name(content),
      bytes: contents.bytesOf(content),
      addedMs: clips.addedMs[clip] ?? 0,
      accessedMs: clips.accessedMs[clip] ?? 0,
      accesses: clips.accesses[clip] ?? 0,
      expiresMs: expiresMs === Infinity ? null : expiresMs,
      pinned: clips.isPinned(clip),
    }
  }

  contentAt(clip: number): string {
    return this.books.contents.name(this.books.clips.content(clip))
  }

  bytesAt(clip: number): number {
    return this.books.contents.bytesOf(this.books.clips.content(clip))
  }

  peek(id: string): Entry | null {
    const clip = this.books.clips.find(id)
    return clip === none ? null : this.entryAt(clip)
  }

  reserve(clips: number, contents: number): void {
    this.books.reserve(clips, contents)
  }

  row(id: string): number {
    const { clips } = this.books
    return id !== '' && clips.name(this.lastClip) === id ? this.lastClip : clips.find(id)
  }

  contentRow(name: string): number {
    const { contents } = this.books
    return name !== '' && contents.name(this.lastContent) === name ? this.lastContent : contents.find(name)
  }

  *names(): Generator<string> {
    for (const name of this.books.clips.names) if (name !== '') yield name
  }

  contentBytes(name: string): number | null {
    const content = this.books.contents.find(name)
    return content === none ? null : this.books.contents.bytesOf(content)
  }

  missed(id: string): void {
    this.books.begin()
    const skill = this.books.skills.find(id) ?? this.books.enterSkill(id, this.quotaOf(id))
    skill.misses += 1
  }

  pin(id: string, pinned: boolean): boolean {
    const { books } = this
    books.begin()
    const clip = books.clips.find(id)
    if (clip === none) return false
    if (books.clips.isPinned(clip) === pinned) return true
    const content = books.clips.content(clip)
    const more = pinned && books.contents.pinnedOf(content) === 0 ? books.contents.bytesOf(content) : 0
    if (more > 0 && books.pinnedBytes + more > this.limits.pinnedBytes) return false
    books.pin(clip, pinned)
    books.wheel.set(clip, books.wheel.expiresMs(clip), pinned)
    // The pins may have been above limits that were lowered.
    keepQuota(books, books.skillOf(clip))
    keepLimits(books, this.limits)
    return true
  }

  remove(id: string): boolean {
    this.books.begin()
    const clip = this.books.clips.find(id)
    if (clip !== none) this.books.drop(clip, 'removed')
    return clip !== none
  }

  invalidateSkill(id: string): number {
    this.books.begin()
    const skill = this.books.skills.find(id)
    return skill === undefined ? 0 : this.books.dropSkill(skill, 'skill')
  }

  invalidateContent(name: string): number {
    this.books.begin()
    const content = this.books.contents.find(name)
    return content === none ? 0 : this.books.dropContent(content, 'content')
  }

  clear(): void {
    this.books.begin()
    for (const content of this.books.contentsInOrder()) this.books.dropContent(content, 'cleared')
  }

  expire(nowMs: number, max: number): number {
    this.books.begin()
    return this.books.wheel.sweep(nowMs, max, (clip) => this.books.drop(clip, 'expired'))
  }

  giveWay(bytes: number): number {
    this.books.begin()
    const freed = freeBytes(this.books, bytes)
    if (freed < bytes) this.books.tellFull(bytes - freed)
    return freed
  }

  setLimits(limits: CacheLimits): void {
    const { books } = this
    books.begin()
    this.limits = checked(limits)
    for (const skill of books.skills.all()) {
      skill.quota = this.quotaOf(skill.id)
      keepQuota(books, skill)
    }
    keepLimits(books, limits)
    if (books.bytes > limits.bytes) books.tellFull(books.bytes - limits.bytes)
  }

  *entries(): Generator<Entry> {
    for (const content of this.unchanged(this.books.contentsInOrder())) {
      for (const clip of this.unchanged(this.books.clipsOfContent(content))) yield this.entryAt(clip)
    }
  }

  *clipsOf(id: string): Generator<Entry> {
    const skill = this.books.skills.find(id)
    if (skill === undefined) return
    for (const clip of this.unchanged(this.books.clipsOfSkill(skill))) yield this.entryAt(clip)
  }

  *contents(): Generator<ContentEntry> {
    const { contents } = this.books
    for (const content of this.unchanged(this.books.contentsInOrder())) {
      yield {
        content: contents.name(content),
        bytes: contents.bytesOf(content),
        clips: contents.clipsOf(content),
        pinned: contents.pinnedOf(content) > 0,
      }
    }
  }

  *skills(): Generator<SkillEntry> {
    for (const { number: _, ...figures } of this.unchanged(this.books.skills.all())) yield figures
  }

  stats(): CacheStats {
    const { books, limits, hits, misses } = this
    return {
      sizeBytes: books.bytes,
      maxBytes: limits.bytes,
      items: books.clips.size,
      maxItems: limits.items,
      contents: books.contents.size,
      hits,
      misses,
      hitRate: hits + misses === 0 ? 0 : hits / (hits + misses),
      evictions: books.evictions,
      expirations: books.expirations,
      dedupRatio: books.bytes === 0 ? 1 : books.clipBytes / books.bytes,
      bytesSaved: books.clipBytes - books.bytes,
      pinnedBytes: books.pinnedBytes,
      pinnedItems: books.pinnedItems,
    }
  }

  private miss(): number {
    this.misses += 1
    return none
  }

  private quotaOf(skill: string): number {
    return this.limits.quotas.get(skill) ?? this.limits.quotaDefault
  }

  /** When a clip would expire; ms, Infinity: never. What was added in the future lives as long, from now on. */
  private expiry(it: NewClip, nowMs: number): number {
    const addedMs = it.addedMs ?? nowMs
    const lead = Math.max(0, addedMs - nowMs)
    if (it.expiresMs !== undefined) return it.expiresMs === null ? Infinity : it.expiresMs - lead
    const ttlMs = it.ttlMs === undefined ? this.limits.ttlMs : (it.ttlMs ?? 0)
    return ttlMs === 0 ? Infinity : addedMs - lead + ttlMs
  }

  private note(clip: number, it: NewClip, nowMs: number, isNew: boolean): void {
    const { clips } = this.books
    const addedMs = Math.min(it.addedMs ?? nowMs, nowMs)
    clips.addedMs[clip] = addedMs
    const accessedMs = it.accessedMs ?? (isNew ? addedMs : undefined)
    if (accessedMs !== undefined) clips.accessedMs[clip] = Math.min(accessedMs, nowMs)
    if (it.accesses !== undefined || isNew) clips.accesses[clip] = it.accesses ?? 0
  }

  private refer(
    clip: number,
    isNew: boolean,
    found: number,
    it: NewClip,
    bytes: number,
    pinned: boolean,
  ): PutResult {
    const { books } = this
    if (!isNew && books.clips.content(clip) === found) {
      if (books.clips.isPinned(clip) === pinned) books.use(clip)
      else books.pin(clip, pinned)
      return 'same'
    }
    const content = found === none ? books.enterContent(it.content, bytes, this.limits.items + 1) : found
    if (isNew) books.link(clip, content, pinned)
    else books.replace(clip, content, pinned)
    return isNew ? (found === none ? 'added' : 'alias') : 'replaced'
  }

  /** A clip that was added in the future counts as added now, and lives as long. */
  private bringBack(clip: number, nowMs: number): void {
    const { clips, wheel } = this.books
    wheel.set(clip, wheel.expiresMs(clip) - (clips.addedMs[clip] ?? 0) + nowMs, clips.isPinned(clip))
    clips.addedMs[clip] = nowMs
  }

  /** Passes on what is listed. @throws AssertionFailed when the cache has changed meanwhile */
  private *unchanged<T>(list: Iterable<T>): Generator<T> {
    const { changed } = this.books
    for (const it of list) {
      yield it
      assert(this.books.changed === changed, 'the clip cache changed while it was listed')
    }
  }
}

function checked(limits: CacheLimits): CacheLimits {
  const all = [limits.bytes, limits.ttlMs, limits.pinnedBytes, limits.quotaDefault, ...limits.quotas.values()]
  assert(all.every((it) => it >= 0) && limits.items >= 1, 'limits of the clip cache are not negative')
  return limits
}
