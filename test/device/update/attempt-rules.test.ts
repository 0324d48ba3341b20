/**
 * Rules 10 and 13 of the boot protocol, exhaustively over small records: what became of an attempt at a new
 * start, and whether a spare may be wiped.
 */
import { describe, expect, it } from 'vitest'
import type { BootRecord, SlotState } from '../../../core/boot-record.ts'
import { otherSlot, type SlotId, slotIds } from '../../../core/units.ts'
import {
  type AttemptMemory,
  type AttemptOutcome,
  attemptOutcome,
  mayWipe,
  type Standing,
  standingOf,
  type WipeFacts,
  type WipeVerdict,
} from '../../../device/update/boot-rules.ts'

const slotStates: readonly SlotState[] = [false, true].flatMap((ok) =>
  [0, 1, 2].flatMap((sv) => [0, 1, 3, 8].map((tries) => ({ ok, sv, tries }))),
)

/** Every record of the small space with the slot that runs: 2 × (24² × 3 × 2) cases. */
function* cases(): Generator<{ record: BootRecord; own: SlotId; other: SlotId }> {
  for (const a of slotStates) {
    for (const b of slotStates) {
      for (const floor of [0, 1, 2]) {
        for (const priority of slotIds) {
          for (const own of slotIds) {
            const record = { a, b, floor, priority, sequence: 7, others: new Map([['x', 'y']]) }
            yield { record, own, other: otherSlot(own) }
          }
        }
      }
    }
  }
}

const text = (record: BootRecord, own: SlotId): string =>
  `${own} of ${JSON.stringify({ a: record.a, b: record.b, floor: record.floor, pri: record.priority })}`

/** Runs `check` over the space; one expectation instead of thousands. */
function everywhere(
  applies: (record: BootRecord, own: SlotId, other: SlotId) => boolean,
  check: (record: BootRecord, own: SlotId, other: SlotId) => boolean,
): void {
  const wrong: string[] = []
  let seen = 0
  for (const { record, own, other } of cases()) {
    if (!applies(record, own, other)) continue
    seen += 1
    if (!check(record, own, other) && wrong.length < 5) wrong.push(text(record, own))
  }
  expect(wrong).toEqual([])
  expect(seen).toBeGreaterThan(50)
}

const always = (): boolean => true

describe('the outcome of an attempt at a new start (rule 13)', () => {
  const base = { floor: 0, priority: 'a' as SlotId, sequence: 1, others: new Map<string, string>() }
  const good = { ok: true, sv: 1, tries: 7 }
  const record = (change: Partial<BootRecord>): BootRecord => ({
    ...base,
    a: good,
    b: { ok: false, sv: 0, tries: 0 },
    ...change,
  })
  const attempt = (change: Partial<AttemptMemory> = {}): AttemptMemory => ({
    releaseId: 'new',
    target: 'b',
    phase: 'arming',
    armedInBoot: 'boot-1',
    ...change,
  })
  const opened = attempt({ phase: 'opened', armedInBoot: null })
  const armed = { ok: false, sv: 1, tries: 2 }
  const withB = (state: SlotState, change: Partial<BootRecord> = {}): BootRecord =>
    record({ b: state, ...change })

  type Row = readonly [string, AttemptOutcome, AttemptMemory, BootRecord, SlotId, string, string | null]
  const rows: readonly Row[] = [
    [
      'target committed with this release, running it',
      'succeeded',
      attempt(),
      withB(good, { priority: 'b' }),
      'b',
      'boot-2',
      'new',
    ],
    [
      'target committed with this release, fell back from it (2)',
      'succeeded',
      attempt(),
      withB({ ...good, tries: 0 }),
      'a',
      'boot-9',
      'new',
    ],
    ['target committed with another release (3)', 'failed', attempt(), withB(good), 'a', 'boot-9', 'old'],
    [
      'only opened, target committed with this release before the attempt',
      'resume',
      opened,
      withB(good),
      'a',
      'boot-1',
      'new',
    ],
    ['only opened, nothing written', 'resume', opened, record({}), 'a', 'boot-1', null],
    ['only opened, target runs', 'resume', opened, withB(good, { priority: 'b' }), 'b', 'boot-2', 'old'],
    ['only opened, target on trial', 'resume', opened, withB(armed, { priority: 'b' }), 'b', 'boot-2', 'new'],
    ['sealed, the record not written yet (1)', 'resume', attempt(), record({}), 'a', 'boot-2', 'new'],
    ['sealed, the record not written yet, same boot', 'resume', attempt(), record({}), 'a', 'boot-1', 'new'],
    [
      'armed in this very boot',
      'reboot',
      attempt(),
      withB({ ...armed, tries: 3 }, { priority: 'b' }),
      'a',
      'boot-1',
      'new',
    ],
    ['target runs on trial', 'trial', attempt(), withB(armed, { priority: 'b' }), 'b', 'boot-2', 'new'],
    [
      'target runs off trial: a rescue',
      'failed',
      attempt(),
      withB(armed, { priority: 'a' }),
      'b',
      'boot-2',
      'new',
    ],
    [
      'target runs, but holds something else',
      'failed',
      attempt(),
      withB(armed, { priority: 'b' }),
      'b',
      'boot-2',
      'old',
    ],
    [
      'tries are used up',
      'failed',
      attempt(),
      withB({ ...armed, tries: 0 }, { priority: 'b' }),
      'a',
      'boot-5',
      'new',
    ],
    [
      'did not verify, tries are left',
      'failed',
      attempt(),
      withB(armed, { priority: 'b' }),
      'a',
      'boot-2',
      null,
    ],
    ['rolled back by itself', 'failed', attempt(), withB({ ...armed, tries: 0 }), 'a', 'boot-3', 'new'],
    [
      'in place, armed in this very boot',
      'reboot',
      attempt({ target: 'a' }),
      record({ a: { ok: false, sv: 1, tries: 3 } }),
      'a',
      'boot-1',
      'new',
    ],
    [
      'in place, armed, runs on trial',
      'trial',
      attempt({ target: 'a' }),
      record({ a: { ok: false, sv: 1, tries: 2 } }),
      'a',
      'boot-2',
      'new',
    ],
    [
      'in place, the record not written yet, same boot',
      'resume',
      attempt({ target: 'a' }),
      record({ a: { ok: false, sv: 1, tries: 2 }, b: good, priority: 'b' }),
      'a',
      'boot-1',
      'new',
    ],
    [
      'in place, given up for the other slot',
      'failed',
      attempt({ target: 'a' }),
      record({ a: { ok: false, sv: 1, tries: 0 }, b: good, priority: 'b' }),
      'b',
      'boot-5',
      'new',
    ],
  ]
  for (const [name, outcome, memory, at, own, bootId, sealed] of rows) {
    it(`is ${outcome}: ${name}`, () => {
      expect(attemptOutcome(memory, at, own, bootId, sealed)).toBe(outcome)
    })
  }

  it('is never a success without a committed target that holds this very release', () => {
    const phases: readonly AttemptMemory['phase'][] = ['opened', 'arming']
    for (const phase of phases) {
      for (const target of slotIds) {
        for (const sealed of ['new', 'old', null]) {
          everywhere(
            (it, own) =>
              attemptOutcome(attempt({ phase, target }), it, own, 'boot-2', sealed) === 'succeeded' ||
              it.floor === 0,
            (it, own) => {
              const got = attemptOutcome(attempt({ phase, target }), it, own, 'boot-2', sealed)
              return got !== 'succeeded' || (it[target].ok && sealed === 'new' && phase === 'arming')
            },
          )
        }
      }
    }
  })

  it('is a trial only in a slot that stands on trial', () => {
    everywhere(always, (it, own) => {
      const got = attemptOutcome(attempt({ target: own }), it, own, 'boot-2', 'new')
      return got !== 'trial' || standingOf(it, own) === 'trial'
    })
  })
})

describe('whether a spare may be wiped (rule 10)', () => {
  const standings: readonly Standing[] = ['committed', 'trial', 'rescue']
  const yesNo = [false, true]
  const facts: readonly WipeFacts[] = standings.flatMap((standing) =>
    yesNo.flatMap((spareUsable) =>
      [null, false, true].flatMap((ownIntact) =>
        yesNo.flatMap((spareOk) =>
          [0, 2].flatMap((spareTries) =>
            yesNo.flatMap((spareLived) =>
              yesNo.map((back) => ({
                standing,
                spareUsable,
                ownIntact,
                spareOk,
                spareTries,
                spareLived,
                handedBack: back,
              })),
            ),
          ),
        ),
      ),
    ),
  )

  /** Rule 10 in its own order. */
  const byRule = (it: WipeFacts): WipeVerdict => {
    const a = !it.spareUsable
    if (a) return 'wipe'
    if (it.ownIntact === null) return 're-read'
    const b = it.standing === 'committed' && it.ownIntact
    const c = !it.ownIntact && !it.spareOk && !it.spareLived
    const d = it.ownIntact && it.standing === 'rescue' && it.handedBack && it.spareTries === 0
    if (b || c || d) return 'wipe'
    return it.ownIntact ? 'refuse' : 'boot the spare'
  }

  it('is as the rule says, for every combination of facts', () => {
    expect(facts.filter((it) => mayWipe(it) !== byRule(it))).toEqual([])
  })

  it('never wipes a usable spare that is committed while the own slot is rotten (6)', () => {
    const deadly = facts.filter((it) => it.spareUsable && it.spareOk && it.ownIntact === false)
    expect(deadly.filter((it) => mayWipe(it) === 'wipe')).toEqual([])
  })

  it('never wipes a usable spare unless the own slot was re-read', () => {
    expect(
      facts.filter((it) => it.spareUsable && it.ownIntact === null && mayWipe(it) !== 're-read'),
    ).toEqual([])
  })
})
