/**
 * The seal: the signed label in the last 64 KiB of a slot that says what the slot holds. Whoever boots the
 * slot checks it.
 * Promise: made by the publisher with the seal key and written verbatim; a seal is believed only when its
 * signature holds. Layout fixed and little endian, so that a small static program can read it.
 * Leaves to others: whether the image under it is intact (verity root).
 *
 * magic "EVBTSEAL" · u32 version 1 · u32 signed length · u64 securityVersion · u64 floorAfterCommit (all
 * ones: none) · release id [64] · product [32] · version [32] · u32 images · u32 zero · per image: name [32],
 * u64 bytes, u64 padded bytes, verity root [32] · then key id [32], Ed25519 signature [64] over all before
 * the key id. Texts are zero padded. The tree of an image starts at its padded size.
 */
import { type Fault, fault } from '../../core/errors.ts'
import { releaseLimits, slotLimits } from '../../core/limits.ts'
import { fail, ok, type Result } from '../../core/result.ts'
import { blockBytes, type Digest, hex, roundUp } from '../../core/units.ts'
import type { Signer } from '../../keys/envelope.ts'
import type { KeyRing, Verify } from '../../keys/public-key.ts'

export interface SealedImage {
  readonly name: string
  readonly bytes: number
  readonly paddedBytes: number
  readonly verityRoot: Digest
}

export interface Seal {
  readonly releaseId: string
  readonly product: string
  readonly version: string
  readonly securityVersion: number
  /** null: committing bars nothing that the other slot holds. */
  readonly floorAfterCommit: number | null
  readonly images: readonly SealedImage[]
}

const magic = new TextEncoder().encode('EVBTSEAL')
const sealVersion = 1
const headBytes = 168
const imageEntryBytes = 80
const noFloor = 0xffff_ffff_ffff_ffffn
const textForm = /^[A-Za-z0-9._-]+$/

/** Length of a seal, padding apart. */
export function sealBytes(images: number): number {
  return headBytes + images * imageEntryBytes + 96
}

/** @returns the seal as it is put into a manifest and written to slots (without the padding). */
export function encodeSeal(seal: Seal, signer: Signer): Uint8Array {
  const signedBytes = headBytes + seal.images.length * imageEntryBytes
  const bytes = new Uint8Array(signedBytes + 96)
  const view = new DataView(bytes.buffer)
  bytes.set(magic, 0)
  view.setUint32(8, sealVersion, true)
  view.setUint32(12, signedBytes, true)
  view.setBigUint64(16, BigInt(seal.securityVersion), true)
  view.setBigUint64(24, seal.floorAfterCommit === null ? noFloor : BigInt(seal.floorAfterCommit), true)
  putText(bytes, 32, 64, seal.releaseId)
  putText(bytes, 96, 32, seal.product)
  putText(bytes, 128, 32, seal.version)
  view.setUint32(160, seal.images.length, true)
  seal.images.forEach((image, index) => {
    const at = headBytes + index * imageEntryBytes
    putText(bytes, at, 32, image.name)
    view.setBigUint64(at + 32, BigInt(image.bytes), true)
    view.setBigUint64(at + 40, BigInt(image.paddedBytes), true)
    bytes.set(Buffer.from(image.verityRoot, 'hex'), at + 48)
  })
  bytes.set(Buffer.from(signer.keyId, 'hex'), signedBytes)
  bytes.set(signer.sign(bytes.subarray(0, signedBytes)), signedBytes + 32)
  return bytes
}

/**
 * @param area the seal area of a slot, or a seal from a manifest
 * @returns the seal, or EB-SEAL
 */
export function openSeal(area: Uint8Array, ring: KeyRing, verify: Verify): Result<Seal, Fault> {
  return parse(area, (signed, keyId, signature) => {
    const key = ring.keys.get(keyId)
    if (key === undefined) return `is signed by the unknown key ${keyId.slice(0, 8)}`
    return verify(key, signed, signature) ? null : 'has a wrong signature'
  })
}

/**
 * What a seal claims, for a loader that cannot verify signatures: whoever starts the slot by it has it verified
 * by what it starts. @returns the seal, or EB-SEAL
 */
export function claimedSeal(area: Uint8Array): Result<Seal, Fault> {
  return parse(area, () => null)
}

/** @param doubt why the signature is not believed, or null */
function parse(
  area: Uint8Array,
  doubt: (signed: Uint8Array, keyId: string, signature: Uint8Array) => string | null,
): Result<Seal, Fault> {
  const bad = (what: string): Result<Seal, Fault> => fail(fault('EB-SEAL', `the seal ${what}`))
  if (area.length < headBytes + 96) return bad('is too short')
  const view = new DataView(area.buffer, area.byteOffset, area.byteLength)
  if (!magic.every((byte, index) => area[index] === byte)) return bad('is missing')
  if (view.getUint32(8, true) !== sealVersion) return bad(`has version ${view.getUint32(8, true)}, not 1`)
  const images = view.getUint32(160, true)
  const signedBytes = headBytes + images * imageEntryBytes
  if (images < 1 || images > releaseLimits.imagesMax || view.getUint32(12, true) !== signedBytes) {
    return bad('has impossible lengths')
  }
  if (area.length < signedBytes + 96) return bad('is too short')
  const keyId = hex(area.subarray(signedBytes, signedBytes + 32))
  const why = doubt(area.subarray(0, signedBytes), keyId, area.subarray(signedBytes + 32, signedBytes + 96))
  if (why !== null) return bad(why)
  const seal = read(area, view, images)
  return seal === null ? bad('is signed but malformed') : ok(seal)
}

function read(area: Uint8Array, view: DataView, images: number): Seal | null {
  const securityVersion = small(view.getBigUint64(16, true))
  const floor = view.getBigUint64(24, true)
  const floorAfterCommit = floor === noFloor ? null : small(floor)
  const releaseId = text(area, 32, 64)
  const product = text(area, 96, 32)
  const version = text(area, 128, 32)
  if (securityVersion === undefined || floorAfterCommit === undefined || securityVersion < 1) return null
  if (releaseId === null || product === null || version === null || view.getUint32(164, true) !== 0)
    return null
  const list: SealedImage[] = []
  for (let index = 0; index < images; index += 1) {
    const at = headBytes + index * imageEntryBytes
    const name = text(area, at, 32)
    const bytes = Number(view.getBigUint64(at + 32, true))
    const paddedBytes = Number(view.getBigUint64(at + 40, true))
    if (name === null || bytes < 1 || bytes > releaseLimits.imageBytesMax) return null
    if (paddedBytes !== roundUp(bytes, blockBytes)) return null
    list.push({ name, bytes, paddedBytes, verityRoot: hex(area.subarray(at + 48, at + 80)) as Digest })
  }
  return { releaseId, product, version, securityVersion, floorAfterCommit, images: list }
}

function putText(bytes: Uint8Array, at: number, room: number, value: string): void {
  if (!textForm.test(value) || value.length > room) throw new RangeError(`${value} does not fit a seal`)
  bytes.set(new TextEncoder().encode(value), at)
}

function text(bytes: Uint8Array, at: number, room: number): string | null {
  const field = Buffer.from(bytes.buffer, bytes.byteOffset + at, room)
  const end = field.indexOf(0)
  const value = field.toString('latin1', 0, end < 0 ? room : end)
  for (let rest = end < 0 ? room : end; rest < room; rest += 1) if (field[rest] !== 0) return null
  return textForm.test(value) ? value : null
}

function small(value: bigint): number | undefined {
  return value <= BigInt(slotLimits.numberMax) ? Number(value) : undefined
}
