/**
 * Reads a release: checks it with or without its content keys and gives out its pieces in order.
 * Promise: a piece is given out only after its page hash, page tag, ciphertext hash, cipher and raw hash held,
 * in its place; pieces follow each other without gap over the whole blob; memory is a few pieces, whatever the
 * size of the release. Failures are thrown as `EverbootError`.
 * Leaves to others: where release and image lie (`ByteSource`), writing slots (slot-writer.ts).
 */
import { createHash } from 'node:crypto'
import { assert } from '../../core/assert.ts'
import { orThrow, raise } from '../../core/errors.ts'
import type { KeyRing, Verify } from '../../keys/public-key.ts'
import type { Trust } from '../../keys/trust.ts'
import { pssVerifier, type StreamingVerifier } from '../../keys/verify-node.ts'
import { type ByteSource, readExactly, sha256Of } from './byte-source.ts'
import { type IndexEntry, type IndexPage, openPage, pageCount, pageRange } from './index-page.ts'
import { type Blob, fullBlob, type Image, type Manifest, pieceRange } from './manifest.ts'
import { openPiece } from './piece.ts'
import { imageOf, pageContext, pieceTask, sealOf, zeroHasher } from './piece-task.ts'
import { verityBuilder } from './verity.ts'
import { type DeviceWraps, openWraps } from './wraps.ts'

/** A release whose manifest is signed; index pages and blobs are still unread. */
export interface Release {
  readonly manifest: Manifest
  readonly manifestBytes: Uint8Array
  index(blobId: string): ByteSource
  blob(blobId: string): ByteSource
  readonly wraps: ByteSource | null
}

/** One piece of an image in its place. */
export interface ReleasePiece {
  readonly number: number
  /** Destination in the image. */
  readonly offset: number
  readonly bytes: number
  readonly entry: IndexEntry
  /** The raw bytes; null for a piece of zeros. */
  readonly raw: Uint8Array | null
}

/** Told after each step of work: bytes done of bytes in all. */
export type Progress = (done: number, total: number) => void

/**
 * What can be checked without content keys: every index and blob against the signed manifest, the key wraps.
 * @throws EverbootError EB-INDEX, EB-BLOB, or the fault of the wraps
 */
export async function verifyClosed(
  release: Release,
  ring: KeyRing,
  verify: Verify,
  progress: Progress = () => {},
): Promise<void> {
  const { manifest } = release
  if (release.wraps !== null) await readWraps(release, ring, verify)
  const total = manifest.blobs.reduce((sum, it) => sum + it.bytes + it.index.bytes, 0)
  let done = 0
  for (const blob of manifest.blobs) {
    await verifyIndexFile(release.index(blob.id), blob)
    const source = release.blob(blob.id)
    checkLength(source, blob.bytes, 'EB-BLOB')
    const found = await sha256Of(source, 'EB-BLOB', (bytes) => progress(done + bytes, total))
    if (found !== blob.sha256) raise('EB-BLOB', `${source.name} does not match the hash in the manifest`)
    done += blob.bytes + blob.index.bytes
    progress(done, total)
  }
}

/**
 * What the keys make possible on top: opens every page and piece, compares the verity root of each image, the
 * RSA signature of the kindle profile, and the seal.
 * @param keys content keys by blob id
 * @throws EverbootError EB-INDEX, EB-PIECE, EB-BLOB, EB-IMAGE, EB-SIGNATURE, EB-UNKNOWN-KEY, EB-SEAL
 */
export async function verifyContent(
  release: Release,
  keys: ReadonlyMap<string, Uint8Array>,
  trust: Trust,
  verify: Verify,
  progress: Progress = () => {},
): Promise<void> {
  const { manifest } = release
  orThrow(sealOf(manifest, trust.seal, verify))
  const total = manifest.blobs.reduce((sum, it) => sum + imageOf(manifest, it).paddedBytes, 0)
  let done = 0
  for (const blob of manifest.blobs) {
    const key = keys.get(blob.id)
    if (key === undefined) raise('EB-WRONG-DEVICE', `there is no content key for blob ${blob.id}`)
    await verifyImage(release, blob, key, trust, (bytes) => progress(done + bytes, total))
    done += imageOf(manifest, blob).paddedBytes
  }
}

/** The wraps of a container by device. @throws EverbootError */
export async function readWraps(
  release: Release,
  ring: KeyRing,
  verify: Verify,
): Promise<ReadonlyMap<string, DeviceWraps>> {
  if (release.wraps === null) return new Map()
  const bytes = new Uint8Array(release.wraps.bytes)
  await readExactly(release.wraps, 0, bytes, 'EB-CONTAINER')
  return orThrow(openWraps(bytes, release.manifest, ring, verify))
}

/** The entries of a blob's index, page by page. @throws EverbootError EB-INDEX */
export async function* indexPages(
  release: Release,
  blob: Blob,
  contentKey: Uint8Array,
): AsyncGenerator<IndexPage> {
  const source = release.index(blob.id)
  checkLength(source, blob.index.bytes, 'EB-INDEX')
  const context = pageContext(release.manifest, blob, contentKey)
  let next = 0
  for (let page = 0; page < pageCount(blob.pieces); page += 1) {
    const opened = orThrow(openPage(await readPage(source, blob, page), page, pageHash(blob, page), context))
    if (opened.entries[0]?.offset !== next) raise('EB-INDEX', `${source.name}: page ${page} leaves a gap`)
    for (const entry of opened.entries) next = entry.offset + entry.sealedBytes
    yield opened
  }
  if (next !== blob.bytes) raise('EB-INDEX', `${source.name} describes ${next} of ${blob.bytes} bytes`)
}

/**
 * Every piece of a blob, checked, in the order of the image. The raw bytes are the taker's.
 * @throws EverbootError EB-INDEX, EB-PIECE, EB-BLOB
 */
export async function* releasePieces(
  release: Release,
  blob: Blob,
  contentKey: Uint8Array,
  seen: (sealed: Uint8Array) => void = () => {},
): AsyncGenerator<ReleasePiece> {
  const { manifest } = release
  const source = release.blob(blob.id)
  checkLength(source, blob.bytes, 'EB-BLOB')
  const { paddedBytes } = imageOf(manifest, blob)
  const zeroHash = zeroHasher()
  let buffer = new Uint8Array(0)
  for await (const page of indexPages(release, blob, contentKey)) {
    for (const [at, entry] of page.entries.entries()) {
      const number = page.firstPiece + at
      const place = pieceRange(blob, paddedBytes, number)
      if (entry.kind === 'zero') {
        if (Buffer.compare(entry.rawSha256, zeroHash(place.bytes)) !== 0)
          raise('EB-INDEX', `zero piece ${number} has the hash of another`)
        yield { number, ...place, entry, raw: null }
        continue
      }
      if (buffer.length < entry.sealedBytes) buffer = new Uint8Array(entry.sealedBytes)
      const sealed = buffer.subarray(0, entry.sealedBytes)
      await readExactly(source, entry.offset, sealed, 'EB-BLOB')
      seen(sealed)
      const raw = orThrow(openPiece(pieceTask(manifest, blob, contentKey, number, entry, sealed)))
      yield { number, ...place, entry, raw }
    }
  }
}

/** The blob that holds the whole of an image. @throws EverbootError EB-NOT-FOUND */
export function blobOf(manifest: Manifest, imageName: string): Blob {
  return (
    fullBlob(manifest, imageName) ?? raise('EB-NOT-FOUND', `release ${manifest.id} has no image ${imageName}`)
  )
}

async function verifyIndexFile(source: ByteSource, blob: Blob): Promise<void> {
  checkLength(source, blob.index.bytes, 'EB-INDEX')
  const whole = createHash('sha256')
  for (let page = 0; page < pageCount(blob.pieces); page += 1) {
    const bytes = await readPage(source, blob, page)
    whole.update(bytes)
    if (createHash('sha256').update(bytes).digest('hex') !== pageHash(blob, page)) {
      raise('EB-INDEX', `${source.name}: page ${page} does not match the hash in the manifest`)
    }
  }
  if (whole.digest('hex') !== blob.index.sha256) {
    raise('EB-INDEX', `${source.name} does not match the hash in the manifest`)
  }
}

async function verifyImage(
  release: Release,
  blob: Blob,
  key: Uint8Array,
  trust: Trust,
  progress: (bytes: number) => void,
): Promise<void> {
  const image = imageOf(release.manifest, blob)
  const verity = verityBuilder(image.paddedBytes)
  const clear = clearCheck(image, trust)
  const sealed = createHash('sha256')
  const zeros = new Uint8Array(blob.pieceBytes)
  for await (const piece of releasePieces(release, blob, key, (bytes) => void sealed.update(bytes))) {
    const raw = piece.raw ?? zeros.subarray(0, piece.bytes)
    verity.update(raw)
    clear?.update(raw.subarray(0, Math.max(0, Math.min(raw.length, image.bytes - piece.offset))))
    progress(piece.offset + piece.bytes)
  }
  if (sealed.digest('hex') !== blob.sha256) {
    raise('EB-BLOB', `blob ${blob.id} does not match the hash in the manifest`)
  }
  const root = verity.finish()
  if (root !== image.verityRoot) {
    raise('EB-IMAGE', `image ${image.name} has the verity root ${root}, not ${image.verityRoot}`)
  }
  clear?.finish()
}

interface ClearCheck {
  update(part: Uint8Array): void
  finish(): void
}

/** The checks of the kindle profile over the clear image; null when the image has no RSA signature. */
function clearCheck(image: Image, trust: Trust): ClearCheck | null {
  const { rsa } = image
  if (rsa === undefined) return null
  const pem = trust.rsa.get(rsa.keyid)
  const verifier: StreamingVerifier | null = pem === undefined ? null : pssVerifier(pem)
  if (verifier === null) raise('EB-UNKNOWN-KEY', `image ${image.name}: RSA key ${rsa.keyid} is not trusted`)
  const hash = createHash('sha256')
  return {
    update(part) {
      hash.update(part)
      verifier.update(part)
    },
    finish() {
      if (hash.digest('hex') !== rsa.sha256) raise('EB-IMAGE', `image ${image.name} has another SHA-256`)
      if (verifier.verify(Buffer.from(rsa.sig, 'base64'))) return
      raise('EB-SIGNATURE', `the RSA signature of image ${image.name} does not match`)
    },
  }
}

async function readPage(source: ByteSource, blob: Blob, page: number): Promise<Uint8Array> {
  const { offset, bytes } = pageRange(blob.pieces, page)
  const sealed = new Uint8Array(bytes)
  await readExactly(source, offset, sealed, 'EB-INDEX')
  return sealed
}

function pageHash(blob: Blob, page: number): string {
  const found = blob.index.pages[page]
  assert(found !== undefined, `blob ${blob.id} has no page ${page}`)
  return found
}

function checkLength(source: ByteSource, bytes: number, code: 'EB-INDEX' | 'EB-BLOB'): void {
  if (source.bytes === bytes) return
  raise(code, `${source.name} has ${source.bytes} bytes, the manifest says ${bytes}`)
}
