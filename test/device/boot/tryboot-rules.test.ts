/** What the agent derives from the record on a board whose firmware counts nothing: over every small record. */
import { describe, expect, it } from 'vitest'
import type { BootRecord, SlotState } from '../../../core/boot-record.ts'
import { otherSlot, slotIds } from '../../../core/units.ts'
import { defaultSlot, rebuilt, trialDue, tryTaken } from '../../../device/boot/tryboot-rules.ts'
import { rolledBack, spareArmed, standingOf } from '../../../device/update/boot-rules.ts'

const states: readonly SlotState[] = [true, false].flatMap((ok) =>
  [0, 1, 2].flatMap((sv) => [0, 1, 3].map((tries) => ({ ok, sv, tries }))),
)
const records: readonly BootRecord[] = states.flatMap((a) =>
  states.flatMap((b) =>
    slotIds.map((priority) => ({ a, b, floor: 1, priority, sequence: 5, others: new Map() })),
  ),
)
const everyCase = records.flatMap((record) => slotIds.map((own) => ({ record, own })))

describe('the slot that [all] names', () => {
  it('is never one that was not proved, as long as one was; of two that were, the one that comes first', () => {
    for (const { record, own } of everyCase) {
      const named = defaultSlot(record, own)
      const proved = slotIds.filter((it) => record[it].ok)
      if (proved.length > 0) expect(proved).toContain(named)
      if (proved.length === 2) expect(named).toBe(record.priority)
    }
  })

  it('has boots left, or is the one that runs, where nothing is proved', () => {
    for (const { record, own } of everyCase) {
      if (record.a.ok || record.b.ok) continue
      const named = defaultSlot(record, own)
      if (record[named].tries === 0) expect([named, record.a.tries, record.b.tries]).toEqual([own, 0, 0])
    }
  })
})

describe('a trial', () => {
  it('is due only with tries, above the floor, for the slot that comes first and that [all] does not name', () => {
    let due = 0
    for (const { record, own } of everyCase) {
      const slot = record[record.priority]
      const wanted =
        !slot.ok && slot.tries > 0 && slot.sv >= 1 && defaultSlot(record, own) === otherSlot(record.priority)
      expect(trialDue(record, 1, own)).toBe(wanted)
      if (wanted) due += 1
    }
    expect(due).toBeGreaterThan(50)
    expect(trialDue(spareArmed(proved, 'b', 1), 2, 'a')).toBe(false)
  })

  it('is over after three hand-overs, and leaves the rest of the record alone', () => {
    let record = spareArmed(proved, 'b', 2)
    for (const left of [2, 1, 0]) {
      expect(trialDue(record, 1, 'a')).toBe(true)
      const next = tryTaken(record)
      expect(next).toEqual({ ...record, b: { ...record.b, tries: left } })
      record = next
    }
    expect(trialDue(record, 1, 'a')).toBe(false)
    expect(tryTaken({ ...record, b: { ...record.b, tries: 0xffff } }).b.tries).toBe(2)
  })

  it('that was rolled back is not due', () => {
    expect(trialDue(rolledBack(spareArmed(proved, 'b', 2), 'b'), 1, 'b')).toBe(false)
  })
})

describe('a record that is rebuilt', () => {
  const stamp = { floor: 2, priority: 'b' } as const

  it('puts what verifies on trial; the boot that runs is the first try of what comes first', () => {
    const both = rebuilt({ a: 2, b: 3 }, 'b', stamp)
    expect(both).toMatchObject({ floor: 2, priority: 'b', a: { ok: false, sv: 2, tries: 3 } })
    expect(both.b).toEqual({ ok: false, sv: 3, tries: 2 })
    expect(standingOf(both, 'b')).toBe('trial')
    const alone = rebuilt({ a: null, b: 3 }, 'b', null)
    expect(alone).toMatchObject({
      floor: 0,
      priority: 'b',
      a: { ok: false, sv: 0, tries: 0 },
      b: { tries: 2 },
    })
  })

  it('hands over to what the stamp names, if another slot runs', () => {
    const record = rebuilt({ a: 2, b: 3 }, 'a', stamp)
    expect(record.b.tries).toBe(3)
    expect(trialDue(record, 2, 'a')).toBe(true)
    expect(trialDue(rebuilt({ a: 2, b: null }, 'a', stamp), 2, 'a')).toBe(false)
  })
})

const proved: BootRecord = {
  a: { ok: true, sv: 1, tries: 8 },
  b: { ok: false, sv: 0, tries: 0 },
  ...{ floor: 1, priority: 'a', sequence: 5, others: new Map() },
}
