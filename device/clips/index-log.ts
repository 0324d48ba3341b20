/**
 * The index of the clip cache on the disk: a snapshot of all that there is, then what was changed since.
 * Promise: `append` returns when its records are durable, and they count together or not at all; the file is replaced in
 * one step; what is damaged costs itself, and is told. Power may go at any operation.
 * Leaves to others: what records mean (clip-store.ts), frames (index-frames.ts).
 */
import { indexLimits } from '../../core/clip-limits.ts'
import { raise } from '../../core/errors.ts'
import type { ClipFiles, Entropy } from '../../core/ports.ts'
import { ByteWriter } from './bytes.ts'
import { type FrameSealer, firstFrameOffset, frameSealer, openFrames } from './index-frames.ts'
import { type IndexRecord, writeRecord } from './index-record.ts'
import { type RecordReader, readRecords, recordTools, writeTable } from './index-records.ts'
import { ClipTable, ContentTable } from './index-table.ts'
import { fileNonceBytes } from './xchacha.ts'

export const indexFile = 'index'
export const nextIndexFile = 'index.new'

export interface IndexParts {
  readonly files: ClipFiles
  readonly entropy: Entropy
  /** 32 bytes. */
  readonly key: Uint8Array
}

export interface IndexReader extends RecordReader {
  /** Records are lost between those before and those to come, and changes that they told of. */
  changesLost(): void
}

/** How the index was found. */
export interface IndexFound {
  /** `foreign`: it is there, and nothing of it can be read. */
  readonly state: 'read' | 'missing' | 'foreign'
  /** Something of it is not as it was written. The end is where a loss of power leaves a frame that counts for nothing. */
  readonly damage: 'none' | 'end' | 'inside'
}

/** The open index, to be added to. */
export interface IndexLog {
  /** Records that belong together: one frame. @throws EverbootError EB-LIMIT when they are more than a frame takes */
  append(records: readonly IndexRecord[]): Promise<void>
  /** Writes the file anew with these records, in one step. */
  rewrite(records: Iterable<IndexRecord>): Promise<void>
  /** So much was added since the snapshot that it should be written anew. */
  readonly overgrown: boolean
}

/**
 * Reads the index, record by record in the order in which they were written.
 * An index that is damaged, missing or foreign takes nothing before it is written anew.
 */
export async function openIndex(
  parts: IndexParts,
  to: IndexReader,
): Promise<{ readonly found: IndexFound; readonly log: IndexLog }> {
  const reader = await openFrames(parts.files, indexFile, parts.key)
  if (reader === null || reader === 'foreign') {
    const state = reader ?? 'missing'
    return { found: { state, damage: 'none' }, log: new Log(parts, null) }
  }
  // A program that was killed may have left frames behind that no sync has reached.
  await parts.files.syncFile(indexFile)
  await parts.files.syncDir()
  let offset = firstFrameOffset
  let number = 0
  let snapshotBytes = firstFrameOffset
  let damage: IndexFound['damage'] = 'none'
  const tools = recordTools()
  for (;;) {
    const frame = await reader.at(offset, number)
    if (frame !== null) {
      const lost = frame.number > number
      if (lost) damage = 'inside'
      // Of a snapshot only additions can be lost; its last frame cannot be told from a change.
      if (lost && !frame.snapshot) to.changesLost()
      if (!readRecords(frame.records, to, tools)) {
        damage = 'inside'
        if (!frame.snapshot) to.changesLost()
      }
      frame.free()
      number = frame.number + 1
      offset = frame.endOffset
      if (frame.snapshot) snapshotBytes = offset
      continue
    }
    if (await reader.isEnd(offset)) break
    const next = await reader.find(offset + 1, number)
    if (next === null) {
      if (damage === 'none') damage = 'end'
      break
    }
    damage = 'inside'
    offset = next
  }
  // Every index begins with a whole frame: the nonce of the file is not what it was, or all of it is gone.
  if (number === 0) return { found: { state: 'foreign', damage: 'none' }, log: new Log(parts, null) }
  const place = { nonce: reader.nonce, frames: number, bytes: offset, snapshotBytes, tailFrames: 0 }
  return { found: { state: 'read', damage }, log: new Log(parts, damage === 'none' ? place : null) }
}

/** Where the next frame goes. */
interface Place {
  readonly nonce: Uint8Array
  frames: number
  bytes: number
  snapshotBytes: number
  tailFrames: number
}

class Log implements IndexLog {
  readonly #parts: IndexParts
  readonly #writer = new ByteWriter()
  #place: Place | null
  #sealer: FrameSealer | null

  constructor(parts: IndexParts, place: Place | null) {
    this.#parts = parts
    this.#place = place
    this.#sealer = place === null ? null : frameSealer(parts.key, place.nonce)
  }

  get overgrown(): boolean {
    const place = this.#place
    if (place === null) return true
    const tail = place.bytes - place.snapshotBytes
    return (
      place.tailFrames > indexLimits.tailFramesMax ||
      tail > Math.max(indexLimits.tailBytesMin, place.snapshotBytes)
    )
  }

  async append(records: readonly IndexRecord[]): Promise<void> {
    const place = this.#place
    const sealer = this.#sealer
    if (place === null || sealer === null)
      raise('EB-CLIP-INDEX', 'the index takes nothing before it is written anew')
    this.#writer.clear()
    for (const record of records) writeRecord(this.#writer, record)
    if (this.#writer.length > indexLimits.recordsBytesMax)
      raise('EB-LIMIT', `${records.length} changes of the clip index do not fit one frame`)
    const frame = sealer.frame(place.frames, false, this.#writer.take())
    // What a failure leaves behind is not known: nothing is added behind it.
    this.#place = null
    await this.#parts.files.append(indexFile, frame)
    await this.#parts.files.syncFile(indexFile)
    place.frames += 1
    place.tailFrames += 1
    place.bytes += frame.length
    this.#place = place
  }

  async rewrite(records: Iterable<IndexRecord>): Promise<void> {
    try {
      await this.#writeAnew(records)
    } catch (caught) {
      // On a full medium it would take the room that the next attempt needs.
      await this.#parts.files.remove(nextIndexFile).catch(() => {})
      throw caught
    }
  }

  async #writeAnew(records: Iterable<IndexRecord>): Promise<void> {
    const { files, entropy, key } = this.#parts
    const nonce = entropy.bytes(fileNonceBytes)
    const sealer = frameSealer(key, nonce)
    const place: Place = { nonce, frames: 0, bytes: sealer.head.length, snapshotBytes: 0, tailFrames: 0 }
    await files.write(nextIndexFile, sealer.head)
    this.#writer.clear()
    const tables = new Tables(this.#writer)
    const flush = async (): Promise<void> => {
      tables.write()
      const frame = sealer.frame(place.frames, true, this.#writer.take())
      await files.append(nextIndexFile, frame)
      place.frames += 1
      place.bytes += frame.length
      this.#writer.clear()
    }
    for (const record of records) {
      tables.add(record)
      if (tables.length >= indexLimits.frameBytes) await flush()
    }
    if (tables.length > 0) await flush()
    await files.syncFile(nextIndexFile)
    this.#place = null
    await files.rename(nextIndexFile, indexFile)
    await files.syncDir()
    place.snapshotBytes = place.bytes
    this.#place = place
    this.#sealer = sealer
  }
}

/** Records of a snapshot on their way into a frame: clips and contents as tables. */
class Tables {
  readonly #writer: ByteWriter
  readonly #clips = new ClipTable()
  readonly #contents = new ContentTable()

  constructor(writer: ByteWriter) {
    this.#writer = writer
  }

  /** Of all that was added, about. */
  get length(): number {
    return this.#writer.length + this.#clips.bytes + this.#contents.bytes
  }

  add(record: IndexRecord): void {
    if (record.kind === 'clip') {
      if (this.#clips.full) this.write()
      this.#clips.add(record)
    } else if (record.kind === 'content') {
      if (this.#contents.full) this.write()
      this.#contents.add(record)
    } else {
      this.write()
      writeRecord(this.#writer, record)
    }
  }

  /** What lies in the tables becomes records. */
  write(): void {
    for (const table of [this.#contents, this.#clips]) {
      if (table.rows > 0) writeTable(this.#writer, table)
      table.clear()
    }
  }
}
