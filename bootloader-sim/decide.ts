/**
 * The boot table: what a bootloader does next, given what it knows so far. Ordered rows; the first that
 * applies fires. Pure: the loader carries the step out, adds what it learnt and asks again.
 * Promise: a slot is started only after it verified in this very boot; every boot costs a try, written
 * before the slot is looked at; nothing is re-armed twice in a boot. BOOT rules 1 to 4.
 * Leaves to others: reading, writing and verifying (bootloader.ts), the verdict on health (the agent).
 */
import { assert, present } from '../core/assert.ts'
import { type BootRecord, type SlotState, withSlot } from '../core/boot-record.ts'
import type { CommitStamp } from '../core/commit-stamp.ts'
import { slotLimits } from '../core/limits.ts'
import { otherSlot, type SlotId, slotIds } from '../core/units.ts'

/** What looking at a slot found: seal authentic, at or above the floor, images intact; or why not. */
export type Verdict =
  | { readonly verified: true; readonly securityVersion: number; readonly releaseId: string }
  | { readonly verified: false; readonly why: string }

/** What the loader knows at some point of one boot. */
export interface Knowledge {
  /** The record that counts, or null when both copies are bad. */
  readonly record: BootRecord | null
  readonly stamp: CommitStamp | null
  /** False once the boot partition failed to keep a write: tries cannot be counted any more. */
  readonly writable: boolean
  /** null: not looked at in this boot. */
  readonly verdicts: Readonly<Record<SlotId, Verdict | null>>
  /** A try was taken in this boot. */
  readonly taken: Readonly<Record<SlotId, boolean>>
  readonly rearmed: boolean
}

export type Step =
  | { readonly do: 'look'; readonly slot: SlotId }
  | { readonly do: 'rebuild'; readonly record: BootRecord }
  | { readonly do: 'take'; readonly slot: SlotId; readonly record: BootRecord }
  | { readonly do: 'rearm'; readonly record: BootRecord }
  | { readonly do: 'start'; readonly slot: SlotId }
  | { readonly do: 'stop' }

export interface Row {
  readonly id: string
  /** Rule of the boot protocol behind it. */
  readonly rule: number
  readonly when: string
  readonly action: string
  applies(known: Knowledge): boolean
  step(known: Knowledge): Step
}

/** The table. A row may count on all rows above it not to apply. */
export const bootTable: readonly Row[] = [
  {
    id: 'lost-look',
    rule: 4,
    when: 'both copies of the record are bad, and a slot was not looked at yet',
    action: 'look at it',
    applies: (known) => known.record === null && unseen(known) !== null,
    step: (known) => ({ do: 'look', slot: present(unseen(known), 'slot to look at') }),
  },
  {
    id: 'lost-rebuild',
    rule: 4,
    when: 'both copies of the record are bad, and both slots were looked at',
    action:
      'write a record: what verifies on trial with 3 tries, the rest 0; floor and priority from the stamp',
    applies: (known) => known.record === null,
    step: (known) => ({ do: 'rebuild', record: rebuilt(known) }),
  },
  {
    id: 'uncounted-look',
    rule: 2,
    when: 'the record cannot be written, and the next slot (committed ones first) was not looked at yet',
    action: 'look at it',
    applies: (known) => !known.writable && candidate(known) !== null && !candidateSeen(known),
    step: (known) => ({ do: 'look', slot: present(candidate(known), 'candidate') }),
  },
  {
    id: 'take-try',
    rule: 2,
    when: 'a slot is selectable (priority slot first), was not refused in this boot and gave no try yet',
    action: 'write tries−1, flush',
    applies: (known) => known.writable && candidate(known) !== null && !candidateTaken(known),
    step: (known) => {
      const slot = present(candidate(known), 'candidate')
      return { do: 'take', slot, record: withoutOneTry(present(known.record, 'record'), slot) }
    },
  },
  {
    id: 'look',
    rule: 2,
    when: 'the slot that gave a try was not looked at yet',
    action: 'look at it; one that does not verify is refused for this boot',
    applies: (known) => candidate(known) !== null && !candidateSeen(known),
    step: (known) => ({ do: 'look', slot: present(candidate(known), 'candidate') }),
  },
  {
    id: 'start',
    rule: 2,
    when: 'the slot verified in this boot',
    action: 'start it',
    applies: (known) => candidate(known) !== null,
    step: (known) => ({ do: 'start', slot: present(candidate(known), 'candidate') }),
  },
  {
    id: 'rearm-look',
    rule: 3,
    when: 'nobody is selectable, nothing was re-armed in this boot, and a slot was not looked at yet',
    action: 'look at it',
    applies: (known) => known.writable && !known.rearmed && unseen(known) !== null,
    step: (known) => ({ do: 'look', slot: present(unseen(known), 'slot to look at') }),
  },
  {
    id: 'rearm',
    rule: 3,
    when: 'nobody is selectable, nothing was re-armed in this boot, and a slot verifies',
    action:
      'one write: committed slots that verify get 8 tries, others that verify 1; priority moves to a committed one if its slot is not committed',
    applies: (known) => known.writable && !known.rearmed && slotIds.some((slot) => verified(known, slot)),
    step: (known) => ({ do: 'rearm', record: rearmed(known) }),
  },
  {
    id: 'stop',
    rule: 3,
    when: 'nobody can be started',
    action: 'report EB-NO-SLOT, pause, reset',
    applies: () => true,
    step: () => ({ do: 'stop' }),
  },
]

/** @returns the row that fires and its step. */
export function decide(known: Knowledge): { readonly row: Row; readonly step: Step } {
  const row = present(
    bootTable.find((it) => it.applies(known)),
    'row of the boot table',
  )
  return { row, step: row.step(known) }
}

/** What a loader knows before its first step. */
export function atPowerOn(
  record: BootRecord | null,
  stamp: CommitStamp | null,
  writable: boolean,
): Knowledge {
  const none = { a: null, b: null }
  return { record, stamp, writable, verdicts: none, taken: { a: false, b: false }, rearmed: false }
}

/** What is known after a step. @param done the verdict of a look; of a write, whether the medium kept it. */
export function after(
  known: Knowledge,
  step: Exclude<Step, { do: 'start' | 'stop' }>,
  done: Verdict | boolean,
): Knowledge {
  if (step.do === 'look') {
    assert(typeof done !== 'boolean', 'a look gives a verdict')
    return { ...known, verdicts: { ...known.verdicts, [step.slot]: done } }
  }
  const written = { ...known, record: step.record, writable: done === true }
  if (step.do === 'take') return { ...written, taken: { ...known.taken, [step.slot]: true } }
  return step.do === 'rearm' ? { ...written, rearmed: true } : written
}

/** A slot that was looked at well, and then could not be started. */
export function refused(known: Knowledge, slot: SlotId, why: string): Knowledge {
  return { ...known, verdicts: { ...known.verdicts, [slot]: { verified: false, why } } }
}

/** The floor that counts: the higher of record and stamp. */
export function floorOf(known: Pick<Knowledge, 'record' | 'stamp'>): number {
  return Math.max(known.record?.floor ?? 0, known.stamp?.floor ?? 0)
}

/** Rule 1. */
export function selectable(slot: SlotState, floor: number): boolean {
  return slot.tries > 0 && (slot.sv >= floor || slot.sv === 0)
}

/** The slot to go on with, or null when nobody is left. */
function candidate(known: Knowledge): SlotId | null {
  const record = present(known.record, 'record')
  const order = [record.priority, otherSlot(record.priority)]
  const left = order.filter((slot) => known.verdicts[slot]?.verified !== false)
  if (!known.writable) {
    // A boot that cannot be counted must not be a trial while something committed is there.
    return left.find((slot) => record[slot].ok) ?? left[0] ?? null
  }
  const floor = floorOf(known)
  return left.find((slot) => known.taken[slot] || selectable(record[slot], floor)) ?? null
}

function candidateSeen(known: Knowledge): boolean {
  const slot = candidate(known)
  return slot !== null && known.verdicts[slot] !== null
}

function candidateTaken(known: Knowledge): boolean {
  const slot = candidate(known)
  return slot !== null && known.taken[slot]
}

function unseen(known: Knowledge): SlotId | null {
  return slotIds.find((slot) => known.verdicts[slot] === null) ?? null
}

function verified(known: Knowledge, slot: SlotId): boolean {
  return known.verdicts[slot]?.verified === true
}

/** A counter above what any writer gives is garbage and counts as full. */
function withoutOneTry(record: BootRecord, slot: SlotId): BootRecord {
  const { ok, tries } = record[slot]
  const full = ok ? slotLimits.committedTries : slotLimits.trialTries
  return withSlot(record, slot, { ...record[slot], tries: Math.min(tries, full) - 1 })
}

/** Rule 3. */
function rearmed(known: Knowledge): BootRecord {
  const record = present(known.record, 'record')
  const slotAfter = (slot: SlotId): SlotState => {
    const verdict = known.verdicts[slot]
    const before = record[slot]
    if (verdict?.verified !== true) return before
    // A record that puts the slot below the floor is wrong about it: the signed seal says otherwise.
    const sv = selectable({ ...before, tries: 1 }, floorOf(known)) ? before.sv : verdict.securityVersion
    return { ok: before.ok, sv, tries: before.ok ? slotLimits.committedTries : 1 }
  }
  const rescue = slotIds.find((slot) => verified(known, slot) && record[slot].ok)
  const priority = record[record.priority].ok ? record.priority : (rescue ?? record.priority)
  return { ...record, a: slotAfter('a'), b: slotAfter('b'), priority }
}

/** Rule 4. */
function rebuilt(known: Knowledge): BootRecord {
  const slotAfter = (slot: SlotId): SlotState => {
    const verdict = known.verdicts[slot]
    return verdict?.verified === true
      ? { ok: false, sv: verdict.securityVersion, tries: slotLimits.trialTries }
      : { ok: false, sv: 0, tries: 0 }
  }
  return {
    a: slotAfter('a'),
    b: slotAfter('b'),
    floor: known.stamp?.floor ?? 0,
    priority: known.stamp?.priority ?? 'a',
    sequence: 0,
    others: new Map(),
  }
}
