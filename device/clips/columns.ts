/**
 * Records of clips and contents, a row each, in typed arrays: a fifth of the memory that objects take, and nothing in
 * it for the garbage collector to look through.
 * Promise: what is written to a row comes back as it was; a row that was not written, or was cleared, holds nothing.
 * Leaves to others: which row is whose, and the names, which whoever looks for a row has.
 */
import { clipFormats, sampleRates } from '../../core/wire/skills.ts'
import type { ContentFiles } from './content-files.ts'
import type { ClipRecord, ContentRecord } from './index-record.ts'
import { type ClipTable, type ContentTable, clipFlag, noLevel } from './index-table.ts'
import { widerFloats } from './ring.ts'
import { Words } from './words.ts'
import { fileNonceBytes } from './xchacha.ts'

const rowsAtFirst = 64
/** Beside those of the index: the row holds something. */
const here = 128
const knownFlags = clipFlag.pinned | clipFlag.shared | clipFlag.listed

/** How many rows there are to be room for, when a row is used beyond those there are. */
function roomFor(row: number, rows: number): number {
  let room = Math.max(rowsAtFirst, rows)
  while (room <= row) room *= 2
  return room
}

function widerWords(from: Uint32Array<ArrayBuffer>, length: number): Uint32Array<ArrayBuffer> {
  return new Uint32Array(from.buffer.transfer(length * from.BYTES_PER_ELEMENT))
}

function widerBytes(from: Uint8Array<ArrayBuffer>, length: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(from.buffer.transfer(length))
}

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

/** Numbers of the row of a content: its own, its bytes, its milliseconds, its bit rate. */
const figuresEach = 4
/** Small ones: whether it is there, then as in `ContentTable` its format, sample rate, channels, level. */
const smallEach = 5
const nonceWordsEach = fileNonceBytes / 4

export class ContentColumns {
  #rows = 0
  #figures = new Uint32Array(0)
  #small = new Uint8Array(0)
  #nonces = Buffer.from(new ArrayBuffer(0))
  /** The same as numbers. */
  #nonceWords = new Int32Array(this.#nonces.buffer)
  /** Of private contents, which are few. */
  readonly #ownKeys = new Map<number, string>()

  reserve(rows: number): void {
    if (rows > this.#rows) this.#resize(rows)
  }

  write(row: number, it: ContentRecord): void {
    const { audio } = it
    this.#setFigures(row, it.number, it.bytes, audio.durationMs, audio.bitRate)
    const format = clipFormats.indexOf(audio.format)
    const sampleRate = sampleRates.indexOf(audio.sampleRate)
    this.#setSmall(row, format, sampleRate, audio.channels, audio.compressionLevel ?? noLevel)
    this.#nonces.write(it.nonce, row * fileNonceBytes, fileNonceBytes, 'latin1')
    this.#setOwnKey(row, it.ownKey)
  }

  /** As `ClipColumns.writeTable`. */
  writeTable(it: ContentTable, rowOf: (from: number) => number): void {
    const { numbers, sizes, durationMs, bitRates, formats, channels, levels, nonceWords } = it
    for (let from = 0; from < it.rows; from += 1) {
      if (!it.takes(from)) continue
      const row = rowOf(from)
      this.#setFigures(row, numbers[from] ?? 0, sizes[from] ?? 0, durationMs[from] ?? 0, bitRates[from] ?? 0)
      const sampleRate = it.sampleRates[from] ?? 0
      this.#setSmall(row, formats[from] ?? 0, sampleRate, channels[from] ?? 0, levels[from] ?? 0)
      const nonce = row * nonceWordsEach
      for (let at = 0; at < nonceWordsEach; at += 1) {
        this.#nonceWords[nonce + at] = nonceWords[from * nonceWordsEach + at] ?? 0
      }
      this.#setOwnKey(row, it.ownKey(from))
    }
  }

  has(row: number): boolean {
    return (this.#small[row * smallEach] ?? 0) !== 0
  }

  /** @param row that holds something. @param key that belongs to it */
  read(row: number, key: string): ContentRecord {
    const figures = row * figuresEach
    const small = row * smallEach
    const nonce = row * fileNonceBytes
    const level = this.#small[small + 4] ?? noLevel
    return {
      kind: 'content',
      number: this.#figures[figures] ?? 0,
      key,
      nonce: this.#nonces.toString('latin1', nonce, nonce + fileNonceBytes),
      ownKey: this.#ownKeys.get(row) ?? null,
      bytes: this.bytes(row),
      audio: {
        format: clipFormats[this.#small[small + 1] ?? 0] ?? 'wav',
        durationMs: this.#figures[figures + 2] ?? 0,
        sampleRate: sampleRates[this.#small[small + 2] ?? 0] ?? 48_000,
        bitRate: this.#figures[figures + 3] ?? 0,
        channels: this.#small[small + 3] ?? 0,
        compressionLevel: level === noLevel ? null : level,
      },
    }
  }

  /** Whether the file of that row lies there. */
  isIn(directory: Pick<ContentFiles, 'has'>, row: number): boolean {
    return directory.has(this.#nonceWords, row * nonceWordsEach)
  }

  bytes(row: number): number {
    return this.#figures[row * figuresEach + 1] ?? 0
  }

  clear(row: number): void {
    this.#small[row * smallEach] = 0
    this.#ownKeys.delete(row)
  }

  #setFigures(row: number, number: number, bytes: number, durationMs: number, bitRate: number): void {
    if (row >= this.#rows) this.#resize(roomFor(row, this.#rows))
    const at = row * figuresEach
    this.#figures[at] = number
    this.#figures[at + 1] = bytes
    this.#figures[at + 2] = durationMs
    this.#figures[at + 3] = bitRate
  }

  #setSmall(row: number, format: number, sampleRate: number, channels: number, level: number): void {
    const at = row * smallEach
    this.#small[at] = 1
    this.#small[at + 1] = format
    this.#small[at + 2] = sampleRate
    this.#small[at + 3] = channels
    this.#small[at + 4] = level
  }

  #setOwnKey(row: number, key: string | null): void {
    if (key !== null) this.#ownKeys.set(row, key)
    else if (this.#ownKeys.size > 0) this.#ownKeys.delete(row)
  }

  #resize(rows: number): void {
    this.#rows = rows
    this.#figures = widerWords(this.#figures, rows * figuresEach)
    this.#small = widerBytes(this.#small, rows * smallEach)
    this.#nonces = Buffer.from(this.#nonces.buffer.transfer(rows * fileNonceBytes))
    this.#nonceWords = new Int32Array(this.#nonces.buffer)
  }
}
