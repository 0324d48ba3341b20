/**
 * The boot record in the hands of the agent: what it says now, and single steps that change it.
 * Promise: one writer (steps follow one another); a step is on the medium and read back before it returns;
 * steps that withdraw a promise go to both copies (rule 5).
 * Leaves to others: what to write (update/boot-rules.ts).
 */
import {
  currentRecord,
  readRecord,
  readStamp,
  writeRecord,
  writeRecordTwice,
  writeStamp,
} from '../../core/boot-partition.ts'
import type { BootRecord, RecordCopies } from '../../core/boot-record.ts'
import type { CommitStamp } from '../../core/commit-stamp.ts'
import { raise } from '../../core/errors.ts'
import type { BlockDevice } from '../../core/ports.ts'
import { floorOf } from '../update/boot-rules.ts'

export interface BootControl {
  readonly record: BootRecord
  readonly stamp: CommitStamp | null
  readonly floor: number
  /** One write, to the copy that does not count. @throws EverbootError EB-RECORD */
  write(next: BootRecord): Promise<void>
  /** For what withdraws a promise: both copies. @throws EverbootError EB-RECORD */
  writeBoth(next: BootRecord): Promise<void>
  /** @throws EverbootError EB-RECORD */
  stampCommit(stamp: CommitStamp): Promise<void>
}

/**
 * Flushes first: after a killed process the medium may lag behind what is read.
 * @throws EverbootError EB-RECORD when neither copy can be believed
 */
export async function openBootControl(device: BlockDevice): Promise<BootControl> {
  await device.flush()
  let copies: RecordCopies = await readRecord(device)
  let stamp = await readStamp(device)
  const current = (): BootRecord =>
    currentRecord(copies) ?? raise('EB-RECORD', 'neither copy of the boot record can be believed')
  current()
  return {
    get record() {
      return current()
    },
    get stamp() {
      return stamp
    },
    get floor() {
      return floorOf(current(), stamp)
    },
    async write(next) {
      copies = await writeRecord(device, copies, next)
    },
    async writeBoth(next) {
      copies = await writeRecordTwice(device, copies, next)
    },
    async stampCommit(next) {
      await writeStamp(device, next)
      stamp = next
    },
  }
}
