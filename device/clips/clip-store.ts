/**
 * The clip cache on the disk: the policy, the contents and the index as one.
 * Promise: what a caller was told is durable; a clip is never known before its bytes are whole on the medium, and a
 * file never goes before the index has forgotten it; changes happen one after the other. Power may go at any
 * operation, and the store found afterwards is one that was, or that was about to be.
 * Leaves to others: what gives way (clip-cache.ts), what is found after a start (recovery.ts), where bytes come from
 * (clip-service.ts).
 */
import { present } from '../../core/assert.ts'
import { faultOf, raise } from '../../core/errors.ts'
import type { CacheListener, CacheStats, Departure, SkillEntry } from './cache-types.ts'
import type { Finished } from './content-file.ts'
import type { Draft, Reading } from './contents.ts'
import { type Figures, figuresNow } from './figures.ts'
import type { IndexKeeper } from './index-keeper.ts'
import type { ContentRecord, IndexRecord } from './index-record.ts'
import type { Placing } from './placing.ts'
import type { Description, OpenClip, Placed, StoredClip, StoreState } from './store-types.ts'
import { turns } from './turns.ts'

export class ClipStore implements CacheListener {
  readonly #state: StoreState
  readonly #index: IndexKeeper
  readonly #placing: Placing
  readonly #oneByOne = turns()
  /** Clips that were used since the index heard of it, the least recently used first. */
  readonly #touched = new Set<string>()
  #keepingSoon = false
  /** Told of each clip that leaves, whatever the reason. */
  onLeft: (clip: string, skill: string, why: Departure) => void = () => {}
  onFull: (neededBytes: number) => void = () => {}
  /** Told of each content that no clip refers to any more. */
  onContentLeft: (key: string) => void = () => {}

  constructor(state: StoreState, index: IndexKeeper, placing: Placing) {
    this.#state = state
    this.#index = index
    this.#placing = placing
    state.contents.onIdle = () => this.#keepSoon()
  }

  /**
   * Before anything else. A full medium does not keep the store from being opened: it hears of it with the next change.
   * @param anew the index must be written anew before it takes anything
   */
  begin(anew: boolean): Promise<void> {
    const index = this.#index
    return this.#oneByOne(async () => {
      try {
        await index.keepWhenFull(() => (anew ? index.rewrite() : index.keep()))
      } catch (caught) {
        if (faultOf(caught).code !== 'EB-DATA-FULL') throw caught
      }
    })
  }

  // CacheListener: the policy says what leaves.

  left(clip: string, skill: string, _content: string, why: Departure, row: number): void {
    const record = this.#state.clips.take(row, clip)
    this.#touched.delete(clip)
    this.#index.note({ kind: 'gone', clip: record.number })
    this.onLeft(clip, skill, why)
  }

  contentLeft(content: string, _bytes: number, row: number): void {
    this.#state.contents.drop(content, row)
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
    return this.#state.contents.has(keyOf(sha256))
  }

  /**
   * Stores a clip whose bytes were written to a draft and finished. One that is not kept is still there, until it is abandoned.
   * @param wanted asked when it is its turn
   * @throws EverbootError EB-CLIP-SIZE, EB-CLIP-FULL, EB-CONFLICT (the id belongs to another skill), EB-CANCELLED (it is
   *   not wanted any more), EB-DATA-FULL
   * @returns how, and the clip as it was stored: others may let it go before the caller sees it
   */
  place(
    draft: Draft,
    finished: Finished,
    about: Description,
    wanted: () => boolean = () => true,
  ): Promise<{ readonly placed: Placed; readonly clip: StoredClip }> {
    return this.#oneByOne(async () => {
      if (!wanted()) raise('EB-CANCELLED', `clip ${about.id} is not wanted any more`)
      const placed = await this.#placing.place(draft, finished, about)
      if (placed === 'same') this.#touch(about.id)
      // Somebody may have asked for it while it was stored, when its life was over already.
      const clip = this.peek(about.id) ?? raise('EB-CLIP-MISSING', `clip ${about.id} has expired already`)
      return { placed, clip }
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
      const { contents, figures } = this.#state
      const content = contents.get(keyOf(sha256))
      if (content === undefined) return null
      const { key, audio, bytes } = content
      const placed = await this.#placing.put(key, { ...about, audio }, null, bytes)
      if (placed === 'alias' || placed === 'replaced') figures.fetchSaved += bytes
      if (placed === 'same') this.#touch(about.id)
      return placed
    })
  }

  // Reading.

  /** A hit counts and refreshes; null is a miss. The reader says when it is done. */
  open(id: string): OpenClip | null {
    const { cache, age } = this.#state
    const entry = cache.get(id, age.nowMs())
    // An expired clip leaves at once, and its file soon.
    if (this.#index.behind) this.#keepSoon()
    if (entry === null) return null
    this.#touch(id)
    return present(this.reading(id), 'a clip that was found')
  }

  /** A clip that may have expired; nothing is counted. The reader says when it is done. */
  reading(id: string): OpenClip | null {
    const clip = this.peek(id)
    const reading = clip === null ? null : this.#state.contents.read(clip.content.key)
    return clip === null || reading === null ? null : { ...reading, clip }
  }

  /** Keeps a content from going while it is read. */
  lease(key: string): Reading | null {
    return this.#state.contents.read(key)
  }

  /** Counts a miss of a skill that lists the clip. */
  missed(skill: string): void {
    this.#state.cache.missed(skill)
  }

  /** A clip that has expired and is still there; it may be served while it is renewed: a hit. @param withinMs since when at most */
  stale(id: string, withinMs: number): OpenClip | null {
    const clip = this.peek(id)
    if (clip?.expiresInMs == null || clip.pinned) return null
    if (clip.expiresInMs > 0 || clip.expiresInMs < -withinMs) return null
    this.#state.figures.hits += 1
    return this.reading(id)
  }

  /** The life of a clip with that content begins anew. @param ttlMs 0: never expires; null: as the cache is configured */
  renew(id: string, key: string, ttlMs: number | null): Promise<void> {
    return this.#oneByOne(async () => {
      const clip = this.peek(id)
      if (clip === null || clip.content.key !== key) return
      const { skill, language, pinned, listed, content } = clip
      const described = { id, skill, language, pinned, listed, audio: content.audio, ttlMs }
      await this.#placing.put(key, described, null, content.bytes)
      this.#touch(id)
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

  /**
   * Removes a clip, its key if it had one, and writes the index anew, so that the file holds nothing of it: also when it
   * is not there any more, since what left before may still stand in the file.
   */
  forget(id: string): Promise<boolean> {
    return this.#oneByOne(async () => {
      const was = this.#state.cache.remove(id)
      await this.#index.keepWhenFull(() => this.#index.rewrite())
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

  /** A content whose file is not what was stored: every clip that refers to it leaves. @returns clips that left */
  damaged({ key, number }: ContentRecord): Promise<number> {
    return this.#change(() => {
      // It may have been fetched again meanwhile.
      if (this.#state.contents.get(key)?.number !== number) return 0
      this.#state.figures.damaged += 1
      return this.#state.cache.invalidateContent(key)
    })
  }

  /** The list of a skill is carried out: clips of it that are to go leave, and its number is remembered, in one step. */
  applySkill(skill: string, seq: number, goes: (clip: StoredClip) => boolean): Promise<void> {
    return this.#change(() => {
      const { cache, skills } = this.#state
      const its = Array.from(cache.clipsOf(skill), ({ clip }) =>
        present(this.peek(clip), 'a clip of a skill'),
      )
      for (const clip of its) if (goes(clip)) cache.remove(clip.id)
      skills.set(skill, seq)
      this.#index.note({ kind: 'skill', skill, seq })
    })
  }

  /** Number of the list that was carried out last; 0: none. */
  skillSeq(skill: string): number {
    return this.#state.skills.get(skill) ?? 0
  }

  /** @returns false, with nothing changed: there is no such clip, or the pins have no room for its content. */
  pin(id: string, pinned: boolean): Promise<boolean> {
    return this.#change(() => {
      const { cache, clips } = this.#state
      const record = clips.get(id)
      if (record === undefined || !cache.pin(id, pinned)) return false
      // Without its pin it may have had to leave at once.
      if (!clips.has(id)) return true
      clips.set(id, { ...record, pinned })
      this.#index.note({ kind: 'pinned', clip: record.number, pinned })
      this.#touch(id)
      return true
    })
  }

  /** The hub holds its content too. */
  markShared(id: string): Promise<void> {
    return this.#change(() => {
      const record = this.#state.clips.get(id)
      if (record === undefined) return
      this.#state.clips.set(id, { ...record, shared: true })
      this.#index.note({ kind: 'shared', clip: record.number })
    })
  }

  /** Makes room on the disk for somebody else. @returns bytes of the contents that went */
  giveWay(bytes: number): Promise<number> {
    return this.#oneByOne(async () => {
      const { cache, contents } = this.#state
      const freed = cache.giveWay(bytes)
      await this.#index.keepWhenFull(() => this.#index.keep())
      if (freed > 0) await contents.free()
      return freed
    })
  }

  /** Forgets what expired more than that ago, remembers what was used. */
  tidy(staleMs = 0): Promise<void> {
    return this.#oneByOne(async () => {
      const { cache, clips, age } = this.#state
      cache.expire(Math.max(0, age.nowMs() - staleMs), Number.MAX_SAFE_INTEGER)
      const records: IndexRecord[] = []
      for (const id of this.#touched) {
        const entry = cache.peek(id)
        const record = clips.get(id)
        if (entry === null || record === undefined) continue
        const { accesses, accessedMs } = entry
        records.push({ kind: 'used', clip: record.number, accesses, lastAccessMs: accessedMs })
      }
      this.#touched.clear()
      this.#index.noteFigures()
      await this.#index.keep(records)
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
      await this.#index.keepWhenFull(() => this.#index.keep())
      return result
    })
  }

  /** A use that the index hears of with the next `tidy`. */
  #touch(id: string): void {
    this.#touched.delete(id)
    this.#touched.add(id)
  }

  /** Once for all that left until it is its turn; what fails is tried again with the next change. */
  #keepSoon(): void {
    if (this.#keepingSoon) return
    this.#keepingSoon = true
    const keep = (): Promise<void> => {
      this.#keepingSoon = false
      return this.#index.keep()
    }
    this.#oneByOne(keep).catch(() => {})
  }
}

/** The key of a content that clips may share. @param sha256 hex */
export function keyOf(sha256: string): string {
  return Buffer.from(sha256, 'hex').toString('latin1')
}
