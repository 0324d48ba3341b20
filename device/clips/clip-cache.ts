/**
 * The policy of the audio-clip cache: which clips are there, which content each refers to, who leaves when.
 * Promise: pure (the caller gives the time, whole ms of some clock of the device); a content lives as long as a
 * clip refers to it; after each call every limit holds, unless pinned clips alone are above one that was lowered;
 * a put that is refused changes nothing. Each call is O(1) for each clip that comes or leaves, amortised.
 * Leaves to others: files, keys and the index on the disk, which follow what the listener is told; what a clip
 * really contains; the orders of recency (cache-books.ts), the limits (cache-room.ts), lists (cache-view.ts).
 */
import { assert } from '../../core/assert.ts'
import { Books } from './cache-books.ts'
import { loadRows } from './cache-load.ts'
import { freeBytes, keepLimits, keepQuota, refusal } from './cache-room.ts'
import type {
  CacheLimits,
  CacheListener,
  CacheStats,
  ClipCache,
  ContentEntry,
  Entry,
  KnownRows,
  NewClip,
  PutResult,
  SkillEntry,
} from './cache-types.ts'
import { contentEntries, entries, entriesOfSkill, entry, skillEntries, stats } from './cache-view.ts'
import type { SkillRow } from './skill-table.ts'

/** @throws AssertionFailed when a limit makes no sense; the calls, when a size or a time does not */
export function createClipCache(limits: CacheLimits, listener: CacheListener): ClipCache {
  return new Cache(checked(limits), listener)
}

class Cache implements ClipCache {
  private readonly listener: CacheListener
  private books: Books
  private limits: CacheLimits
  private hits = 0
  private misses = 0
  /** What was put last, which is what is asked for next. The numbers may be others' by now. */
  private lastClip = -1
  private lastContent = -1

  constructor(limits: CacheLimits, listener: CacheListener) {
    this.limits = limits
    this.listener = listener
    this.books = new Books(listener)
  }

  load(rows: KnownRows, nowMs: number): boolean {
    assert(this.books.changes === 0, 'a clip cache is loaded before anything else')
    const books = new Books(this.listener)
    const isWhole = loadRows(books, this.limits, rows, nowMs)
    if (isWhole) this.books = books
    return isWhole
  }

  put(id: string, it: NewClip, nowMs: number): PutResult {
    const { books, limits } = this
    books.begin()
    assert(it.bytes >= 1 && Number.isSafeInteger(it.bytes), 'a clip has whole bytes, and at least one')
    assert(nowMs >= 0, 'the time of the clip cache is not negative')
    const clip = books.findClip(id)
    const row = books.skills.find(it.skill)
    if (clip >= 0 && books.skillOf(clip) !== row) return 'foreign'
    const hash = books.hash(it.content)
    const content = books.findContent(it.content, hash)
    const bytes = content < 0 ? it.bytes : books.bytesOf(content)
    const pinned = it.pinned ?? (clip >= 0 && books.isPinned(clip))
    if (!pinned && this.expiry(it, nowMs) <= nowMs) return 'expired'
    const quota = row?.quota ?? this.quotaOf(it.skill)
    if (pinned || books.pinnedItems > 0 || bytes > limits.bytes || bytes > quota) {
      const no = refusal(books, limits, { clip, content, bytes, pinned, skill: row, quota })
      if (no !== null) return no === 'full' ? this.full(bytes) : no
    }
    const skill = row ?? books.skills.enter(it.skill, quota)
    if (skill === undefined) return this.full(bytes)
    if (clip >= 0) return this.renew(clip, it, nowMs, content, hash, pinned)
    this.enter(id, it, nowMs, content, hash, pinned, skill)
    this.keep(skill)
    return content < 0 ? 'added' : 'alias'
  }

  find(id: string, nowMs: number): number {
    const { books } = this
    books.begin()
    const clip = books.findClip(id)
    if (clip < 0) return this.miss()
    if (books.expiresMs(clip) <= nowMs && !books.isPinned(clip)) {
      books.drop(clip, 'expired')
      return this.miss()
    }
    if (books.addedMs(clip) > nowMs) this.bringBack(clip, nowMs)
    books.use(clip)
    books.setAccess(clip, nowMs, books.accesses(clip) + 1)
    books.skillOf(clip).hits += 1
    this.hits += 1
    return clip
  }

  get(id: string, nowMs: number): Entry | null {
    const clip = this.find(id, nowMs)
    return clip < 0 ? null : entry(this.books, clip)
  }

  entryAt(clip: number): Entry {
    return entry(this.books, clip)
  }

  contentAt(clip: number): string {
    return this.books.name(this.books.contentOf(clip))
  }

  bytesAt(clip: number): number {
    return this.books.bytesOf(this.books.contentOf(clip))
  }

  peek(id: string): Entry | null {
    const clip = this.books.findClip(id)
    return clip < 0 ? null : entry(this.books, clip)
  }

  row(id: string): number {
    const { books, lastClip } = this
    return books.shown(id !== '' && books.id(lastClip) === id ? lastClip : books.findClip(id))
  }

  contentRow(name: string): number {
    const { books, lastContent } = this
    return books.shown(
      name !== '' && books.name(lastContent) === name ? lastContent : books.contentNamed(name),
    )
  }

  names(): Generator<string> {
    return this.books.allIds()
  }

  reserve(clips: number, contents: number): void {
    this.books.reserve(clips, contents)
  }

  contentBytes(name: string): number | null {
    const content = this.books.contentNamed(name)
    return content < 0 ? null : this.books.bytesOf(content)
  }

  missed(id: string): void {
    const { skills } = this.books
    this.books.begin()
    const skill = skills.find(id) ?? skills.enter(id, this.quotaOf(id))
    if (skill !== undefined) skill.misses += 1
  }

  pin(id: string, pinned: boolean): boolean {
    const { books } = this
    books.begin()
    const clip = books.findClip(id)
    if (clip < 0) return false
    if (books.isPinned(clip) === pinned) return true
    const content = books.contentOf(clip)
    const more = pinned && !books.hasPin(content) ? books.bytesOf(content) : 0
    if (more > 0 && books.pinnedBytes + more > this.limits.pinnedBytes) return false
    books.wheel.remove(clip)
    books.refer(clip, content, pinned)
    books.wheel.add(clip)
    this.keep(books.skillOf(clip))
    return true
  }

  remove(id: string): boolean {
    this.books.begin()
    const clip = this.books.findClip(id)
    if (clip < 0) return false
    this.books.drop(clip, 'removed')
    keepLimits(this.books, this.limits)
    return true
  }

  invalidateSkill(id: string): number {
    this.books.begin()
    const skill = this.books.skills.find(id)
    const left = skill === undefined ? 0 : this.books.dropSkill(skill, 'skill')
    keepLimits(this.books, this.limits)
    return left
  }

  invalidateContent(name: string): number {
    this.books.begin()
    const content = this.books.contentNamed(name)
    return content < 0 ? 0 : this.books.dropContent(content, 'content')
  }

  clear(): void {
    this.books.begin()
    for (const content of this.books.contentsInOrder()) this.books.dropContent(content, 'cleared')
  }

  expire(nowMs: number, max: number): number {
    this.books.begin()
    assert(nowMs >= 0, 'the time of the clip cache is not negative')
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

  entries(): Generator<Entry> {
    return entries(this.books)
  }

  clipsOf(skill: string): Generator<Entry> {
    return entriesOfSkill(this.books, skill)
  }

  contents(): Generator<ContentEntry> {
    return contentEntries(this.books)
  }

  skills(): Generator<SkillEntry> {
    return skillEntries(this.books)
  }

  stats(): CacheStats {
    return stats(this.books, this.limits, this.hits, this.misses)
  }

  /** A clip that is new. @param found its content, or -1 when it is new as well */
  private enter(
    id: string,
    it: NewClip,
    nowMs: number,
    found: number,
    hash: number,
    pinned: boolean,
    skill: SkillRow,
  ): void {
    const { books } = this
    const usual = this.limits.items + 1
    let clip: number
    if (found < 0 && !pinned) clip = books.addBoth(id, it.content, hash, it.bytes, skill, usual)
    else {
      clip = books.enterClip(id, usual)
      const content = found < 0 ? books.newContent(it.content, hash, it.bytes, usual) : found
      books.link(clip, content, skill, pinned)
    }
    const addedMs = Math.min(it.addedMs ?? nowMs, nowMs)
    books.setLife(clip, addedMs, this.expiry(it, nowMs))
    books.setAccess(clip, Math.min(it.accessedMs ?? addedMs, nowMs), it.accesses ?? 0)
    books.wheel.add(clip)
    this.lastClip = clip
    this.lastContent = books.contentOf(clip)
  }

  /** A clip that is there, with the same or another content. */
  private renew(
    clip: number,
    it: NewClip,
    nowMs: number,
    found: number,
    hash: number,
    pinned: boolean,
  ): 'same' | 'replaced' {
    const { books } = this
    const isSame = books.contentOf(clip) === found
    const content = found < 0 ? books.newContent(it.content, hash, it.bytes, this.limits.items + 1) : found
    books.wheel.remove(clip)
    const addedMs = Math.min(it.addedMs ?? nowMs, nowMs)
    books.setLife(clip, addedMs, this.expiry(it, nowMs))
    const accessedMs = Math.min(it.accessedMs ?? books.accessedMs(clip), nowMs)
    books.setAccess(clip, accessedMs, it.accesses ?? books.accesses(clip))
    books.refer(clip, content, pinned)
    books.wheel.add(clip)
    this.lastClip = clip
    this.lastContent = content
    this.keep(books.skillOf(clip))
    return isSame ? 'same' : 'replaced'
  }

  /** Whenever something comes or a pin goes: pins may have been above limits that were lowered. */
  private keep(skill: SkillRow): void {
    if (skill.bytes > skill.quota) keepQuota(this.books, skill)
    keepLimits(this.books, this.limits)
  }

  private full(neededBytes: number): 'full' {
    this.books.tellFull(neededBytes)
    return 'full'
  }

  private miss(): number {
    this.misses += 1
    return -1
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

  /** A clip that was added in the future counts as added now, and lives as long. */
  private bringBack(clip: number, nowMs: number): void {
    const { books } = this
    books.wheel.remove(clip)
    books.setLife(clip, nowMs, books.expiresMs(clip) - books.addedMs(clip) + nowMs)
    books.wheel.add(clip)
  }
}

function checked(limits: CacheLimits): CacheLimits {
  const all = [limits.bytes, limits.ttlMs, limits.pinnedBytes, limits.quotaDefault, ...limits.quotas.values()]
  assert(all.every((it) => it >= 0) && limits.items >= 1, 'the limits of the clip cache make sense')
  return limits
}
