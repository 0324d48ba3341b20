/**
 * What the index of the clip cache said, record by record, until it is taken into the cache.
 * Promise: packed, so that a large index is read in little memory; clips come out in the order of their last use.
 * Leaves to others: reading the index (index-log.ts), what becomes of it (recovery.ts, restore.ts).
 */
import { ClipColumns, ContentColumns } from './columns.ts'
import type { ContentFiles } from './content-files.ts'
import type { AgeMark } from './device-age.ts'
import { type Figures, figuresOf } from './figures.ts'
import type { ClipRecord, ContentRecord, IndexRecord } from './index-record.ts'
import { NumberTable } from './number-table.ts'
import type { Row, RowContent } from './restore.ts'
import { none, widerInts } from './ring.ts'

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
      case 'figures':
        this.figures = figuresOf(it.figures)
    }
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

  /** The least recently used first. */
  *rows(): IterableIterator<Row> {
    for (const clip of this.#clips.inOrder()) {
      yield { clip, content: this.#contents.withFile(clip.content) }
    }
  }

  /** How many clips there are. */
  get clips(): number {
    return this.#clips.size
  }

  /** How many contents have files. */
  get files(): number {
    return this.#contents.files
  }

  /** Those contents. */
  contents(): IterableIterator<ContentRecord> {
    return this.#contents.all()
  }
}

class FoundClips {
  readonly #rows = new NumberTable()
  readonly #columns = new ClipColumns()
  readonly #ids: string[] = []
  /** Row + 1 of what was used at each turn; 0: it was used again since, or is gone. */
  #order = new Int32Array(64)
  #turns = 0
  /** Turn of each row. */
  #turnOf = new Int32Array(64)
  size = 0

  add(clip: ClipRecord): void {
    const row = this.#rows.enter(clip.number)
    const isNew = !this.#columns.has(row)
    this.#columns.write(row, clip)
    this.#ids[row] = clip.id
    if (!isNew) return
    this.size += 1
    this.#use(row)
  }

  remove(number: number): void {
    const row = this.#find(number)
    if (row === none) return
    this.#columns.clear(row)
    this.size -= 1
    this.#order[this.#turnOf[row] ?? 0] = 0
  }

  /** Makes it the most recent. */
  use(number: number): void {
    const row = this.#find(number)
    if (row === none) return
    this.#order[this.#turnOf[row] ?? 0] = 0
    this.#use(row)
  }

  edit(number: number, change: Partial<ClipRecord>): void {
    const row = this.#find(number)
    if (row !== none) this.#columns.write(row, { ...this.#read(row), ...change })
  }

  *inOrder(): IterableIterator<ClipRecord> {
    for (let turn = 0; turn < this.#turns; turn += 1) {
      const row = (this.#order[turn] ?? 0) - 1
      if (row !== none) yield this.#read(row)
    }
  }

  #find(number: number): number {
    const row = this.#rows.find(number)
    return row !== none && this.#columns.has(row) ? row : none
  }

  #read(row: number): ClipRecord {
    return this.#columns.read(row, this.#ids[row] ?? '')
  }

  #use(row: number): void {
    if (this.#turns === this.#order.length) this.#order = widerInts(this.#order, 2 * this.#turns)
    if (row >= this.#turnOf.length) this.#turnOf = widerInts(this.#turnOf, 2 * row)
    this.#order[this.#turns] = row + 1
    this.#turnOf[row] = this.#turns
    this.#turns += 1
  }
}

class FoundContents {
  readonly #rows = new NumberTable()
  readonly #columns = new ContentColumns()
  readonly #keys: string[] = []
  /** 1: its file is there. */
  #there = new Uint8Array(0)
  files = 0

  add(content: ContentRecord): void {
    const row = this.#rows.enter(content.number)
    this.#columns.write(row, content)
    this.#keys[row] = content.key
  }

  meet(directory: ContentFiles): void {
    this.files = 0
    this.#there = new Uint8Array(this.#rows.size)
    for (let row = 0; row < this.#there.length; row += 1) {
      if (!this.#columns.isIn(directory, row)) continue
      this.#there[row] = 1
      this.files += 1
    }
  }

  /** null: it has no record or no file. */
  withFile(number: number): RowContent | null {
    const row = this.#rows.find(number)
    if (row === none || this.#there[row] !== 1) return null
    return { key: this.#keys[row] ?? '', bytes: this.#columns.bytes(row), record: () => this.#read(row) }
  }

  *all(): IterableIterator<ContentRecord> {
    for (let row = 0; row < this.#rows.size; row += 1) if (this.#there[row] === 1) yield this.#read(row)
  }

  #read(row: number): ContentRecord {
    return this.#columns.read(row, this.#keys[row] ?? '')
  }
}
