/**
 * Which wishes are new.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Digest } from '../../../core/units.ts'
import { days } from '../../../core/units.ts'
import type { Desired } from '../../../core/wire/messages.ts'
import { earliestWallMs, judge } from '../../../device/update/assignment.ts'
import { emptyJournal, type Journal } from '../../../device/update/journal.ts'

const now = Date.parse('2026-06-01T00:00:00Z')

const desired = (seq: number): Desired => ({
  v: 1,
  seq,
  release: { id: 'r', manifest: { path: '/m', bytes: 1, sha256: 'a'.repeat(64) as Digest }, keys: {} },
})

const finished = (seq: number): Journal => ({
  ...emptyJournal,
  finished: { seq, releaseId: 'r', result: 'failed', code: null },
})

const open = (seq: number, journal: Journal = emptyJournal): Journal => ({
  ...journal,
  attempt: {
    seq,
    releaseId: 'r',
    target: 'b',
    phase: 'opened',
    armedInBoot: null,
    desired: null,
    file: null,
    marks: {},
    bytesFetched: 0,
    bytesRefetched: 0,
    networkBefore: false,
    verdict: null,
  },
})

const kindOf = (seq: number, journal: Journal, wallMs: number): string =>
  judge(desired(seq), journal, wallMs).kind

describe('an assignment', () => {
  it('is new above the last finished and the open one, known at or below either', () => {
    expect(kindOf(now, emptyJournal, now)).toBe('new')
    for (const journal of [finished(now), open(now), open(now, finished(now - 5)), open(5, finished(now))]) {
      expect(kindOf(now + 1, journal, now)).toBe('new')
      expect(kindOf(now, journal, now)).toBe('known')
      expect(kindOf(now - 1, journal, now)).toBe('known')
      expect(kindOf(1, journal, now)).toBe('known')
    }
  })

  it('is not hidden by an installation that was asked for on the device', () => {
    expect(kindOf(now, open(0), now)).toBe('new')
  })

  it('is refused more than a day ahead of a clock that is set', () => {
    expect(kindOf(now + days(1), emptyJournal, now)).toBe('new')
    const refused = judge(desired(now + days(1) + 1), emptyJournal, now)
    expect(refused).toMatchObject({ kind: 'refused', fault: { code: 'EB-SEQUENCE' } })
  })

  it('may follow a finished one from the future, by a day', () => {
    const ahead = now + days(30)
    expect(kindOf(ahead + days(1), finished(ahead), now)).toBe('new')
    expect(kindOf(ahead + days(1) + 1, finished(ahead), now)).toBe('refused')
  })

  it('is taken without a clock for ten years from the first Everboot on', () => {
    for (const wallMs of [0, 1, earliestWallMs - 1]) {
      expect(kindOf(now, emptyJournal, wallMs)).toBe('new')
      expect(kindOf(earliestWallMs + days(3650), emptyJournal, wallMs)).toBe('new')
      expect(kindOf(earliestWallMs + days(3650) + 1, emptyJournal, wallMs)).toBe('refused')
    }
  })

  it('numbered 2^53-1 is refused at any time of any clock before the year 200,000', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 6_000_000_000_000_000 }), (wallMs) => {
        expect(kindOf(Number.MAX_SAFE_INTEGER, emptyJournal, wallMs)).toBe('refused')
      }),
    )
  })

  it('that is finished is never new again, whatever the clock says', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.maxSafeNat(), fc.maxSafeNat(), (last, back, wallMs) => {
        const seq = Math.max(1, last - (back % (last + 1)))
        expect(kindOf(seq, finished(Math.max(last, seq)), wallMs)).toBe('known')
      }),
    )
  })
})
