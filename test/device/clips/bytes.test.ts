/** Fields written and read back, and what reading does at the end of its part. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ByteReader, ByteWriter } from '../../../device/clips/bytes.ts'

type Field =
  | { readonly kind: 'u8' | 'u32' | 'f64'; readonly value: number }
  | { readonly kind: 'text'; readonly value: string }
  | { readonly kind: 'raw'; readonly value: string }

const latin1 = (maxLength: number) =>
  fc.uint8Array({ maxLength }).map((bytes) => Buffer.from(bytes).toString('latin1'))
const field: fc.Arbitrary<Field> = fc.oneof(
  fc.record({ kind: fc.constant('u8' as const), value: fc.nat(255) }),
  fc.record({ kind: fc.constant('u32' as const), value: fc.nat(0xffff_ffff) }),
  fc.record({
    kind: fc.constant('f64' as const),
    value: fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }),
  }),
  fc.record({ kind: fc.constant('text' as const), value: latin1(255) }),
  fc.record({ kind: fc.constant('raw' as const), value: latin1(3_000) }),
)

const numbers = {
  u8: (to: ByteWriter, value: number) => to.u8(value),
  u32: (to: ByteWriter, value: number) => to.u32(value),
  f64: (to: ByteWriter, value: number) => to.f64(value),
}

function write(to: ByteWriter, it: Field): void {
  if (it.kind === 'text') to.text(it.value)
  else if (it.kind === 'raw') to.raw(it.value)
  else numbers[it.kind](to, it.value)
}

function read(from: ByteReader, it: Field): number | string {
  return it.kind === 'raw' ? from.raw(it.value.length) : from[it.kind]()
}

describe('fields', () => {
  it('come back as they were written, whatever their number and size', () => {
    fc.assert(
      fc.property(fc.array(field, { maxLength: 40 }), (fields) => {
        const to = new ByteWriter()
        for (const it of fields) write(to, it)
        const bytes = to.take()
        expect(bytes.length).toBe(to.length)
        const from = new ByteReader(bytes, 0, bytes.length)
        for (const it of fields) expect(read(from, it)).toBe(it.value)
        expect(from.short).toBe(false)
        from.u8()
        expect(from.short, 'there is nothing behind').toBe(true)
      }),
    )
  })

  it('that do not fit their part are 0 or empty, and so is all that follows', () => {
    fc.assert(
      fc.property(fc.array(field, { minLength: 1, maxLength: 12 }), fc.nat(), (fields, cut) => {
        const to = new ByteWriter()
        for (const it of fields) write(to, it)
        const whole = Buffer.from(to.take())
        const end = cut % Math.max(1, whole.length)
        // What lies behind the part must not be seen.
        const from = new ByteReader(whole, 0, end)
        let short = false
        for (const it of fields) {
          const value = read(from, it)
          if (short) expect(value === 0 || value === '').toBe(true)
          short = from.short
        }
        expect(from.short).toBe(end < whole.length)
      }),
    )
  })

  it('that are no times are noticed', () => {
    for (const value of [-1, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      const to = new ByteWriter()
      to.f64(value)
      const from = new ByteReader(to.take(), 0, 8)
      from.f64()
      expect(from.short, `${value}`).toBe(true)
    }
  })

  it('behind a hole are counted in it', () => {
    const to = new ByteWriter()
    to.raw('x'.repeat(511))
    const hole = to.hole()
    to.raw('y'.repeat(700))
    to.fill(hole)
    expect(to.take().readUInt16LE(511)).toBe(700)
    to.clear()
    expect(to.length).toBe(0)
    to.u8(9)
    expect([...to.take()]).toEqual([9])
  })
})
