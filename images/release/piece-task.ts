/**
 * From manifest and index to the work of one piece: what a `PieceCodec` needs, what a zero piece must hash to.
 * Promise: agent, reader and writer derive context, place and associated data by the same lines.
 * Leaves to others: fetching the bytes and opening the piece (piece.ts).
 */
import { createHash } from 'node:crypto'
import { type Fault, fault } from '../../core/errors.ts'
import type { PieceTask } from '../../core/ports.ts'
import { fail, ok, type Result } from '../../core/result.ts'
import { unwrapKey } from '../../keys/key-wrap.ts'
import type { KeyRing, Verify } from '../../keys/public-key.ts'
import { indexKey } from './content-cipher.ts'
import type { IndexEntry, PageContext } from './index-page.ts'
import { type Blob, type Image, type Manifest, pieceRange } from './manifest.ts'
import { pieceAad } from './piece.ts'
import { openSeal, type Seal, sealBytes } from './seal.ts'

/** The image that a blob is for; the manifest's form says that there is one. */
export function imageOf(manifest: Manifest, blob: Blob): Image {
  const found = manifest.images.find((it) => it.name === blob.image)
  if (found === undefined) throw new RangeError(`blob ${blob.id} is for no image`)
  return found
}

/** What opening the index pages of a blob needs. */
export function pageContext(manifest: Manifest, blob: Blob, contentKey: Uint8Array): PageContext {
  return {
    suite: blob.suite,
    key: indexKey(contentKey),
    releaseId: manifest.id,
    blobId: blob.id,
    pieces: blob.pieces,
    blobBytes: blob.bytes,
  }
}

/** @param sealed the piece as fetched: `entry.sealedBytes` bytes from `entry.offset` of the blob */
export function pieceTask(
  manifest: Manifest,
  blob: Blob,
  contentKey: Uint8Array,
  pieceIndex: number,
  entry: IndexEntry,
  sealed: Uint8Array,
): PieceTask {
  return {
    suite: blob.suite,
    compression: entry.kind === 'zstd' ? 'zstd' : 'none',
    key: contentKey,
    pieceIndex,
    aad: pieceAad(manifest.id, blob.id, pieceIndex, blob.pieces),
    sealed,
    sealedSha256: entry.sealedSha256,
    rawBytes: pieceRange(blob, imageOf(manifest, blob).paddedBytes, pieceIndex).bytes,
    rawSha256: entry.rawSha256,
  }
}

/** SHA-256 of so many zeros, the raw hash of a zero piece; remembers the last lengths, of which a blob has two. */
export function zeroHasher(): (bytes: number) => Uint8Array {
  const known = new Map<number, Uint8Array>()
  return (bytes) => {
    const found = known.get(bytes) ?? createHash('sha256').update(new Uint8Array(bytes)).digest()
    if (known.size < 2) known.set(bytes, found)
    return found
  }
}

/** @param wrapped base64 of 40 bytes. @returns the content key, or EB-WRONG-DEVICE. */
export function openWrap(wrappingKey: Uint8Array, wrapped: string | undefined): Result<Uint8Array, Fault> {
  if (wrapped === undefined) return fail(fault('EB-WRONG-DEVICE', 'there is no content key for this device'))
  return unwrapKey(wrappingKey, Buffer.from(wrapped, 'base64'))
}

/** The seal of a release as it is written to slots, and what it says. */
export interface ReleaseSeal {
  readonly bytes: Uint8Array
  readonly seal: Seal
}

/** @returns the seal of a manifest, signed and saying the same as the manifest; or EB-SEAL */
export function sealOf(manifest: Manifest, ring: KeyRing, verify: Verify): Result<ReleaseSeal, Fault> {
  const bytes = new Uint8Array(Buffer.from(manifest.seal, 'base64'))
  const opened = openSeal(bytes, ring, verify)
  if (!opened.ok) return opened
  const seal = opened.value
  const same =
    seal.releaseId === manifest.id &&
    seal.product === manifest.product &&
    seal.version === manifest.version &&
    seal.securityVersion === manifest.securityVersion &&
    seal.floorAfterCommit === manifest.floorAfterCommit &&
    seal.images.length === manifest.images.length &&
    manifest.images.every((image, index) => {
      const it = seal.images[index]
      return (
        it?.name === image.name &&
        it.bytes === image.bytes &&
        it.paddedBytes === image.paddedBytes &&
        it.verityRoot === image.verityRoot
      )
    })
  if (same && sealBytes(seal.images.length) === bytes.length) return ok({ bytes, seal })
  return fail(
    fault('EB-SEAL', `the seal in the manifest of ${manifest.id} says other things than the manifest`),
  )
}
