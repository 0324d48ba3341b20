/**
 * A whole disk, or a plain file in its stead, for writing and reading back past the page cache (O_DIRECT).
 * Promise: O_EXCL, so that a disk which is in use in a way that nobody told of is refused by the kernel;
 * a disk that went away is told from one that fails.
 * Leaves to others: whether it may be overwritten (disks.ts).
 */
import { constants, type FileHandle, open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { alignedMemory } from '../../../core/aligned-memory.ts'
import { type ErrorCode, raise } from '../../../core/errors.ts'
import { flashLimits } from '../../../core/limits.ts'
import type { BlockDevice } from '../../../core/ports.ts'
import { blockBytes, roundUp } from '../../../core/units.ts'
import { kernelPlaces, numberText } from './machine-facts.ts'

/** What is needed of a disk to open it. */
export interface TargetDisk {
  readonly path: string
  readonly name: string
  /** `8:16` */
  readonly number: string
  readonly sizeBytes: number
  readonly sectorBytes: number
  readonly sequence: string
}

/** @throws EverbootError EB-DISK-MISSING, EB-DISK-BUSY, EB-DISK-READ-ONLY, EB-NOT-ROOT, EB-DISK-IO */
export async function openDisk(disk: TargetDisk): Promise<BlockDevice> {
  const flags = constants.O_RDWR | constants.O_EXCL | constants.O_DIRECT
  const handle = await open(disk.path, flags).catch((caught: unknown) =>
    failed(disk.path, 'opening', caught, true),
  )
  // What was opened is what was looked at, even if it was changed in between.
  const same = numberText((await handle.stat()).rdev) === disk.number && (await isThere(disk))
  if (same) return deviceOver(disk.path, handle, disk.sizeBytes, disk.sectorBytes, () => isThere(disk))
  await handle.close()
  return gone(disk.path, 'opening')
}

/** A plain file as a disk that is as large as the image. @throws EverbootError EB-FILE, EB-DISK-FULL */
export async function openFile(path: string, imageBytes: number): Promise<BlockDevice> {
  const flags = constants.O_RDWR | constants.O_CREAT
  const noFile = (cause: unknown): never =>
    raise('EB-FILE', `${path} cannot be opened: ${(cause as Error).message}`, { cause })
  // Some file systems have no O_DIRECT.
  const handle = await open(path, flags | constants.O_DIRECT, 0o600).catch(() =>
    open(path, flags, 0o600).catch(noFile),
  )
  const sizeBytes = roundUp(imageBytes, blockBytes)
  return deviceOver(path, handle, sizeBytes, blockBytes, async () => true)
}

function deviceOver(
  path: string,
  handle: FileHandle,
  sizeBytes: number,
  sectorBytes: number,
  there: () => Promise<boolean>,
): BlockDevice {
  const memory = alignedMemory()
  const attempt = async <T>(doing: string, work: Promise<T>): Promise<T> => {
    try {
      return await work
    } catch (caught) {
      const { code } = caught as NodeJS.ErrnoException
      // The kernel may still be about to notice.
      if (code === 'EIO' && (await there())) await setTimeout(flashLimits.goneMs)
      const absent = code === 'ENXIO' || code === 'ENODEV' || code === 'ENOMEDIUM'
      return failed(path, doing, caught, !absent && (await there()))
    }
  }
  return {
    sizeBytes,
    sectorBytes,
    allocate: (bytes) => memory.take(bytes),
    async read(offset, into) {
      const doing = `reading at byte ${offset} of`
      const { bytesRead } = await attempt(doing, handle.read(into, 0, into.length, offset))
      if (bytesRead === 0 && !(await there())) gone(path, doing)
      return bytesRead
    },
    async write(offset, bytes) {
      const doing = `writing at byte ${offset} of`
      return (await attempt(doing, handle.write(bytes, 0, bytes.length, offset))).bytesWritten
    },
    flush: () => attempt('flushing', handle.datasync()),
    close: () => handle.close(),
  }
}

/** Whether the kernel still shows the disk, with the same medium in it. */
async function isThere({ name, sizeBytes, sequence }: TargetDisk): Promise<boolean> {
  const attribute = async (of: string): Promise<string | null> =>
    readFile(join(kernelPlaces.sys, 'class/block', name, of), 'utf8').then(
      (it) => it.trim(),
      () => null,
    )
  const size = await attribute('size')
  const now = await attribute('diskseq')
  return size !== null && Number(size) * 512 === sizeBytes && (now ?? '') === sequence
}

const codes: Readonly<Record<string, ErrorCode>> = {
  ENOENT: 'EB-DISK-MISSING',
  ENXIO: 'EB-DISK-MISSING',
  ENODEV: 'EB-DISK-MISSING',
  ENOMEDIUM: 'EB-DISK-MISSING',
  EBUSY: 'EB-DISK-BUSY',
  EROFS: 'EB-DISK-READ-ONLY',
  EACCES: 'EB-NOT-ROOT',
  EPERM: 'EB-NOT-ROOT',
  ENOSPC: 'EB-DISK-FULL',
}

function failed(path: string, doing: string, cause: unknown, there: boolean): never {
  if (!there) gone(path, doing, cause)
  const { code = 'unknown error' } = cause as NodeJS.ErrnoException
  const busy = { todo: 'close what uses it; another program or container may have it mounted' }
  const known = codes[code] ?? 'EB-DISK-IO'
  raise(known, `${doing} ${path} failed (${code})`, { cause, ...(known === 'EB-DISK-BUSY' ? busy : {}) })
}

function gone(path: string, doing: string, cause?: unknown): never {
  raise('EB-DISK-GONE', `${doing} ${path} failed: the disk was removed or replaced`, { cause })
}
