/**
 * Records of contents, a row each, in typed arrays, as those of clips (clip-columns.ts).
 * Promise: what is written to a row comes back as it was; a row that was not written, or was cleared, holds nothing.
 * Leaves to others: which row is whose, and the keys, which whoever looks for a row has.
 */
import { clipFormats, sampleRates } from '../../core/wire/skills.ts'
import type { ContentFiles } from './content-files.ts'
import type { ContentRecord } from './index-record.ts'
import { type ContentTable, noLevel } from './index-table.ts'
import { roomFor, widerBytes, widerWords } from './row-room.ts'
import { fileNonceBytes } from './xchacha.ts'

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
