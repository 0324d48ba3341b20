/**
 * What the policy of the audio-clip cache is told, what it tells, and what it can be asked.
 * Promise: bytes and milliseconds, whole; times are those of the clock that gives `nowMs`.
 * Leaves to others: doing it (clip-cache.ts).
 */
import type { ClipStats } from '../../core/wire/skills.ts'
import type { SkillRow } from './skill-table.ts'

export interface CacheLimits {
  /** All contents together, each once. */
  readonly bytes: number
  /** Clips, at least 1. */
  readonly items: number
  /** From when a clip is added until it expires, unless it says otherwise; 0: never. */
  readonly ttlMs: number
  /** Contents with a pinned clip, each once. */
  readonly pinnedBytes: number
  /** Bytes for the clips of a skill, each clip in full, shared or not. */
  readonly quotas: ReadonlyMap<string, number>
  /** Of skills that `quotas` does not name; may be Infinity. */
  readonly quotaDefault: number
}

/**
 * Why a clip left: evicted for the limit of bytes or items, for the quota of its skill, or to make room on the
 * disk; expired; removed itself, or with its skill, its content or all; or its id has another content now.
 */
export type Departure =
  | 'bytes'
  | 'items'
  | 'quota'
  | 'room'
  | 'expired'
  | 'removed'
  | 'skill'
  | 'content'
  | 'cleared'
  | 'replaced'

/**
 * Hears what happens, in order, each time after the books are right again. It must not change the cache nor throw.
 * Rows are those that `row` and `contentRow` gave while the clip and the content were there.
 */
export interface CacheListener {
  left(clip: string, skill: string, content: string, why: Departure, row: number): void
  /** Comes after `left` of the last clip that referred to the content: its file may go. */
  contentLeft(content: string, bytes: number, row: number): void
  /** Nothing more can give way for so many bytes. */
  full(neededBytes: number): void
}

/** A clip that is put. Times are those of the clock that gives `nowMs`. */
export interface NewClip {
  readonly skill: string
  /**
   * The SHA-256 of a shared content, as 64 hex digits or as 32 characters, one for each byte; for a private one a
   * key of its own, so that no two coincide: of another length, unless it is as evenly spread as a hash.
   */
  readonly content: string
  /** At least 1. When the content is there already, what was said first counts. */
  readonly bytes: number
  /** Absent: as the limits say; null or 0: never expires. */
  readonly ttlMs?: number | null | undefined
  /** Absent: as it was; a new clip is not pinned. */
  readonly pinned?: boolean | undefined
  /** For clips of an index; absent: now. In the future (the clock was set back): now, and it lives as long as it would have. */
  readonly addedMs?: number | undefined
  /** Comes before `ttlMs`; null: never. */
  readonly expiresMs?: number | null | undefined
  /** Absent: as it was; of a new clip: when it was added. */
  readonly accessedMs?: number | undefined
  /** Absent: as it was; of a new clip: 0. */
  readonly accesses?: number | undefined
}

/**
 * `added` with a new content, `alias` of one that was there; `replaced`: the id had another content; `same`: it
 * had this content already (its life begins anew). Refused, with nothing changed: `too-large`: larger than the bytes
 * of the cache or the quota of the skill by itself; `full`: what is there is pinned, or the pins have no room, or as
 * many skills as there may be have clips; `foreign`: the id belongs to another skill; `expired`: it would have already.
 */
export type PutResult = 'added' | 'alias' | 'replaced' | 'same' | PutRefusal
export type PutRefusal = 'too-large' | 'full' | 'foreign' | 'expired'

export interface Entry {
  readonly clip: string
  readonly skill: string
  readonly content: string
  readonly bytes: number
  readonly addedMs: number
  /** Last hit, or when it was added. */
  readonly accessedMs: number
  /** Hits. */
  readonly accesses: number
  /** Null: never. A pinned clip does not expire before it is unpinned. */
  readonly expiresMs: number | null
  readonly pinned: boolean
}

export interface ContentEntry {
  readonly content: string
  readonly bytes: number
  /** That refer to it. */
  readonly clips: number
  readonly pinned: boolean
}

/** Figures of a skill since it was first heard of; the bytes are those of its clips in full. */
export type SkillEntry = Readonly<Omit<SkillRow, 'number'>>

/** The part of a cache's figures that the policy knows. */
export type CacheStats = Omit<
  ClipStats,
  'fetchSaved' | 'fetchedBytes' | 'damaged' | 'memoryBytes' | 'memoryHits' | 'skills'
> & { readonly pinnedItems: number }

/**
 * Clips and contents by rows, for a cache that is empty: a row is the number that `row` and `contentRow` give afterwards.
 * Not every row need hold something. Rows of clips come by turns, the least recently used first.
 */
export interface KnownRows {
  /** By rows of clips; '': the row holds none. */
  readonly ids: readonly string[]
  /** By rows of contents, as `NewClip.content` with a character for each byte: 32 bytes each. The cache keeps it. */
  readonly names: Buffer
  /** Rows of contents lie below this. */
  readonly contentRows: number
  readonly turns: number
  /** The clip of a turn, or -1. */
  at(turn: number): number
  skill(clip: number): string
  /** The row of its content. */
  content(clip: number): number
  pinned(clip: number): boolean
  addedMs(clip: number): number
  /** Infinity: never. */
  expiresMs(clip: number): number
  accessedMs(clip: number): number
  accesses(clip: number): number
  bytes(content: number): number
}

export interface ClipCache {
  /**
   * Adds a clip, gives it another content or renews it: its latest use. Who must give way leaves, first of its
   * skill, then for bytes, then for items; nobody does for a clip that is refused.
   */
  put(clip: string, it: NewClip, nowMs: number): PutResult
  /**
   * What `put` of each clip by turns does, in an empty cache, where none of them would be refused or would make another
   * leave or change. @returns false: there is one, or an id or a content comes twice, and nothing is loaded
   */
  load(rows: KnownRows, nowMs: number): boolean
  /**
   * Counts a hit and makes the clip the most recent, or counts a miss. A clip that has expired leaves and is a miss.
   * One that was added in the future (the clock was set back) counts as added now. Never evicts.
   * @returns a number for the functions below, valid until something is put or leaves, or -1. Allocates nothing.
   */
  find(clip: string, nowMs: number): number
  /** As `find`, with all that is known of the clip. */
  get(clip: string, nowMs: number): Entry | null
  entryAt(found: number): Entry
  contentAt(found: number): string
  bytesAt(found: number): number
  /** A clip that may have expired; nothing is counted, nothing moves. */
  peek(clip: string): Entry | null
  /**
   * A number that a clip has as long as it is there, from 0 on, small and used again afterwards: others may keep by
   * it what they know of the clip. @returns -1 when it is not there
   */
  row(clip: string): number
  /** The same for contents. */
  contentRow(content: string): number
  /** The clips that are there, in no order. They may change meanwhile. */
  names(): Generator<string>
  /** Makes room for so many, which are expected. */
  reserve(clips: number, contents: number): void
  /** @returns bytes of a content, or null when it is not there */
  contentBytes(content: string): number | null
  /** Counts a miss for a skill: only the caller knows which skill lists a clip that is not there. */
  missed(skill: string): void
  /**
   * A change counts as a use; one that has expired since stays when it is pinned, and leaves when it is not.
   * @returns false, with nothing changed: there is no such clip, or the pins have no room for its content.
   */
  pin(clip: string, pinned: boolean): boolean
  /** @returns false when there is no such clip */
  remove(clip: string): boolean
  /** All clips of a skill, pinned or not. @returns how many left */
  invalidateSkill(skill: string): number
  /** All clips of a content, pinned or not. @returns how many left */
  invalidateContent(content: string): number
  clear(): void
  /** Lets up to `max` clips leave that have expired, a second after their time at the latest. @returns how many */
  expire(nowMs: number, max: number): number
  /** Lets the least recent contents without pins leave. @returns bytes freed; says `full` when they are fewer */
  giveWay(bytes: number): number
  /** Takes effect at once, for times from the next put on. Pinned clips stay even when they alone are above a limit. */
  setLimits(limits: CacheLimits): void
  /**
   * By contents, the least recent first; of one content those that are not pinned first, the oldest first. Put into
   * an empty cache in this order they give way in this order. Nothing may change meanwhile.
   */
  entries(): Generator<Entry>
  /** Clips of a skill, those that are not pinned first, the oldest first. Nothing may change meanwhile. */
  clipsOf(skill: string): Generator<Entry>
  /** The least recent first. Nothing may change meanwhile. */
  contents(): Generator<ContentEntry>
  skills(): Generator<SkillEntry>
  stats(): CacheStats
}
