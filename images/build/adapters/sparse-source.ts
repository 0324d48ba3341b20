/**
 * A raw image file to read; a file with holes is read past the page cache, which makes a hole a memset
 * (8 GiB of holes: 0.5 s, through the page cache 5 to 10 s).
 * Promise: the same bytes either way; where direct reading is not to be had, the page cache does it.
 * Leaves to others: what is in the image. O_DIRECT takes page-aligned memory only: that of a WebAssembly.Memory.
 */
import { constants } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { raise } from '../../../core/errors.ts'
import { blockBytes, KiB, MiB, roundUp } from '../../../core/units.ts'
import { type FileSource, openFileSource } from '../../release/adapters/file-bytes.ts'

/** The part of the WebAssembly interface that is used; its types come with browsers' libraries only. */
declare const WebAssembly: {
  readonly Memory: new (size: { readonly initial: number }) => { readonly buffer: ArrayBuffer }
}

/** The least that is worth it. */
const sparseBytesMin = 64 * MiB
const roomBytes = MiB
const wasmPageBytes = 64 * KiB

/** @throws EverbootError EB-FILE */
export async function openSparseSource(path: string): Promise<FileSource> {
  const plain = await openFileSource(path)
  const { size, blocks } = await stat(path)
  if (size < sparseBytesMin || blocks * 512 > size / 2) return plain
  const handle = await open(path, constants.O_RDONLY | constants.O_DIRECT).catch(() => null)
  if (handle === null) return plain
  const memory = new WebAssembly.Memory({ initial: roomBytes / wasmPageBytes })
  const room = new Uint8Array(memory.buffer)
  if ((await tryRead(handle, room.subarray(0, blockBytes), 0)) !== blockBytes) {
    await handle.close()
    return plain
  }
  return {
    name: path,
    bytes: size,
    async read(offset, into) {
      if (offset >= size) return 0
      const start = offset - (offset % blockBytes)
      const skip = offset - start
      const wanted = Math.min(into.length, size - offset, roomBytes - skip)
      const count = await tryRead(handle, room.subarray(0, roundUp(skip + wanted, blockBytes)), start)
      if (count === null) raise('EB-FILE', `${path} cannot be read at byte ${offset}`)
      const found = Math.max(0, Math.min(count - skip, wanted))
      into.set(room.subarray(skip, skip + found))
      return found
    },
    async close() {
      await handle.close()
      await plain.close()
    },
  }
}

/** @returns bytes read, or null when it failed. */
async function tryRead(handle: FileHandle, into: Uint8Array, position: number): Promise<number | null> {
  try {
    return (await handle.read(into, 0, into.length, position)).bytesRead
  } catch {
    return null
  }
}
