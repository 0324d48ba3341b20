/**
 * The boot record: which slot comes first, how many tries each has, the security floor.
 * Two copies on the boot partition; the newest valid one counts (equal sequence: the first).
 * Promise: a copy that is torn, rotten or of unknown form is never believed; unknown keys are kept; a
 * record that cannot be encoded is not written. `docs/BOOT.md` has the layout and the rules.
 * Leaves to others: reading and writing the medium, and what to do with the record.
 */
import { decodeEnvironment, encodeEnvironment } from './environment-block.ts'
import { slotLimits } from './limits.ts'
import { KiB, MiB, type SlotId } from './units.ts'

/** Where the copies, the commit stamp and, on a Raspberry Pi, the count of boots lie on the boot partition. */
export const bootPartition = {
  copyOffsets: [0, MiB] as readonly [number, number],
  stampOffset: 2 * MiB,
  countOffset: 2 * MiB + 512 * KiB,
  bytesMin: 3 * MiB,
} as const

export interface SlotState {
  /** Committed: proved healthy once. */
  readonly ok: boolean
  /** securityVersion of what the slot holds; 0 means never armed. */
  readonly sv: number
  readonly tries: number
}

export interface BootRecord {
  readonly a: SlotState
  readonly b: SlotState
  readonly floor: number
  readonly priority: SlotId
  readonly sequence: number
  /** Keys of other programs, kept as they are. */
  readonly others: ReadonlyMap<string, string>
}

const knownKeys = ['a_ok', 'a_sv', 'a_tries', 'b_ok', 'b_sv', 'b_tries', 'floor', 'st_pri', 'st_seq'] as const
const hexForm = /^(0|[1-9a-f][0-9a-f]{0,7})$/

/** @param block one copy, `slotLimits.recordCopyBytes` long. @returns null when it must not be believed. */
export function decodeRecord(block: Uint8Array): BootRecord | null {
  if (block.length !== slotLimits.recordCopyBytes) return null
  const variables = decodeEnvironment(block)
  if (variables === null) return null
  const a = slotFrom(variables, 'a')
  const b = slotFrom(variables, 'b')
  const floor = number(variables.get('floor'))
  const sequence = number(variables.get('st_seq'))
  const priority = variables.get('st_pri')
  if (a === null || b === null || floor === null || sequence === null) return null
  if (priority !== 'a' && priority !== 'b') return null
  const others = new Map([...variables].filter(([key]) => !isKnown(key)))
  return { a, b, floor, priority, sequence, others }
}

/** @returns one copy, or null when a number is out of range or unknown keys leave no room. */
export function encodeRecord(record: BootRecord): Uint8Array | null {
  const numbers = [record.a.sv, record.a.tries, record.b.sv, record.b.tries, record.floor, record.sequence]
  if (!numbers.every((it) => Number.isInteger(it) && it >= 0 && it <= slotLimits.numberMax)) return null
  const variables = new Map(record.others)
  for (const slot of ['a', 'b'] as const) {
    variables.set(`${slot}_ok`, record[slot].ok ? '1' : '0')
    variables.set(`${slot}_sv`, record[slot].sv.toString(16))
    variables.set(`${slot}_tries`, record[slot].tries.toString(16))
  }
  variables.set('floor', record.floor.toString(16))
  variables.set('st_pri', record.priority)
  variables.set('st_seq', record.sequence.toString(16))
  return encodeEnvironment(variables, slotLimits.recordCopyBytes)
}

/** Both copies as read, and which of them counts. */
export interface RecordCopies {
  readonly copies: readonly [BootRecord | null, BootRecord | null]
  /** Index of the copy that counts; null when neither is valid. */
  readonly current: 0 | 1 | null
}

export function chooseCopy(first: BootRecord | null, second: BootRecord | null): RecordCopies {
  const copies = [first, second] as const
  if (first === null && second === null) return { copies, current: null }
  if (first === null) return { copies, current: 1 }
  if (second === null) return { copies, current: 0 }
  return { copies, current: second.sequence > first.sequence ? 1 : 0 }
}

/**
 * Whether the copy that does not count still promises what the one that counts has withdrawn: a lower floor, or a
 * slot that may be started. Losing the newer copy would bring it back (BOOT rule 5).
 */
export function promisesMore({ copies, current }: RecordCopies, slot: SlotId): boolean {
  const newer = current === null ? null : copies[current]
  const older = current === null ? null : copies[current === 0 ? 1 : 0]
  if (newer === null || older === null) return false
  if (older.floor < newer.floor) return true
  const [now, before] = [newer[slot], older[slot]]
  return (before.ok && !now.ok) || (before.sv !== 0 && now.sv === 0) || (before.tries > 0 && now.tries === 0)
}

/** The record with one slot changed. */
export function withSlot(record: BootRecord, slot: SlotId, state: SlotState): BootRecord {
  return slot === 'a' ? { ...record, a: state } : { ...record, b: state }
}

function slotFrom(variables: ReadonlyMap<string, string>, slot: SlotId): SlotState | null {
  const ok = variables.get(`${slot}_ok`)
  const sv = number(variables.get(`${slot}_sv`))
  const tries = number(variables.get(`${slot}_tries`))
  if ((ok !== '0' && ok !== '1') || sv === null || tries === null) return null
  return { ok: ok === '1', sv, tries }
}

function number(text: string | undefined): number | null {
  return text !== undefined && hexForm.test(text) ? Number.parseInt(text, 16) : null
}

function isKnown(key: string): boolean {
  return (knownKeys as readonly string[]).includes(key)
}
