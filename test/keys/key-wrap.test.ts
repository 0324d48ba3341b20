/** AES key wrap against RFC 3394's vector and against what OpenSSL alone would let through. */
import { expect, test } from 'vitest'
import { unwrapKey, wrapKey } from '../../keys/key-wrap.ts'

// RFC 3394, section 4.6.
const wrappingKey = Buffer.from('000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F', 'hex')
const contentKey = Buffer.from('00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F', 'hex')
const wrapped = Buffer.from(
  '28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21',
  'hex',
)
const codeOf = (key: Uint8Array, bytes: Uint8Array): string => {
  const result = unwrapKey(key, bytes)
  return result.ok ? 'opened' : result.error.code
}

test("wraps and unwraps RFC 3394's vector", () => {
  expect(Buffer.from(wrapKey(wrappingKey, contentKey)).equals(wrapped)).toBe(true)
  const opened = unwrapKey(wrappingKey, wrapped)
  expect(opened.ok && Buffer.from(opened.value).equals(contentKey)).toBe(true)
})

test('refuses every flipped bit of a wrap and of the wrapping key', () => {
  for (const [bytes, isKey] of [
    [wrapped, false],
    [wrappingKey, true],
  ] as const) {
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const changed = Uint8Array.from(bytes)
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect(isKey ? codeOf(changed, wrapped) : codeOf(wrappingKey, changed)).toBe('EB-WRONG-DEVICE')
    }
  }
})

test('refuses every other length, also those that OpenSSL takes', () => {
  for (let length = 0; length <= 72; length += 1) {
    if (length === 40) continue
    expect(codeOf(wrappingKey, new Uint8Array(length)), `${length} bytes`).toBe('EB-WRONG-DEVICE')
  }
  expect(codeOf(wrappingKey.subarray(16), wrapped)).toBe('EB-KEY')
  expect(() => wrapKey(wrappingKey.subarray(16), contentKey)).toThrow()
  expect(() => wrapKey(wrappingKey, contentKey.subarray(16))).toThrow()
})
