/**
 * The file of one content, sealed: `EBC1`, the file's nonce (16 bytes), then chunks of 64 KiB with their tags.
 * Promise: written piece by piece in bounded memory; any part is read and checked without the rest; a file that was
 * changed, cut off or put in the place of another does not open.
 * Leaves to others: keys (clip-key.ts), names and when it is durable (clip-store.ts).
 */
import { createHash } from 'node:crypto'
import { assert } from '../../core/assert.ts'
import { clipLimits } from '../../core/clip-limits.ts'
import type { ClipFiles } from '../../core/ports.ts'
import { letGo, Scratch } from './scratch.ts'
import { type ChunkSeal, chunkSeal, fileNonceBytes, sealTagBytes } from './xchacha.ts'

const magic = Buffer.from('EBC1')
const headBytes = magic.length + fileNonceBytes
const chunkBytes = clipLimits.pieceBytes

/** What was written. */
export interface Finished {
  /** 32 bytes. */
  readonly sha256: Buffer
  readonly bytes: number
}

/** Takes clear bytes in order. */
export interface ContentWriter {
  write(bytes: Uint8Array): Promise<void>
  /** Seals what is left. @returns SHA-256 and length of all that was written */
  finish(): Promise<Finished>
}

/** @param name of a file that does not exist. @param nonce 16 bytes that were never used with this key */
export function writeContent(
  files: ClipFiles,
  name: string,
  key: Uint8Array,
  nonce: Uint8Array,
): ContentWriter {
  const seal = chunkSeal(key, nonce)
  const hash = createHash('sha256')
  const room = Buffer.allocUnsafe(chunkBytes)
  let filled = 0
  let chunks = 0
  let bytes = 0
  const put = async (last: boolean): Promise<void> => {
    const sealed = seal.seal(chunks, last, room.subarray(0, filled))
    await files.append(name, chunks === 0 ? Buffer.concat([magic, nonce, sealed]) : sealed)
    chunks += 1
    filled = 0
  }
  return {
    async write(part) {
      hash.update(part)
      bytes += part.length
      for (let at = 0; at < part.length; ) {
        // A full chunk waits for more: the last one is sealed as such.
        if (filled === chunkBytes) await put(false)
        const take = Math.min(chunkBytes - filled, part.length - at)
        room.set(part.subarray(at, at + take), filled)
        filled += take
        at += take
      }
    },
    async finish() {
      await put(true)
      return { sha256: hash.digest(), bytes }
    },
  }
}

/** Bytes of the file of a content of that length. */
export function sealedBytes(bytes: number): number {
  return headBytes + bytes + chunksOf(bytes) * sealTagBytes
}

function chunksOf(bytes: number): number {
  return Math.max(1, Math.ceil(bytes / chunkBytes))
}

/** Where a content lies and how it opens. */
export interface StoredContent {
  readonly file: string
  readonly key: Uint8Array
  /** 16 bytes; a file with another is another's. */
  readonly nonce: Uint8Array
  readonly bytes: number
}

/**
 * The clear bytes of a part, chunk by chunk: the first and last may be cut to what was asked for.
 * Ends with null, for good, when the file is not what was stored.
 */
export async function* readContent(
  files: ClipFiles,
  content: StoredContent,
  start: number,
  endExclusive: number,
  scratch = new Scratch(),
): AsyncGenerator<Uint8Array | null, void> {
  assert(start >= 0 && start <= endExclusive && endExclusive <= content.bytes, 'a part of the content')
  if (start === endExclusive) return
  const seal = chunkSeal(content.key, content.nonce)
  const last = chunksOf(content.bytes) - 1
  for (let chunk = Math.floor(start / chunkBytes); chunk * chunkBytes < endExclusive; chunk += 1) {
    const clear = await readChunk(files, content, seal, chunk, last, scratch)
    if (clear === null) {
      yield null
      return
    }
    const from = chunk * chunkBytes
    yield clear.subarray(Math.max(0, start - from), Math.min(clear.length, endExclusive - from))
  }
}

/** The whole content by one read; null when the file is not what was stored. */
export function readWhole(
  files: ClipFiles,
  content: StoredContent,
  scratch = new Scratch(),
): Promise<Buffer | null> {
  return scratch.lend(sealedBytes(content.bytes), async (sealed) => {
    const read = await files.readAt(content.file, 0, sealed)
    return read === sealed.length && hasHead(sealed, content.nonce) ? openWhole(content, sealed) : null
  })
}

function openWhole(content: StoredContent, sealed: Buffer): Buffer | null {
  const seal = chunkSeal(content.key, content.nonce)
  const last = chunksOf(content.bytes) - 1
  // As most are; it need not be copied.
  if (last === 0) return seal.open(0, true, sealed.subarray(headBytes))
  const whole = Buffer.allocUnsafeSlow(content.bytes)
  for (let chunk = 0, at = headBytes; chunk <= last; chunk += 1) {
    const end = chunk === last ? sealed.length : at + chunkBytes + sealTagBytes
    const clear = seal.open(chunk, chunk === last, sealed.subarray(at, end))
    if (clear === null) return null
    clear.copy(whole, chunk * chunkBytes)
    letGo(clear)
    at = end
  }
  return whole
}

function readChunk(
  files: ClipFiles,
  content: StoredContent,
  seal: ChunkSeal,
  chunk: number,
  last: number,
  scratch: Scratch,
): Promise<Buffer | null> {
  const clear = chunk === last ? content.bytes - chunk * chunkBytes : chunkBytes
  const offset = headBytes + chunk * (chunkBytes + sealTagBytes)
  return scratch.lend(clear + sealTagBytes, async (sealed) => {
    if ((await files.readAt(content.file, offset, sealed)) !== sealed.length) return null
    return seal.open(chunk, chunk === last, sealed)
  })
}

function hasHead(sealed: Buffer, nonce: Uint8Array): boolean {
  return (
    sealed.subarray(0, magic.length).equals(magic) && sealed.subarray(magic.length, headBytes).equals(nonce)
  )
}
