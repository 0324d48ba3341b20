/**
 * Contents as files of the hub: `clips/ab/{sha256}`, the first two digits as a directory.
 * Promise: a content appears under its name whole, and both are on the medium when `put` resolves: it is moved
 * there after its bytes were flushed, then the directories are.
 * Leaves to others: receiving and checking the bytes (incoming.ts).
 */
import { type FileHandle, mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { raise } from '../../../core/errors.ts'
import { hubLimits } from '../../../core/limits.ts'
import type { Digest } from '../../../core/units.ts'
import { codeOf, ensureDirectory, syncDirectory } from '../../adapters/files.ts'
import type { ByteStream, ContentStore } from '../content-store.ts'
import { fileFault } from './file-fault.ts'

/** @param directory on the file system that `Received` files lie on. @throws EverbootError EB-FILE */
export async function openDirectoryStore(directory: string): Promise<ContentStore> {
  await ensureDirectory(directory)
  const placeOf = (sha256: Digest): string => join(directory, sha256.slice(0, 2), sha256)
  return {
    async put({ path, sha256 }) {
      const place = placeOf(sha256)
      try {
        const made = await mkdir(dirname(place), { recursive: true, mode: 0o700 })
        if (made !== undefined) await syncDirectory(directory)
        await rename(path, place)
        await syncDirectory(dirname(place))
      } catch (cause) {
        throw fileFault(cause, place)
      }
    },
    async open(sha256, bytes, start, endExclusive) {
      const file = await openIfThere(placeOf(sha256))
      if (file === null) return null
      if ((await file.stat()).size === bytes) return streamOf(file, placeOf(sha256), start, endExclusive)
      await file.close()
      return null
    },
    async size(sha256) {
      try {
        return (await stat(placeOf(sha256))).size
      } catch (cause) {
        if (codeOf(cause) === 'ENOENT') return null
        throw fileFault(cause, placeOf(sha256))
      }
    },
    async remove(sha256) {
      const place = placeOf(sha256)
      try {
        await rm(place, { force: true })
        await syncDirectory(dirname(place)).catch((cause: unknown) => {
          if (codeOf(cause) !== 'ENOENT') throw cause
        })
      } catch (cause) {
        throw fileFault(cause, place)
      }
    },
    close: () => undefined,
  }
}

async function openIfThere(path: string): Promise<FileHandle | null> {
  try {
    return await open(path, 'r')
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return null
    throw fileFault(cause, path)
  }
}

function streamOf(file: FileHandle, path: string, start: number, endExclusive: number): ByteStream {
  let at = start
  return {
    async read() {
      if (at >= endExclusive) return null
      const room = Buffer.allocUnsafeSlow(Math.min(hubLimits.blobStepBytes, endExclusive - at))
      const { bytesRead } = await file.read(room, 0, room.length, at).catch((cause: unknown) => {
        throw fileFault(cause, path)
      })
      if (bytesRead === 0) raise('EB-FILE', `${path} ends at byte ${at}, not before ${endExclusive}`)
      at += bytesRead
      return room.subarray(0, bytesRead)
    },
    close: () => file.close(),
  }
}
