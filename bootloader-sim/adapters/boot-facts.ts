/**
 * Record copies and stamp of a board, decoded for people and programs.
 * Promise: what is on the disk now; a copy that must not be believed is null.
 */
import { readRecord, readStamp } from '../../core/boot-partition.ts'
import type { BootRecord, SlotState } from '../../core/boot-record.ts'
import type { CommitStamp } from '../../core/commit-stamp.ts'
import { EverbootError } from '../../core/errors.ts'
import type { BlockDevice } from '../../core/ports.ts'
import type { SlotId } from '../../core/units.ts'

export interface RecordFacts {
  readonly a: SlotState
  readonly b: SlotState
  readonly floor: number
  readonly priority: SlotId
  readonly sequence: number
}

export interface BootFacts {
  readonly copies: readonly (RecordFacts | null)[]
  /** Index of the copy that counts. */
  readonly current: 0 | 1 | null
  readonly stamp: CommitStamp | null
}

/** Closes the device. */
export async function bootFacts(device: BlockDevice): Promise<BootFacts> {
  try {
    const { copies, current } = await readRecord(device)
    return { copies: copies.map(facts), current, stamp: await readStamp(device) }
  } catch (caught) {
    if (!(caught instanceof EverbootError)) throw caught
    return { copies: [null, null], current: null, stamp: null }
  } finally {
    await device.close()
  }
}

function facts(record: BootRecord | null): RecordFacts | null {
  if (record === null) return null
  const { a, b, floor, priority, sequence } = record
  return { a, b, floor, priority, sequence }
}
