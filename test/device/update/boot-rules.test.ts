/**
 * The rules of boot, install, commit and rollback over every small record, against their wording; and the
 * tables of outcome and wiping row by row.
 */
import { describe, expect, it } from 'vitest'
import { type BootRecord, type SlotState, withSlot } from '../../../core/boot-record.ts'
import type { CommitStamp } from '../../../core/commit-stamp.ts'
import { otherSlot, type SlotId, slotIds } from '../../../core/units.ts'
import {
  claimsPriority,
  closed,
  committed,
  floorAfterCommit,
  floorOf,
  handedBack,
  mayRollBack,
  onTrialInPlace,
  rolledBack,
  spareArmed,
  spareCleared,
  spareFirst,
  standingOf,
  tidied,
  trialOpen,
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

/** Rule 1. */
const selectable = (record: BootRecord, slot: SlotId): boolean =>
  record[slot].tries > 0 && (record[slot].sv >= record.floor || record[slot].sv === 0)

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
const same = (a: SlotState, b: SlotState): boolean => a.ok === b.ok && a.sv === b.sv && a.tries === b.tries
/** Nothing but slots and priority is touched: floor, sequence and foreign keys stay. */
const restKept = (before: BootRecord, after: BootRecord): boolean =>
  after.floor === before.floor && after.sequence === before.sequence && after.others === before.others

describe('standing (rule 6)', () => {
  it('is committed exactly when the own slot is ok', () => {
    everywhere(always, (it, own) => (standingOf(it, own) === 'committed') === it[own].ok)
  })

  it('is a trial exactly when not ok, and first or the other one is out', () => {
    everywhere(always, (it, own, other) => {
      const out = !it[other].ok && it[other].tries === 0
      const trial = !it[own].ok && (it.priority === own || out)
      return (standingOf(it, own) === 'trial') === trial
    })
  })

  it('has a trial open exactly when the slot that comes first is not committed', () => {
    everywhere(always, (it) => trialOpen(it) === !it[it.priority].ok)
  })

  it('takes the floor from whichever of record and stamp is higher', () => {
    const stamps: readonly (CommitStamp | null)[] = [
      null,
      { floor: 0, priority: 'a' },
      { floor: 2, priority: 'b' },
    ]
    for (const stamp of stamps) {
      everywhere(always, (it) => floorOf(it, stamp) === Math.max(it.floor, stamp?.floor ?? 0))
    }
  })
})

describe('installation (rule 7)', () => {
  it('first takes every promise from the spare and none from the own slot', () => {
    everywhere(always, (it, own, spare) => {
      const next = spareCleared(it, spare)
      const cleared = same(next[spare], { ok: false, sv: 0, tries: 0 })
      return cleared && same(next[own], it[own]) && next.priority === it.priority && restKept(it, next)
    })
  })

  it('leaves what is bootable bootable while the spare is cleared', () => {
    everywhere(
      (it, own) => selectable(it, own),
      (it, own, spare) => selectable(spareCleared(it, spare), own),
    )
  })

  it('last puts the spare first with three tries and its security version, not committed', () => {
    everywhere(always, (it, own, spare) => {
      const next = spareArmed(it, spare, 2)
      const armed = same(next[spare], { ok: false, sv: 2, tries: 3 }) && next.priority === spare
      return armed && same(next[own], it[own]) && restKept(it, next) && standingOf(next, spare) === 'trial'
    })
  })
})

describe('commit (rule 8)', () => {
  it('makes the own slot ok with eight tries and first, floor as it was', () => {
    everywhere(always, (it, own) => {
      const next = committed(it, own, 2)
      const mine = same(next[own], { ok: true, sv: 2, tries: 8 }) && next.priority === own
      return mine && restKept(it, next) && standingOf(next, own) === 'committed'
    })
  })

  it('leaves a committed other slot alone and an unproved one without tries', () => {
    everywhere(always, (it, own, other) => {
      const left = committed(it, own, 1)[other]
      return same(left, it[other].ok ? it[other] : { ...it[other], tries: 0 })
    })
  })

  const numbers = [0, 1, 2, 3]
  const floors = numbers.flatMap((floor) =>
    numbers.flatMap((ownSv) =>
      [null, ...numbers].flatMap((otherSv) =>
        [null, ...numbers].flatMap((wanted) =>
          [false, true].map((ownIntact) => ({ floor, ownSv, otherSv, wanted, ownIntact })),
        ),
      ),
    ),
  )
  const raised = (it: (typeof floors)[number]): number =>
    floorAfterCommit(it.floor, it.ownSv, it.otherSv, it.wanted, it.ownIntact)

  it('never lets the floor fall', () => {
    expect(floors.filter((it) => raised(it) < it.floor)).toEqual([])
  })

  it('never raises the floor above the system that has just been committed', () => {
    const possible = floors.filter((it) => it.ownSv >= it.floor)
    expect(possible.filter((it) => raised(it) > it.ownSv)).toEqual([])
  })

  it('keeps an intact other slot bootable unless the release bars it and the own slot was re-read', () => {
    const allowed = floors.filter(
      (it) => it.otherSv !== null && it.otherSv >= it.floor && it.ownSv >= it.floor,
    )
    const passing = allowed.filter((it) => raised(it) > (it.otherSv ?? 0))
    expect(passing.length).toBeGreaterThan(0)
    expect(passing.filter((it) => it.wanted === null || !it.ownIntact)).toEqual([])
  })

  it('bars what the release asks for, up to its own version', () => {
    const asked = floors.filter((it) => it.wanted !== null && it.ownIntact)
    for (const it of asked) {
      expect(raised(it)).toBeGreaterThanOrEqual(Math.min(it.wanted ?? 0, it.ownSv))
    }
  })

  it('by default takes the lower version of both slots, the own one when the other does not verify', () => {
    expect(floorAfterCommit(1, 3, 2, null, false)).toBe(2)
    expect(floorAfterCommit(1, 2, 3, null, false)).toBe(2)
    expect(floorAfterCommit(1, 3, null, null, false)).toBe(3)
    expect(floorAfterCommit(2, 3, 1, null, false)).toBe(3)
  })
})

describe('rollback (rule 9)', () => {
  it('is allowed on a trial only, and only to a slot that is committed or has tries', () => {
    everywhere(always, (it, own, other) => {
      const somewhere = it[other].ok || it[other].tries > 0
      return mayRollBack(it, own) === (standingOf(it, own) === 'trial' && somewhere)
    })
  })

  it('takes the own slot out and puts the other first with at least one try', () => {
    everywhere(always, (it, own, other) => {
      const next = rolledBack(it, own)
      const out = same(next[own], { ok: false, sv: it[own].sv, tries: 0 })
      const tries = Math.max(1, it[other].tries)
      return (
        out && same(next[other], { ...it[other], tries }) && next.priority === other && restKept(it, next)
      )
    })
  })

  it('leaves somebody to boot where it is allowed and the other is at or above the floor', () => {
    everywhere(
      (it, own, other) => mayRollBack(it, own) && (it[other].sv >= it.floor || it[other].sv === 0),
      (it, own, other) => selectable(rolledBack(it, own), other),
    )
  })
})

describe('rescue (rule 11)', () => {
  it('hands back with three tries for the other, and touches nothing of its own', () => {
    everywhere(always, (it, own, other) => {
      const next = handedBack(it, own)
      const given = same(next[other], { ...it[other], tries: 3 }) && next.priority === other
      return given && same(next[own], it[own]) && restKept(it, next)
    })
  })

  it('is on trial again in its place by an assignment of its own release', () => {
    everywhere(always, (it, own, other) => {
      const next = onTrialInPlace(it, own)
      const mine = same(next[own], { ok: false, sv: it[own].sv, tries: 3 }) && next.priority === own
      return mine && same(next[other], it[other]) && standingOf(next, own) === 'trial'
    })
  })
})

describe('putting right (rule 12)', () => {
  it('gives the own slot its eight tries, whatever else', () => {
    everywhere(always, (it, own) =>
      [false, true].every((open) => tidied(it, own, open).record[own].tries === 8),
    )
  })

  it('calls it a fall back exactly when the other comes first and no attempt is open', () => {
    everywhere(always, (it, own) => {
      const { fellBack, record } = tidied(it, own, false)
      return fellBack === (it.priority !== own) && record.priority === own && !tidied(it, own, true).fellBack
    })
  })

  it('takes the tries of the slot that was fallen back from, and of any unproved spare', () => {
    everywhere(always, (it, own, other) => {
      const { record } = tidied(it, own, false)
      const out = it.priority !== own || !it[other].ok
      return same(record[other], out ? { ...it[other], tries: 0 } : it[other])
    })
  })

  it('takes an attempt for open once it is past its opening', () => {
    expect(claimsPriority(null)).toBe(false)
    expect(claimsPriority({ phase: 'opened' })).toBe(false)
    expect(claimsPriority({ phase: 'arming' })).toBe(true)
  })

  it('leaves priority and spare to an open attempt', () => {
    everywhere(always, (it, own, other) => {
      const { record } = tidied(it, own, true)
      return record.priority === it.priority && same(record[other], it[other])
    })
  })

  it('says truly whether anything changed and whether a promise is withdrawn', () => {
    everywhere(always, (it, own, other) =>
      [false, true].every((open) => {
        const { record, changed, withdraws } = tidied(it, own, open)
        const differs = !same(record.a, it.a) || !same(record.b, it.b) || record.priority !== it.priority
        return (
          changed === differs && withdraws === record[other].tries < it[other].tries && restKept(it, record)
        )
      }),
    )
  })

  it('changes nothing the second time', () => {
    everywhere(always, (it, own) => !tidied(tidied(it, own, false).record, own, false).changed)
  })
})

describe('an attempt that came to nothing (rule 13)', () => {
  it('is closed: own slot first, the spare without tries, nothing else', () => {
    everywhere(always, (it, own, spare) => {
      const next = closed(it, own)
      const out = same(next[spare], { ...it[spare], tries: 0 }) && next.priority === own
      return out && same(next[own], it[own]) && restKept(it, next)
    })
  })

  it('leaves the only good slot selectable (rule 10, own slot rotten)', () => {
    everywhere(always, (it, own, spare) => {
      const next = spareFirst(it, own)
      const tries = Math.max(1, it[spare].tries)
      const given = same(next[spare], { ...it[spare], tries }) && next.priority === spare
      return given && same(next[own], it[own]) && restKept(it, next)
    })
  })
})

describe('nobody is left without a slot to boot', () => {
  /** What the healthy agent in a selectable own slot may do. */
  const changes: Readonly<Record<string, (it: BootRecord, own: SlotId) => BootRecord>> = {
    cleared: (it, own) => spareCleared(it, otherSlot(own)),
    armed: (it, own) => spareArmed(it, otherSlot(own), 2),
    committed: (it, own) => committed(it, own, it[own].sv),
    rolledBack,
    handedBack,
    inPlace: onTrialInPlace,
    closed,
    tidied: (it, own) => tidied(it, own, false).record,
    tidiedOpen: (it, own) => tidied(it, own, true).record,
    spareFirst,
  }
  for (const [name, change] of Object.entries(changes)) {
    it(`by ${name}`, () => {
      everywhere(
        (it, own, other) => {
          const otherGood = it[other].sv === 0 || it[other].sv >= it.floor
          const guarded = name === 'rolledBack' ? mayRollBack(it, own) && otherGood : true
          return selectable(it, own) && guarded
        },
        (it, own) => slotIds.some((slot) => selectable(change(it, own), slot)),
      )
    })
  }
})

describe('withSlot', () => {
  it('changes one slot of the record only', () => {
    everywhere(always, (it, own, other) => {
      const next = withSlot(it, own, { ok: true, sv: 9, tries: 9 })
      return next[own].sv === 9 && same(next[other], it[other]) && restKept(it, next)
    })
  })
})
