/**
 * The contents that a clip cache holds: what they are, where they lie, who reads them now.
 * Promise: a content is written under a name that no other ever had, and nothing knows it before it is whole; its file stays
 * as long as somebody reads it.
 * Leaves to others: which clips refer to it and until when (clip-cache.ts), when its records are durable (clip-store.ts).
 */
import { assert } from '../../core/assert.ts'
import type { ClipFiles, Entropy } from '../../core/ports.ts'
import type { Audio } from '../../core/wire/skills.ts'
import { ContentColumns } from './content-columns.ts'
import {
  type ContentWriter,
  readContent,
  readWhole,
  type StoredContent,
  writeContent,
} from './content-file.ts'
import type { ContentRecord } from './index-record.ts'
import { none } from './ring.ts'
import { Scratch } from './scratch.ts'
import { fileNonceBytes, sealKeyBytes } from './xchacha.ts'

/** A content that is written and that nothing refers to yet. */
export interface Draft {
  readonly file: string
  readonly nonce: Uint8Array
  /** Its own key, for a private one; null: the key of the cache. */
  readonly ownKey: Uint8Array | null
  readonly writer: ContentWriter
}

/** A content in use: its file is not removed before `done`. */
export interface Reading {
  readonly content: ContentRecord
  /** Clear bytes of a part, ended by null when the file is damaged. */
  part(start: number, endExclusive: number): AsyncGenerator<Uint8Array | null, void>
  /** null when the file is damaged. */
  whole(): Promise<Buffer | null>
  done(): void
}

/** A file that is read now. */
interface InUse {
  readers: number
  /** It goes when nobody reads it any more. */
  gone: boolean
}

/** What the name of the file of a content begins with. */
export const contentFilePrefix = 'c'

export class Contents {
  readonly #files: ClipFiles
  readonly #entropy: Entropy
  readonly #key: Uint8Array
  readonly #rowOf: (key: string) => number
  /** In the rows that the policy gives them. */
  #columns = new ContentColumns()
  /** By file. */
  readonly #inUse = new Map<string, InUse>()
  /** Files that nothing refers to any more, to be removed when that is durable. */
  readonly #orphans = new Set<string>()
  readonly #scratch = new Scratch()
  #next: number
  /** Told when the last reader of an orphan has left. */
  onIdle: () => void = () => {}

  /** @param highest number of a content so far. @param rowOf the row of a content that the policy has, or `none` */
  constructor(
    files: ClipFiles,
    entropy: Entropy,
    key: Uint8Array,
    highest: number,
    rowOf: (key: string) => number,
  ) {
    this.#rowOf = rowOf
    this.#files = files
    this.#entropy = entropy
    this.#key = key
    this.#next = highest + 1
  }

  /** So many contents are expected. */
  reserve(contents: number): void {
    this.#columns.reserve(contents)
  }

  /** Takes what is known of all contents that the policy has, in the rows that it has for them. */
  adopt(columns: ContentColumns): void {
    this.#columns = columns
  }

  has(key: string): boolean {
    const row = this.#rowOf(key)
    return row !== none && this.#columns.has(row)
  }

  get(key: string): ContentRecord | undefined {
    const row = this.#rowOf(key)
    return row !== none && this.#columns.has(row) ? this.#columns.read(row, key) : undefined
  }

  /** A content as an index or a finished draft has it; the policy has it already. */
  add(record: ContentRecord): void {
    const row = this.#rowOf(record.key)
    assert(row !== none && !this.#columns.has(row), 'a content is added once, when the policy has it')
    this.#columns.write(row, record)
    // In an index the last clip of a content may have left before another one is read that refers to it.
    if (this.#orphans.size > 0) this.#orphans.delete(fileOf(record))
  }

  /** Nothing refers to it any more: it cannot be found, its file is one of the next `orphans`. @param row that it had */
  drop(key: string, row: number): void {
    const record = this.#columns.read(row, key)
    this.#columns.clear(row)
    this.orphan(record)
  }

  /** The file of a content that was not added, or not any more. */
  orphan(record: ContentRecord): void {
    const file = fileOf(record)
    const inUse = this.#inUse.get(file)
    if (inUse === undefined) this.#orphans.add(file)
    else inUse.gone = true
  }

  /** Unsays `drop` for a content that was never durable: its file is still a draft. */
  spare(record: ContentRecord): void {
    const file = fileOf(record)
    this.#orphans.delete(file)
    const inUse = this.#inUse.get(file)
    if (inUse !== undefined) inUse.gone = false
  }

  /** Takes the files of what was dropped, for `sweep` once the index has forgotten them, or `keepOrphans`. */
  orphans(): readonly string[] {
    const orphans = [...this.#orphans]
    this.#orphans.clear()
    return orphans
  }

  keepOrphans(files: Iterable<string>): void {
    for (const file of files) this.#orphans.add(file)
  }

  /** Removes the files of what was dropped. One that cannot be removed keeps no other from going, and is an orphan again. */
  async sweep(orphans: readonly string[]): Promise<void> {
    const failures: unknown[] = []
    for (const file of orphans) {
      try {
        await this.#files.remove(file)
      } catch (caught) {
        this.#orphans.add(file)
        failures.push(caught)
      }
    }
    if (failures.length > 0) throw failures[0]
  }

  /** @param own with a key of its own */
  draft(own: boolean): Draft {
    const nonce = this.#entropy.bytes(fileNonceBytes)
    const ownKey = own ? this.#entropy.bytes(sealKeyBytes) : null
    const file = contentFilePrefix + Buffer.from(nonce).toString('hex')
    return { file, nonce, ownKey, writer: writeContent(this.#files, file, ownKey ?? this.#key, nonce) }
  }

  /** As `sweep`, of all that was dropped so far; what that frees can be used when it returns. */
  async free(): Promise<void> {
    await this.sweep(this.orphans())
    await this.#files.syncDir()
  }

  /** What was written of a draft goes; nothing refers to it. */
  abandon(draft: Draft): Promise<void> {
    return this.sweep([draft.file])
  }

  /** Reads a draft while it is written: chunks that are on the file. @param bytes that it will have */
  readDraft(
    draft: Draft,
    bytes: number,
    start: number,
    endExclusive: number,
  ): AsyncGenerator<Uint8Array | null, void> {
    const stored = { file: draft.file, key: draft.ownKey ?? this.#key, nonce: draft.nonce, bytes }
    return readContent(this.#files, stored, start, endExclusive, this.#scratch)
  }

  /** The record of a draft whose bytes are durable. */
  recordOf(draft: Draft, key: string, bytes: number, audio: Audio): ContentRecord {
    const number = this.#next
    this.#next += 1
    const nonce = latin1(draft.nonce)
    const ownKey = draft.ownKey === null ? null : latin1(draft.ownKey)
    return { kind: 'content', number, key, nonce, ownKey, bytes, audio }
  }

  read(key: string): Reading | null {
    const record = this.get(key)
    if (record === undefined) return null
    const stored = this.#stored(record)
    const inUse = this.#inUse.get(stored.file) ?? { readers: 0, gone: false }
    this.#inUse.set(stored.file, inUse)
    inUse.readers += 1
    let open = true
    return {
      content: record,
      part: (start, endExclusive) => readContent(this.#files, stored, start, endExclusive, this.#scratch),
      whole: () => readWhole(this.#files, stored, this.#scratch),
      done: () => {
        if (!open) return
        open = false
        inUse.readers -= 1
        if (inUse.readers > 0) return
        this.#inUse.delete(stored.file)
        if (!inUse.gone) return
        this.#orphans.add(stored.file)
        this.onIdle()
      },
    }
  }

  #stored(record: ContentRecord): StoredContent {
    const key = record.ownKey === null ? this.#key : Buffer.from(record.ownKey, 'latin1')
    return {
      file: fileOf(record),
      key,
      nonce: Buffer.from(record.nonce, 'latin1'),
      bytes: record.bytes,
    }
  }
}

/** Name of the file of a content. */
export function fileOf({ nonce }: ContentRecord): string {
  return fileOfNonce(Buffer.from(nonce, 'latin1').toString('hex'))
}

/** @param nonce in hex */
export function fileOfNonce(nonce: string): string {
  return contentFilePrefix + nonce
}

export function isContentFile(name: string): boolean {
  return /^c[0-9a-f]{32}$/.test(name)
}

export function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}
