/**
 * Clips and contents that the index told of, in rows by the order of their coming.
 * Promise: a clip that is gone, a content that was taken out, leave their rows void; a clip that is told of again keeps its
 * row and its turn.
 * Leaves to others: what the rows are for (found.ts).
 */
import { ClipColumns } from './clip-columns.ts'
import { ContentColumns } from './content-columns.ts'
import type { ContentFiles } from './content-files.ts'
import type { ClipRecord, ContentRecord } from './index-record.ts'
import { type ClipTable, type ContentTable, keyBytes } from './index-table.ts'
import { NumberTable } from './number-table.ts'
import { none, widerInts } from './ring.ts'

/** A content whose file is there. */
export interface RowContent {
  readonly key: string
  readonly bytes: number
  record(): ContentRecord
}

export class FoundClips {
  readonly columns = new ClipColumns()
  readonly #numbers = new NumberTable()
  /** By rows; '': nothing. */
  readonly ids: string[] = []
  /** Row + 1 of what was used at each turn; 0: it was used again since, or is gone. */
  #order = new Int32Array(64)
  #turns = 0
  /** Turn of each row. */
  #turnOf = new Int32Array(64)
  /** Rows of their contents, for whoever has looked for them. */
  contentRows = new Int32Array(0)
  size = 0

  /** Makes room for so many, which are expected. */
  reserve(clips: number): void {
    this.columns.reserve(clips)
    this.#numbers.reserve(clips)
    if (clips > this.#order.length) this.#order = widerInts(this.#order, clips)
    if (clips > this.#turnOf.length) this.#turnOf = widerInts(this.#turnOf, clips)
  }

  /** Rows lie below this. */
  get rows(): number {
    return this.#numbers.size
  }

  /** So many clips have been used, or came. */
  get turns(): number {
    return this.#turns
  }

  /** Row of the clip of a turn, or `none`. */
  at(turn: number): number {
    return (this.#order[turn] ?? 0) - 1
  }

  id(row: number): string {
    return this.ids[row] ?? ''
  }

  add(clip: ClipRecord): void {
    const row = this.#numbers.enter(clip.number)
    const isNew = !this.columns.has(row)
    this.columns.write(row, clip)
    this.ids[row] = clip.id
    if (isNew) this.#come(row)
  }

  /** @returns the highest number in it */
  addTable(table: ClipTable): number {
    let highest = 0
    this.columns.writeTable(table, (from) => {
      const number = table.numbers[from] ?? 0
      const row = this.#numbers.enter(number)
      highest = Math.max(highest, number)
      this.ids[row] = table.id(from)
      if (!this.columns.has(row)) this.#come(row)
      return row
    })
    return highest
  }

  remove(number: number): void {
    const row = this.#find(number)
    if (row === none) return
    this.columns.clear(row)
    this.ids[row] = ''
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
    if (row !== none) this.columns.write(row, { ...this.#read(row), ...change })
  }

  /** Has expired; a pinned clip does not. */
  isOver(row: number, nowMs: number): boolean {
    const at = this.columns.expiresMs(row)
    if (at === 0 || this.columns.pinned(row)) return false
    // What was added in the future counts as added now, and lives as long.
    return at - Math.max(0, this.columns.addedMs(row) - nowMs) <= nowMs
  }

  *inOrder(): IterableIterator<ClipRecord> {
    for (let turn = 0; turn < this.#turns; turn += 1) {
      const row = this.at(turn)
      if (row !== none) yield this.#read(row)
    }
  }

  #find(number: number): number {
    const row = this.#numbers.find(number)
    return row !== none && this.columns.has(row) ? row : none
  }

  #read(row: number): ClipRecord {
    return this.columns.read(row, this.id(row))
  }

  /** A row that held nothing. */
  #come(row: number): void {
    this.size += 1
    this.#use(row)
  }

  #use(row: number): void {
    if (this.#turns === this.#order.length) this.#order = widerInts(this.#order, 2 * this.#turns)
    if (row >= this.#turnOf.length) this.#turnOf = widerInts(this.#turnOf, 2 * row)
    this.#order[this.#turns] = row + 1
    this.#turnOf[row] = this.#turns
    this.#turns += 1
  }
}

const keyWordsEach = keyBytes / 4

/** Keys of contents by rows: few of them are ever asked for as texts. */
class Keys {
  #words = new Int32Array(64 * keyWordsEach)

  get bytes(): Buffer {
    return Buffer.from(this.#words.buffer)
  }

  reserve(rows: number): void {
    if (rows * keyWordsEach > this.#words.length) this.#words = widerInts(this.#words, rows * keyWordsEach)
  }

  write(row: number, key: string): void {
    this.#grow(row)
    this.bytes.write(key, row * keyBytes, keyBytes, 'latin1')
  }

  copy(row: number, from: Int32Array, fromRow: number): void {
    this.#grow(row)
    for (let at = 0; at < keyWordsEach; at += 1) {
      this.#words[row * keyWordsEach + at] = from[fromRow * keyWordsEach + at] ?? 0
    }
  }

  text(row: number): string {
    return this.bytes.toString('latin1', row * keyBytes, (row + 1) * keyBytes)
  }

  #grow(row: number): void {
    if ((row + 1) * keyWordsEach > this.#words.length) this.reserve(2 * (row + 1))
  }
}

/** What is known of the file of a content, and of clips that refer to it. */
const state = { noFile: 0, file: 1, over: 2, used: 3 } as const

export class FoundContents {
  readonly columns = new ContentColumns()
  readonly #numbers = new NumberTable()
  readonly #keys = new Keys()
  /** See `state`. */
  #states = new Uint8Array(0)
  files = 0

  /** As `FoundClips.reserve`. */
  reserve(contents: number): void {
    this.columns.reserve(contents)
    this.#numbers.reserve(contents)
    this.#keys.reserve(contents)
  }

  /** Rows lie below this. */
  get rows(): number {
    return this.#numbers.size
  }

  key(row: number): string {
    return this.#keys.text(row)
  }

  /** Of all rows. */
  get keys(): Buffer {
    return this.#keys.bytes
  }

  add(content: ContentRecord): void {
    const row = this.#numbers.enter(content.number)
    this.columns.write(row, content)
    this.#keys.write(row, content.key)
  }

  /** @returns the highest number in it */
  addTable(table: ContentTable): number {
    let highest = 0
    this.columns.writeTable(table, (from) => {
      const number = table.numbers[from] ?? 0
      const row = this.#numbers.enter(number)
      highest = Math.max(highest, number)
      this.#keys.copy(row, table.keyWords, from)
      return row
    })
    return highest
  }

  meet(directory: ContentFiles): void {
    this.files = 0
    this.#states = new Uint8Array(this.rows)
    for (let row = 0; row < this.#states.length; row += 1) {
      if (!this.columns.isIn(directory, row)) continue
      this.#states[row] = state.file
      this.files += 1
    }
  }

  /** @returns the row of a content that has a record and a file, or `none` */
  rowWithFile(number: number): number {
    const row = this.#numbers.find(number)
    return row === none || this.#states[row] === state.noFile ? none : row
  }

  /** A clip refers to it. @param stays it has not expired */
  use(row: number, stays: boolean): void {
    this.#states[row] = Math.max(this.#states[row] ?? 0, stays ? state.used : state.over)
  }

  /** Takes out what no clip that stays refers to. @returns what clips have left that expired, and what none referred to */
  sift(): { readonly left: readonly ContentRecord[]; readonly unused: readonly ContentRecord[] } {
    const left: ContentRecord[] = []
    const unused: ContentRecord[] = []
    for (let row = 0; row < this.#states.length; row += 1) {
      const now = this.#states[row] ?? 0
      if (now === state.used) continue
      if (now === state.over) left.push(this.#read(row))
      if (now === state.file) unused.push(this.#read(row))
      if (now !== state.noFile) this.files -= 1
      this.#states[row] = state.noFile
      this.columns.clear(row)
    }
    return { left, unused }
  }

  /** null: it has no record or no file. */
  withFile(number: number): RowContent | null {
    const row = this.rowWithFile(number)
    if (row === none) return null
    return { key: this.key(row), bytes: this.columns.bytes(row), record: () => this.#read(row) }
  }

  *all(): IterableIterator<ContentRecord> {
    for (let row = 0; row < this.rows; row += 1) {
      if (this.#states[row] !== state.noFile) yield this.#read(row)
    }
  }

  #read(row: number): ContentRecord {
    return this.columns.read(row, this.key(row))
  }
}
