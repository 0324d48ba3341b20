/**
 * The clip cache on the disk: the policy, the contents and the index as one.
 * Promise: what a caller was told is durable; a clip is never known before its bytes are whole on the medium, and a
 * file never goes before the index has forgotten it; changes happen one after the other. Power may go at any
 * operation, and the store found afterwards is one that was, or that was about to be.
 * Leaves to others: what gives way (clip-cache.ts), what is found after a start (recovery.ts), where bytes come from
 * (clip-service.ts).
 */
import { assert, present } from '../../core/assert.ts'
import { EverbootError, raise } from '../../core/errors.ts'
import type { Audio } from '../../core/wire/skills.ts'
import type {
  CacheListener,
  CacheStats,
  ClipCache,
  Departure,
  PutRefusal,
  SkillEntry,
} from './cache-types.ts'
import type { Finished } from './content-file.ts'
import { type Contents, type Draft, latin1, type Reading } from './contents.ts'
import type { DeviceAge } from './device-age.ts'
import { type Figures, figuresList, figuresNow } from './figures.ts'
import type { IndexLog } from './index-log.ts'
import type { ClipRecord, ContentRecord, IndexRecord } from './index-record.ts'
import { turns } from './turns.ts'

/** What is said of a clip when it is stored. */
export interface Description {
  readonly id: string
  readonly skill: string
  readonly audio: Audio
  readonly language: string | null
  readonly pinned: boolean
  /** It comes by the list of its skill. */
  readonly listed: boolean
  /** 0: never expires; null: as the cache is configured. */
  readonly ttlMs: number | null
}

/** A clip as the store knows it. */
export interface StoredClip {
  readonly id: string
  readonly skill: string
  readonly content: ContentRecord
  readonly language: string | null
  readonly private: boolean
  readonly shared: boolean
  readonly listed: boolean
  readonly pinned: boolean
  /** Since 1970; 0: nobody knew. */
  readonly createdMs: number
  readonly accesses: number
  /** Ago; null: never. */
  readonly lastAccessAgoMs: number | null
  /** From now; null: never. */
  readonly expiresInMs: number | null
}

/** A clip that is open for reading. */
export interface OpenClip extends Reading {
  readonly clip: StoredClip
}

export type Placed = 'added' | 'alias' | 'replaced' | 'same'

/** What a store is made of, as recovery has found it. */
export interface StoreState {
  readonly cache: ClipCache
  readonly contents: Contents
  readonly clips: Map<string, ClipRecord>
  readonly skills: Map<string, number>
  readonly figures: Figures
  readonly age: DeviceAge
  readonly log: IndexLog
}

export class ClipStore implements CacheListener {
  readonly #state: StoreState
  readonly #sync: { file(name: string): Promise<void>; directory(): Promise<void> }
  readonly #oneByOne = turns()
  /** Records of what left since the last time that the index was brought up to date. */
  #departed: IndexRecord[] = []
  #nextClip: number
  readonly #used = new Set<string>()
  /** Told of each clip that leaves, whatever the reason. */
  onLeft: (clip: string, skill: string, why: Departure) => void = () => {}
  onFull: (neededBytes: number) => void = () => {}
  /** Told of each content that no clip refers to any more. */
  onContentLeft: (key: string) => void = () => {}

  /** @param highest number of a clip so far */
  constructor(
    state: StoreState,
    sync: { file(name: string): Promise<void>; directory(): Promise<void> },
    highest: number,
  ) {
    this.#state = state
    this.#sync = sync
    this.#nextClip = highest + 1
    state.contents.onIdle = () => void this.#oneByOne(() => this.#state.contents.sweep()).catch(() => {})
  }

  /**
   * Takes what the index knew into the empty cache, the least recent first.
   * @returns clips whose content has no file
   */
  restore(rows: Iterable<{ readonly clip: ClipRecord; readonly content: ContentRecord | null }>): number {
    const { cache, contents, clips, age } = this.#state
    const nowMs = age.nowMs()
    let missing = 0
    for (const { clip, content } of rows) {
      if (content === null) {
        missing += 1
        continue
      }
      const { id, skill, pinned, addedMs, accesses } = clip
      const fresh = contents.get(content.key) === undefined
      if (fresh) contents.add(content)
      clips.set(id, clip)
      const expiresMs = clip.expiresMs === 0 ? null : clip.expiresMs
      const accessedMs = clip.lastAccessMs === 0 ? addedMs : clip.lastAccessMs
      const about = { skill, content: content.key, bytes: content.bytes, pinned }
      const how = cache.put(id, { ...about, addedMs, expiresMs, accessedMs, accesses }, nowMs)
      if (how === 'too-large' || how === 'full' || how === 'foreign' || how === 'expired') {
        clips.delete(id)
        this.#departed.push({ kind: 'gone', clip: clip.number })
        if (fresh) contents.drop(content.key)
      }
    }
    return missing
  }

  /** Before anything else. @param anew the index must be written anew before it takes anything */
  begin(anew: boolean): Promise<void> {
    return this.#oneByOne(() => (anew ? this.#rewrite() : this.#keep([])))
  }

  // CacheListener: the policy says what leaves.

  left(clip: string, skill: string, _content: string, why: Departure): void {
    const record = present(this.#state.clips.get(clip), 'a clip that leaves')
    this.#state.clips.delete(clip)
    this.#used.delete(clip)
    this.#departed.push({ kind: 'gone', clip: record.number })
    this.onLeft(clip, skill, why)
  }

  contentLeft(content: string): void {
    this.#state.contents.drop(content)
    this.onContentLeft(content)
  }

  full(neededBytes: number): void {
    this.onFull(neededBytes)
  }

  // Storing.

  draft(own: boolean): Draft {
    return this.#state.contents.draft(own)
  }

  /** A content that every clip may share is here already. */
  has(sha256: string): boolean {
    return this.#state.contents.get(keyOf(sha256)) !== undefined
  }

  /**
   * Stores a clip whose bytes were written to a draft and finished. One that is not kept is still there, until it is abandoned.
   * @throws EverbootError EB-CLIP-SIZE, EB-CLIP-FULL, EB-CONFLICT (the id belongs to another skill), EB-DATA-FULL
   */
  place(draft: Draft, finished: Finished, about: Description): Promise<Placed> {
    return this.#oneByOne(async () => {
      const { sha256, bytes } = finished
      const { contents, figures } = this.#state
      // A private content coincides with no other, whatever its bytes are.
      const key = draft.ownKey === null ? latin1(sha256) : latin1(draft.nonce) + latin1(draft.nonce)
      if (contents.get(key) !== undefined) {
        figures.fetchSaved += bytes
        const placed = await this.#put(key, about, null, bytes)
        await contents.abandon(draft)
        return placed
      }
      await this.#sync.file(draft.file)
      await this.#sync.directory()
      return this.#put(key, about, contents.recordOf(draft, key, bytes, about.audio), bytes)
    })
  }

  /** Bytes of a draft that is being written, as far as they are on its file. @param bytes that it will have */
  readDraft(
    draft: Draft,
    bytes: number,
    start: number,
    endExclusive: number,
  ): AsyncGenerator<Uint8Array | null, void> {
    return this.#state.contents.readDraft(draft, bytes, start, endExclusive)
  }

  /** Gives up a draft. */
  abandon(draft: Draft): Promise<void> {
    return this.#oneByOne(() => this.#state.contents.abandon(draft))
  }

  /** Another clip for a content that is here. @returns null when it is not. @throws as `place` */
  alias(sha256: string, about: Description): Promise<Placed | null> {
    return this.#oneByOne(async () => {
      const content = this.#state.contents.get(keyOf(sha256))
      if (content === undefined) return null
      const placed = await this.#put(content.key, { ...about, audio: content.audio }, null, content.bytes)
      if (placed === 'alias' || placed === 'replaced') this.#state.figures.fetchSaved += content.bytes
      return placed
    })
  }

  async #put(key: string, about: Description, fresh: ContentRecord | null, bytes: number): Promise<Placed> {
    const { cache, contents, clips, age } = this.#state
    const { id, skill, pinned, language } = about
    const nowMs = age.nowMs()
    // The policy may drop a content for this one: it must know it first.
    if (fresh !== null) contents.add(fresh)
    const before = clips.get(id)
    const ttlMs = about.ttlMs ?? undefined
    const how = cache.put(id, { skill, content: key, bytes, pinned, ttlMs }, nowMs)
    if (how === 'too-large' || how === 'full' || how === 'foreign' || how === 'expired') {
      if (fresh !== null) contents.take(key)
      return refused(how, about, bytes)
    }
    if (how === 'same' && before !== undefined && before.language === language) return how
    const entry = present(cache.peek(id), 'a clip that was put')
    const content = present(contents.get(key), 'its content')
    const record: ClipRecord = {
      kind: 'clip',
      number: this.#nextClip,
      ...{ id, skill, language, pinned, listed: about.listed },
      content: content.number,
      shared: false,
      createdMs: age.trustedWallMs(),
      addedMs: nowMs,
      expiresMs: entry.expiresMs ?? 0,
      accesses: 0,
      lastAccessMs: 0,
    }
    if (how === 'same' && before !== undefined) this.#departed.push({ kind: 'gone', clip: before.number })
    this.#nextClip += 1
    clips.set(id, record)
    try {
      await this.#keep(fresh === null ? [record] : [fresh, record])
    } catch (caught) {
      // What is not durable is not there.
      cache.remove(id)
      throw caught
    }
    return how
  }

  // Reading.

  /** A hit counts and refreshes; null is a miss. The reader says when it is done. */
  open(id: string): OpenClip | null {
    const { cache, contents, age } = this.#state
    const entry = cache.get(id, age.nowMs())
    // An expired clip leaves at once, and its file soon.
    if (this.#departed.length > 0) void this.#oneByOne(() => this.#keep([])).catch(() => {})
    if (entry === null) return null
    this.#used.add(id)
    const reading = present(contents.read(entry.content), 'the content of a clip')
    return { ...reading, clip: present(this.peek(id), 'a clip that was found') }
  }

  /** Keeps a content from going while it is read. */
  lease(key: string): Reading | null {
    return this.#state.contents.read(key)
  }

  /** Counts a miss of a skill that lists the clip. */
  missed(skill: string): void {
    this.#state.cache.missed(skill)
  }

  /** A clip that has expired and is still there; it may be served while it is renewed. @param withinMs since when at most */
  stale(id: string, withinMs: number): OpenClip | null {
    const clip = this.peek(id)
    if (clip?.expiresInMs == null || clip.expiresInMs > 0 || clip.expiresInMs < -withinMs) return null
    const reading = this.#state.contents.read(clip.content.key)
    return reading === null ? null : { ...reading, clip }
  }

  /** Its life begins anew. */
  renew(id: string): Promise<void> {
    return this.#oneByOne(async () => {
      const clip = this.peek(id)
      if (clip === null) return
      const { skill, language, pinned, listed, content } = clip
      await this.#put(
        content.key,
        { id, skill, language, pinned, listed, audio: content.audio, ttlMs: null },
        null,
        content.bytes,
      )
    })
  }

  /** Nothing is counted. */
  peek(id: string): StoredClip | null {
    const { cache, contents, clips, age } = this.#state
    const entry = cache.peek(id)
    const record = clips.get(id)
    if (entry === null || record === undefined) return null
    const nowMs = age.nowMs()
    const content = present(contents.get(entry.content), 'the content of a clip')
    const { expiresMs, accesses, accessedMs } = entry
    return {
      ...{
        id,
        content,
        skill: record.skill,
        language: record.language,
        shared: record.shared,
        listed: record.listed,
      },
      private: content.ownKey !== null,
      pinned: entry.pinned,
      createdMs: record.createdMs,
      accesses,
      lastAccessAgoMs: accesses === 0 ? null : Math.max(0, nowMs - accessedMs),
      expiresInMs: expiresMs === null ? null : expiresMs - nowMs,
    }
  }

  *list(): IterableIterator<StoredClip> {
    for (const id of this.#state.clips.keys()) {
      const clip = this.peek(id)
      if (clip !== null) yield clip
    }
  }

  // Forgetting.

  /** @returns false when there is no such clip. */
  remove(id: string): Promise<boolean> {
    return this.#change(() => this.#state.cache.remove(id))
  }

  /** Removes a clip, its key if it had one, and writes the index anew, so that the file holds nothing of it. */
  forget(id: string): Promise<boolean> {
    return this.#oneByOne(async () => {
      const was = this.#state.cache.remove(id)
      if (was) await this.#rewrite()
      return was
    })
  }

  /** @returns clips that left. */
  invalidateSkill(skill: string): Promise<number> {
    return this.#change(() => this.#state.cache.invalidateSkill(skill))
  }

  /** Every clip that refers to it leaves. @returns clips that left */
  invalidateContent(key: string): Promise<number> {
    return this.#change(() => this.#state.cache.invalidateContent(key))
  }

  clear(): Promise<void> {
    return this.#change(() => this.#state.cache.clear())
  }

  /** A content whose file is not what was stored. */
  damaged(key: string): Promise<number> {
    this.#state.figures.damaged += 1
    return this.invalidateContent(key)
  }

  /** The list of a skill is carried out: these clips leave, and its number is remembered, in one step. */
  applySkill(skill: string, seq: number, drop: readonly string[]): Promise<void> {
    return this.#change(() => {
      for (const id of drop) this.#state.cache.remove(id)
      this.#state.skills.set(skill, seq)
      this.#departed.push({ kind: 'skill', skill, seq })
    })
  }

  /** Number of the list that was carried out last; 0: none. */
  skillSeq(skill: string): number {
    return this.#state.skills.get(skill) ?? 0
  }

  pin(id: string, pinned: boolean): Promise<boolean> {
    return this.#change(() => {
      const record = this.#state.clips.get(id)
      if (record === undefined || !this.#state.cache.pin(id, pinned)) return false
      this.#state.clips.set(id, { ...record, pinned })
      this.#departed.push({ kind: 'pinned', clip: record.number, pinned })
      return true
    })
  }

  /** The hub holds its content too. */
  markShared(id: string): Promise<void> {
    return this.#change(() => {
      const record = this.#state.clips.get(id)
      if (record === undefined) return
      this.#state.clips.set(id, { ...record, shared: true })
      this.#departed.push({ kind: 'shared', clip: record.number })
    })
  }

  /** Makes room on the disk for somebody else. @returns bytes of the contents that went */
  giveWay(bytes: number): Promise<number> {
    return this.#oneByOne(async () => {
      const freed = this.#state.cache.giveWay(bytes)
      try {
        await this.#keep([])
      } catch (caught) {
        // A full disk does not even take the news. Files first, then: what is missing is noticed at the next start.
        if (!(caught instanceof EverbootError) || caught.fault.code !== 'EB-DATA-FULL') throw caught
        await this.#state.contents.sweep()
        await this.#keep([])
      }
      return freed
    })
  }

  /** Forgets what expired more than that ago, remembers what was used. */
  tidy(staleMs = 0): Promise<void> {
    return this.#oneByOne(async () => {
      const { cache, clips, age } = this.#state
      cache.expire(Math.max(0, age.nowMs() - staleMs), Number.MAX_SAFE_INTEGER)
      const records: IndexRecord[] = []
      for (const id of this.#used) {
        const entry = cache.peek(id)
        const record = clips.get(id)
        if (entry === null || record === undefined) continue
        const { accesses, accessedMs } = entry
        records.push({ kind: 'used', clip: record.number, accesses, lastAccessMs: accessedMs })
      }
      this.#used.clear()
      await this.#keep(records)
    })
  }

  /** What is counted, over all runs; and what is there now. */
  figures(): { readonly now: CacheStats; readonly life: Figures } {
    const now = this.#state.cache.stats()
    return { now, life: figuresNow(this.#state.figures, now) }
  }

  skillFigures(): Iterable<SkillEntry> {
    return this.#state.cache.skills()
  }

  /** Bytes that came over the network. */
  countFetched(bytes: number): void {
    this.#state.figures.fetchedBytes += bytes
  }

  /** Waits for what has begun. */
  settle(): Promise<void> {
    return this.#oneByOne(async () => {})
  }

  #change<T>(work: () => T): Promise<T> {
    return this.#oneByOne(async () => {
      const result = work()
      await this.#keep([])
      return result
    })
  }

  /** The index hears of what left and of these, then the files of what left go. */
  async #keep(records: readonly IndexRecord[]): Promise<void> {
    const { log, contents, age } = this.#state
    const all = [...this.#departed, ...records]
    if (all.length > 0) {
      if (log.overgrown) return this.#rewrite()
      await log.append([...all, { kind: 'age', ...age.mark() }])
      this.#departed = []
    }
    await contents.sweep()
  }

  async #rewrite(): Promise<void> {
    const { log, contents } = this.#state
    await log.rewrite(this.#snapshot())
    this.#departed = []
    await contents.sweep()
  }

  *#snapshot(): IterableIterator<IndexRecord> {
    const { cache, contents, clips, skills, figures, age } = this.#state
    yield { kind: 'age', ...age.mark() }
    yield { kind: 'figures', figures: figuresList(figuresNow(figures, cache.stats())) }
    for (const [skill, seq] of skills) yield { kind: 'skill', skill, seq }
    const told = new Set<string>()
    for (const entry of cache.entries()) {
      const content = present(contents.get(entry.content), 'the content of a clip')
      if (!told.has(content.key)) yield content
      told.add(content.key)
      const record = present(clips.get(entry.clip), 'a clip of the cache')
      const { accesses, accessedMs, pinned } = entry
      yield { ...record, pinned, accesses, lastAccessMs: accesses === 0 ? 0 : accessedMs }
    }
    assert(told.size === cache.stats().contents, 'every content has a clip')
  }
}

/** The key of a content that clips may share. @param sha256 hex */
export function keyOf(sha256: string): string {
  return Buffer.from(sha256, 'hex').toString('latin1')
}

function refused(how: PutRefusal, { id, skill }: Description, bytes: number): never {
  const size = `clip ${id} has ${bytes} bytes`
  switch (how) {
    case 'foreign':
      return raise('EB-CONFLICT', `clip ${id} belongs to another skill than ${skill}`)
    case 'too-large':
      return raise('EB-CLIP-SIZE', `${size}, more than the cache or its skill may hold`)
    case 'full':
      return raise('EB-CLIP-FULL', `${size}, and nothing else may give way`)
    case 'expired':
      return raise('EB-CLIP-MISSING', `clip ${id} would have expired already`)
  }
}
