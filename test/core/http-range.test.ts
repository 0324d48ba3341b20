/**
 * The arithmetic of byte ranges.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { notModified, rangeFor } from '../../core/http-range.ts'

const etag = '"sha256-aa"'

describe('rangeFor', () => {
  it('never answers a range outside the file, whatever the header', () => {
    fc.assert(
      fc.property(
        fc.nat({ max: 2 ** 31 }),
        fc.oneof(
          fc.string(),
          fc
            .tuple(fc.option(fc.maxSafeNat()), fc.option(fc.maxSafeNat()))
            .map(([a, b]) => `bytes=${a ?? ''}-${b ?? ''}`),
        ),
        (size, header) => {
          const answer = rangeFor(size, etag, header, undefined)
          if (answer.kind !== 'part') return
          expect(answer.start).toBeGreaterThanOrEqual(0)
          expect(answer.endExclusive).toBeGreaterThan(answer.start)
          expect(answer.endExclusive).toBeLessThanOrEqual(size)
        },
      ),
      { numRuns: 2_000 },
    )
  })

  it('gives what was asked for when it lies in the file', () => {
    fc.assert(
      fc.property(fc.nat({ max: 10_000 }), fc.nat({ max: 10_000 }), fc.nat({ max: 10_000 }), (a, b, c) => {
        const [start = 0, end = 0, size = 0] = [a, b, c].sort((x, y) => x - y)
        fc.pre(end < size)
        const wanted = { kind: 'part', start, endExclusive: end + 1 }
        expect(rangeFor(size, etag, `bytes=${start}-${end}`, undefined)).toEqual(wanted)
        expect(rangeFor(size, etag, `bytes=${start}-${end}`, etag)).toEqual(wanted)
        expect(rangeFor(size, etag, `bytes=${start}-${end}`, `W/${etag}`)).toEqual({ kind: 'whole' })
      }),
    )
  })

  it.each([
    ['bytes=0-', 'unsatisfiable'],
    ['bytes=-5', 'unsatisfiable'],
    ['bytes=0-0,1-1', 'whole'],
    [undefined, 'whole'],
  ])('an empty file answers %s with %s', (header, kind) => {
    expect(rangeFor(0, etag, header, undefined)).toEqual({ kind })
  })

  it('keeps numbers past 2^53 from becoming other numbers', () => {
    expect(rangeFor(100, etag, 'bytes=99999999999999999999999-', undefined)).toEqual({
      kind: 'unsatisfiable',
    })
    expect(rangeFor(100, etag, 'bytes=0-99999999999999999999999', undefined)).toEqual({
      kind: 'part',
      start: 0,
      endExclusive: 100,
    })
  })
})

describe('notModified', () => {
  it('compares weakly and knows lists', () => {
    expect(notModified(etag, undefined)).toBe(false)
    expect(notModified(etag, etag)).toBe(true)
    expect(notModified(etag, `"b" , W/${etag}`)).toBe(true)
    expect(notModified(etag, '"b"')).toBe(false)
  })
})
