/**
 * What the demonstration counts and prints.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Chapter, closingTable, sumSent, wrapped } from '../../demo/chapter.ts'

const chapter: Chapter = {
  name: '2 update, agent killed, link cut',
  outcome: 'rolled back',
  code: 'EB-HEALTH-NETWORK',
  slot: 'b',
  version: '2',
  states: ['DOWNLOADING', 'VERIFYING', 'APPLYING', 'REBOOTING', 'ROLLBACK', 'IDLE'],
  boots: ['a', 'b', 'b', 'b', 'a'],
  bytesSent: 1023.9 * 2 ** 20,
  bytesResent: 1023.9 * 2 ** 10,
  seconds: 999.9,
}

describe('bytes sent and sent again', () => {
  it('what two requests of one file share was sent again, of two files nothing', () => {
    const parts = [
      { path: 'x', start: 0, sent: 100 },
      { path: 'x', start: 60, sent: 100 },
      { path: 'y', start: 0, sent: 100 },
    ]
    expect(sumSent(parts)).toEqual({ bytesSent: 300, bytesResent: 40 })
  })

  it('equals counting byte by byte', () => {
    const part = fc.record({ path: fc.constantFrom('x', 'y'), start: fc.nat(50), sent: fc.nat(50) })
    fc.assert(
      fc.property(fc.array(part), (parts) => {
        const bytes = parts.flatMap(({ path, start, sent }) =>
          Array.from({ length: sent }, (_, index) => `${path} ${start + index}`),
        )
        expect(sumSent(parts)).toEqual({
          bytesSent: bytes.length,
          bytesResent: bytes.length - new Set(bytes).size,
        })
      }),
    )
  })
})

describe('the closing table', () => {
  it('fits 80 columns', () => {
    for (const line of closingTable([chapter])) expect(line.length, line).toBeLessThanOrEqual(80)
  })

  it('says what came out, by which states and boots', () => {
    const text = closingTable([chapter]).join(' ').replace(/\s+/g, ' ')
    expect(text).toContain('rolled back (EB-HEALTH-NETWORK): downloading > verifying')
    expect(text).toContain('boots a b b b a')
    expect(closingTable([{ ...chapter, boots: [] }]).join(' ')).toContain('no boot')
  })

  it('wrapping keeps every word and the width, as far as words allow', () => {
    fc.assert(
      fc.property(
        fc.array(fc.stringMatching(/^[a-z]{1,12}$/), { minLength: 1 }),
        fc.integer({ min: 20, max: 90 }),
        (words, width) => {
          const lines = wrapped(words.join(' '), width)
          expect(
            lines
              .join(' ')
              .split(/\s+/)
              .filter((it) => it !== ''),
          ).toEqual(words)
          for (const line of lines) expect(line.length).toBeLessThanOrEqual(width)
        },
      ),
    )
  })
})
