/**
 * One piece: sealed by the publisher, opened and checked by the device.
 * Promise: the order of checks is ciphertext hash, cipher, expansion, raw hash; a piece that passes is the
 * publisher's, whole, in its place. All failures are one: EB-PIECE.
 * Leaves to others: where pieces come from and go to.
 */
import { hash, timingSafeEqual } from 'node:crypto'
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { type Fault, fault } from '../../core/errors.ts'
import { giveBack } from '../../core/give-back.ts'
import { releaseLimits } from '../../core/limits.ts'
import type { PieceTask } from '../../core/ports.ts'
import { fail, ok, type Result } from '../../core/result.ts'
import { openAead, openCbc, type Suite, sealAead, sealCbc } from './content-cipher.ts'

/** What ties a piece to its release, blob and place. */
export function pieceAad(releaseId: string, blobId: string, piece: number, pieces: number): Uint8Array {
  return new TextEncoder().encode(`everboot piece\0${releaseId}\0${blobId}\0${piece}\0${pieces}`)
}

/** @returns the raw bytes, or EB-PIECE. Synchronous: bulk work belongs on a worker or in small steps. */
export function openPiece(task: PieceTask): Result<Uint8Array, Fault> {
  const bad = fail(fault('EB-PIECE', `piece ${task.pieceIndex} is damaged or not from the publisher`))
  if (!sameHash(task.sealed, task.sealedSha256)) return bad
  const packed =
    task.suite === 'aes-256-cbc'
      ? openCbc(task.key, task.sealed)
      : openAead(task.suite, task.key, task.pieceIndex, task.aad, task.sealed)
  if (packed === null) return bad
  const raw = task.compression === 'zstd' ? expand(packed, task.rawBytes) : packed
  if (raw !== packed) giveBack(packed)
  if (raw === null || raw.length !== task.rawBytes || !sameHash(raw, task.rawSha256)) return bad
  return ok(raw)
}

/** @returns null when `raw` does not get smaller by it. */
export function compressPiece(raw: Uint8Array, level: number): Uint8Array | null {
  const packed = zstdCompressSync(raw, {
    params: { [constants.ZSTD_c_compressionLevel]: level },
    chunkSize: releaseLimits.pieceBytesMax,
  })
  return packed.length < raw.length ? packed : null
}

/** @param iv needed for CBC only, 16 random bytes. */
export function sealPiece(
  suite: Suite,
  key: Uint8Array,
  piece: number,
  aad: Uint8Array,
  packed: Uint8Array,
  iv: () => Uint8Array,
): Uint8Array {
  return suite === 'aes-256-cbc' ? sealCbc(key, iv(), packed) : sealAead(suite, key, piece, aad, packed)
}

function expand(packed: Uint8Array, rawBytes: number): Uint8Array | null {
  try {
    return zstdDecompressSync(packed, { chunkSize: Math.max(rawBytes, 64), maxOutputLength: rawBytes })
  } catch {
    return null
  }
}

function sameHash(bytes: Uint8Array, sha256: Uint8Array): boolean {
  return sha256.length === 32 && timingSafeEqual(hash('sha256', bytes, 'buffer'), sha256)
}
