/**
 * What a story came to on one kind of board, in values that any other kind must come to too: the slot of each
 * boot, the boot record and stamp as each boot found them, the outcome of each wish.
 * Promise: bytes, not words: two boards agree only when every byte of both copies and of the stamp does.
 * Leaves to others: reading them off a board.
 */
import { createHash } from 'node:crypto'
import { currentRecord, recordText } from '../../core/boot-partition.ts'
import { type BootRecord, bootPartition, chooseCopy, decodeRecord } from '../../core/boot-record.ts'
import { decodeStamp } from '../../core/commit-stamp.ts'
import { slotLimits } from '../../core/limits.ts'
import type { SlotId } from '../../core/units.ts'

/** The parts of the boot partition that count. */
export const recordRanges = [
  ...bootPartition.copyOffsets.map((offset) => ({ offset, bytes: slotLimits.recordCopyBytes })),
  { offset: bootPartition.stampOffset, bytes: slotLimits.stampBytes },
] as const

export interface RecordSeen {
  /** First digits of the SHA-256 of copy 0, copy 1 and stamp. */
  readonly digests: readonly string[]
  /** The same for people. */
  readonly text: string
}

export interface BootSeen {
  readonly slot: SlotId
  /** When the loader had decided, before the system did anything. */
  readonly record: RecordSeen
}

export interface Outcome {
  readonly boots: readonly BootSeen[]
  /** When the story was over. */
  readonly rest: RecordSeen
  /** Of each wish in order: `ok`, a code, or `none`. */
  readonly attempts: readonly string[]
}

const digits = 12

/** @param parts content of `recordRanges` */
export function seenRecord(parts: readonly Uint8Array[]): RecordSeen {
  const record = recordIn(parts)
  const stamp = parts[2]
  const stamped = stamp === undefined ? null : decodeStamp(stamp)
  const text = `${record === null ? 'no record' : recordText(record)}; stamp ${stamped === null ? 'none' : `floor=${stamped.floor} priority=${stamped.priority}`}`
  return {
    digests: parts.map((it) => createHash('sha256').update(it).digest('hex').slice(0, digits)),
    text,
  }
}

/** The record that counts, or null. @param parts content of `recordRanges` */
export function recordIn(parts: readonly Uint8Array[]): BootRecord | null {
  const [first, second] = parts.map((it) => decodeRecord(it))
  return currentRecord(chooseCopy(first ?? null, second ?? null))
}

/** The copy that counts, of two bad ones the first. @param parts content of `recordRanges` */
export function newestIn(parts: readonly Uint8Array[]): 0 | 1 {
  const [first, second] = parts.map((it) => decodeRecord(it))
  return chooseCopy(first ?? null, second ?? null).current ?? 0
}

/** @returns in words the first thing in which two outcomes differ, or null */
export function difference(one: Outcome, other: Outcome): string | null {
  const slots = (it: Outcome): string => it.boots.map(({ slot }) => slot).join('')
  if (slots(one) !== slots(other)) return `boots ${slots(one)} and ${slots(other)}`
  for (const [number, boot] of one.boots.entries()) {
    const why = otherRecord(boot.record, other.boots[number]?.record)
    if (why !== null) return `at boot ${number + 1} (${boot.slot}): ${why}`
  }
  const rest = otherRecord(one.rest, other.rest)
  if (rest !== null) return `at rest: ${rest}`
  if (one.attempts.join() !== other.attempts.join())
    return `attempts ${one.attempts.join()} and ${other.attempts.join()}`
  return null
}

function otherRecord(one: RecordSeen, other: RecordSeen | undefined): string | null {
  const names = ['copy 0', 'copy 1', 'the stamp']
  const at = one.digests.findIndex((it, number) => it !== other?.digests[number])
  return at < 0 ? null : `${names[at]} differs: ${one.text} and ${other?.text}`
}
