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
import { type BootRecord, promisesMore, type RecordCopies } from '../../core/boot-record.ts'
import type { CommitStamp } from '../../core/commit-stamp.ts'
import { raise } from '../../core/errors.ts'
import type { BlockDevice, Disks } from '../../core/ports.ts'
import type { SlotId } from '../../core/units.ts'
import { floorOf } from '../update/boot-rules.ts'
import type { RecordFollower } from './loader.ts'

export interface BootControl {
  readonly record: BootRecord
  readonly stamp: CommitStamp | null
  readonly floor: number
  /** The older copy still promises of a slot, or of the floor, what the record has withdrawn. */
  promisesMore(slot: SlotId): boolean
  /** One write, to the copy that does not count. @throws EverbootError EB-RECORD */
  write(next: BootRecord): Promise<void>
  /** For what withdraws a promise: both copies. @throws EverbootError EB-RECORD */
  writeBoth(next: BootRecord): Promise<void>
  /** @throws EverbootError EB-RECORD */
  stampCommit(stamp: CommitStamp): Promise<void>
}

/**
 * Flushes first: after a killed process the medium may lag behind what is read. The partition is opened for
 * each step and closed after it, so that nothing is held for the life of the agent.
 * @param loader is told of each record that was written, once it is on the medium
 * @throws EverbootError EB-RECORD when neither copy can be believed, EB-SLOT-*
 */
export async function openBootControl(
  disks: Pick<Disks, 'openBoot'>,
  loader: RecordFollower,
): Promise<BootControl> {
  const withPartition = async <T>(work: (device: BlockDevice) => Promise<T>): Promise<T> => {
    const device = await disks.openBoot()
    try {
      return await work(device)
    } finally {
      await device.close()
    }
  }
  let [copies, stamp] = await withPartition(async (device): Promise<[RecordCopies, CommitStamp | null]> => {
    await device.flush()
    return [await readRecord(device), await readStamp(device)]
  })
  const current = (): BootRecord =>
    currentRecord(copies) ?? raise('EB-RECORD', 'neither copy of the boot record can be believed')
  if (currentRecord(copies) === null) {
    const anew = await loader.rebuild()
    if (anew !== null) copies = await withPartition((device) => writeRecordTwice(device, copies, anew))
  }
  current()
  /** A write that failed may be on the medium all the same: memory must say what the medium says. */
  const change = async (work: (device: BlockDevice) => Promise<RecordCopies>): Promise<void> => {
    try {
      copies = await withPartition(work)
    } catch (caught) {
      copies = await withPartition(readRecord).catch(() => copies)
      throw caught
    }
    await loader.follow(current())
  }
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
    promisesMore: (slot) => promisesMore(copies, slot),
    write: (next) => change((device) => writeRecord(device, copies, next)),
    writeBoth: (next) => change((device) => writeRecordTwice(device, copies, next)),
    async stampCommit(next) {
      await withPartition((device) => writeStamp(device, next))
      stamp = next
    },
  }
}
