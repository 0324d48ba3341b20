/**
 * Compressed images (`.gz`, `.zst`, `.xz`, `.zip` with one image inside) expanded into a sparse file or to
 * whoever takes the bytes, and the pieces compressed for a release.
 * Promise: streams, and waits for its taker; checksums of the archive are checked; a truncated or damaged archive
 * is EB-IMAGE.
 * Leaves to others: which form a file has (image-input.ts), `xz` (xz-program.ts).
 */
import { type FileHandle, open } from 'node:fs/promises'
import { Readable, type Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import { constants, crc32, createGunzip, zstdCompress } from 'node:zlib'
import { Inflate } from 'fflate'
import { EverbootError, raise } from '../../../core/errors.ts'
import { releaseLimits } from '../../../core/limits.ts'
import { KiB } from '../../../core/units.ts'
import type { FileSource } from '../../release/adapters/file-bytes.ts'
import { findZipImage, type ZipImage } from '../zip-directory.ts'
import { expandByXz } from './xz-program.ts'
import { expandFrames } from './zstd-frames.ts'

const chunkSize = 256 * KiB
/** Zeros expand a thousandfold, and all that a step expands to is in memory. */
const inflateStep = 16 * KiB
const startAgain = 'start the command again'

/** How an image may come. */
export type Packing = 'gz' | 'zst' | 'zip' | 'xz'

export interface ExpandJob {
  readonly archive: FileSource
  readonly packing: Packing
  readonly signal: AbortSignal
  /** Told how many bytes of the archive are read. */
  readonly progress: (bytes: number) => void
}

type Take = (bytes: Uint8Array) => Promise<void>

/** @param out file to make. @throws EverbootError EB-IMAGE, EB-FILE, EB-CANCELLED, EB-TOOL-MISSING */
export async function expandImage(job: ExpandJob, out: string): Promise<void> {
  const sink = await sparseFile(out)
  try {
    await expandTo(job, (bytes) => sink.write(bytes))
    await sink.finish()
  } finally {
    await sink.close()
  }
}

/**
 * Gives the image to `take`, part by part in order; what `take` throws is thrown as it is when it has a code.
 * @throws EverbootError EB-IMAGE, EB-FILE, EB-CANCELLED, EB-TOOL-MISSING
 */
export async function expandTo(job: ExpandJob, take: Take): Promise<void> {
  const whole = (): AsyncIterable<Uint8Array> => packedBytes(job, 0, job.archive.bytes)
  try {
    if (job.packing === 'zip') await expandZip(job, take)
    else if (job.packing === 'zst') await expandFrames(whole(), take)
    else if (job.packing === 'xz') await expandByXz(whole(), take, job.signal)
    else await expandStream(job, 0, job.archive.bytes, createGunzip({ chunkSize }), take)
  } catch (caught) {
    if (caught instanceof EverbootError) throw caught
    if (job.signal.aborted)
      raise('EB-CANCELLED', `expanding ${job.archive.name} was stopped`, { todo: startAgain, cause: caught })
    raise('EB-IMAGE', `${job.archive.name} cannot be expanded: ${(caught as Error).message}`, {
      cause: caught,
    })
  }
}

const compressAsync = promisify(zstdCompress)

/** zstd on the threads of libuv, so that several pieces are under way. @returns null when it does not get smaller. */
export async function compressOnThreads(raw: Uint8Array, level: number): Promise<Uint8Array | null> {
  const packed = await compressAsync(raw, {
    params: { [constants.ZSTD_c_compressionLevel]: level },
    chunkSize: releaseLimits.pieceBytesMax,
    // Written into the frame, it lets the device decode with a window of one piece.
    pledgedSrcSize: raw.length,
  })
  return packed.length < raw.length ? packed : null
}

async function expandZip(job: ExpandJob, take: Take): Promise<void> {
  const entry = await findZipImage(job.archive)
  let checksum = 0
  let total = 0
  const check = async (bytes: Uint8Array): Promise<void> => {
    checksum = crc32(bytes, checksum)
    total += bytes.length
    await take(bytes)
  }
  if (entry.deflated) await inflate(job, entry, check)
  else for await (const bytes of packedBytes(job, entry.offset, entry.packedBytes)) await check(bytes)
  if (total === entry.bytes && checksum === entry.crc32) return
  raise('EB-IMAGE', `${entry.name} in ${job.archive.name} is damaged: length or CRC differs`)
}

/** By fflate, which needs no codec of the platform; what it does not check, the CRC, is the caller's. */
async function inflate(job: ExpandJob, entry: ZipImage, take: Take): Promise<void> {
  const ready: Uint8Array[] = []
  const decoder = new Inflate((bytes) => void ready.push(bytes))
  const drain = async (): Promise<void> => {
    for (const bytes of ready.splice(0)) await take(bytes)
  }
  for await (const bytes of packedBytes(job, entry.offset, entry.packedBytes, inflateStep)) {
    decoder.push(bytes)
    await drain()
  }
  decoder.push(new Uint8Array(0), true)
  await drain()
}

async function expandStream(
  job: ExpandJob,
  start: number,
  bytes: number,
  decoder: Transform,
  take: Take,
): Promise<void> {
  const store = async (chunks: AsyncIterable<Buffer>): Promise<void> => {
    for await (const chunk of chunks) await take(chunk)
  }
  const packed = Readable.from(packedBytes(job, start, bytes), { objectMode: false })
  await pipeline(packed, decoder, store, { signal: job.signal })
}

/** A part of the archive, in order. */
async function* packedBytes(
  job: ExpandJob,
  start: number,
  bytes: number,
  step = chunkSize,
): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes; ) {
    if (job.signal.aborted)
      raise('EB-CANCELLED', `expanding ${job.archive.name} was stopped`, { todo: startAgain })
    const room = new Uint8Array(Math.min(step, bytes - at))
    const count = await job.archive.read(start + at, room)
    if (count === 0) raise('EB-IMAGE', `${job.archive.name} ends too early`)
    at += count
    job.progress(at)
    yield room.subarray(0, count)
  }
}

interface SparseFile {
  write(bytes: Uint8Array): Promise<void>
  /** Sets the length. */
  finish(): Promise<void>
  close(): Promise<void>
}

const stepBytes = 64 * KiB

/** A new file in which steps of zeros become holes. */
async function sparseFile(path: string): Promise<SparseFile> {
  let handle: FileHandle
  try {
    handle = await open(path, 'w', 0o600)
  } catch (cause) {
    raise('EB-FILE', `${path} cannot be made: ${(cause as Error).message}`, { cause })
  }
  const zeros = Buffer.alloc(stepBytes)
  let total = 0
  const put = async (bytes: Uint8Array): Promise<void> => {
    if (Buffer.compare(bytes, zeros.subarray(0, bytes.length)) !== 0) {
      let done = 0
      while (done < bytes.length) {
        done += (await handle.write(bytes, done, bytes.length - done, total + done)).bytesWritten
      }
    }
    total += bytes.length
  }
  return {
    async write(bytes) {
      if (total + bytes.length > releaseLimits.imageBytesMax) {
        raise('EB-IMAGE', `the image is longer than ${releaseLimits.imageBytesMax} bytes`)
      }
      for (let at = 0; at < bytes.length; at += stepBytes) await put(bytes.subarray(at, at + stepBytes))
    },
    finish: () => handle.truncate(total),
    close: () => handle.close(),
  }
}
