/**
 * Records of clips and contents, a row each, in typed arrays: a fifth of the memory that objects take, and nothing in
 * it for the garbage collector to look through.
 * Promise: what is written to a row comes back as it was; a row that was not written, or was cleared, holds nothing.
 * Leaves to others: which row is whose, and the names, which whoever looks for a row has.
 */
import { clipFormats, sampleRates } from '../../core/wire/skills.ts'
import type { ContentFiles } from './content-files.ts'
import type { ClipRecord, ContentRecord } from './index-record.ts'
import { Words } from './words.ts'
import { fileNonceBytes } from './xchacha.ts'

const rowsAtFirst = 64
const flag = { here: 1, pinned: 2, shared: 4, listed: 8 } as const

/** Rows of so many bytes, one after the other. */
class Rows {
  readonly #rowBytes: number
  #buffer = new ArrayBuffer(0)
  #view = new DataView(this.#buffer)
  #bytes = Buffer.from(this.#buffer)

  constructor(rowBytes: number) {
    this.#rowBytes = rowBytes
  }

  /** Good until `at`. */
  get view(): DataView {
    return this.#view
  }

  /** The same as bytes. */
  get bytes(): Buffer {
    return this.#bytes
  }

  /** Makes room for so many rows, which are expected. */
  reserve(rows: number): void {
    if (rows * this.#rowBytes > this.#buffer.byteLength) this.#resize(rows)
  }

  /** @returns where a row begins; there is room for it then */
  at(row: number): number {
    const offset = row * this.#rowBytes
    if (offset >= this.#view.byteLength) this.#grow(row)
    return offset
  }

  /** @returns where a row begins, or null where no row was ever so far out */
  find(row: number): number | null {
    const offset = row * this.#rowBytes
    return offset < this.#view.byteLength ? offset : null
  }

  #grow(row: number): void {
    let rows = Math.max(rowsAtFirst, this.#view.byteLength / this.#rowBytes)
    while (rows <= row) rows *= 2
    this.#resize(rows)
  }

  #resize(rows: number): void {
    this.#buffer = this.#buffer.transfer(rows * this.#rowBytes)
    this.#bytes = Buffer.from(this.#buffer)
    this.#view = new DataView(this.#buffer)
  }
}

/** Places in the row of a clip. */
const clipRow = {
  ...{ createdMs: 0, addedMs: 8, expiresMs: 16, lastAccessMs: 24 },
  ...{ number: 32, content: 36, accesses: 40, skill: 44, language: 48, flags: 52, bytes: 53 },
} as const

export class ClipColumns {
  readonly #rows = new Rows(clipRow.bytes)
  readonly #words = new Words()

  reserve(rows: number): void {
    this.#rows.reserve(rows)
  }

  write(row: number, it: ClipRecord): void {
    if (this.has(row)) this.clear(row)
    const at = this.#rows.at(row)
    const { view } = this.#rows
    view.setFloat64(at + clipRow.createdMs, it.createdMs)
    view.setFloat64(at + clipRow.addedMs, it.addedMs)
    view.setFloat64(at + clipRow.expiresMs, it.expiresMs)
    view.setFloat64(at + clipRow.lastAccessMs, it.lastAccessMs)
    view.setUint32(at + clipRow.number, it.number)
    view.setUint32(at + clipRow.content, it.content)
    view.setUint32(at + clipRow.accesses, it.accesses)
    const flags =
      (it.pinned ? flag.pinned : 0) | (it.shared ? flag.shared : 0) | (it.listed ? flag.listed : 0)
    view.setUint8(at + clipRow.flags, flags | flag.here)
    view.setUint32(at + clipRow.skill, this.#words.enter(it.skill))
    view.setUint32(at + clipRow.language, this.#words.enter(it.language))
  }

  has(row: number): boolean {
    const at = this.#rows.find(row)
    return at !== null && (this.#rows.view.getUint8(at + clipRow.flags) & flag.here) !== 0
  }

  /** @param row that holds something. @param id that belongs to it */
  read(row: number, id: string): ClipRecord {
    const at = this.#rows.at(row)
    const { view } = this.#rows
    const flags = view.getUint8(at + clipRow.flags)
    return {
      kind: 'clip',
      number: view.getUint32(at + clipRow.number),
      id,
      skill: this.#words.text(view.getUint32(at + clipRow.skill)) ?? '',
      content: view.getUint32(at + clipRow.content),
      language: this.#words.text(view.getUint32(at + clipRow.language)),
      pinned: (flags & flag.pinned) !== 0,
      shared: (flags & flag.shared) !== 0,
      listed: (flags & flag.listed) !== 0,
      createdMs: view.getFloat64(at + clipRow.createdMs),
      addedMs: view.getFloat64(at + clipRow.addedMs),
      expiresMs: view.getFloat64(at + clipRow.expiresMs),
      accesses: view.getUint32(at + clipRow.accesses),
      lastAccessMs: view.getFloat64(at + clipRow.lastAccessMs),
    }
  }

  /** @param row that holds something */
  clear(row: number): void {
    const at = this.#rows.at(row)
    const { view } = this.#rows
    view.setUint8(at + clipRow.flags, 0)
    this.#words.leave(view.getUint32(at + clipRow.skill))
    this.#words.leave(view.getUint32(at + clipRow.language))
  }
}

/** Places in the row of a content. A level of 0 is none, others are one more than they say. */
const contentRow = {
  ...{ nonce: 0, number: 16, contentBytes: 20, durationMs: 24, bitRate: 28 },
  ...{ flags: 32, format: 33, sampleRate: 34, channels: 35, level: 36, bytes: 37 },
} as const

export class ContentColumns {
  readonly #rows = new Rows(contentRow.bytes)
  /** Of private contents, which are few. */
  readonly #ownKeys = new Map<number, string>()

  reserve(rows: number): void {
    this.#rows.reserve(rows)
  }

  write(row: number, it: ContentRecord): void {
    const at = this.#rows.at(row)
    const { view, bytes } = this.#rows
    const { audio } = it
    bytes.write(it.nonce, at + contentRow.nonce, fileNonceBytes, 'latin1')
    view.setUint32(at + contentRow.number, it.number)
    view.setUint32(at + contentRow.contentBytes, it.bytes)
    view.setUint32(at + contentRow.durationMs, audio.durationMs)
    view.setUint32(at + contentRow.bitRate, audio.bitRate)
    view.setUint8(at + contentRow.format, clipFormats.indexOf(audio.format))
    view.setUint8(at + contentRow.sampleRate, sampleRates.indexOf(audio.sampleRate))
    view.setUint8(at + contentRow.channels, audio.channels)
    view.setUint8(at + contentRow.level, audio.compressionLevel === null ? 0 : audio.compressionLevel + 1)
    view.setUint8(at + contentRow.flags, flag.here)
    if (it.ownKey === null) this.#ownKeys.delete(row)
    else this.#ownKeys.set(row, it.ownKey)
  }

  has(row: number): boolean {
    const at = this.#rows.find(row)
    return at !== null && this.#rows.view.getUint8(at + contentRow.flags) !== 0
  }

  /** @param row that holds something. @param key that belongs to it */
  read(row: number, key: string): ContentRecord {
    const at = this.#rows.at(row)
    const { view, bytes } = this.#rows
    const level = view.getUint8(at + contentRow.level)
    return {
      kind: 'content',
      number: view.getUint32(at + contentRow.number),
      key,
      nonce: bytes.toString('latin1', at + contentRow.nonce, at + contentRow.nonce + fileNonceBytes),
      ownKey: this.#ownKeys.get(row) ?? null,
      bytes: view.getUint32(at + contentRow.contentBytes),
      audio: {
        format: clipFormats[view.getUint8(at + contentRow.format)] ?? 'wav',
        durationMs: view.getUint32(at + contentRow.durationMs),
        sampleRate: sampleRates[view.getUint8(at + contentRow.sampleRate)] ?? 48_000,
        bitRate: view.getUint32(at + contentRow.bitRate),
        channels: view.getUint8(at + contentRow.channels),
        compressionLevel: level === 0 ? null : level - 1,
      },
    }
  }

  /** Whether the file of that row lies there. */
  isIn(directory: Pick<ContentFiles, 'has'>, row: number): boolean {
    const at = this.#rows.at(row)
    return directory.has(this.#rows.bytes, at + contentRow.nonce)
  }

  bytes(row: number): number {
    return this.#rows.view.getUint32(this.#rows.at(row) + contentRow.contentBytes)
  }

  clear(row: number): void {
    this.#rows.view.setUint8(this.#rows.at(row) + contentRow.flags, 0)
    this.#ownKeys.delete(row)
  }
}
