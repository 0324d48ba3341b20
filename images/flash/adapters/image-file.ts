/**
 * The image to flash: a raw disk image, or one in `.gz`, `.zip`, `.zst`, `.xz`.
 * Promise: a compressed image is expanded once in full before anything is written, so that its size is known and
 * a damaged one costs no disk; nothing of it is stored.
 * Leaves to others: writing it.
 */
import { createHash } from 'node:crypto'
import { raise } from '../../../core/errors.ts'
import { releaseLimits } from '../../../core/limits.ts'
import type { Digest } from '../../../core/units.ts'
import { expandTo, type Packing } from '../../build/adapters/expand.ts'
import { ensureHostTools } from '../../build/adapters/host-tools.ts'
import { packingOf } from '../../build/adapters/image-input.ts'
import { type FileSource, openFileSource } from '../../release/adapters/file-bytes.ts'
import { eachStep } from '../../release/byte-source.ts'
import type { DiskImage } from '../disk-writer.ts'

export interface ImageFile {
  /** How it is packed; null: not at all. */
  readonly packing: Packing | null
  /** The file as it is. */
  readonly file: FileSource
  /** Size and, of a compressed one, SHA-256 of the image. @param seen is shown what is expanded for it. */
  check(progress: Progress, seen: (bytes: Uint8Array) => void): Promise<DiskImage>
}

/** @throws EverbootError EB-FILE, EB-IMAGE, EB-TOOL-MISSING */
export async function openImage(path: string, signal: AbortSignal): Promise<ImageFile> {
  const file = await openFileSource(path)
  try {
    const packing = await packingOf(file)
    // Said before anybody is asked anything.
    if (packing === 'xz') await ensureHostTools(['xz'], { install: false })
    if (file.bytes === 0) raise('EB-IMAGE', `${path} is empty`)
    const check: ImageFile['check'] = (progress, seen) =>
      packing === null ? rawImage(file) : packedImage(file, packing, signal, progress, seen)
    return { packing, file, check }
  } catch (caught) {
    await file.close()
    throw caught
  }
}

type Progress = (done: number, total: number) => void

async function rawImage(file: FileSource): Promise<DiskImage> {
  const feed: DiskImage['feed'] = (take) => eachStep(file, 'EB-IMAGE', take)
  return { name: file.name, bytes: file.bytes, sha256: null, feed }
}

async function packedImage(
  archive: FileSource,
  packing: Packing,
  signal: AbortSignal,
  progress: Progress,
  seen: (bytes: Uint8Array) => void,
): Promise<DiskImage> {
  const job = { archive, packing, signal }
  const hash = createHash('sha256')
  let bytes = 0
  const count = async (part: Uint8Array): Promise<void> => {
    hash.update(part)
    seen(part)
    bytes += part.length
    if (bytes > releaseLimits.imageBytesMax) {
      raise('EB-IMAGE', `the image in ${archive.name} is longer than ${releaseLimits.imageBytesMax} bytes`)
    }
  }
  await expandTo({ ...job, progress: (done) => progress(done, archive.bytes) }, count)
  if (bytes === 0) raise('EB-IMAGE', `${archive.name} holds an empty image`)
  const feed: DiskImage['feed'] = (take) => expandTo({ ...job, progress: () => {} }, take)
  return { name: archive.name, bytes, sha256: hash.digest('hex') as Digest, feed }
}
