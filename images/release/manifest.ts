/**
 * The manifest: what a release is, which images it holds and where their bytes are, signed by the publisher.
 * Promise: `openManifest` hands out a manifest only when its signatures hold, its form is exactly known and
 * its numbers agree with each other (grid, lengths, pages, seal).
 * Leaves to others: whether this board may install it (device/update/plan.ts). `docs/FORMAT.md` describes it.
 */
import * as v from 'valibot'
import { type Fault, fault } from '../../core/errors.ts'
import { releaseLimits, slotLimits } from '../../core/limits.ts'
import { fail, ok, type Result } from '../../core/result.ts'
import { blockBytes, type Digest, isDigest, roundUp, safeName } from '../../core/units.ts'
import { openEnvelope } from '../../keys/envelope.ts'
import type { KeyRing, Verify } from '../../keys/public-key.ts'
import { indexBytes, pageCount } from './index-page.ts'

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const positive = v.pipe(v.number(), v.safeInteger(), v.minValue(1))
const small = v.pipe(count, v.maxValue(slotLimits.numberMax))
const name = v.pipe(v.string(), v.regex(safeName))
/** Products, versions and image names: what fits a seal. */
export const shortNameForm = /^[A-Za-z0-9._-]{1,31}$/
const shortName = v.pipe(v.string(), v.regex(shortNameForm), v.regex(safeName))
const digest = v.custom<Digest>(
  (input) => typeof input === 'string' && isDigest(input),
  'not a SHA-256 in hex',
)
const base64 = v.pipe(v.string(), v.base64(), v.maxLength(8192))

const blob = v.strictObject({
  id: name,
  image: shortName,
  kind: v.literal('full'),
  suite: v.picklist(['chacha20-poly1305', 'aes-256-gcm', 'aes-256-cbc']),
  /** Destination bytes of a piece; the last one may be shorter. */
  pieceBytes: v.pipe(positive, v.maxValue(releaseLimits.pieceBytesMax), v.multipleOf(blockBytes)),
  pieces: positive,
  bytes: count,
  sha256: digest,
  index: v.strictObject({
    bytes: positive,
    sha256: digest,
    pages: v.pipe(v.array(digest), v.minLength(1), v.maxLength(releaseLimits.indexPagesMax)),
  }),
})
export type Blob = v.InferOutput<typeof blob>

const image = v.strictObject({
  name: shortName,
  bytes: v.pipe(positive, v.maxValue(releaseLimits.imageBytesMax)),
  /** `bytes` rounded up to 4096: what is written, and what the tree covers. */
  paddedBytes: positive,
  verityRoot: digest,
  /** Kindle profile: RSA-2048-PSS-SHA-256, salt 222, over the clear image of `bytes` bytes. */
  rsa: v.optional(v.strictObject({ keyid: name, sha256: digest, sig: base64 })),
})
export type Image = v.InferOutput<typeof image>

const manifest = v.strictObject({
  _type: v.literal('everboot-release'),
  format: v.literal(1),
  id: name,
  product: shortName,
  version: shortName,
  /** What it is: compared with the floor of the device. 1 or more; 0 means "never armed" in the boot record. */
  securityVersion: v.pipe(small, v.minValue(1)),
  /** What committing it bars: the floor rises to this; null bars nothing that the other slot holds. */
  floorAfterCommit: v.nullable(small),
  hardware: v.pipe(v.array(name), v.minLength(1), v.maxLength(releaseLimits.hardwareIdsMax)),
  profile: v.picklist(['standard', 'kindle']),
  images: v.pipe(v.array(image), v.minLength(1), v.maxLength(releaseLimits.imagesMax)),
  blobs: v.pipe(v.array(blob), v.minLength(1), v.maxLength(releaseLimits.blobsMax)),
  /** The seal, base64, written to the slot as it is. */
  seal: base64,
})
export type Manifest = v.InferOutput<typeof manifest>

/**
 * @param bytes the manifest file
 * @returns the manifest, or the fault of its envelope, or EB-UNSUPPORTED, EB-MANIFEST
 */
export function openManifest(bytes: Uint8Array, ring: KeyRing, verify: Verify): Result<Manifest, Fault> {
  const opened = openEnvelope(bytes, releaseLimits.manifestBytesMax, ring, verify, 'the manifest')
  return opened.ok ? readManifest(opened.value) : opened
}

/**
 * Form and agreement only: for the publisher, before signing, and for looking at a release without its keys.
 * @param document the `signed` part of an envelope. @returns the manifest, or EB-UNSUPPORTED, EB-MANIFEST
 */
export function readManifest(document: unknown): Result<Manifest, Fault> {
  const signed = document as Record<string, unknown>
  if (signed['_type'] !== 'everboot-release' || signed['format'] !== 1) {
    const found = `${JSON.stringify(signed['_type'])} format ${JSON.stringify(signed['format'])}`
    return fail(fault('EB-UNSUPPORTED', `the manifest is ${found}, not "everboot-release" format 1`))
  }
  const parsed = v.safeParse(manifest, signed)
  if (!parsed.success) {
    const [issue] = parsed.issues
    return fail(fault('EB-MANIFEST', `the manifest: ${v.getDotPath(issue) ?? 'document'}: ${issue.message}`))
  }
  const broken = disagreement(parsed.output)
  return broken === null ? ok(parsed.output) : fail(fault('EB-MANIFEST', `the manifest: ${broken}`))
}

/** The first thing in which a well-formed manifest contradicts itself, or null. */
function disagreement(it: Manifest): string | null {
  if (new Set(it.images.map((one) => one.name)).size !== it.images.length) return 'two images of one name'
  if (new Set(it.blobs.map((one) => one.id)).size !== it.blobs.length) return 'two blobs of one id'
  for (const one of it.images) {
    if (one.paddedBytes !== roundUp(one.bytes, blockBytes)) return `image ${one.name}: padded size`
    const full = it.blobs.filter((its) => its.image === one.name && its.kind === 'full').length
    if (full !== 1) return `image ${one.name} has ${full} full blobs`
    if ((it.profile === 'kindle') !== (one.rsa !== undefined))
      return `image ${one.name}: RSA signature and profile`
  }
  for (const one of it.blobs) {
    const target = it.images.find((its) => its.name === one.image)
    if (target === undefined) return `blob ${one.id} is for no image`
    if ((it.profile === 'kindle') !== (one.suite === 'aes-256-cbc'))
      return `blob ${one.id}: suite and profile`
    if (one.pieces !== Math.ceil(target.paddedBytes / one.pieceBytes))
      return `blob ${one.id}: number of pieces`
    if (one.index.pages.length !== pageCount(one.pieces)) return `blob ${one.id}: number of index pages`
    if (one.index.bytes !== indexBytes(one.pieces)) return `blob ${one.id}: length of the index`
    if (one.bytes > one.pieces * releaseLimits.sealedPieceBytesMax) return `blob ${one.id}: length`
  }
  return null
}

/** The blob that holds a whole image. */
export function fullBlob(it: Manifest, imageName: string): Blob | undefined {
  return it.blobs.find((one) => one.kind === 'full' && one.image === imageName)
}

/** Destination bytes of piece `index` of a blob. */
export function pieceRange(
  of: { readonly pieceBytes: number },
  paddedBytes: number,
  index: number,
): { readonly offset: number; readonly bytes: number } {
  const offset = index * of.pieceBytes
  return { offset, bytes: Math.min(of.pieceBytes, paddedBytes - offset) }
}
