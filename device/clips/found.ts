/**
 * What the index of the clip cache said, record by record or by tables, until it is taken into the cache.
 * Promise: packed, so that a large index is read in little memory; clips come out in the order of their last use.
 * Leaves to others: reading the index (index-log.ts), what becomes of it (recovery.ts, restore.ts).
 */
import { cacheLimits } from '../../core/clip-limits.ts'
import type { KnownRows } from './cache-types.ts'
import type { ClipColumns } from './clip-columns.ts'
import type { ContentColumns } from './content-columns.ts'
import type { ContentFiles } from './content-files.ts'
import type { AgeMark } from './device-age.ts'
import { type Figures, figuresOf } from './figures.ts'
import { FoundClips, FoundContents, type RowContent } from './found-rows.ts'
import type { ClipRecord, ContentRecord, IndexRecord } from './index-record.ts'
import type { ClipTable, ContentTable } from './index-table.ts'
import { none } from './ring.ts'

/** A clip of the index; `content` null: its file is not there. */
export interface Row {
  readonly clip: ClipRecord
  readonly content: RowContent | null
}

/** What cannot be taken into the cache, whatever else there is. */
export interface Unfit {
  /** Clips whose content has no file. */
  readonly missing: number
  /** Numbers of clips that have expired. */
  readonly expired: readonly number[]
  /** Contents of theirs that no other clip refers to. */
  readonly left: readonly ContentRecord[]
  /** Contents that no clip referred to. */
  readonly unused: readonly ContentRecord[]
}

export class Found {
  age: AgeMark | null = null
  figures: Figures = figuresOf([])
  readonly skills = new Map<string, number>()
  /** Highest numbers of a clip and a content that were ever seen. */
  highest = 0
  highestContent = 0
  readonly #contents = new FoundContents()
  #clips = new FoundClips()

  record(it: IndexRecord): void {
    switch (it.kind) {
      case 'content':
        this.highestContent = Math.max(this.highestContent, it.number)
        this.#contents.add(it)
        break
      case 'clip':
        this.highest = Math.max(this.highest, it.number)
        this.#clips.add(it)
        break
      case 'gone':
        this.#clips.remove(it.clip)
        break
      case 'used':
        this.#clips.edit(it.clip, { accesses: it.accesses, lastAccessMs: it.lastAccessMs })
        this.#clips.use(it.clip)
        break
      case 'pinned':
        this.#clips.edit(it.clip, { pinned: it.pinned })
        break
      case 'shared':
        this.#clips.edit(it.clip, { shared: true })
        break
      case 'skill':
        this.skills.set(it.skill, it.seq)
        break
      case 'age':
        this.age = it
        break
      case 'room':
        this.#clips.reserve(Math.min(it.clips, cacheLimits.itemsMax))
        this.#contents.reserve(Math.min(it.contents, cacheLimits.itemsMax))
        break
      case 'figures':
        this.figures = figuresOf(it.figures)
    }
  }

  clips(table: ClipTable): void {
    this.highest = Math.max(this.highest, this.#clips.addTable(table))
  }

  contents(table: ContentTable): void {
    this.highestContent = Math.max(this.highestContent, this.#contents.addTable(table))
  }

  /** Clips may have been forgotten, lists carried out: what is known from before is not to be trusted. */
  changesLost(): void {
    this.#clips = new FoundClips()
    this.skills.clear()
  }

  /** Asks for the files of all contents. Without it none has one. */
  meet(directory: ContentFiles): void {
    this.#contents.meet(directory)
  }

  /** Takes out what cannot be taken into the cache, and then contents that no clip refers to. */
  sift(nowMs: number): Unfit {
    const clips = this.#clips
    const contents = this.#contents
    const expired: number[] = []
    let missing = 0
    clips.contentRows = new Int32Array(clips.rows)
    for (let turn = 0; turn < clips.turns; turn += 1) {
      const row = clips.at(turn)
      if (row === none) continue
      const content = contents.rowWithFile(clips.columns.content(row))
      const isOver = content !== none && clips.isOver(row, nowMs)
      if (content !== none) contents.use(content, !isOver)
      if (content !== none && !isOver) {
        clips.contentRows[row] = content
        continue
      }
      const number = clips.columns.number(row)
      if (isOver) expired.push(number)
      else missing += 1
      clips.remove(number)
    }
    return { missing, expired, ...contents.sift() }
  }

  /** What is left, for the policy: the columns are those of the store afterwards. */
  known(): KnownRows {
    return new FoundRows(this.#clips, this.#contents)
  }

  get columns(): { readonly clips: ClipColumns; readonly contents: ContentColumns } {
    return { clips: this.#clips.columns, contents: this.#contents.columns }
  }

  /** The least recently used first. */
  *rows(): IterableIterator<Row> {
    for (const clip of this.#clips.inOrder()) {
      yield { clip, content: this.#contents.withFile(clip.content) }
    }
  }

  /** How many clips there are. */
  get size(): number {
    return this.#clips.size
  }

  /** How many contents have files. */
  get files(): number {
    return this.#contents.files
  }

  /** Those contents. */
  withFiles(): IterableIterator<ContentRecord> {
    return this.#contents.all()
  }
}

/** All of them, as the policy asks for them, once they were sifted. */
class FoundRows implements KnownRows {
  readonly ids: readonly string[]
  readonly names: Buffer
  readonly contentRows: number
  readonly turns: number
  readonly #clips: FoundClips
  readonly #contents: FoundContents

  constructor(clips: FoundClips, contents: FoundContents) {
    this.#clips = clips
    this.#contents = contents
    this.ids = clips.ids
    this.names = contents.keys
    this.contentRows = contents.rows
    this.turns = clips.turns
  }

  at(turn: number): number {
    return this.#clips.at(turn)
  }

  skill(clip: number): string {
    return this.#clips.columns.skill(clip)
  }

  content(clip: number): number {
    return this.#clips.contentRows[clip] ?? none
  }

  pinned(clip: number): boolean {
    return this.#clips.columns.pinned(clip)
  }

  addedMs(clip: number): number {
    return this.#clips.columns.addedMs(clip)
  }

  expiresMs(clip: number): number {
    const at = this.#clips.columns.expiresMs(clip)
    return at === 0 ? Infinity : at
  }

  accessedMs(clip: number): number {
    const at = this.#clips.columns.lastAccessMs(clip)
    return at === 0 ? this.addedMs(clip) : at
  }

  accesses(clip: number): number {
    return this.#clips.columns.accesses(clip)
  }

  bytes(content: number): number {
    return this.#contents.columns.bytes(content)
  }
}
