/**
 * An image file as the medium of a disk: big and sparse, also while it is written.
 * Promise: transfers are whole; zeroing allocates nothing where the file is zero already. What survives a cut
 * of the board's power is what was written here; nothing is forced onto the disk of this machine, since its
 * own power stays.
 * Leaves to others: the volatile cache (volatile-cache.ts). Calls do not wait for the thread pool: a page of
 * the page cache is there sooner than a thread.
 */
import { closeSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs'
import { setImmediate as breathe } from 'node:timers/promises'
import { EverbootError, fault, raise } from '../../../core/errors.ts'
import { diskServerLimits } from '../../../core/limits.ts'
import { nbdSectorBytes } from '../nbd-session.ts'
import type { Medium } from '../volatile-cache.ts'

export interface ImageFile extends Medium {
  readonly path: string
  close(): void
}

/**
 * @param createBytes makes a file of that size, all zeros, in place of what is there; default: opens it
 * @throws EverbootError EB-FILE, EB-IMAGE
 */
export function openImageFile(path: string, createBytes?: number): ImageFile {
  const file = coded(`opening ${path}`, () => openSync(path, createBytes === undefined ? 'r+' : 'w+'))
  if (createBytes !== undefined) coded(`sizing ${path}`, () => ftruncateSync(file, createBytes))
  const sizeBytes = fstatSync(file).size
  if (sizeBytes === 0 || sizeBytes % nbdSectorBytes !== 0) {
    closeSync(file)
    raise('EB-IMAGE', `${path}: ${sizeBytes} bytes are not whole sectors of ${nbdSectorBytes}`)
  }
  const zeros = new Uint8Array(diskServerLimits.zeroStepBytes)
  const look = Buffer.alloc(diskServerLimits.zeroStepBytes)
  const read = (offset: number, into: Uint8Array): void => {
    whole(into, `reading ${path}`, (part, at) => readSync(file, part, 0, part.length, offset + at))
  }
  const write = (offset: number, bytes: Uint8Array): void => {
    whole(bytes, `writing ${path}`, (part, at) => writeSync(file, part, 0, part.length, offset + at))
  }
  return {
    path,
    sizeBytes,
    async read(offset, into) {
      read(offset, into)
    },
    async write(offset, bytes) {
      write(offset, bytes)
    },
    async zero(offset, length) {
      for (let done = 0; done < length; ) {
        const bytes = Math.min(length - done, zeros.length)
        const there = look.subarray(0, bytes)
        read(offset + done, there)
        if (there.compare(zeros.subarray(0, bytes)) !== 0) write(offset + done, zeros.subarray(0, bytes))
        done += bytes
        if (done < length) await breathe()
      }
    },
    close: () => closeSync(file),
  }
}

function whole(bytes: Uint8Array, doing: string, step: (part: Uint8Array, at: number) => number): void {
  for (let at = 0; at < bytes.length; ) {
    const moved = coded(doing, () => step(bytes.subarray(at), at))
    if (moved === 0) raise('EB-FILE', `${doing}: the file ends after ${at} of ${bytes.length} bytes`)
    at += moved
  }
}

function coded<T>(doing: string, work: () => T): T {
  try {
    return work()
  } catch (cause) {
    throw new EverbootError(fault('EB-FILE', `${doing}: ${(cause as Error).message}`), { cause })
  }
}
