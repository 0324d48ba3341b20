/**
 * Contents on their way in: each in a file of its own until its hash is known.
 * Promise: a file that is handed on has the length and SHA-256 that were named and is on the medium; of anything
 * else nothing is left, at the latest after the next start.
 * Leaves to others: where contents stay (directory.ts, bucket.ts).
 */
import { createHash, randomBytes } from 'node:crypto'
import { type FileHandle, open, readdir, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { hubClipLimits } from '../../../core/clip-limits.ts'
import { EverbootError, raise } from '../../../core/errors.ts'
import { bytesText, type Digest } from '../../../core/units.ts'
import { ensureDirectory } from '../../adapters/files.ts'
import type { Receiving } from '../content-store.ts'
import { fileFault } from './file-fault.ts'

/**
 * @param directory is emptied; nobody else may use it
 * @param reserveBytes what stays free on its file system
 * @throws EverbootError EB-FILE
 */
export async function openIncoming(
  directory: string,
  reserveBytes: number = hubClipLimits.reserveBytes,
): Promise<Receiving> {
  await ensureDirectory(directory)
  for (const name of await readdir(directory))
    await rm(join(directory, name), { recursive: true, force: true })
  /** Of uploads under way; what of it has come counts twice, which is on the safe side. */
  let coming = 0
  const receiveInto = async (
    path: string,
    body: AsyncIterable<Uint8Array>,
    sha256: Digest,
    bytes: number,
  ): Promise<void> => {
    coming += bytes
    try {
      await checkRoom(directory, bytes, coming + reserveBytes)
      await fill(path, body, sha256, bytes)
    } finally {
      coming -= bytes
    }
  }
  return {
    async receive(body, sha256, bytes) {
      const path = join(directory, randomBytes(16).toString('hex'))
      const discard = (): Promise<void> => rm(path, { force: true })
      try {
        await receiveInto(path, body, sha256, bytes)
      } catch (caught) {
        await discard()
        throw caught instanceof EverbootError ? caught : fileFault(caught, path)
      }
      return { path, sha256, bytes, discard }
    },
  }
}

async function fill(
  path: string,
  body: AsyncIterable<Uint8Array>,
  sha256: Digest,
  bytes: number,
): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    const found = await write(file, body, bytes)
    if (found !== sha256) {
      raise('EB-BLOB', `what came has SHA-256 ${found}, not ${sha256}`, {
        todo: 'read the clip anew, then retry',
      })
    }
    await file.sync()
  } finally {
    await file.close()
  }
}

/** @returns the SHA-256 in hex of all that came, which is as long as was said */
async function write(file: FileHandle, body: AsyncIterable<Uint8Array>, bytes: number): Promise<string> {
  const hash = createHash('sha256')
  let taken = 0
  for await (const part of arriving(body, () => `${taken} of ${bytes} bytes`)) {
    taken += part.length
    if (taken > bytes) break
    hash.update(part)
    for (let done = 0; done < part.length; ) {
      done += (await file.write(part, done, part.length - done)).bytesWritten
    }
  }
  if (taken === bytes) return hash.digest('hex')
  return raise(
    'EB-BLOB',
    `the clip ${taken > bytes ? 'is longer than' : `ended after ${taken} of`} ${bytes} bytes`,
  )
}

/** What the sender does wrong, apart from what the disk does. */
async function* arriving(
  body: AsyncIterable<Uint8Array>,
  sofar: () => string,
): AsyncGenerator<Uint8Array, void, void> {
  try {
    yield* body
  } catch (cause) {
    raise('EB-BLOB', `the upload ended after ${sofar()}`, { cause, todo: 'send it again' })
  }
}

/** @param needed with what others are sending and what stays free */
async function checkRoom(directory: string, bytes: number, needed: number): Promise<void> {
  const { bavail, bsize } = await statfs(directory)
  const room = bavail * bsize
  if (needed <= room) return
  const has = `which has ${bytesText(room)} and keeps a part of it free`
  raise('EB-DISK-FULL', `a clip of ${bytesText(bytes)} does not fit the disk of the hub, ${has}`)
}
