/**
 * A partition of a disk file as a block device, for writing a factory slot and record.
 * Promise: nothing outside the window is touched.
 * Leaves to others: where the partition lies (layout.ts).
 */
import { open } from 'node:fs/promises'
import { raise } from '../../../../core/errors.ts'
import type { BlockDevice } from '../../../../core/ports.ts'
import { type Partition, sectorBytes } from '../partition.ts'

/** @throws EverbootError EB-FILE */
export async function openWindow(path: string, window: Partition): Promise<BlockDevice> {
  const handle = await open(path, 'r+').catch((cause: Error) =>
    raise('EB-FILE', `${path} cannot be opened: ${cause.message}`, { cause }),
  )
  const inside = (offset: number, bytes: number): number => {
    if (offset >= 0 && offset + bytes <= window.bytes) return window.offset + offset
    return raise('EB-FILE', `${bytes} bytes at ${offset} are outside partition ${window.number} of ${path}`)
  }
  return {
    sizeBytes: window.bytes,
    sectorBytes,
    allocate: (bytes) => new Uint8Array(bytes),
    async read(offset, into) {
      return (await handle.read(into, 0, into.length, inside(offset, into.length))).bytesRead
    },
    async write(offset, bytes) {
      return (await handle.write(bytes, 0, bytes.length, inside(offset, bytes.length))).bytesWritten
    },
    flush: () => handle.datasync(),
    close: () => handle.close(),
  }
}
