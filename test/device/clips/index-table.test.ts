/** Tables of the index: every row comes back, what is not known is passed over, damage is noticed and throws nothing. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { clipLimits } from '../../../core/clip-limits.ts'
import { safeName } from '../../../core/units.ts'
import { clipFormats, languageForm, sampleRates } from '../../../core/wire/skills.ts'
import { ByteWriter } from '../../../device/clips/bytes.ts'
import { ClipColumns } from '../../../device/clips/clip-columns.ts'
import { ContentColumns } from '../../../device/clips/content-columns.ts'
import type { ClipRecord, ContentRecord } from '../../../device/clips/index-record.ts'
import { readRecords, recordTools, writeTable } from '../../../device/clips/index-records.ts'
import { ClipTable, ContentTable, tableRows } from '../../../device/clips/index-table.ts'

const latin1 = (length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((it) => Buffer.from(it).toString('latin1'))
const number = fc.nat(0xffff_ffff)
const time = fc.maxSafeNat()
const skill = fc.oneof(fc.constantFrom('red', 'blue'), fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/))

const content: fc.Arbitrary<ContentRecord> = fc.record({
  kind: fc.constant('content' as const),
  number,
  key: latin1(32),
  nonce: latin1(16),
  ownKey: fc.option(latin1(32)),
  bytes: fc.integer({ min: 1, max: clipLimits.clipBytesMax }),
  audio: fc.record({
    format: fc.constantFrom(...clipFormats),
    durationMs: fc.integer({ min: 1, max: clipLimits.durationMsMax }),
    sampleRate: fc.constantFrom(...sampleRates),
    bitRate: number,
    channels: fc.integer({ min: 1, max: clipLimits.channelsMax }),
    compressionLevel: fc.option(fc.nat(clipLimits.compressionLevelMax)),
  }),
})
const clip: fc.Arbitrary<ClipRecord> = fc.record({
  kind: fc.constant('clip' as const),
  number,
  id: fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/),
  skill,
  content: number,
  language: fc.constantFrom(null, 'en', 'zh-Hans-CN', 'abc-12345678-12345678-12345678'),
  pinned: fc.boolean(),
  shared: fc.boolean(),
  listed: fc.boolean(),
  createdMs: time,
  addedMs: time,
  expiresMs: time,
  accesses: number,
  lastAccessMs: time,
})

function bytesOf(clips: readonly ClipRecord[], contents: readonly ContentRecord[]): Buffer {
  const to = new ByteWriter()
  const tables = [new ContentTable(), new ClipTable()] as const
  for (const it of contents) tables[0].add(it)
  for (const it of clips) tables[1].add(it)
  for (const it of tables) writeTable(to, it)
  return Buffer.from(to.take())
}

interface Read {
  readonly whole: boolean
  readonly clips: readonly ClipRecord[]
  readonly contents: readonly ContentRecord[]
}

const keyOf = (table: ContentTable, row: number): string =>
  Buffer.from(table.keyWords.buffer).toString('latin1', 32 * row, 32 * row + 32)

const tools = recordTools()

/** Rows of the tables that are good, by way of the columns. */
function read(bytes: Buffer): Read {
  const clips: ClipRecord[] = []
  const contents: ContentRecord[] = []
  const whole = readRecords(
    bytes,
    {
      record: () => {},
      clips(table) {
        const columns = new ClipColumns()
        columns.writeTable(table, (row) => row)
        for (let row = 0; row < table.rows; row += 1) {
          if (columns.has(row) !== table.takes(row)) expect.unreachable(`row ${row}`)
          if (columns.has(row)) clips.push(columns.read(row, table.id(row)))
        }
      },
      contents(table) {
        const columns = new ContentColumns()
        columns.writeTable(table, (row) => row)
        for (let row = 0; row < table.rows; row += 1) {
          if (columns.has(row) !== table.takes(row)) expect.unreachable(`row ${row}`)
          if (columns.has(row)) contents.push(columns.read(row, keyOf(table, row)))
        }
      },
    },
    tools,
  )
  return { whole, clips, contents }
}

const clips = fc.array(clip, { maxLength: 20 })
const contents = fc.array(content, { maxLength: 20 })
const [someClips, someContents] = fc.sample(
  fc.tuple(fc.array(clip, { minLength: 3, maxLength: 3 }), fc.array(content, { minLength: 3, maxLength: 3 })),
  { seed: 5, numRuns: 1 },
)[0] ?? [[], []]

/** All fields that are out of range, in one look: it is asked of thousands of readings. */
function expectInRange({ clips, contents }: Read): void {
  const isTime = (ms: number): boolean => ms >= 0 && Number.isFinite(ms)
  const badClips = clips.filter(
    (it) =>
      ![it.id, it.skill].every((name) => safeName.test(name)) ||
      !(it.language === null || languageForm.test(it.language)) ||
      ![it.createdMs, it.addedMs, it.expiresMs, it.lastAccessMs].every(isTime),
  )
  const badContents = contents.filter(
    (it) =>
      !(it.bytes >= 1 && it.bytes <= clipLimits.clipBytesMax) ||
      it.key.length !== 32 ||
      it.nonce.length !== 16 ||
      (it.ownKey?.length ?? 32) !== 32 ||
      !clipFormats.includes(it.audio.format) ||
      !sampleRates.includes(it.audio.sampleRate),
  )
  expect([badClips, badContents]).toEqual([[], []])
}

describe('tables of the index', () => {
  it('come back as they were written', () => {
    fc.assert(
      fc.property(clips, contents, (clips, contents) => {
        expect(read(bytesOf(clips, contents))).toEqual({ whole: true, clips, contents })
      }),
    )
  })

  it('that are full fit a record, however long their names are', () => {
    const name = (at: number) => `${at}`.padStart(64, 'n')
    const language = (at: number) => `${at}`.padStart(8, '0')
    const clips = Array.from({ length: tableRows }, (_, at) => ({
      ...(someClips[0] ?? expect.unreachable()),
      ...{
        number: at,
        id: name(at),
        skill: name(1_000 + at),
        language: `abc-12345678-12345678-${language(at)}`,
      },
    }))
    const contents = Array.from({ length: tableRows }, (_, at) => ({
      ...(someContents[0] ?? expect.unreachable()),
      ...{ number: at, ownKey: `${at}`.padStart(32) },
    }))
    expect(read(bytesOf(clips, contents))).toEqual({ whole: true, clips, contents })
  })

  it('can be used again', () => {
    const to = new ByteWriter()
    const table = new ClipTable()
    for (const it of someClips) table.add(it)
    table.clear()
    for (const it of someClips.slice(1)) table.add(it)
    writeTable(to, table)
    expect(read(Buffer.from(to.take())).clips).toEqual(someClips.slice(1))
  })

  it('count no further than the index can', () => {
    const many = someClips.map((it) => ({ ...it, accesses: 2 ** 40 }))
    expect(read(bytesOf(many, [])).clips.map((it) => it.accesses)).toEqual(many.map(() => 0xffff_ffff))
  })

  it('with a name that is none lose that row alone', () => {
    for (const id of ['', '.', '..', 'a/b', 'ä', 'a\n', 'x'.repeat(65)]) {
      const [one, two, three] = someClips.map((it, at) => (at === 1 ? { ...it, id } : it))
      const all = [one, two, three].flatMap((it) => (it === undefined ? [] : [it]))
      expect(read(bytesOf(all, [])), id).toEqual({ whole: true, clips: [one, three], contents: [] })
      for (const wrong of [{ skill: id }, { language: id }]) {
        const others = someClips.map((it, at) => (at === 1 ? { ...it, ...wrong } : it))
        expect(read(bytesOf(others, [])).clips, id).toEqual([others[0], others[2]])
      }
    }
  })

  it('with a value that this version does not know lose that row alone', () => {
    const rows = someContents.length
    const bytes = bytesOf([], someContents)
    // Behind code, length and rows: numbers, sizes, durations, bit rates.
    const formats = 4 + 16 * rows
    for (const [place, value] of [
      [formats + 1, clipFormats.length],
      [formats + rows + 1, sampleRates.length],
      [4 + 4 * rows + 4 + 3, 255],
    ] as const) {
      const other = Buffer.from(bytes)
      other.writeUInt8(value, place)
      expect(read(other)).toEqual({ whole: true, clips: [], contents: [someContents[0], someContents[2]] })
    }
  })

  it('with a time that is none are damaged', () => {
    for (const wrong of [-1, Number.NaN, Infinity]) {
      for (const field of ['createdMs', 'addedMs', 'expiresMs', 'lastAccessMs']) {
        const damaged = someClips.map((it, at) => (at === 2 ? { ...it, [field]: wrong } : it))
        expect(read(bytesOf(damaged, [])), field).toEqual({ whole: false, clips: [], contents: [] })
      }
    }
  })

  it('with more columns than this version knows are read as far as it knows them', () => {
    for (const [clips, contents] of [
      [someClips, []],
      [[], someContents],
    ] as const) {
      // The table of what there is lies behind, or before, an empty one.
      const bytes = bytesOf(clips, contents)
      const at = clips.length > 0 ? 3 + bytes.readUInt16LE(1) : 0
      const end = at + 3 + bytes.readUInt16LE(at + 1)
      const longer = Buffer.concat([bytes.subarray(0, end), Buffer.alloc(30, 9), bytes.subarray(end)])
      longer.writeUInt16LE(end - at - 3 + 30, at + 1)
      expect(read(longer)).toEqual({ whole: true, clips, contents })
    }
  })

  it('that are cut off anywhere are noticed', () => {
    const bytes = bytesOf(someClips, someContents)
    const edge = 3 + bytes.readUInt16LE(1)
    for (let length = 0; length < bytes.length; length += 1) {
      const { whole, clips, contents } = read(bytes.subarray(0, length))
      expect(whole, `cut at ${length}`).toBe(length === 0 || length === edge)
      expect(clips).toEqual([])
      expect(contents).toEqual(length < edge ? [] : someContents)
    }
  })

  it('that say a shorter length than theirs are noticed', () => {
    for (const [clips, contents] of [
      [someClips, []],
      [[], someContents],
    ] as const) {
      const bytes = bytesOf(clips, contents)
      const at = clips.length > 0 ? 3 + bytes.readUInt16LE(1) : 0
      const full = bytes.readUInt16LE(at + 1)
      for (let length = 0; length < full; length += 1) {
        const shorter = Buffer.from(bytes.subarray(0, at + 3 + length))
        shorter.writeUInt16LE(length, at + 1)
        expect(read(shorter).whole, `${length}`).toBe(false)
      }
    }
  })

  it('with any bit changed throw nothing and hand out nothing out of range', () => {
    const bytes = bytesOf(someClips, someContents)
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const changed = Buffer.from(bytes)
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expectInRange(read(changed))
    }
  })

  it('of any bytes at all throw nothing and hand out nothing out of range', () => {
    const part = fc.tuple(fc.constantFrom(10, 11), fc.nat(4), fc.uint8Array({ maxLength: 400 }))
    fc.assert(
      fc.property(fc.array(part, { maxLength: 5 }), (parts) => {
        const bytes = parts.map(([code, rows, body]) => {
          const length = body.length + 1
          return Buffer.concat([Buffer.of(code, length & 255, length >> 8, rows), body])
        })
        expectInRange(read(Buffer.concat(bytes)))
      }),
      { numRuns: 500 },
    )
  })
})
