/** Boot record and commit stamp: nothing damaged or of unknown form is believed, nothing impossible written. */
import { readFileSync } from 'node:fs'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  type BootRecord,
  bootPartition,
  chooseCopy,
  decodeRecord,
  encodeRecord,
  promisesMore,
  withSlot,
} from '../../core/boot-record.ts'
import { decodeStamp, encodeStamp } from '../../core/commit-stamp.ts'
import { decodeEnvironment, encodeEnvironment } from '../../core/environment-block.ts'
import { slotLimits } from '../../core/limits.ts'

const vector = (name: string): Uint8Array =>
  Uint8Array.from(readFileSync(new URL(`../vectors/${name}`, import.meta.url)))
const factory = vector('boot-record-factory.bin')
const record = decodeRecord(factory) as BootRecord

const slot = fc.record({ ok: fc.boolean(), sv: fc.nat(0xffff_ffff), tries: fc.nat(8) })
const anyRecord: fc.Arbitrary<BootRecord> = fc.record({
  a: slot,
  b: slot,
  floor: fc.nat(0xffff_ffff),
  priority: fc.constantFrom('a' as const, 'b' as const),
  sequence: fc.nat(0xffff_ffff),
  others: fc.constantFrom(
    new Map<string, string>(),
    new Map([
      ['bootdelay', '-2'],
      ['z', ''],
    ]),
  ),
})

test('the older copy promises more while it knows a lower floor or more of a slot', () => {
  const newer: BootRecord = { ...record, sequence: 9, floor: 2, b: { ok: false, sv: 0, tries: 0 } }
  const after = (change: Partial<BootRecord>) => chooseCopy({ ...newer, ...change, sequence: 8 }, newer)
  expect(promisesMore(after({}), 'b')).toBe(false)
  expect(promisesMore(after({ floor: 1 }), 'b')).toBe(true)
  expect(promisesMore(after({ b: { ok: true, sv: 0, tries: 0 } }), 'b')).toBe(true)
  expect(promisesMore(after({ b: { ok: false, sv: 1, tries: 0 } }), 'b')).toBe(true)
  expect(promisesMore(after({ b: { ok: false, sv: 0, tries: 1 } }), 'b')).toBe(true)
  expect(promisesMore(after({ b: { ok: true, sv: 1, tries: 1 } }), 'a')).toBe(false)
  expect(promisesMore(chooseCopy(newer, null), 'b')).toBe(false)
  expect(promisesMore(chooseCopy(null, null), 'b')).toBe(false)
  expect(promisesMore(chooseCopy({ ...newer, floor: 1, sequence: 10 }, newer), 'b')).toBe(false)
})

test('any record is read back as it was written', () => {
  fc.assert(
    fc.property(anyRecord, (it) => {
      expect(decodeRecord(encodeRecord(it) ?? new Uint8Array())).toEqual(it)
    }),
    { numRuns: 200 },
  )
})

test('every flipped bit of what is used and one of every other byte is seen', () => {
  for (let at = 0; at < factory.length; at += 1) {
    for (let bit = 0; bit < (at < 160 ? 8 : 1); bit += 1) {
      factory[at] = (factory[at] ?? 0) ^ (1 << bit)
      expect(decodeRecord(factory), `byte ${at}`).toBeNull()
      factory[at] = (factory[at] ?? 0) ^ (1 << bit)
    }
  }
  expect(decodeRecord(factory)).toEqual(record)
})

test('a copy of any other length, or with its tail zeroed or torn at a sector, is not believed', () => {
  for (let length = 0; length < factory.length; length += 512) {
    expect(decodeRecord(factory.subarray(0, length))).toBeNull()
  }
  expect(decodeRecord(Uint8Array.from([...factory, 0]))).toBeNull()
  const other = encodeRecord({ ...record, sequence: 2, others: new Map(fill(3000)) }) ?? new Uint8Array()
  for (let cut = 512; cut < 40_000; cut += 512) {
    const torn = Uint8Array.from(factory)
    torn.set(other.subarray(0, cut))
    const zeroed = Uint8Array.from(other).fill(0, cut)
    // Past the last variable both are the same bytes as the whole copy.
    const whole = Buffer.compare(torn, other) === 0
    expect(decodeRecord(torn) === null, `torn at ${cut}`).toBe(!whole)
    expect(decodeRecord(zeroed) === null, `zeroed from ${cut}`).toBe(Buffer.compare(zeroed, other) !== 0)
  }
})

function* fill(keys: number): Generator<[string, string]> {
  for (let at = 0; at < keys; at += 1) yield [`k${at}`, 'v']
}

test.each<[string, (variables: Map<string, string>) => void]>([
  ['no a_ok', (it) => it.delete('a_ok')],
  ['no b_tries', (it) => it.delete('b_tries')],
  ['no floor', (it) => it.delete('floor')],
  ['no st_seq', (it) => it.delete('st_seq')],
  ['no st_pri', (it) => it.delete('st_pri')],
  ['priority c', (it) => it.set('st_pri', 'c')],
  ['a priority in capitals', (it) => it.set('st_pri', 'A')],
  ['ok=2', (it) => it.set('a_ok', '2')],
  ['ok=01', (it) => it.set('a_ok', '01')],
  ['ok=true', (it) => it.set('a_ok', 'true')],
  ['a number with 0x', (it) => it.set('floor', '0x1')],
  ['a number in capitals', (it) => it.set('floor', 'A')],
  ['a number with a leading zero', (it) => it.set('a_sv', '01')],
  ['a negative number', (it) => it.set('a_sv', '-1')],
  ['an empty number', (it) => it.set('st_seq', '')],
  ['a number of nine digits', (it) => it.set('st_seq', '100000000')],
  ['a number with a space', (it) => it.set('b_tries', ' 3')],
])('a record with %s is not believed', (_, change) => {
  const variables = new Map(decodeEnvironment(factory))
  change(variables)
  const block = encodeEnvironment(variables, slotLimits.recordCopyBytes)
  expect(block).not.toBeNull()
  expect(decodeRecord(block ?? new Uint8Array())).toBeNull()
})

test('a record that cannot be encoded is not', () => {
  const tooLarge = slotLimits.numberMax + 1
  const changes: readonly Partial<BootRecord>[] = [
    { floor: tooLarge },
    { floor: -1 },
    { floor: 1.5 },
    { floor: Number.NaN },
    { sequence: tooLarge },
    { a: { ok: true, sv: tooLarge, tries: 0 } },
    { b: { ok: true, sv: 0, tries: -1 } },
    { others: new Map([['bad key', 'x']]) },
    { others: new Map([['note', 'two\nlines']]) },
    { others: new Map(fill(20_000)) },
  ]
  for (const it of changes) expect(encodeRecord({ ...record, ...it }), JSON.stringify(it)).toBeNull()
})

test('unknown keys cannot shadow the known ones', () => {
  const block = encodeRecord({
    ...record,
    others: new Map([
      ['a_ok', '0'],
      ['mine', 'x'],
    ]),
  })
  const read = decodeRecord(block ?? new Uint8Array())
  expect(read?.a.ok).toBe(true)
  expect([...(read?.others ?? [])]).toEqual([['mine', 'x']])
})

test('a record has at most ten keys of ours, the limit of `env export`', () => {
  expect(decodeEnvironment(factory)?.size).toBe(9)
})

test('the newest valid copy counts, the first when they are equal', () => {
  const [one, two] = [
    { ...record, sequence: 5 },
    { ...record, sequence: 6 },
  ]
  expect(chooseCopy(null, null).current).toBeNull()
  expect(chooseCopy(one, null).current).toBe(0)
  expect(chooseCopy(null, one).current).toBe(1)
  expect(chooseCopy(one, two).current).toBe(1)
  expect(chooseCopy(two, one).current).toBe(0)
  expect(chooseCopy(one, one).current).toBe(0)
})

test('changing one slot leaves the other alone', () => {
  const changed = withSlot(record, 'b', { ok: true, sv: 2, tries: 8 })
  expect(changed.b).toEqual({ ok: true, sv: 2, tries: 8 })
  expect(changed.a).toEqual(record.a)
  expect(withSlot(record, 'a', changed.b).b).toEqual(record.b)
})

test('copies and stamp do not overlap and lie far apart', () => {
  const [first, second] = bootPartition.copyOffsets
  expect(second - first).toBeGreaterThanOrEqual(slotLimits.recordCopyBytes)
  expect(bootPartition.stampOffset - second).toBeGreaterThanOrEqual(1 << 20)
  expect(bootPartition.bytesMin).toBeGreaterThanOrEqual(bootPartition.stampOffset + slotLimits.stampBytes)
})

test('every flipped bit and every truncation of a commit stamp is seen', () => {
  const stamp = vector('commit-stamp.bin')
  for (let bit = 0; bit < stamp.length * 8; bit += 1) {
    stamp[bit >> 3] = (stamp[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    expect(decodeStamp(stamp), `bit ${bit}`).toBeNull()
    stamp[bit >> 3] = (stamp[bit >> 3] ?? 0) ^ (1 << (bit & 7))
  }
  for (let length = 0; length < stamp.length; length += 1)
    expect(decodeStamp(stamp.subarray(0, length))).toBeNull()
  expect(decodeStamp(stamp)).toEqual({ floor: 0x1f4, priority: 'b' })
})

test('any stamp is read back, an impossible one not written, a record is no stamp', () => {
  fc.assert(
    fc.property(fc.nat(0xffff_ffff), fc.constantFrom('a' as const, 'b' as const), (floor, priority) => {
      expect(decodeStamp(encodeStamp({ floor, priority }) ?? new Uint8Array())).toEqual({ floor, priority })
    }),
  )
  for (const floor of [-1, 1.5, slotLimits.numberMax + 1, Number.NaN]) {
    expect(encodeStamp({ floor, priority: 'a' })).toBeNull()
  }
  expect(decodeStamp(factory)).toBeNull()
  for (const variables of [
    [['floor', '1']],
    [['st_pri', 'a']],
    [
      ['floor', '01'],
      ['st_pri', 'a'],
    ],
    [
      ['floor', '1'],
      ['st_pri', 'x'],
    ],
  ]) {
    const block = encodeEnvironment(new Map(variables as [string, string][]), slotLimits.stampBytes)
    expect(decodeStamp(block ?? new Uint8Array())).toBeNull()
  }
})
