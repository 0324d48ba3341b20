/**
 * The three content suites and the keys under them, by node:crypto.
 * Promise: clear text leaves only after its tag (AEAD) held; every failure to open looks the same; a nonce
 * is the number of a piece or page under a key that nothing else uses.
 * Leaves to others: hashes around pieces (piece.ts), wrapping of content keys (keys/key-wrap.ts).
 */
import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto'

export type Suite = 'chacha20-poly1305' | 'aes-256-gcm' | 'aes-256-cbc'
export type AeadSuite = Exclude<Suite, 'aes-256-cbc'>

export const tagBytes = 16
export const cbcIvBytes = 16

/** The key of the index pages of a blob, derived from its content key (HKDF-SHA256, RFC 5869). */
export function indexKey(contentKey: Uint8Array): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', contentKey, '', 'everboot index key', 32))
}

/** @param number of the piece or page, the nonce. @returns ciphertext and tag. */
export function sealAead(
  suite: AeadSuite,
  key: Uint8Array,
  number: number,
  aad: Uint8Array,
  clear: Uint8Array,
): Uint8Array {
  const cipher = createCipheriv(suite as 'aes-256-gcm', key, nonce(number), { authTagLength: tagBytes })
  cipher.setAAD(aad, { plaintextLength: clear.length })
  return Buffer.concat([cipher.update(clear), cipher.final(), cipher.getAuthTag()])
}

/** @returns the clear text, or null when it is not authentic. */
export function openAead(
  suite: AeadSuite,
  key: Uint8Array,
  number: number,
  aad: Uint8Array,
  sealed: Uint8Array,
): Uint8Array | null {
  const split = sealed.length - tagBytes
  if (split < 0) return null
  const decipher = createDecipheriv(suite as 'aes-256-gcm', key, nonce(number), { authTagLength: tagBytes })
  decipher.setAAD(aad, { plaintextLength: split })
  decipher.setAuthTag(sealed.subarray(split))
  const clear = decipher.update(sealed.subarray(0, split))
  try {
    decipher.final()
    return clear
  } catch {
    return null
  }
}

/** @param iv 16 bytes, random. @returns IV, then AES-256-CBC with PKCS#7. */
export function sealCbc(key: Uint8Array, iv: Uint8Array, clear: Uint8Array): Uint8Array {
  const cipher = createCipheriv('aes-256-cbc', key, iv)
  return Buffer.concat([iv, cipher.update(clear), cipher.final()])
}

/** The caller has checked the hash of `sealed` against a signed one. @returns null when the padding is wrong. */
export function openCbc(key: Uint8Array, sealed: Uint8Array): Uint8Array | null {
  if (sealed.length < 2 * cbcIvBytes) return null
  const decipher = createDecipheriv('aes-256-cbc', key, sealed.subarray(0, cbcIvBytes))
  try {
    return Buffer.concat([decipher.update(sealed.subarray(cbcIvBytes)), decipher.final()])
  } catch {
    return null
  }
}

function nonce(number: number): Uint8Array {
  const bytes = new Uint8Array(12)
  new DataView(bytes.buffer).setBigUint64(4, BigInt(number))
  return bytes
}
