/**
 * Tables: up to 255 clips, or contents, as one record of the index, one column after the other, so that a large index is
 * read without an object for each of them. Numbers are as the processor has them, which is little-endian wherever
 * Node runs.
 * Promise: of a row that `takes` says is good every name, size and time is in range; a row with a value that this
 * version does not know is passed over, and so are columns behind those that it knows. A table is good until it is
 * read or cleared again.
 * Leaves to others: what a row means (index-record.ts), where it goes (found.ts).
 */
import { clipLimits } from '../../core/clip-limits.ts'
import { safeName } from '../../core/units.ts'
import { clipFormats, sampleRates } from '../../core/wire/skills.ts'
import type { ByteReader, ByteWriter } from './bytes.ts'
import type { Names } from './index-names.ts'
import type { ClipRecord, ContentRecord } from './index-record.ts'
import { fileNonceBytes, sealKeyBytes } from './xchacha.ts'

/** Their number is one byte. */
export const tableRows = 255
export const keyBytes = 32
export const noLevel = 255
export const clipFlag = { pinned: 1, shared: 2, listed: 8 } as const
const ownKeyFlag = 1
const countMax = 0xffff_ffff
/** What ids are made of; a name of dots alone is none all the same. */
const idsForm = /^[A-Za-z0-9._-]*$/
const idLengthMax = 64

/** A column, and the same memory as bytes. */
interface Column {
  readonly bytes: Uint8Array
  readonly each: number
}

function column(of: Uint8Array | Uint32Array | Float64Array, each = of.BYTES_PER_ELEMENT): Column {
  return { bytes: new Uint8Array(of.buffer, of.byteOffset, of.byteLength), each }
}

function writeColumns(to: ByteWriter, columns: readonly Column[], rows: number): void {
  for (const { bytes, each } of columns) to.bytes(bytes.subarray(0, rows * each))
}

function readColumns(from: ByteReader, columns: readonly Column[], rows: number): void {
  for (const { bytes, each } of columns) from.fill(bytes, rows * each)
}

/** Clips; what their fields mean stands at `ClipRecord`. */
export class ClipTable {
  rows = 0
  readonly numbers = new Uint32Array(tableRows)
  readonly contents = new Uint32Array(tableRows)
  readonly accesses = new Uint32Array(tableRows)
  readonly createdMs = new Float64Array(tableRows)
  readonly addedMs = new Float64Array(tableRows)
  readonly expiresMs = new Float64Array(tableRows)
  readonly lastAccessMs = new Float64Array(tableRows)
  /** See `clipFlag`. */
  readonly flags = new Uint8Array(tableRows)
  /** Place among `skillWords`. */
  readonly skills = new Uint8Array(tableRows)
  /** Place among `languageWords`, of which the first is null. */
  readonly languages = new Uint8Array(tableRows)
  /** Each once; null where it can be none. */
  skillWords: (string | null)[] = []
  languageWords: (string | null)[] = [null]
  readonly #lengths = new Uint8Array(tableRows)
  /** Where each id begins in all of them. */
  readonly #starts = new Uint16Array(tableRows + 1)
  readonly #good = new Uint8Array(tableRows)
  #ids = ''
  readonly #times = [this.createdMs, this.addedMs, this.expiresMs, this.lastAccessMs]
  readonly #columns: readonly Column[] = [
    ...[this.numbers, this.contents, this.accesses, ...this.#times].map((it) => column(it)),
    ...[this.flags, this.skills, this.languages, this.#lengths].map((it) => column(it)),
  ]

  get full(): boolean {
    return this.rows === tableRows
  }

  /** What it takes in the index, about. */
  get bytes(): number {
    return this.#ids.length + this.rows * 48
  }

  takes(row: number): boolean {
    return this.#good[row] === 1
  }

  id(row: number): string {
    return this.#ids.slice(this.#starts[row], this.#starts[row + 1])
  }

  add(it: ClipRecord): void {
    const row = this.rows
    this.numbers[row] = it.number
    this.contents[row] = it.content
    this.accesses[row] = Math.min(it.accesses, countMax)
    this.createdMs[row] = it.createdMs
    this.addedMs[row] = it.addedMs
    this.expiresMs[row] = it.expiresMs
    this.lastAccessMs[row] = it.lastAccessMs
    this.flags[row] =
      (it.pinned ? clipFlag.pinned : 0) |
      (it.shared ? clipFlag.shared : 0) |
      (it.listed ? clipFlag.listed : 0)
    this.skills[row] = placeOf(this.skillWords, it.skill)
    this.languages[row] = placeOf(this.languageWords, it.language)
    this.#lengths[row] = it.id.length
    this.#ids += it.id
    this.rows += 1
  }

  clear(): void {
    this.rows = 0
    this.skillWords = []
    this.languageWords = [null]
    this.#ids = ''
  }

  write(to: ByteWriter): void {
    to.u8(this.rows)
    writeColumns(to, this.#columns, this.rows)
    to.u8(this.skillWords.length)
    for (const word of this.skillWords) to.text(word ?? '')
    to.u8(this.languageWords.length - 1)
    for (const word of this.languageWords.slice(1)) to.text(word ?? '')
    to.raw(this.#ids)
  }

  /** Where the bytes are none, `from` is short afterwards. */
  read(from: ByteReader, names: Names): void {
    this.rows = from.u8()
    readColumns(from, this.#columns, this.rows)
    this.skillWords = Array.from({ length: from.u8() }, () => names.skill(from.text()))
    const languages = Array.from({ length: from.u8() }, () => names.language(from.text()))
    this.languageWords = [null, ...languages]
    let end = 0
    for (let row = 0; row < this.rows; row += 1) {
      end += this.#lengths[row] ?? 0
      this.#starts[row + 1] = end
    }
    this.#ids = from.raw(end)
    if (!this.#times.every((it) => areTimes(it, this.rows))) from.short = true
    if (!from.short) this.#look()
  }

  /** Which rows are good. */
  #look(): void {
    // One look at all of them does, mostly.
    const clean = idsForm.test(this.#ids)
    for (let row = 0; row < this.rows; row += 1) {
      const length = this.#lengths[row] ?? 0
      const isId = clean && length > 2 && length <= idLengthMax ? true : safeName.test(this.id(row))
      const language = this.languages[row] ?? 0
      const isKnown =
        (this.skillWords[this.skills[row] ?? 0] ?? null) !== null &&
        (language === 0 || (this.languageWords[language] ?? null) !== null)
      this.#good[row] = isId && isKnown ? 1 : 0
    }
  }
}

/** Where a word lies in a list, to which it is added where it is new: of the latest ones the last comes again, mostly. */
function placeOf(words: (string | null)[], word: string | null): number {
  const place = words.lastIndexOf(word)
  return place >= 0 ? place : words.push(word) - 1
}

function areTimes(column: Float64Array, rows: number): boolean {
  for (let row = 0; row < rows; row += 1) {
    const time = column[row] ?? 0
    if (!(time >= 0 && time <= Number.MAX_VALUE)) return false
  }
  return true
}

/** Contents; what their fields mean stands at `ContentRecord`. */
export class ContentTable {
  rows = 0
  readonly numbers = new Uint32Array(tableRows)
  readonly sizes = new Uint32Array(tableRows)
  readonly durationMs = new Uint32Array(tableRows)
  readonly bitRates = new Uint32Array(tableRows)
  /** Places in the lists of those that there are. */
  readonly formats = new Uint8Array(tableRows)
  readonly sampleRates = new Uint8Array(tableRows)
  readonly channels = new Uint8Array(tableRows)
  /** Or `noLevel`. */
  readonly levels = new Uint8Array(tableRows)
  readonly nonceWords = new Int32Array((tableRows * fileNonceBytes) / 4)
  readonly #nonces = Buffer.from(this.nonceWords.buffer)
  readonly keyWords = new Int32Array((tableRows * keyBytes) / 4)
  readonly #keys = Buffer.from(this.keyWords.buffer)
  readonly #flags = new Uint8Array(tableRows)
  readonly #good = new Uint8Array(tableRows)
  readonly #ownKeys = new Map<number, string>()
  readonly #columns: readonly Column[] = [
    ...[this.numbers, this.sizes, this.durationMs, this.bitRates].map((it) => column(it)),
    ...[this.formats, this.sampleRates, this.channels, this.levels, this.#flags].map((it) => column(it)),
    column(this.#nonces, fileNonceBytes),
    column(this.#keys, keyBytes),
  ]

  get full(): boolean {
    return this.rows === tableRows
  }

  /** What it takes in the index, about. */
  get bytes(): number {
    return this.rows * 70 + this.#ownKeys.size * sealKeyBytes
  }

  takes(row: number): boolean {
    return this.#good[row] === 1
  }

  ownKey(row: number): string | null {
    return this.#ownKeys.size === 0 ? null : (this.#ownKeys.get(row) ?? null)
  }

  add(it: ContentRecord): void {
    const row = this.rows
    const { audio } = it
    this.numbers[row] = it.number
    this.sizes[row] = it.bytes
    this.durationMs[row] = audio.durationMs
    this.bitRates[row] = Math.min(audio.bitRate, countMax)
    this.formats[row] = clipFormats.indexOf(audio.format)
    this.sampleRates[row] = sampleRates.indexOf(audio.sampleRate)
    this.channels[row] = audio.channels
    this.levels[row] = audio.compressionLevel ?? noLevel
    this.#nonces.write(it.nonce, row * fileNonceBytes, fileNonceBytes, 'latin1')
    this.#flags[row] = it.ownKey === null ? 0 : ownKeyFlag
    if (it.ownKey !== null) this.#ownKeys.set(row, it.ownKey)
    this.#keys.write(it.key, row * keyBytes, keyBytes, 'latin1')
    this.rows += 1
  }

  clear(): void {
    this.rows = 0
    this.#ownKeys.clear()
  }

  write(to: ByteWriter): void {
    to.u8(this.rows)
    writeColumns(to, this.#columns, this.rows)
    for (const key of this.#ownKeys.values()) to.raw(key)
  }

  /** Where the bytes are none, `from` is short afterwards. */
  read(from: ByteReader): void {
    this.rows = from.u8()
    this.#ownKeys.clear()
    readColumns(from, this.#columns, this.rows)
    for (let row = 0; row < this.rows; row += 1) {
      if (((this.#flags[row] ?? 0) & ownKeyFlag) !== 0) this.#ownKeys.set(row, from.raw(sealKeyBytes))
      const size = this.sizes[row] ?? 0
      // A newer version may know more formats than this one.
      const isKnown =
        (this.formats[row] ?? 0) < clipFormats.length && (this.sampleRates[row] ?? 0) < sampleRates.length
      this.#good[row] = isKnown && size >= 1 && size <= clipLimits.clipBytesMax ? 1 : 0
    }
  }
}
