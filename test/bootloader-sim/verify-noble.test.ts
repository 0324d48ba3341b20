/** The two Ed25519 implementations say the same, and the loader's is strict. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { verifyNoble } from '../../bootloader-sim/verify-noble.ts'
import { verifyEd25519 } from '../../keys/verify-node.ts'
import { sealKey, testKey } from './memory-board.ts'

/** Order of the base point, RFC 8032 section 5.1. */
const order = 2n ** 252n + 27742317777372353535851937790883648493n
/** Prime of the field. */
const prime = 2n ** 255n - 19n

describe('Ed25519 of the bootloader', () => {
  it('takes the vectors of RFC 8032, section 7.1', () => {
    const vectors = [
      [
        'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
        '',
        'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
      ],
      [
        '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
        '72',
        '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
      ],
    ]
    for (const [key = '', message = '', signature = ''] of vectors) {
      const parts = [key, message, signature].map((it) => Buffer.from(it, 'hex')) as [Buffer, Buffer, Buffer]
      expect(verifyNoble(...parts)).toBe(true)
      expect(verifyEd25519(...parts)).toBe(true)
    }
  })

  it('agrees with node:crypto on signatures good, changed and for other messages', () => {
    const other = testKey()
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.nat({ max: 63 }),
        fc.nat({ max: 7 }),
        fc.constantFrom('good', 'signature', 'message', 'key'),
        (message, place, bit, change) => {
          const signature = Buffer.from(sealKey.sign(message))
          let key = sealKey.raw
          let said = Buffer.from(message)
          if (change === 'signature') signature[place] = (signature[place] ?? 0) ^ (1 << bit)
          if (change === 'message') said = Buffer.concat([said, Buffer.from([0])])
          if (change === 'key') key = other.raw
          const verdict = verifyNoble(key, said, signature)
          expect(verdict).toBe(verifyEd25519(key, said, signature))
          expect(verdict).toBe(change === 'good')
        },
      ),
      { numRuns: 150 },
    )
  })

  it('refuses S + L, which says the same in other bytes', () => {
    const message = Buffer.from('a seal')
    const signature = Buffer.from(sealKey.sign(message))
    expect(verifyNoble(sealKey.raw, message, signature)).toBe(true)
    const forged = Buffer.concat([
      signature.subarray(0, 32),
      littleEndian(numberOf(signature.subarray(32)) + order),
    ])
    expect(verifyNoble(sealKey.raw, message, forged)).toBe(false)
    expect(verifyEd25519(sealKey.raw, message, forged)).toBe(false)
  })

  it('refuses points in non-canonical form and keys of small order', () => {
    const message = Buffer.from('a seal')
    const zero = Buffer.alloc(32)
    const identity = Buffer.from([1, ...zero.subarray(1)])
    // With the identity as key, R = identity and S = 0 would satisfy the bare equation for every message.
    expect(verifyNoble(identity, message, Buffer.concat([identity, zero]))).toBe(false)
    const identityAgain = littleEndian(prime + 1n)
    expect(verifyNoble(identityAgain, message, Buffer.concat([identity, zero]))).toBe(false)
    const signature = Buffer.from(sealKey.sign(message))
    const nonCanonical = Buffer.concat([littleEndian(prime + 3n), signature.subarray(32)])
    expect(verifyNoble(sealKey.raw, message, nonCanonical)).toBe(false)
  })

  it('says no, and nothing else, to malformed input', () => {
    const message = Buffer.from('a seal')
    const signature = sealKey.sign(message)
    for (const length of [0, 31, 33, 64])
      expect(verifyNoble(Buffer.alloc(length), message, signature)).toBe(false)
    for (const length of [0, 63, 65, 128]) {
      expect(verifyNoble(sealKey.raw, message, Buffer.alloc(length))).toBe(false)
    }
  })
})

function numberOf(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`)
}

function littleEndian(value: bigint): Buffer {
  return Buffer.from(value.toString(16).padStart(64, '0'), 'hex').reverse()
}
