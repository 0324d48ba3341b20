/**
 * Records of clips, a row each, in typed arrays: a fifth of the memory that objects take, and nothing in
 * it for the garbage collector to look through.
 * Promise: what is written to a row comes back as it was; a row that was not written, or was cleared, holds nothing.
 * Leaves to others: which row is whose, and the names, which whoever looks for a row has.
 */
import type { ClipRecord } from './index-record.ts'
import { type ClipTable, clipFlag } from './index-table.ts'
import { widerFloats } from './ring.ts'
import { roomFor, widerBytes, widerWords } from './row-room.ts'
import { Words } from './words.ts'

/** Beside those of the index: the row holds something. */
const here = 128
const knownFlags = clipFlag.pinned | clipFlag.shared | clipFlag.listed

/** Numbers of the row of a clip: its own and that of its content, accesses, its skill and its language. */
const numbersEach = 5
/** Times: when it was created, added, when it expires, when it was accessed last. */
const timesEach = 4

export class ClipColumns {
  #rows = 0
  #numbers = new Uint32Array(0)
  #times = new Float64Array(0)
  #flags = new Uint8Array(0)
  readonly #words = new Words()

  reserve(rows: number): void {
    if (rows > this.#rows) this.#resize(rows)
  }

  write(row: number, it: ClipRecord): void {
    if (this.has(row)) this.clear(row)
    const skill = this.#words.enter(it.skill)
    const language = this.#words.enter(it.language)
    this.#setNumbers(row, it.number, it.content, it.accesses, skill, language)
    this.#setTimes(row, it.createdMs, it.addedMs, it.expiresMs, it.lastAccessMs)
    this.#flags[row] =
      (it.pinned ? clipFlag.pinned : 0) |
      (it.shared ? clipFlag.shared : 0) |
      (it.listed ? clipFlag.listed : 0) |
      here
  }

  /** Writes the rows of a table that are good, each to the row that `rowOf` says. */
  writeTable(it: ClipTable, rowOf: (from: number) => number): void {
    const skills = it.skillWords.map((word) => this.#words.enter(word))
    const languages = it.languageWords.map((word) => this.#words.enter(word))
    for (let from = 0; from < it.rows; from += 1) {
      if (!it.takes(from)) continue
      const row = rowOf(from)
      if (this.has(row)) this.clear(row)
      const skill = skills[it.skills[from] ?? 0] ?? 0
      const language = languages[it.languages[from] ?? 0] ?? 0
      this.#words.more(skill)
      this.#words.more(language)
      const { numbers, contents, accesses, createdMs, addedMs, expiresMs, lastAccessMs } = it
      this.#setNumbers(row, numbers[from] ?? 0, contents[from] ?? 0, accesses[from] ?? 0, skill, language)
      const accessedMs = lastAccessMs[from] ?? 0
      this.#setTimes(row, createdMs[from] ?? 0, addedMs[from] ?? 0, expiresMs[from] ?? 0, accessedMs)
      this.#flags[row] = ((it.flags[from] ?? 0) & knownFlags) | here
    }
    for (const word of skills) this.#words.leave(word)
    for (const word of languages) this.#words.leave(word)
  }

  has(row: number): boolean {
    return ((this.#flags[row] ?? 0) & here) !== 0
  }

  number(row: number): number {
    return this.#numbers[row * numbersEach] ?? 0
  }

  content(row: number): number {
    return this.#numbers[row * numbersEach + 1] ?? 0
  }

  accesses(row: number): number {
    return this.#numbers[row * numbersEach + 2] ?? 0
  }

  skill(row: number): string {
    return this.#words.text(this.#numbers[row * numbersEach + 3] ?? 0) ?? ''
  }

  createdMs(row: number): number {
    return this.#times[row * timesEach] ?? 0
  }

  addedMs(row: number): number {
    return this.#times[row * timesEach + 1] ?? 0
  }

  expiresMs(row: number): number {
    return this.#times[row * timesEach + 2] ?? 0
  }

  lastAccessMs(row: number): number {
    return this.#times[row * timesEach + 3] ?? 0
  }

  pinned(row: number): boolean {
    return ((this.#flags[row] ?? 0) & clipFlag.pinned) !== 0
  }

  /** @param row that holds something. @param id that belongs to it */
  read(row: number, id: string): ClipRecord {
    const flags = this.#flags[row] ?? 0
    return {
      kind: 'clip',
      number: this.number(row),
      id,
      skill: this.skill(row),
      content: this.content(row),
      language: this.#words.text(this.#numbers[row * numbersEach + 4] ?? 0),
      pinned: this.pinned(row),
      shared: (flags & clipFlag.shared) !== 0,
      listed: (flags & clipFlag.listed) !== 0,
      createdMs: this.createdMs(row),
      addedMs: this.addedMs(row),
      expiresMs: this.expiresMs(row),
      accesses: this.accesses(row),
      lastAccessMs: this.lastAccessMs(row),
    }
  }

  /** @param row that holds something */
  clear(row: number): void {
    this.#flags[row] = 0
    this.#words.leave(this.#numbers[row * numbersEach + 3] ?? 0)
    this.#words.leave(this.#numbers[row * numbersEach + 4] ?? 0)
  }

  #setNumbers(
    row: number,
    number: number,
    content: number,
    accesses: number,
    skill: number,
    language: number,
  ): void {
    if (row >= this.#rows) this.#resize(roomFor(row, this.#rows))
    const at = row * numbersEach
    this.#numbers[at] = number
    this.#numbers[at + 1] = content
    this.#numbers[at + 2] = accesses
    this.#numbers[at + 3] = skill
    this.#numbers[at + 4] = language
  }

  #setTimes(row: number, createdMs: number, addedMs: number, expiresMs: number, lastAccessMs: number): void {
    const at = row * timesEach
    this.#times[at] = createdMs
    this.#times[at + 1] = addedMs
    this.#times[at + 2] = expiresMs
    this.#times[at + 3] = lastAccessMs
  }

  #resize(rows: number): void {
    this.#rows = rows
    this.#numbers = widerWords(this.#numbers, rows * numbersEach)
    this.#times = widerFloats(this.#times, rows * timesEach)
    this.#flags = widerBytes(this.#flags, rows)
  }
}
