/** Records of the index: every kind comes back, what is not known is passed over, damage is noticed and throws nothing. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { clipLimits } from '../../../core/clip-limits.ts'
import { safeName } from '../../../core/units.ts'
import { type Audio, clipFormats, languageForm, sampleRates } from '../../../core/wire/skills.ts'
import { ByteWriter } from '../../../device/clips/bytes.ts'
import {
  type ClipRecord,
  type ContentRecord,
  type IndexRecord,
  writeRecord,
} from '../../../device/clips/index-record.ts'
import { readRecords } from '../../../device/clips/index-records.ts'

const latin1 = (length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((it) => Buffer.from(it).toString('latin1'))
const number = fc.nat(0xffff_ffff)
const time = fc.maxSafeNat()
const name = fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/)
const language = fc.constantFrom(null, 'en', 'zh-Hans-CN', 'abc-12345678-12345678-12345678')

const audio: fc.Arbitrary<Audio> = fc.record({
  format: fc.constantFrom(...clipFormats),
  durationMs: fc.integer({ min: 1, max: clipLimits.durationMsMax }),
  sampleRate: fc.constantFrom(...sampleRates),
  bitRate: fc.integer({ min: 1, max: 0xffff_ffff }),
  channels: fc.integer({ min: 1, max: clipLimits.channelsMax }),
  compressionLevel: fc.option(fc.nat(clipLimits.compressionLevelMax)),
})
const content: fc.Arbitrary<ContentRecord> = fc.record({
  kind: fc.constant('content' as const),
  number,
  key: latin1(32),
  nonce: latin1(16),
  ownKey: fc.option(latin1(32)),
  bytes: fc.integer({ min: 1, max: clipLimits.clipBytesMax }),
  audio,
})
const clip: fc.Arbitrary<ClipRecord> = fc.record({
  kind: fc.constant('clip' as const),
  number,
  id: name,
  skill: name,
  content: number,
  language,
  pinned: fc.boolean(),
  shared: fc.boolean(),
  listed: fc.boolean(),
  createdMs: time,
  addedMs: time,
  expiresMs: time,
  accesses: number,
  lastAccessMs: time,
})
const record: fc.Arbitrary<IndexRecord> = fc.oneof(
  content,
  clip,
  fc.record({ kind: fc.constant('gone' as const), clip: number }),
  fc.record({ kind: fc.constant('shared' as const), clip: number }),
  fc.record({ kind: fc.constant('used' as const), clip: number, accesses: number, lastAccessMs: time }),
  fc.record({ kind: fc.constant('pinned' as const), clip: number, pinned: fc.boolean() }),
  fc.record({ kind: fc.constant('skill' as const), skill: name, seq: time }),
  fc.record({ kind: fc.constant('age' as const), ageMs: time, wallMs: time }),
  fc.record({ kind: fc.constant('room' as const), clips: number, contents: number }),
  fc.record({ kind: fc.constant('figures' as const), figures: fc.array(time, { maxLength: 20 }) }),
)

function bytesOf(records: readonly IndexRecord[]): Buffer {
  const to = new ByteWriter()
  for (const it of records) writeRecord(to, it)
  return Buffer.from(to.take())
}

function read(bytes: Buffer): { readonly whole: boolean; readonly records: readonly IndexRecord[] } {
  const records: IndexRecord[] = []
  const whole = readRecords(bytes, {
    record: (it) => void records.push(it),
    clips: () => {},
    contents: () => {},
  })
  return { whole, records }
}

const sample: readonly IndexRecord[] = fc
  .sample(fc.tuple(content, clip, content, clip), { seed: 3, numRuns: 1 })
  .flat()

/** What a reader must never be handed. */
function expectInRange(it: IndexRecord): void {
  if (it.kind === 'content') {
    expect(Number.isSafeInteger(it.bytes) && it.bytes >= 1 && it.bytes <= clipLimits.clipBytesMax).toBe(true)
    expect([it.key.length, it.nonce.length, it.ownKey?.length ?? 32]).toEqual([32, 16, 32])
  }
  if (it.kind === 'clip') {
    expect(it.id).toMatch(safeName)
    expect(it.skill).toMatch(safeName)
    if (it.language !== null) expect(it.language).toMatch(languageForm)
    for (const ms of [it.createdMs, it.addedMs, it.expiresMs, it.lastAccessMs]) {
      expect(ms >= 0 && Number.isFinite(ms)).toBe(true)
    }
  }
  if (it.kind === 'skill') {
    expect(it.skill).toMatch(safeName)
    expect(Number.isSafeInteger(it.seq)).toBe(true)
  }
  if (it.kind === 'age') expect(Number.isSafeInteger(it.ageMs) && Number.isSafeInteger(it.wallMs)).toBe(true)
}

describe('records of the index', () => {
  it('of every kind come back as they were written', () => {
    fc.assert(
      fc.property(fc.array(record, { maxLength: 30 }), (records) => {
        expect(read(bytesOf(records))).toEqual({ whole: true, records })
      }),
    )
  })

  it('count no further than the index can', () => {
    const used: IndexRecord = { kind: 'used', clip: 1, accesses: 2 ** 40, lastAccessMs: 5 }
    expect(read(bytesOf([used])).records).toEqual([{ ...used, accesses: 0xffff_ffff }])
  })

  it('of kinds that are not known are passed over', () => {
    fc.assert(
      fc.property(
        fc.array(record, { maxLength: 5 }),
        fc.array(record, { maxLength: 5 }),
        fc.integer({ min: 13, max: 255 }),
        fc.uint8Array({ maxLength: 300 }),
        (before, after, code, body) => {
          const head = Buffer.alloc(3)
          head.writeUInt8(code, 0)
          head.writeUInt16LE(body.length, 1)
          const bytes = Buffer.concat([bytesOf(before), head, body, bytesOf(after)])
          expect(read(bytes)).toEqual({ whole: true, records: [...before, ...after] })
        },
      ),
    )
  })

  it('with more fields than this version knows are read as far as it knows them', () => {
    fc.assert(
      fc.property(record, fc.uint8Array({ minLength: 1, maxLength: 40 }), (it, more) => {
        const bytes = bytesOf([it])
        const longer = Buffer.concat([bytes, more])
        longer.writeUInt16LE(bytes.length - 3 + more.length, 1)
        expect(read(longer)).toEqual({ whole: true, records: [it] })
      }),
    )
  })

  it('of a format or a sample rate that is not known are passed over', () => {
    const [one] = sample
    const bytes = bytesOf(sample.slice(0, 1))
    // Behind number, flags, key, nonce, maybe a key, and length.
    const at = 3 + 4 + 1 + 32 + 16 + (one?.kind === 'content' && one.ownKey !== null ? 32 : 0) + 8
    for (const [place, value] of [
      [at, clipFormats.length],
      [at + 5, sampleRates.length],
    ] as const) {
      const other = Buffer.from(bytes)
      other.writeUInt8(value, place)
      expect(read(other)).toEqual({ whole: true, records: [] })
    }
  })

  it('that are cut off anywhere are noticed, and what lies before is as it was', () => {
    const bytes = bytesOf(sample)
    const edges = new Set(sample.map((_, count) => bytesOf(sample.slice(0, count)).length))
    for (let length = 0; length < bytes.length; length += 1) {
      const { whole, records } = read(bytes.subarray(0, length))
      expect(whole, `cut at ${length}`).toBe(edges.has(length))
      expect(records).toEqual(sample.slice(0, records.length))
    }
  })

  it('with any bit changed throw nothing and hand out nothing out of range', () => {
    const bytes = bytesOf([
      ...sample,
      { kind: 'skill', skill: 'red', seq: 7 },
      { kind: 'age', ageMs: 5, wallMs: 6 },
      { kind: 'figures', figures: [1, 2] },
      { kind: 'used', clip: 1, accesses: 2, lastAccessMs: 3 },
    ])
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const changed = Buffer.from(bytes)
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      for (const it of read(changed).records) expectInRange(it)
    }
  })

  it('of any bytes at all throw nothing and hand out nothing out of range', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(14), fc.uint8Array({ maxLength: 130 }))), (parts) => {
        const bytes = Buffer.concat(
          parts.flatMap(([code, body]) => [Buffer.of(code, body.length & 255, body.length >> 8), body]),
        )
        for (const it of read(bytes).records) expectInRange(it)
      }),
      { numRuns: 500 },
    )
  })
})
