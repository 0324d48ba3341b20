/**
 * Packed records: what was written comes back, rows are used again, texts and numbers are found.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { clipLimits } from '../../../core/clip-limits.ts'
import { clipFormats, sampleRates } from '../../../core/wire/skills.ts'
import { ByteWriter } from '../../../device/clips/bytes.ts'
import { ClipColumns } from '../../../device/clips/clip-columns.ts'
import { ContentColumns } from '../../../device/clips/content-columns.ts'
import { ContentFiles } from '../../../device/clips/content-files.ts'
import { Found } from '../../../device/clips/found.ts'
import type { ClipRecord, ContentRecord } from '../../../device/clips/index-record.ts'
import { readRecords, writeTable } from '../../../device/clips/index-records.ts'
import { ClipTable, ContentTable } from '../../../device/clips/index-table.ts'
import { NumberTable } from '../../../device/clips/number-table.ts'
import { Words } from '../../../device/clips/words.ts'

const u32 = fc.nat(0xffff_ffff)
const time = fc.maxSafeNat()
const text = fc.stringMatching(/^[a-z]{1,3}$/)
const latin1 = (bytes: number) =>
  fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((it) => Buffer.from(it).toString('latin1'))

const clip: fc.Arbitrary<ClipRecord> = fc.record({
  kind: fc.constant('clip' as const),
  number: u32,
  id: text,
  skill: text,
  content: u32,
  language: fc.option(text),
  pinned: fc.boolean(),
  shared: fc.boolean(),
  listed: fc.boolean(),
  createdMs: time,
  addedMs: time,
  expiresMs: time,
  accesses: u32,
  lastAccessMs: time,
})
const content: fc.Arbitrary<ContentRecord> = fc.record({
  kind: fc.constant('content' as const),
  number: u32,
  key: latin1(32),
  nonce: latin1(16),
  ownKey: fc.option(latin1(32)),
  bytes: fc.integer({ min: 1, max: clipLimits.clipBytesMax }),
  audio: fc.record({
    format: fc.constantFrom(...clipFormats),
    durationMs: u32,
    sampleRate: fc.constantFrom(...sampleRates),
    bitRate: u32,
    channels: fc.integer({ min: 1, max: 255 }),
    compressionLevel: fc.option(fc.nat(254)),
  }),
})

/** A table as it comes back out of the index. */
function throughRecords<T extends ClipTable | ContentTable>(table: T, take: (table: T) => void): void {
  const to = new ByteWriter()
  writeTable(to, table)
  const one = (it: ClipTable | ContentTable): void => take(it as T)
  expect(readRecords(Buffer.from(to.take()), { record: () => {}, clips: one, contents: one })).toBe(true)
}

const steps = <T>(record: fc.Arbitrary<T>) =>
  fc.array(fc.record({ row: fc.nat(300), record: fc.option(record) }), { maxLength: 60 })

describe('columns', () => {
  it('of clips hold what was written, until it is cleared', () => {
    fc.assert(
      fc.property(steps(clip), fc.nat(500), (list, reserved) => {
        const columns = new ClipColumns()
        columns.reserve(reserved)
        const model = new Map<number, ClipRecord>()
        for (const { row, record } of list) {
          if (record !== null) {
            columns.write(row, record)
            model.set(row, record)
          } else if (model.delete(row)) columns.clear(row)
        }
        for (let row = 0; row < 400; row += 1) {
          const record = model.get(row)
          expect(columns.has(row)).toBe(record !== undefined)
          if (record !== undefined) expect(columns.read(row, record.id)).toEqual(record)
        }
      }),
    )
  })

  it('of contents hold what was written, until it is cleared', () => {
    fc.assert(
      fc.property(steps(content), (list) => {
        const columns = new ContentColumns()
        const model = new Map<number, ContentRecord>()
        for (const { row, record } of list) {
          if (record === null && model.delete(row)) columns.clear(row)
          if (record === null) continue
          columns.write(row, record)
          model.set(row, record)
        }
        for (let row = 0; row < 400; row += 1) {
          const record = model.get(row)
          expect(columns.has(row)).toBe(record !== undefined)
          if (record === undefined) continue
          expect(columns.read(row, record.key)).toEqual(record)
          expect(columns.bytes(row)).toBe(record.bytes)
        }
      }),
    )
  })
})

describe('a table of numbers', () => {
  it('gives each number a row in the order of coming, also those that fall on one place', () => {
    const close = fc.nat(40).map((it) => it * 0x1000_0000)
    fc.assert(
      fc.property(fc.array(fc.oneof(u32, fc.nat(50), close), { maxLength: 800 }), u32, (numbers, other) => {
        const table = new NumberTable()
        const model = new Map<number, number>()
        for (const it of numbers) {
          const number = it % 2 ** 32
          if (!model.has(number)) model.set(number, model.size)
          expect(table.enter(number)).toBe(model.get(number))
        }
        expect(table.size).toBe(model.size)
        for (const [number, row] of model) expect(table.find(number)).toBe(row)
        if (!model.has(other)) expect(table.find(other)).toBe(-1)
      }),
    )
  })
})

describe('words', () => {
  it('are kept as long as somebody has them, and no longer', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.option(text)), { maxLength: 100 }), (list) => {
        const words = new Words()
        const held: { readonly number: number; readonly word: string | null }[] = []
        for (const [enters, word] of list) {
          if (enters) held.push({ number: words.enter(word), word })
          else {
            const gone = held.pop()
            if (gone !== undefined) words.leave(gone.number)
          }
          for (const it of held) expect(words.text(it.number)).toBe(it.word)
          const distinct = new Set(held.map((it) => it.number))
          expect(distinct.size).toBe(new Set(held.map((it) => it.word)).size)
        }
        for (const it of held) words.leave(it.number)
        // Numbers are used again.
        expect(words.enter('new one')).toBeLessThanOrEqual(list.length)
      }),
    )
  })
})

describe('what the index said', () => {
  const nonce = (n: number) => Buffer.alloc(16, n).toString('latin1')
  const file = (n: number) => `c${Buffer.alloc(16, n).toString('hex')}`
  const some = {
    audio: {
      format: 'wav',
      durationMs: 1,
      sampleRate: 8_000,
      bitRate: 1,
      channels: 1,
      compressionLevel: null,
    },
  } as const
  const aContent = (number: number, key: string): ContentRecord => ({
    ...some,
    ...{ kind: 'content', number, key, nonce: nonce(number), ownKey: null, bytes: 10 },
  })
  const aClip = (number: number, of: number): ClipRecord => ({
    ...{ kind: 'clip', number, id: `clip${number}`, skill: 's', content: of, language: null, pinned: false },
    ...{ shared: false, listed: false, createdMs: 0, addedMs: 0, expiresMs: 0, accesses: 0, lastAccessMs: 0 },
  })
  const order = (found: Found) => [...found.rows()].map(({ clip: it }) => it.number)

  it('comes out in the order of use, as it was last', () => {
    const found = new Found()
    for (let number = 1; number <= 200; number += 1) found.record(aClip(number, number))
    found.record({ kind: 'used', clip: 3, accesses: 7, lastAccessMs: 70 })
    found.record({ kind: 'gone', clip: 2 })
    found.record({ kind: 'gone', clip: 999 })
    found.record({ kind: 'pinned', clip: 1, pinned: true })
    found.record({ kind: 'shared', clip: 4 })
    found.record({ kind: 'used', clip: 2, accesses: 1, lastAccessMs: 1 })
    found.record({ ...aClip(5, 5), language: 'de' })
    const rest = Array.from({ length: 196 }, (_, n) => n + 5)
    expect(order(found)).toEqual([1, 4, ...rest, 3])
    expect(found.size).toBe(199)
    const rows = [...found.rows()].map((it) => it.clip)
    expect(rows[0]).toEqual({ ...aClip(1, 1), pinned: true })
    expect(rows[1]).toEqual({ ...aClip(4, 4), shared: true })
    expect(rows[2]).toEqual({ ...aClip(5, 5), language: 'de' })
    expect(rows.at(-1)).toEqual({ ...aClip(3, 3), accesses: 7, lastAccessMs: 70 })
    found.changesLost()
    found.record(aClip(9, 9))
    expect([order(found), found.size, found.highest]).toEqual([[9], 1, 200])
  })

  it('knows which contents have files, and which files have no content', () => {
    const odd = `c${'z'.repeat(32)}`
    const names = ['index', 'key', file(1), file(3), file(8), odd, `${file(1)}0`, 'c'.repeat(33)]
    const directory = new ContentFiles(names)
    const found = new Found()
    for (const number of [1, 2, 3]) {
      found.record(aContent(number, `key${number}`.padEnd(32)))
      found.record(aClip(number, number))
    }
    found.record(aClip(4, 77))
    found.meet(directory)
    expect([...directory.unknown()]).toEqual([file(8), 'c'.repeat(33)])
    expect([...found.rows()].map((it) => it.content?.record() ?? null)).toEqual([
      aContent(1, 'key1'.padEnd(32)),
      null,
      aContent(3, 'key3'.padEnd(32)),
      null,
    ])
    expect(found.files).toBe(2)
    expect([...found.withFiles()].map((it) => it.number)).toEqual([1, 3])
  })

  it('is taken by tables as by records, also clips and contents that are told of twice', () => {
    const byTables = new Found()
    const byRecords = new Found()
    const clips = [1, 2, 3, 2, 4].map((number, at) => ({ ...aClip(number, number), accesses: at }))
    const contents = [1, 2, 2, 4].map((number, at) => ({
      ...aContent(number, `${at}`.padStart(32)),
      bytes: 5 + at,
    }))
    for (const part of [clips.slice(0, 4), clips.slice(2)]) {
      const table = new ClipTable()
      for (const it of part) table.add(it)
      throughRecords(table, (it) => byTables.clips(it))
      for (const it of part) byRecords.record(it)
    }
    const table = new ContentTable()
    for (const it of contents) table.add(it)
    throughRecords(table, (it) => byTables.contents(it))
    for (const it of contents) byRecords.record(it)
    for (const found of [byTables, byRecords])
      found.record({ kind: 'used', clip: 1, accesses: 9, lastAccessMs: 9 })
    const directory = new ContentFiles([file(1), file(2), file(4)])
    for (const found of [byTables, byRecords]) found.meet(directory)
    const shown = (found: Found) => ({
      ...{ size: found.size, files: found.files },
      ...{ highest: found.highest, highestContent: found.highestContent },
      rows: Array.from(found.rows(), (it) => [it.clip, it.content?.record() ?? null]),
      contents: [...found.withFiles()],
    })
    expect(shown(byTables)).toEqual(shown(byRecords))
    expect(order(byTables)).toEqual([2, 3, 4, 1])
    expect([byTables.highest, byTables.highestContent]).toEqual([4, 4])
  })

  it('is sifted: clips that have expired or lost their files, then contents that nothing refers to', () => {
    const found = new Found()
    for (const number of [1, 2, 3, 4, 5, 6, 7]) found.record(aContent(number, `${number}`.padStart(32)))
    const clips = [
      { ...aClip(1, 1), expiresMs: 100 },
      { ...aClip(2, 1), expiresMs: 101 },
      { ...aClip(3, 2), expiresMs: 100 },
      { ...aClip(4, 3), expiresMs: 1, pinned: true },
      { ...aClip(5, 4), expiresMs: 1 },
      { ...aClip(6, 77), expiresMs: 1 },
      // Added in the future: it lives as long as it would have.
      { ...aClip(7, 5), addedMs: 150, expiresMs: 150 },
      { ...aClip(8, 6), addedMs: 150, expiresMs: 151 },
    ]
    for (const it of clips) found.record(it)
    found.meet(new ContentFiles([1, 2, 3, 5, 6, 7].map(file)))
    const { missing, expired, left, unused } = found.sift(100)
    expect([missing, expired]).toEqual([2, [1, 3, 7]])
    expect([left, unused].map((list) => list.map((it) => it.number))).toEqual([[2, 5], [7]])
    expect([order(found), found.size, found.files]).toEqual([[2, 4, 8], 3, 3])
    const rows = found.known()
    const kept = Array.from({ length: rows.turns }, (_, turn) => rows.at(turn)).filter((it) => it >= 0)
    expect(kept.map((it) => rows.ids[it])).toEqual(['clip2', 'clip4', 'clip8'])
    expect(
      kept.map((it) =>
        rows.names.toString('latin1', 32 * rows.content(it), 32 * rows.content(it) + 32).trim(),
      ),
    ).toEqual(['1', '3', '6'])
    expect(kept.map((it) => rows.expiresMs(it))).toEqual([101, 1, 151])
    const { contents } = found.columns
    expect(Array.from({ length: 7 }, (_, row) => contents.has(row))).toEqual(
      [1, 2, 3, 4, 5, 6, 7].map((it) => [1, 3, 6].includes(it)),
    )
  })

  it('takes no file for that of another content, however alike their names are', () => {
    const few = fc
      .array(fc.constantFrom('0', '1', 'f'), { minLength: 4, maxLength: 4 })
      .map((it) => it.join(''))
    const nonces = fc.uniqueArray(
      fc.tuple(few, few).map(([one, other]) => `0${one}000${'0'.repeat(20)}${other}`),
      { maxLength: 60 },
    )
    const words = (text: string) => new Int32Array(new Uint8Array(Buffer.from(text, 'hex')).buffer)
    fc.assert(
      fc.property(nonces, nonces, (there, asked) => {
        const directory = new ContentFiles(there.map((it) => `c${it}`))
        for (const it of asked) expect(directory.has(words(it), 0)).toBe(there.includes(it))
        const rest = there.filter((it) => !asked.includes(it))
        expect([...directory.unknown()]).toEqual(rest.map((it) => `c${it}`))
      }),
    )
  })
})
