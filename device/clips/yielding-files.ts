/**
 * The agent's own files on a data partition that it shares with clips: when the partition is full, clips give way
 * and the operation is done once more.
 * Promise: only for a full partition, only once; what fails then fails as before.
 */
import { servingLimits } from '../../core/clip-limits.ts'
import { EverbootError } from '../../core/errors.ts'
import type { FileStore } from '../../core/ports.ts'
import type { ClipsBeside } from './beside.ts'

export function yieldingFiles(files: FileStore, clips: Pick<ClipsBeside, 'giveWay'>): FileStore {
  const again = async (work: () => Promise<void>, bytes: number): Promise<void> => {
    try {
      await work()
    } catch (caught) {
      if (!(caught instanceof EverbootError) || caught.fault.code !== 'EB-DATA-FULL') throw caught
      if ((await clips.giveWay(Math.max(bytes, servingLimits.yieldBytes))) === 0) throw caught
      await work()
    }
  }
  return {
    read: files.read,
    list: files.list,
    remove: files.remove,
    write: (name, bytes) => again(() => files.write(name, bytes), bytes.length),
    rename: (from, to) => again(() => files.rename(from, to), 0),
    syncFile: (name) => again(() => files.syncFile(name), 0),
    syncDir: () => again(() => files.syncDir(), 0),
  }
}
