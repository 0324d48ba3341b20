/** The seal: golden bytes, a second verifier, every flipped bit, and signed nonsense. */
import { readFileSync } from 'node:fs'
import { ed25519 } from '@noble/curves/ed25519.js'
import { expect, test } from 'vitest'
import { releaseLimits, slotLimits } from '../../core/limits.ts'
import type { Digest } from '../../core/units.ts'
import { claimedSeal, encodeSeal, openSeal, type Seal, sealBytes } from '../../images/release/seal.ts'
import { verifyEd25519 } from '../../keys/verify-node.ts'
import { ringOf, testSigner } from '../keys/signers.ts'
import { flipped } from './releases.ts'

const [signer, next, stranger] = [testSigner('seal'), testSigner('seal-2'), testSigner('stranger')]
const ring = ringOf([signer, next])
const seal: Seal = {
  releaseId: 'demo-1.2.3-0123456789ab',
  product: 'demo',
  version: '1.2.3',
  securityVersion: 7,
  floorAfterCommit: null,
  images: [
    { name: 'rootfs', bytes: 10_000, paddedBytes: 12_288, verityRoot: 'ab'.repeat(32) as Digest },
    { name: 'boot', bytes: 4096, paddedBytes: 4096, verityRoot: 'cd'.repeat(32) as Digest },
  ],
}
const area = (bytes: Uint8Array): Uint8Array => {
  const padded = new Uint8Array(slotLimits.sealAreaBytes)
  padded.set(bytes)
  return padded
}
const codeOf = (bytes: Uint8Array, by = ring): string => {
  const result = openSeal(bytes, by, verifyEd25519)
  return result.ok ? 'opened' : result.error.code
}

test('what a seal claims is read without a key, and only when it has the form of one', () => {
  const bytes = encodeSeal(seal, stranger)
  expect(codeOf(area(bytes))).toBe('EB-SEAL')
  expect(claimedSeal(area(bytes))).toEqual({ ok: true, value: seal })
  for (const at of [0, 8, 12, 160]) {
    const result = claimedSeal(area(flipped(bytes, at * 8)))
    expect(result.ok ? 'claimed' : result.error.code).toBe('EB-SEAL')
  }
})

test('a seal has the same bytes for ever and says what was put in, with and without padding', () => {
  const golden = readFileSync(new URL('../vectors/seal.bin', import.meta.url))
  const bytes = encodeSeal(seal, signer)
  expect(bytes.length).toBe(sealBytes(2))
  expect(Buffer.from(bytes).equals(golden)).toBe(true)
  expect(openSeal(golden, ring, verifyEd25519)).toEqual({ ok: true, value: seal })
  expect(openSeal(area(golden), ring, verifyEd25519)).toEqual({ ok: true, value: seal })
})

test('the second implementation verifies the same seal', () => {
  const noble = (key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean =>
    ed25519.verify(signature, message, key)
  expect(openSeal(encodeSeal(seal, signer), ring, noble).ok).toBe(true)
})

test('either seal key is taken, a stranger is not', () => {
  expect(codeOf(encodeSeal(seal, next))).toBe('opened')
  expect(codeOf(encodeSeal(seal, stranger))).toBe('EB-SEAL')
  expect(codeOf(encodeSeal(seal, signer), ringOf([]))).toBe('EB-SEAL')
})

test('every flipped bit and every truncation is refused', () => {
  const bytes = encodeSeal(seal, signer)
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    expect(codeOf(area(flipped(bytes, bit))), `bit ${bit}`).toBe('EB-SEAL')
  }
  for (let length = 0; length < bytes.length; length += 1) {
    expect(codeOf(bytes.subarray(0, length))).toBe('EB-SEAL')
  }
  expect(codeOf(new Uint8Array(slotLimits.sealAreaBytes))).toBe('EB-SEAL')
  expect(codeOf(new Uint8Array(slotLimits.sealAreaBytes).fill(0xff))).toBe('EB-SEAL')
})

/** Signed by a right key, but with a field that no writer makes. */
function signedNonsense(change: (view: DataView, bytes: Uint8Array) => void): Uint8Array {
  const bytes = encodeSeal(seal, signer)
  change(new DataView(bytes.buffer), bytes)
  const signed = bytes.length - 96
  bytes.set(signer.sign(bytes.subarray(0, signed)), signed + 32)
  return bytes
}

test.each<[string, (view: DataView, bytes: Uint8Array) => void]>([
  ['version 2', (it) => it.setUint32(8, 2, true)],
  ['no image', (it) => it.setUint32(160, 0, true)],
  ['more images than there are', (it) => it.setUint32(160, 3, true)],
  ['more images than the limit', (it) => it.setUint32(160, releaseLimits.imagesMax + 1, true)],
  ['a signed length of 0', (it) => it.setUint32(12, 0, true)],
  ['a signed length of 2^32-1', (it) => it.setUint32(12, 0xffff_ffff, true)],
  ['security version 0', (it) => it.setBigUint64(16, 0n, true)],
  ['a security version of 2^32', (it) => it.setBigUint64(16, 2n ** 32n, true)],
  ['a floor of 2^32', (it) => it.setBigUint64(24, 2n ** 32n, true)],
  ['reserved bytes', (it) => it.setUint32(164, 1, true)],
  ['an empty release id', (_, bytes) => bytes.fill(0, 32, 96)],
  ['bytes after the end of a text', (_, bytes) => bytes.fill(0x61, 95, 96)],
  ['a slash in the release id', (_, bytes) => bytes.fill(0x2f, 32, 33)],
  ['a padded size that is not the size padded', (it) => it.setBigUint64(208, 16_384n, true)],
  ['an image of 0 bytes', (it) => it.setBigUint64(200, 0n, true)],
  ['an image of 2^53 bytes', (it) => it.setBigUint64(200, 2n ** 53n, true)],
])('a signed seal with %s is refused', (_, change) => {
  expect(codeOf(area(signedNonsense(change)))).toBe('EB-SEAL')
})

test('texts fill their fields to the last byte', () => {
  const [name, image] = ['n'.repeat(32), seal.images[0]]
  if (image === undefined) throw new Error('no image')
  const full: Seal = {
    ...seal,
    releaseId: 'r'.repeat(64),
    product: 'p'.repeat(32),
    version: 'v'.repeat(32),
    images: [{ ...image, name }],
  }
  expect(openSeal(encodeSeal(full, signer), ring, verifyEd25519)).toEqual({ ok: true, value: full })
  expect(() => encodeSeal({ ...full, releaseId: 'r'.repeat(65) }, signer)).toThrow(RangeError)
  expect(() => encodeSeal({ ...full, images: [{ ...image, name: 'n'.repeat(33) }] }, signer)).toThrow(
    RangeError,
  )
})

test('a floor is kept, and none is told from 0', () => {
  for (const floorAfterCommit of [null, 0, 1, slotLimits.numberMax]) {
    const opened = openSeal(encodeSeal({ ...seal, floorAfterCommit }, signer), ring, verifyEd25519)
    expect(opened.ok && opened.value.floorAfterCommit).toBe(floorAfterCommit)
  }
})

test('what does not fit is not written', () => {
  expect(() => encodeSeal({ ...seal, product: 'x'.repeat(33) }, signer)).toThrow(RangeError)
  expect(() => encodeSeal({ ...seal, releaseId: '../x' }, signer)).toThrow(RangeError)
  expect(() => encodeSeal({ ...seal, version: '' }, signer)).toThrow(RangeError)
})
