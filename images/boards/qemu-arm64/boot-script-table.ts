/**
 * The boot table of docs/BOOT.md as lines for the shell of a stock U-Boot: from what is known to the next step.
 * Promise: the same rows in the same order as the emulated loader's; a test plays both over the same records.
 * Variables: eb_rec record valid, eb_wr writable, eb_fl floor, eb_re re-armed; per slot eb_l looked at (- y n),
 * eb_s security version seen, eb_t try taken. Results: eb_row, eb_do (look save start stop), eb_c the slot.
 * Leaves to others: carrying the step out (boot-script.ts).
 */
import { slotLimits } from '../../../core/limits.ts'
import { otherSlot, type SlotId, slotIds } from '../../../core/units.ts'

/** Numbers of the shell are hexadecimal. */
const hex = (value: number): string => value.toString(16)

/** @returns lines that choose the next step */
export function nextStep(): readonly string[] {
  return [...chooseCandidate(), ...decide()]
}

/** In order of priority; where tries cannot be counted, a committed one first. */
function chooseCandidate(): string[] {
  const first = (order: readonly SlotId[], when: (slot: SlotId) => string[]): string[] =>
    order.flatMap((slot) => [`if test \${eb_c} = - && test \${eb_l${slot}} != n; then`, ...when(slot), 'fi'])
  const selectable = (slot: SlotId): string[] => [
    `if test \${eb_t${slot}} = 1; then eb_c=${slot}; else`,
    `if itest \${${slot}_tries} -gt 0; then`,
    `if itest \${${slot}_sv} -ge \${eb_fl} || itest \${${slot}_sv} -eq 0; then eb_c=${slot}; fi`,
    'fi',
    'fi',
  ]
  const committed = (slot: SlotId): string[] => [`if test \${${slot}_ok} = 1; then eb_c=${slot}; fi`]
  const inOrder = (order: readonly SlotId[]): string[] => [
    `if test \${eb_wr} = 1; then`,
    ...first(order, selectable),
    'else',
    ...first(order, committed),
    ...first(order, (slot) => [`eb_c=${slot}`]),
    'fi',
  ]
  return [
    'eb_c=-',
    `if test \${eb_rec} = 1; then`,
    `if test \${st_pri} = a; then`,
    ...inOrder(['a', 'b']),
    'else',
    ...inOrder(['b', 'a']),
    'fi',
    'fi',
    'eb_lc=-; eb_tc=0',
    ...slotIds.map(
      (slot) => `if test \${eb_c} = ${slot}; then eb_lc=\${eb_l${slot}}; eb_tc=\${eb_t${slot}}; fi`,
    ),
  ]
}

/** Rows of the table, first that applies; `eb_do` is what to do, `eb_c` the slot, `eb_row` the row. */
function decide(): string[] {
  const unseen = slotIds.map((slot) => `test \${eb_l${slot}} = -`).join(' || ')
  const someVerified = slotIds.map((slot) => `test \${eb_l${slot}} = y`).join(' || ')
  const firstUnseen = `if test \${eb_la} = -; then eb_c=a; else eb_c=b; fi`
  const step = (row: string, what: string, more: readonly string[] = []): string[] => [
    `eb_row=${row}`,
    `eb_do=${what}`,
    ...more,
  ]
  return [
    'eb_do=stop; eb_row=stop',
    'eb_un=0; eb_sm=0',
    `if ${unseen}; then eb_un=1; fi`,
    `if ${someVerified}; then eb_sm=1; fi`,
    `if test \${eb_rec} = 0; then`,
    `if test \${eb_un} = 1; then`,
    ...step('lost-look', 'look', [firstUnseen]),
    'else',
    ...step('lost-rebuild', 'save', rebuild()),
    'fi',
    'else',
    `if test \${eb_c} = -; then`,
    `if test \${eb_wr} = 1 && test \${eb_re} = 0; then`,
    `if test \${eb_un} = 1; then`,
    ...step('rearm-look', 'look', [firstUnseen]),
    'else',
    `if test \${eb_sm} = 1; then`,
    ...step('rearm', 'save', rearm()),
    'fi',
    'fi',
    'fi',
    'else',
    `if test \${eb_wr} = 0 && test \${eb_lc} = -; then`,
    ...step('uncounted-look', 'look'),
    'else',
    `if test \${eb_wr} = 1 && test \${eb_tc} = 0; then`,
    ...step('take-try', 'save', slotIds.flatMap(takeTry)),
    'else',
    `if test \${eb_lc} = -; then`,
    ...step('look', 'look'),
    'else',
    ...step('start', 'start'),
    'fi',
    'fi',
    'fi',
    'fi',
    'fi',
    `echo "everboot: [\${eb_row}] \${eb_c}"`,
  ]
}

/** A counter above what any writer gives is garbage and counts as full. */
function takeTry(slot: SlotId): string[] {
  const tries = `${slot}_tries`
  return [
    `if test \${eb_c} = ${slot}; then`,
    `eb_full=${hex(slotLimits.trialTries)}`,
    `if test \${${slot}_ok} = 1; then eb_full=${hex(slotLimits.committedTries)}; fi`,
    `if itest \${${tries}} -gt \${eb_full}; then setenv ${tries} \${eb_full}; fi`,
    `setexpr ${tries} \${${tries}} - 1`,
    `eb_t${slot}=1`,
    'fi',
  ]
}

/** Rule 4, with the seal's own word for the security version. */
function rebuild(): string[] {
  const slotAfter = (slot: SlotId): string[] => [
    `setenv ${slot}_ok 0`,
    `if test \${eb_l${slot}} = y; then setenv ${slot}_sv \${eb_s${slot}}; setenv ${slot}_tries ${hex(slotLimits.trialTries)}; else setenv ${slot}_sv 0; setenv ${slot}_tries 0; fi`,
  ]
  return [...slotIds.flatMap(slotAfter), `setenv floor \${eb_sf}`, `setenv st_pri \${eb_sp}`, 'eb_rec=1']
}

/** Rule 3: one write for everybody. */
function rearm(): string[] {
  const slotAfter = (slot: SlotId): string[] => [
    `if test \${eb_l${slot}} = y; then`,
    `setenv ${slot}_tries 1`,
    `if test \${${slot}_ok} = 1; then setenv ${slot}_tries ${hex(slotLimits.committedTries)}; fi`,
    `if itest \${${slot}_sv} -lt \${eb_fl} && itest \${${slot}_sv} -ne 0; then setenv ${slot}_sv \${eb_s${slot}}; fi`,
    'fi',
  ]
  const priority = (slot: SlotId): string => {
    const other = otherSlot(slot)
    return `if test \${st_pri} = ${slot} && test \${${slot}_ok} = 0 && test \${${other}_ok} = 1 && test \${eb_l${other}} = y; then eb_p=${other}; fi`
  }
  return [
    ...slotIds.flatMap(slotAfter),
    `eb_p=\${st_pri}`,
    ...slotIds.map(priority),
    `setenv st_pri \${eb_p}`,
    'eb_re=1',
  ]
}
