/**
 * Makes blob and index of one image: cuts it into pieces, compresses, seals, describes each in the index.
 * Promise: one pass in order with `buildLimits.piecesInFlight` pieces of memory; a piece of zeros costs an
 * index entry and nothing else; no nonce is used twice under the key of the blob.
 * Leaves to others: manifest and signatures (writer.ts), which keys (secrets.ts).
 */
import { createHash, hash } from 'node:crypto'
import { assert, present } from '../../core/assert.ts'
import { raise } from '../../core/errors.ts'
import { buildLimits, releaseLimits } from '../../core/limits.ts'
import { blockBytes, type Digest, MiB, roundUp } from '../../core/units.ts'
import { type ByteSink, type ByteSource, inSteps, readExactly } from './byte-source.ts'
import { indexKey, type Suite } from './content-cipher.ts'
import { entriesPerPage, type IndexEntry, indexBytes, type PageContext, sealPage } from './index-page.ts'
import { type Blob, type Image, pieceRange } from './manifest.ts'
import { pieceAad, sealPiece } from './piece.ts'
import { zeroHasher } from './piece-task.ts'
import { verityBuilder } from './verity.ts'

export interface ImageJob {
  readonly releaseId: string
  /** Name of the image, id of its blob. */
  readonly name: string
  readonly source: ByteSource
  readonly suite: Suite
  readonly contentKey: Uint8Array
  readonly pieceBytes: number
  /** zstd level; 0 stores pieces as they are. */
  readonly level: number
  /** Whether the SHA-256 of the clear image is wanted. */
  readonly hashClear: boolean
}

export interface ImagePorts {
  readonly blob: ByteSink
  readonly index: ByteSink
  /** @returns null when it does not get smaller. Several calls may be under way; `raw` is left alone until then. */
  readonly compress: (raw: Uint8Array, level: number) => Promise<Uint8Array | null>
  /** A fresh IV for the piece; asked for in the kindle profile only. */
  readonly iv: (piece: number) => Uint8Array
  /** Told how many bytes of the image are done. */
  readonly progress: (bytes: number) => void
}

export interface MadeImage {
  readonly image: Image
  readonly blob: Blob
  /** Of the clear image without padding; null unless asked for. */
  readonly sha256: Uint8Array | null
}

/** A piece that is read and may still be under compression. */
interface Underway {
  readonly number: number
  readonly raw: Uint8Array
  readonly rawSha256: Uint8Array
  /** null: a piece of zeros. */
  readonly packed: Promise<Uint8Array | null> | null
}

/** @throws EverbootError EB-IMAGE when the source has an impossible size or ends early */
export async function writeImage(job: ImageJob, ports: ImagePorts): Promise<MadeImage> {
  const { bytes } = job.source
  if (bytes < 1 || bytes > releaseLimits.imageBytesMax) {
    raise('EB-IMAGE', `${job.source.name} has ${bytes} bytes, not 1 to ${releaseLimits.imageBytesMax}`)
  }
  const paddedBytes = roundUp(bytes, blockBytes)
  const pieces = Math.ceil(paddedBytes / job.pieceBytes)
  const verity = verityBuilder(paddedBytes)
  const clear = job.hashClear ? createHash('sha256') : null
  const zeroHash = zeroHasher()
  const source = job.pieceBytes < MiB ? inSteps(job.source) : job.source
  const emit = emitter(job, pieces, ports)
  const rooms = Array.from({ length: buildLimits.piecesInFlight + 1 }, () => new Uint8Array(job.pieceBytes))
  const underway: Underway[] = []
  for (let number = 0; number < pieces; number += 1) {
    const place = pieceRange(job, paddedBytes, number)
    const room = present(rooms[number % rooms.length], 'room').subarray(0, place.bytes)
    const own = room.subarray(0, Math.min(place.bytes, bytes - place.offset))
    await readExactly(source, place.offset, own, 'EB-IMAGE')
    room.fill(0, own.length)
    verity.update(room)
    clear?.update(own)
    const zero = isZero(room) ? zeroHash(room.length) : null
    underway.push(begin(number, room, zero, job.level, ports))
    if (underway.length > buildLimits.piecesInFlight) await emit.piece(present(underway.shift(), 'piece'))
    ports.progress(place.offset + own.length)
  }
  for (const piece of underway) await emit.piece(piece)
  const blob = await emit.finish()
  const image: Image = { name: job.name, bytes, paddedBytes, verityRoot: verity.finish() }
  return { image, blob, sha256: clear?.digest() ?? null }
}

/** @param zero the hash, when the piece is all zeros */
function begin(
  number: number,
  raw: Uint8Array,
  zero: Uint8Array | null,
  level: number,
  ports: ImagePorts,
): Underway {
  if (zero !== null) return { number, raw, rawSha256: zero, packed: null }
  const packed = level === 0 ? Promise.resolve(null) : ports.compress(raw, level)
  // It is awaited later; until then a failure must not count as unhandled.
  packed.catch(() => {})
  return { number, raw, rawSha256: hash('sha256', raw, 'buffer'), packed }
}

/** Takes pieces in order and writes blob and index. */
function emitter(
  job: ImageJob,
  pieces: number,
  ports: ImagePorts,
): { piece(it: Underway): Promise<void>; finish(): Promise<Blob> } {
  const context: PageContext = {
    suite: job.suite,
    key: indexKey(job.contentKey),
    releaseId: job.releaseId,
    blobId: job.name,
    pieces,
    blobBytes: 0,
  }
  const blobHash = createHash('sha256')
  const indexHash = createHash('sha256')
  const pages: Digest[] = []
  const entries: IndexEntry[] = []
  let offset = 0
  const closePage = async (): Promise<void> => {
    const page = sealPage(pages.length, entries.splice(0), context)
    pages.push(createHash('sha256').update(page).digest('hex') as Digest)
    indexHash.update(page)
    await ports.index.write(page)
  }
  return {
    async piece(it) {
      const { kind, bytes } = await sealed(job, pieces, it, ports)
      const sealedSha256 = hash('sha256', bytes, 'buffer')
      entries.push({ kind, offset, sealedBytes: bytes.length, rawSha256: it.rawSha256, sealedSha256 })
      blobHash.update(bytes)
      if (bytes.length > 0) await ports.blob.write(bytes)
      offset += bytes.length
      if (entries.length === entriesPerPage) await closePage()
    },
    async finish() {
      if (entries.length > 0) await closePage()
      const { name, suite, pieceBytes } = job
      const place = { id: name, image: name, kind: 'full', suite, pieceBytes, pieces } as const
      const index = { bytes: indexBytes(pieces), sha256: indexHash.digest('hex') as Digest, pages }
      return { ...place, bytes: offset, sha256: blobHash.digest('hex') as Digest, index }
    },
  }
}

async function sealed(
  job: ImageJob,
  pieces: number,
  it: Underway,
  ports: ImagePorts,
): Promise<{ readonly kind: IndexEntry['kind']; readonly bytes: Uint8Array }> {
  if (it.packed === null) return { kind: 'zero', bytes: new Uint8Array(0) }
  const packed = await it.packed
  const aad = pieceAad(job.releaseId, job.name, it.number, pieces)
  const clear = packed ?? it.raw
  const bytes = sealPiece(job.suite, job.contentKey, it.number, aad, clear, () => ports.iv(it.number))
  assert(bytes.length <= releaseLimits.sealedPieceBytesMax, `sealed piece of ${bytes.length} bytes`)
  return { kind: packed === null ? 'stored' : 'zstd', bytes }
}

const zeros = new Uint8Array(releaseLimits.pieceBytesMax)

function isZero(raw: Uint8Array): boolean {
  return raw[0] === 0 && Buffer.compare(raw, zeros.subarray(0, raw.length)) === 0
}
