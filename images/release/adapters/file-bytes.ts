/**
 * Files as byte sources and sinks, by positional reads and appending writes.
 * Promise: failures are EB-FILE with the path; a sink's file is on the medium once `finish` resolved; an
 * output appears under its name only whole (`writeWhole`).
 * Leaves to others: what the bytes mean.
 */
import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { raise } from '../../../core/errors.ts'
import type { ByteSink, ByteSource } from '../byte-source.ts'

export interface FileSource extends ByteSource {
  close(): Promise<void>
}

export interface FileSink extends ByteSink {
  readonly path: string
  /** Syncs and closes. */
  finish(): Promise<void>
  /** Closes and leaves what there is; may follow `finish`. */
  abandon(): Promise<void>
}

/** Opens a regular file for reading. @throws EverbootError EB-FILE */
export async function openFileSource(path: string): Promise<FileSource> {
  const handle = await openFile(path, 'r')
  const it = await handle.stat()
  if (!it.isFile()) {
    await handle.close()
    raise('EB-FILE', `${path} is not a regular file`)
  }
  return {
    name: path,
    bytes: it.size,
    async read(offset, into) {
      try {
        return (await handle.read(into, 0, into.length, offset)).bytesRead
      } catch (cause) {
        raise('EB-FILE', `${path} cannot be read at byte ${offset}: ${messageOf(cause)}`, { cause })
      }
    },
    close: () => handle.close(),
  }
}

/** Creates or empties a file. @param mode permission bits. @throws EverbootError EB-FILE */
export async function createFileSink(path: string, mode = 0o644): Promise<FileSink> {
  const handle = await openFile(path, 'w', mode)
  let position = 0
  return {
    path,
    async write(bytes) {
      let done = 0
      while (done < bytes.length) {
        try {
          const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position)
          done += bytesWritten
          position += bytesWritten
        } catch (cause) {
          raise('EB-FILE', `${path} cannot be written at byte ${position}: ${messageOf(cause)}`, { cause })
        }
      }
    },
    async finish() {
      try {
        await handle.sync()
      } catch (cause) {
        raise('EB-FILE', `${path} cannot be synced: ${messageOf(cause)}`, { cause })
      } finally {
        await handle.close()
      }
    },
    abandon: () => handle.close(),
  }
}

/** Makes `path` by way of a neighbouring file: it holds all that `fill` wrote, or is as it was before. */
export async function writeWhole(path: string, fill: (sink: ByteSink) => Promise<void>): Promise<void> {
  const partial = `${path}.partial`
  const sink = await createFileSink(partial)
  try {
    await fill(sink)
    await sink.finish()
  } catch (caught) {
    await sink.abandon()
    await rm(partial, { force: true })
    throw caught
  }
  try {
    await rename(partial, path)
    await syncDirectory(dirname(path))
  } catch (cause) {
    raise('EB-FILE', `${path} cannot be put in place: ${messageOf(cause)}`, { cause })
  }
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function openFile(path: string, flags: string, mode?: number): Promise<FileHandle> {
  try {
    return await open(path, flags, mode)
  } catch (cause) {
    raise('EB-FILE', `${path} cannot be opened: ${messageOf(cause)}`, { cause })
  }
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}
