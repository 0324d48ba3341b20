/**
 * The entry of a clip in the list of its skill, made from its bytes, and the check of bytes against an entry.
 * Promise: an entry made here fits its bytes; `checkPiece` says yes only to exactly the piece that was hashed, at
 * exactly its place.
 * Leaves to others: what the sound is (read-audio.ts), order and number of clips in a list.
 */
import { createHash } from 'node:crypto'
import { clipLimits } from '../core/clip-limits.ts'
import { raise } from '../core/errors.ts'
import { type Digest, isDigest } from '../core/units.ts'
import type { Audio, ListedClip } from '../core/wire/skills.ts'

const hashBytes = 32

/** What a publisher says of a clip besides its bytes. */
export interface Listing {
  readonly language: string | null
  /** Absent: as the device is configured; 0: does not expire. */
  readonly ttlSeconds?: number
  readonly pinned?: boolean
}

/** @param id names the clip, checked by the caller @param bytes at least one, clipLimits.clipBytesMax at most */
export function listEntry(id: string, bytes: Uint8Array, audio: Audio, more: Listing): ListedClip {
  return {
    id,
    sha256: digestOf(bytes),
    bytes: bytes.length,
    pieces: hashesOfPieces(bytes).toString('base64'),
    audio,
    language: more.language,
    ...(more.ttlSeconds === undefined ? {} : { ttlSeconds: more.ttlSeconds }),
    ...(more.pinned === undefined ? {} : { pinned: more.pinned }),
  }
}

/**
 * Whether `bytes` are piece number `index` of the clip, so that it can be played while it comes.
 * @param index from 0; @param bytes the whole piece: clipLimits.pieceBytes, the last one what is left
 */
export function checkPiece(entry: Pick<ListedClip, 'pieces'>, index: number, bytes: Uint8Array): boolean {
  const wanted = Buffer.from(entry.pieces, 'base64').subarray(index * hashBytes, (index + 1) * hashBytes)
  return createHash('sha256').update(bytes).digest().equals(wanted)
}

function hashesOfPieces(bytes: Uint8Array): Buffer {
  const hashes: Buffer[] = []
  for (let at = 0; at < bytes.length; at += clipLimits.pieceBytes) {
    const piece = bytes.subarray(at, at + clipLimits.pieceBytes)
    hashes.push(createHash('sha256').update(piece).digest())
  }
  return Buffer.concat(hashes)
}

function digestOf(bytes: Uint8Array): Digest {
  const text = createHash('sha256').update(bytes).digest('hex')
  return isDigest(text) ? text : raise('EB-INTERNAL', `${text} is no SHA-256`)
}
