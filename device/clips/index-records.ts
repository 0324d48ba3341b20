/**
 * Records and tables of the index one after the other, as a frame holds them.
 * Promise: reading throws nothing, whatever the bytes are; kinds that this version does not know are passed over.
 * Leaves to others: one record (index-record.ts), one table (index-table.ts), frames (index-frames.ts).
 */
import { ByteReader, type ByteWriter } from './bytes.ts'
import { knownNames, type Names } from './index-names.ts'
import { type IndexRecord, recordOf } from './index-record.ts'
import { ClipTable, ContentTable } from './index-table.ts'

/** Beside those of records. */
const tableCodes = { clips: 10, contents: 11 } as const
/** Kind (1 byte), length (2). */
const headBytes = 3

/** Adds a table, as `writeRecord` does a record. */
export function writeTable(to: ByteWriter, table: ClipTable | ContentTable): void {
  to.u8(table instanceof ClipTable ? tableCodes.clips : tableCodes.contents)
  const hole = to.hole()
  table.write(to)
  to.fill(hole)
}

/** Is told of records. */
export interface RecordReader {
  record(record: IndexRecord): void
  /** A table is good until it returns. */
  clips(table: ClipTable): void
  contents(table: ContentTable): void
}

/** What reading takes, again and again. */
export interface RecordTools {
  readonly names: Names
  readonly clips: ClipTable
  readonly contents: ContentTable
}

export function recordTools(): RecordTools {
  return { names: knownNames(), clips: new ClipTable(), contents: new ContentTable() }
}

/**
 * @param tools known from records before these
 * @returns false when the bytes are no records; what `to` was told of before then is not to be trusted.
 */
export function readRecords(bytes: Buffer, to: RecordReader, tools: RecordTools = recordTools()): boolean {
  let at = 0
  const from = new ByteReader(bytes, 0, 0)
  while (at < bytes.length) {
    if (at + headBytes > bytes.length) return false
    const code = bytes.readUInt8(at)
    const end = at + headBytes + bytes.readUInt16LE(at + 1)
    if (end > bytes.length) return false
    from.turnTo(at + headBytes, end)
    if (!readOne(code, from, to, tools)) return false
    at = end
  }
  return true
}

function readOne(code: number, from: ByteReader, to: RecordReader, tools: RecordTools): boolean {
  const { clips, contents, names } = tools
  if (code === tableCodes.clips) {
    clips.read(from, names)
    if (!from.short) to.clips(clips)
  } else if (code === tableCodes.contents) {
    contents.read(from)
    if (!from.short) to.contents(contents)
  } else {
    const record = recordOf(code, from, names)
    if (record !== null && !from.short) to.record(record)
  }
  return !from.short
}
