/**
 * Boot record and commit stamp on their medium: the only code that reads and writes the boot partition.
 * Promise: a write goes whole to the copy that does not count, is flushed and read back before it returns,
 * so the copy that counts survives every cut; a record that cannot be encoded leaves the medium alone.
 * Leaves to others: what the record should say (BOOT rules), who may write it, and one writer at a time.
 */
import { readWhole, writeWhole } from './block-io.ts'
import {
  type BootRecord,
  bootPartition,
  chooseCopy,
  decodeRecord,
  encodeRecord,
  type RecordCopies,
} from './boot-record.ts'
import { type CommitStamp, decodeStamp, encodeStamp } from './commit-stamp.ts'
import { EverbootError, raise } from './errors.ts'
import { slotLimits } from './limits.ts'
import type { BlockDevice } from './ports.ts'

/** The record that counts, or null when both copies are bad. */
export function currentRecord(from: RecordCopies): BootRecord | null {
  return from.current === null ? null : from.copies[from.current]
}

/**
 * Reads both copies. One that cannot be read counts as bad.
 * @throws EverbootError EB-RECORD when neither can be read at all
 */
export async function readRecord(device: BlockDevice): Promise<RecordCopies> {
  const [first, second] = [await readCopy(device, 0), await readCopy(device, 1)]
  if (first === undefined && second === undefined) {
    raise('EB-RECORD', 'both copies of the boot record are unreadable')
  }
  return chooseCopy(first ?? null, second ?? null)
}

/** @returns the stamp, or null when it must not be believed or cannot be read. */
export async function readStamp(device: BlockDevice): Promise<CommitStamp | null> {
  const block = await readBlock(device, bootPartition.stampOffset, slotLimits.stampBytes)
  return block === undefined ? null : decodeStamp(block)
}

/**
 * Writes `record`, with the next sequence number, over the copy that does not count; flushes; reads it back.
 * After the last number it goes on from one, in both copies: the first does not count before the second has
 * overwritten what did.
 * @param before both copies as last read or written
 * @returns both copies as they are now
 * @throws EverbootError EB-RECORD: cannot be encoded (nothing written), or the medium did not keep it
 */
export async function writeRecord(
  device: BlockDevice,
  before: RecordCopies,
  record: BootRecord,
): Promise<RecordCopies> {
  const sequence = nextSequence(before)
  if (sequence <= slotLimits.numberMax) return writeCopy(device, before, { ...record, sequence })
  const first = await writeCopy(device, before, { ...record, sequence: 1 })
  return writeCopy(device, { ...first, current: before.current === 0 ? 1 : 0 }, { ...record, sequence: 2 })
}

/** Overwrites the copy that does not count. */
async function writeCopy(device: BlockDevice, before: RecordCopies, next: BootRecord): Promise<RecordCopies> {
  const target = before.current === 0 ? 1 : 0
  const block = encodeRecord(next)
  if (block === null) raise('EB-RECORD', `the boot record cannot be encoded: ${recordText(next)}`)
  await writeBlock(device, bootPartition.copyOffsets[target], block, `copy ${target} of the boot record`)
  return target === 0 ? chooseCopy(next, before.copies[1]) : chooseCopy(before.copies[0], next)
}

/**
 * For a write that withdraws a promise (BOOT rule 5): after it, losing either copy brings nothing back.
 * @throws EverbootError EB-RECORD
 */
export async function writeRecordTwice(
  device: BlockDevice,
  before: RecordCopies,
  record: BootRecord,
): Promise<RecordCopies> {
  return writeRecord(device, await writeRecord(device, before, record), record)
}

/** Writes the commit stamp; flushes; reads it back. @throws EverbootError EB-RECORD */
export async function writeStamp(device: BlockDevice, stamp: CommitStamp): Promise<void> {
  const block = encodeStamp(stamp)
  if (block === null) raise('EB-RECORD', `the commit stamp cannot be encoded: floor ${stamp.floor}`)
  await writeBlock(device, bootPartition.stampOffset, block, 'the commit stamp')
}

/**
 * What a factory writes: slot a is committed, slot b empty, no floor; the stamp says so too.
 * @param securityVersion of what slot a holds
 * @throws EverbootError EB-RECORD
 */
export async function writeFactoryRecord(device: BlockDevice, securityVersion: number): Promise<void> {
  await writeStamp(device, { floor: 0, priority: 'a' })
  await writeRecordTwice(device, await readRecord(device), {
    a: { ok: true, sv: securityVersion, tries: slotLimits.committedTries },
    b: { ok: false, sv: 0, tries: 0 },
    floor: 0,
    priority: 'a',
    sequence: 0,
    others: new Map(),
  })
}

/** One line for traces and people: `a ok sv=1 tries=8, b trial sv=2 tries=3, floor=1 priority=b seq=7`. */
export function recordText(record: BootRecord): string {
  const slot = (id: 'a' | 'b'): string => {
    const { ok, sv, tries } = record[id]
    return `${id} ${ok ? 'ok' : 'not ok'} sv=${sv} tries=${tries}`
  }
  const rest = `floor=${record.floor} priority=${record.priority} seq=${record.sequence}`
  return `${slot('a')}, ${slot('b')}, ${rest}`
}

/** Above both copies, so that a rewritten copy always wins. */
function nextSequence(before: RecordCopies): number {
  const [first, second] = before.copies
  return Math.max(first?.sequence ?? 0, second?.sequence ?? 0) + 1
}

/** @returns undefined when it cannot be read, null when it must not be believed. */
async function readCopy(device: BlockDevice, copy: 0 | 1): Promise<BootRecord | null | undefined> {
  const block = await readBlock(device, bootPartition.copyOffsets[copy], slotLimits.recordCopyBytes)
  return block === undefined ? undefined : decodeRecord(block)
}

async function readBlock(
  device: BlockDevice,
  offset: number,
  bytes: number,
): Promise<Uint8Array | undefined> {
  const block = device.allocate(bytes)
  try {
    await readWhole(device, offset, block, 'the boot partition', 'EB-RECORD')
    return block
  } catch (caught) {
    if (caught instanceof EverbootError) return undefined
    throw caught
  }
}

async function writeBlock(
  device: BlockDevice,
  offset: number,
  block: Uint8Array,
  what: string,
): Promise<void> {
  const aligned = device.allocate(block.length)
  aligned.set(block)
  await writeWhole(device, offset, aligned, what, 'EB-RECORD')
  await flushed(device, what)
  const again = device.allocate(block.length)
  await readWhole(device, offset, again, what, 'EB-RECORD')
  if (Buffer.compare(again, block) !== 0) raise('EB-RECORD', `${what} reads back other than written`)
}

async function flushed(device: BlockDevice, what: string): Promise<void> {
  try {
    await device.flush()
  } catch (caught) {
    if (!(caught instanceof EverbootError)) throw caught
    raise('EB-RECORD', `${what} could not be flushed: ${caught.fault.what}`)
  }
}
