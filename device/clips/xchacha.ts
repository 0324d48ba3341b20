/**
 * XChaCha20-Poly1305 for files that are sealed in chunks: HChaCha20 gives each file a key of its own, by the first 16
 * bytes of the nonce; the last 8 say which chunk it is and whether it is the last one.
 * Promise: the bytes are those of draft-irtf-cfrg-xchacha-03, section 2 (a test compares with @noble/ciphers);
 * what was changed, moved, cut off or taken from another file does not open.
 * HChaCha20 is @noble/ciphers'; the stream itself is OpenSSL's, which is some ten times as fast.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto'
import { hchacha } from '@noble/ciphers/chacha.js'
import { assert } from '../../core/assert.ts'

export const sealKeyBytes = 32
export const fileNonceBytes = 16
export const sealTagBytes = 16

/** Seals and opens the chunks of one file. */
export interface ChunkSeal {
  /** @returns the chunk with its tag behind it */
  seal(chunk: number, last: boolean, clear: Uint8Array): Buffer
  /** @returns the clear bytes; null when this is not what was sealed as that chunk. */
  open(chunk: number, last: boolean, sealed: Uint8Array): Buffer | null
}

const cipherName = 'chacha20-poly1305'
const options = { authTagLength: sealTagBytes } as const

/** @param key 32 bytes. @param fileNonce 16 bytes, never used twice with one key. @param aad bound to each chunk */
export function chunkSeal(key: Uint8Array, fileNonce: Uint8Array, aad: Uint8Array = nothing): ChunkSeal {
  assert(key.length === sealKeyBytes && fileNonce.length === fileNonceBytes, 'key of 32, nonce of 16 bytes')
  const fileKey = subkey(key, fileNonce)
  return {
    seal(chunk, last, clear) {
      const cipher = createCipheriv(cipherName, fileKey, chunkNonce(chunk, last), options)
      cipher.setAAD(aad, { plaintextLength: clear.length })
      const sealed = cipher.update(clear)
      cipher.final()
      return Buffer.concat([sealed, cipher.getAuthTag()])
    },
    open(chunk, last, sealed) {
      const length = sealed.length - sealTagBytes
      if (length < 0) return null
      const decipher = createDecipheriv(cipherName, fileKey, chunkNonce(chunk, last), options)
      decipher.setAAD(aad, { plaintextLength: length })
      decipher.setAuthTag(sealed.subarray(length))
      const clear = decipher.update(sealed.subarray(0, length))
      try {
        decipher.final()
        return clear
      } catch {
        return null
      }
    },
  }
}

/** The 24 bytes that a chunk is sealed with; the first 16 of them are the file's. */
export function wholeNonce(fileNonce: Uint8Array, chunk: number, last: boolean): Uint8Array {
  return Buffer.concat([fileNonce, chunkNonce(chunk, last).subarray(4)])
}

const nothing = new Uint8Array(0)
/** "expand 32-byte k", as little-endian words. */
const sigma = Uint32Array.of(0x61707865, 0x3320646e, 0x79622d32, 0x6b206574)

/** Draft, section 2.2. */
function subkey(key: Uint8Array, fileNonce: Uint8Array): Buffer {
  const out = new Uint32Array(8)
  hchacha(sigma, wordsOf(key), wordsOf(fileNonce), out)
  const bytes = Buffer.alloc(sealKeyBytes)
  out.forEach((word, index) => void bytes.writeUInt32LE(word, index * 4))
  return bytes
}

function wordsOf(bytes: Uint8Array): Uint32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return Uint32Array.from({ length: bytes.length / 4 }, (_, index) => view.getUint32(index * 4, true))
}

/** Draft, section 2.3: four zero bytes, then the last eight of the nonce. */
function chunkNonce(chunk: number, last: boolean): Buffer {
  const nonce = Buffer.alloc(12)
  nonce.writeUInt32BE(chunk, 4)
  nonce.writeUInt32BE(last ? 1 : 0, 8)
  return nonce
}
