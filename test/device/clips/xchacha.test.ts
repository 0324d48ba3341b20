/** Chunks sealed by XChaCha20-Poly1305: the same bytes as an independent implementation, and nothing else opens. */
import { xchacha20poly1305 } from '@noble/ciphers/chacha.js'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { chunkSeal, wholeNonce } from '../../../device/clips/xchacha.ts'

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })

describe('chunks of a sealed file', () => {
  it('are those of another implementation, byte by byte', () => {
    fc.assert(
      fc.property(
        bytes(32),
        bytes(16),
        fc.nat(0xffff_ffff),
        fc.boolean(),
        fc.uint8Array({ maxLength: 300 }),
        fc.uint8Array({ maxLength: 40 }),
        (key, nonce, chunk, last, clear, aad) => {
          const other = xchacha20poly1305(key, wholeNonce(nonce, chunk, last), aad)
          const sealed = chunkSeal(key, nonce, aad).seal(chunk, last, clear)
          expect(sealed).toEqual(Buffer.from(other.encrypt(clear)))
          expect(chunkSeal(key, nonce, aad).open(chunk, last, sealed)).toEqual(Buffer.from(clear))
        },
      ),
      { numRuns: 200 },
    )
  })

  it('are those of the draft', () => {
    // draft-irtf-cfrg-xchacha-03, appendix A.3.1; its nonce ends with 54 55 56 57 58 59 5a 5b wherever it is used.
    const key = Buffer.from('808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f', 'hex')
    const nonce = Buffer.from('404142434445464748494a4b4c4d4e4f', 'hex')
    const aad = Buffer.from('50515253c0c1c2c3c4c5c6c7', 'hex')
    const clear = Buffer.from(
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
    )
    const theirs = xchacha20poly1305(
      key,
      Buffer.concat([nonce, Buffer.from('5051525354555657', 'hex')]),
      aad,
    ).encrypt(clear)
    expect(Buffer.from(theirs.subarray(-16)).toString('hex')).toBe('c0875924c1c7987947deafd8780acf49')
  })

  const key = new Uint8Array(32).fill(1)
  const nonce = new Uint8Array(16).fill(2)
  const sealed = chunkSeal(key, nonce).seal(3, false, Buffer.from('some sound'))

  it('do not open with any bit changed', () => {
    for (let bit = 0; bit < sealed.length * 8; bit += 1) {
      const changed = Buffer.from(sealed)
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect(chunkSeal(key, nonce).open(3, false, changed)).toBeNull()
    }
  })

  it.each([
    ['cut off', () => chunkSeal(key, nonce).open(3, false, sealed.subarray(0, 12))],
    ['shorter', () => chunkSeal(key, nonce).open(3, false, sealed.subarray(1))],
    ['as another chunk', () => chunkSeal(key, nonce).open(4, false, sealed)],
    ['as the last chunk', () => chunkSeal(key, nonce).open(3, true, sealed)],
    ['of another file', () => chunkSeal(key, new Uint8Array(16)).open(3, false, sealed)],
    ['with another key', () => chunkSeal(new Uint8Array(32), nonce).open(3, false, sealed)],
    ['with other words around it', () => chunkSeal(key, nonce, Buffer.of(1)).open(3, false, sealed)],
  ])('do not open %s', (_, open) => expect(open()).toBeNull())
})
