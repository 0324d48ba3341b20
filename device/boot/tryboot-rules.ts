/**
 * What the agent decides on a board whose firmware counts nothing (Raspberry Pi, tryboot), as pure functions of the
 * boot record: which slot every plain boot starts, which one comes next, and the try that a trial costs.
 * Promise: while a committed slot exists, [all] names it, so that an unproved one is only ever started by the
 * one-shot flag, and only after the record has counted it. docs/BOOT.md, "The tryboot back end".
 * Leaves to others: autoboot.txt and the reboot (tryboot.ts), everything else about the record (update/boot-rules.ts).
 */
import { type BootRecord, withSlot } from '../../core/boot-record.ts'
import { slotLimits } from '../../core/limits.ts'
import { otherSlot, type SlotId } from '../../core/units.ts'

/**
 * The slot that [all] names. The slot that comes first if it is committed, else the other if that is; where nothing
 * is committed the one that a trial of the first gives way to, as far as it has tries.
 */
export function defaultSlot(record: BootRecord, own: SlotId): SlotId {
  const first = record.priority
  const other = otherSlot(first)
  if (record[first].ok) return first
  if (record[other].ok || record[other].tries > 0) return other
  return record[first].tries > 0 ? first : own
}

/** Rules 1 and 2 for a slot that was never proved: whether it is to be tried, and not by a plain boot. */
export function trialDue(record: BootRecord, floor: number, own: SlotId): boolean {
  const { ok, sv, tries } = record[record.priority]
  return !ok && tries > 0 && sv >= floor && sv > 0 && defaultSlot(record, own) !== record.priority
}

/** Rule 2: the trial costs a try before it is started. A counter above what any writer gives is garbage. */
export function tryTaken(record: BootRecord): BootRecord {
  const { [record.priority]: slot } = record
  return withSlot(record, record.priority, {
    ...slot,
    tries: Math.min(slot.tries, slotLimits.trialTries) - 1,
  })
}

/**
 * Rule 4: both copies of the record are bad. What verifies goes on trial; the boot that runs is the first try of its
 * slot when that comes first.
 * @param versions security version of each slot that verifies, else null
 */
export function rebuilt(
  versions: Readonly<Record<SlotId, number | null>>,
  own: SlotId,
  stamp: { readonly floor: number; readonly priority: SlotId } | null,
): BootRecord {
  const priority = stamp?.priority ?? own
  const slotAfter = (slot: SlotId) => {
    const sv = versions[slot]
    if (sv === null) return { ok: false, sv: 0, tries: 0 }
    const begun = slot === own && slot === priority ? 1 : 0
    return { ok: false, sv, tries: slotLimits.trialTries - begun }
  }
  const slots = { a: slotAfter('a'), b: slotAfter('b') }
  return { ...slots, floor: stamp?.floor ?? 0, priority, sequence: 0, others: new Map() }
}
