/**
 * A block device that is a file, a device node, or a part of either.
 * Promise: no transfer leaves the part; `flush` returns when the data is on the medium; errors of the
 * system are coded.
 * Leaves to others: whole transfers (core/block-io.ts).
 */
import { type FileHandle, open } from 'node:fs/promises'
import { EverbootError, fault } from '../../core/errors.ts'
import type { BlockDevice } from '../../core/ports.ts'
import { blockBytes } from '../../core/units.ts'

export interface DevicePart {
  readonly path: string
  readonly offset: number
  readonly bytes: number
}

/** @throws EverbootError EB-SLOT-MISSING, EB-SLOT-READ-ONLY, EB-SLOT-IO */
export async function openFileDevice(part: DevicePart, mode: 'read' | 'write'): Promise<BlockDevice> {
  const handle = await coded(`opening ${part.path}`, () => open(part.path, mode === 'read' ? 'r' : 'r+'))
  const room = (offset: number, bytes: Uint8Array): number =>
    Math.max(0, Math.min(bytes.length, part.bytes - offset))
  return {
    sizeBytes: part.bytes,
    sectorBytes: blockBytes,
    allocate: (bytes) => new Uint8Array(bytes),
    read: (offset, into) =>
      coded(`reading ${part.path}`, () => readAt(handle, into, room(offset, into), part.offset + offset)),
    write: (offset, bytes) =>
      coded(`writing ${part.path}`, () => writeAt(handle, bytes, room(offset, bytes), part.offset + offset)),
    flush: () => coded(`flushing ${part.path}`, () => handle.datasync()),
    close: () => handle.close(),
  }
}

async function readAt(
  handle: FileHandle,
  into: Uint8Array,
  bytes: number,
  position: number,
): Promise<number> {
  return (await handle.read(into, 0, bytes, position)).bytesRead
}

async function writeAt(
  handle: FileHandle,
  from: Uint8Array,
  bytes: number,
  position: number,
): Promise<number> {
  return (await handle.write(from, 0, bytes, position)).bytesWritten
}

async function coded<T>(doing: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    const kind = code === 'ENOENT' ? 'EB-SLOT-MISSING' : code === 'EROFS' ? 'EB-SLOT-READ-ONLY' : 'EB-SLOT-IO'
    throw new EverbootError(fault(kind, `${doing}: ${message}`), { cause })
  }
}
